//! How straight is a curve?

use crate::bootstrap::crossed_interval;
use crate::error::{Error, Result};
use crate::interval::{Interval, LEVEL};
use crate::line::Line;
use crate::seeds::RESAMPLES;

/// How far a curve, measured on the same images by networks from several seeds, is a straight line.
#[derive(Debug, Clone, PartialEq)]
pub struct Straightness {
    /// R² of a line through the mean curve over seeds and images, in [0, 1], at [`LEVEL`].
    pub r_squared: Interval,
    /// R² of a line through the first part of the mean curve alone, in [0, 1], at [`LEVEL`]; NaN if
    /// that has fewer than [`LEAST_POINTS`] points.
    pub first_part: Interval,
    /// Slope of the line through the mean curve.
    pub slope: f64,
    /// The line through the curve of each seed.
    pub seeds: Vec<Line>,
    /// The mean curve, in the order of x.
    pub mean_curve: Vec<f64>,
}

/// Points that a line needs for its R² to say something: through two there is always one.
pub const LEAST_POINTS: usize = 3;

/// Fits a line to the mean of `curves` `[seed][point][image]` at the places x `[point]`, and one to
/// its points with x up to `first_part` alone. The intervals are those of [`crossed_interval`] with
/// [`RESAMPLES`] resamples, whose own seed is 0.
///
/// # Errors
/// If there are no seeds or images, fewer than [`LEAST_POINTS`] points, their numbers differ, or R²
/// is not finite.
pub fn straightness(x: &[f64], curves: &[Vec<Vec<f64>>], first_part: f64) -> Result<Straightness> {
    let curves = Curves::new(x, curves)?;
    if x.len() < LEAST_POINTS {
        return Err(Error::Degenerate("how straight a curve is needs three points at least"));
    }
    let of_first_part = x.iter().filter(|&&x| x <= first_part).count();
    let first_part = match of_first_part < LEAST_POINTS {
        true => Interval::point(f64::NAN),
        false => curves.r_squared(first_part)?,
    };
    let seeds: Vec<usize> = (0..curves.values.len()).collect();
    let images: Vec<usize> = (0..curves.images).collect();
    Ok(Straightness {
        r_squared: curves.r_squared(f64::INFINITY)?,
        first_part,
        slope: curves.line(f64::INFINITY, &seeds, &images).slope,
        seeds: seeds.iter().map(|&s| curves.line(f64::INFINITY, &[s], &images)).collect(),
        mean_curve: curves.mean(&seeds, &images),
    })
}

struct Curves<'a> {
    x: &'a [f64],
    /// `[seed][point][image]`.
    values: &'a [Vec<Vec<f64>>],
    images: usize,
}

impl<'a> Curves<'a> {
    fn new(x: &'a [f64], values: &'a [Vec<Vec<f64>>]) -> Result<Self> {
        let first = values.first().and_then(|curve| curve.first());
        let images = first.ok_or(Error::Empty("the straightness of a curve"))?.len();
        if let Some(curve) = values.iter().find(|curve| curve.len() != x.len()) {
            return Err(Error::Shape {
                statistic: "the straightness of a curve",
                expected: format!("{} points", x.len()),
                got: vec![curve.len()],
            });
        }
        if values.iter().flatten().any(|point| point.len() != images) {
            return Err(Error::DifferentImages);
        }
        Ok(Self { x, values, images })
    }

    /// The mean curve over these seeds and images.
    fn mean(&self, seeds: &[usize], images: &[usize]) -> Vec<f64> {
        let of_seed =
            |s: usize, point: usize| images.iter().map(|&i| self.values[s][point][i]).sum::<f64>();
        (0..self.x.len())
            .map(|point| {
                seeds.iter().map(|&s| of_seed(s, point)).sum::<f64>()
                    / (seeds.len() * images.len()) as f64
            })
            .collect()
    }

    /// The line through the points of the mean curve whose x is at most `until`.
    fn line(&self, until: f64, seeds: &[usize], images: &[usize]) -> Line {
        let (x, y): (Vec<f64>, Vec<f64>) = self
            .x
            .iter()
            .copied()
            .zip(self.mean(seeds, images))
            .filter(|(x, _)| *x <= until)
            .unzip();
        Line::fit(&x, &y)
    }

    /// R² of that line.
    fn r_squared(&self, until: f64) -> Result<Interval> {
        let counts = [self.values.len(), self.images];
        let interval = crossed_interval(counts, RESAMPLES, LEVEL, 0, |seeds, drawn| {
            self.line(until, seeds, drawn).r_squared
        })?;
        Ok(interval.clamp_ends(0., 1.))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: [f64; 4] = [0., 1., 2., 3.];

    /// Curves that are the same on each of two images.
    fn curves(seeds: &[[f64; 4]]) -> Vec<Vec<Vec<f64>>> {
        seeds.iter().map(|curve| curve.map(|value| vec![value; 2]).to_vec()).collect()
    }

    #[test]
    fn straight_curves_by_hand() {
        let lines = [[10., 9., 8., 7.], [10., 8., 6., 4.], [10., 7., 4., 1.]];
        let found = straightness(&X, &curves(&lines), 2.).unwrap();
        for interval in [found.r_squared, found.first_part] {
            assert!((interval.low - 1.).abs() < 1e-12 && (interval.high - 1.).abs() < 1e-12);
        }
        assert_eq!(found.mean_curve, [10., 8., 6., 4.]);
        assert!((found.slope + 2.).abs() < 1e-12);
        assert!(found.seeds.iter().zip([-1., -2., -3.]).all(|(a, b)| (a.slope - b).abs() < 1e-12));
    }

    #[test]
    fn a_bent_curve_by_hand() {
        // Sums of products of deviations: xy -6, xx 5, yy 12, so R² = 36/60. Up to x = 2 it is
        // flat.
        let found = straightness(&X, &curves(&[[0., 0., 0., -4.]; 3]), 2.).unwrap();
        for value in [found.r_squared.estimate, found.r_squared.low, found.r_squared.high] {
            assert!((value - 0.6).abs() < 1e-12, "{found:?}");
        }
        assert_eq!(found.first_part.high, 0.);
        assert!((found.slope + 1.2).abs() < 1e-12);
    }

    #[test]
    fn two_points_are_no_line() {
        let lines = curves(&[[10., 9., 8., 7.]]);
        let found = straightness(&X, &lines, 1.5).unwrap();
        assert!(found.first_part.estimate.is_nan() && found.r_squared.low > 0.99);
        let two: Vec<Vec<Vec<f64>>> = lines.iter().map(|curve| curve[..2].to_vec()).collect();
        assert!(matches!(straightness(&X[..2], &two, 9.), Err(Error::Degenerate(_))));
    }

    #[test]
    fn curves_must_fit_each_other() {
        let one = curves(&[[0.; 4]]);
        assert!(matches!(straightness(&X[..3], &one, 1.), Err(Error::Shape { .. })));
        assert!(straightness(&X, &[], 1.).is_err());
        assert!(straightness(&[], &[vec![]], 1.).is_err());
        let mut ragged = curves(&[[0.; 4], [0.; 4]]);
        ragged[1][3].pop();
        assert_eq!(straightness(&X, &ragged, 1.), Err(Error::DifferentImages));
    }
}
