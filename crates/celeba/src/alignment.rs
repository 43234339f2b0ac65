//! How an uncropped photograph was turned, scaled and moved to CelebA's aligned image.

use crate::landmarks::Landmarks;

/// The largest distance in pixels of a landmark of the aligned image from where the alignment puts
/// it. Both are whole numbers of pixels in CelebA's files, so some pixel is to be expected.
const TOLERANCE: f64 = 3.;

/// A turn, scale and shift of the plane: q = a·p + b with complex numbers.
pub(crate) struct Alignment {
    a: [f64; 2],
    b: [f64; 2],
}

fn times([x, y]: [f64; 2], [u, v]: [f64; 2]) -> [f64; 2] {
    [x * u - y * v, x * v + y * u]
}

fn plus(p: [f64; 2], q: [f64; 2]) -> [f64; 2] {
    [p[0] + q[0], p[1] + q[1]]
}

fn minus(p: [f64; 2], q: [f64; 2]) -> [f64; 2] {
    [p[0] - q[0], p[1] - q[1]]
}

fn centre(points: &[[f64; 2]; 5]) -> [f64; 2] {
    points.iter().copied().fold([0.; 2], plus).map(|sum| sum / 5.)
}

impl Alignment {
    /// The alignment with the least sum of squared distances between `to` and what it makes of
    /// `from`: a = Σ p̄·q / Σ |p|², where p and q are the points less their centres. `None` if a
    /// point is more than [`TOLERANCE`] away then, or if all points of `from` are one.
    pub fn fit(from: &Landmarks, to: &Landmarks) -> Option<Self> {
        let (from, to) = (from.points(), to.points());
        let (from_centre, to_centre) = (centre(&from), centre(&to));
        let mut product = [0.; 2];
        let mut square = 0.;
        for (p, q) in from.iter().zip(&to) {
            let (p, q) = (minus(*p, from_centre), minus(*q, to_centre));
            product = plus(product, times([p[0], -p[1]], q));
            square += p[0] * p[0] + p[1] * p[1];
        }
        if square == 0. {
            return None;
        }
        let a = product.map(|sum| sum / square);
        let fitted = Self { a, b: minus(to_centre, times(a, from_centre)) };
        let apart = from.iter().zip(&to).map(|(&p, &q)| {
            let [x, y] = minus(fitted.apply(p), q);
            x.hypot(y)
        });
        (apart.fold(0., f64::max) <= TOLERANCE).then_some(fitted)
    }

    fn apply(&self, point: [f64; 2]) -> [f64; 2] {
        plus(times(self.a, point), self.b)
    }

    /// The smallest upright box [x, y, width, height] around the aligned corners of a box; `None`
    /// if the box has no area. The first pixel of a box begins half a pixel before its centre.
    pub fn upright_box(&self, [x, y, width, height]: [f64; 4]) -> Option<[f64; 4]> {
        if width <= 0. || height <= 0. {
            return None;
        }
        let edges = |first: f64, size: f64| [first - 0.5, first - 0.5 + size];
        let columns = edges(x, width);
        let rows = edges(y, height);
        let corners = [0, 1, 2, 3].map(|i| self.apply([columns[i % 2], rows[i / 2]]));
        let span = |axis: usize| {
            let values = corners.map(|corner| corner[axis]);
            let first = values.into_iter().fold(f64::INFINITY, f64::min);
            (first + 0.5, values.into_iter().fold(f64::NEG_INFINITY, f64::max) - first)
        };
        let ((x, width), (y, height)) = (span(0), span(1));
        Some([x, y, width, height])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five points, and the same after a quarter turn, at half the size and moved:
    /// (x, y) ↦ (100 - y/2, x/2).
    const FROM: [i32; 10] = [100, 100, 140, 100, 120, 120, 104, 140, 136, 140];
    const TO: [i32; 10] = [50, 50, 50, 70, 40, 60, 30, 52, 30, 68];

    #[test]
    fn a_box_by_hand() {
        let alignment = Alignment::fit(&FROM.into(), &TO.into()).unwrap();
        // Columns from 89.5 to 149.5 become rows from 44.75 to 74.75, rows from 79.5 to 159.5
        // columns from 20.25 to 60.25.
        let found = alignment.upright_box([90., 80., 60., 80.]).unwrap();
        for (found, expected) in found.into_iter().zip([20.75, 45.25, 40., 30.]) {
            assert!((found - expected).abs() < 1e-9, "{found} and {expected}");
        }
        assert!(alignment.upright_box([90., 80., 0., 80.]).is_none());
    }

    #[test]
    fn landmarks_of_another_face_do_not_fit() {
        // The nose is the centre of the five, so the fit moves by a fifth of what it does.
        let nose_moved = |by: i32| {
            let mut to = TO;
            to[4] += by;
            Alignment::fit(&FROM.into(), &to.into())
        };
        assert!(nose_moved(3).is_some() && nose_moved(6).is_none());
        assert!(Alignment::fit(&[7; 10].into(), &TO.into()).is_none());
    }
}
