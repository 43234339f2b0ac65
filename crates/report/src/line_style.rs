//! How the line and the markers of a curve look.

use plotters::prelude::*;

use crate::canvas::{Area, Drawn};

/// The line and the markers of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineStyle {
    /// A solid line with discs.
    Solid,
    /// A dashed line with triangles.
    Dashed,
    /// A dotted line with crosses.
    Dotted,
    /// Small discs without a line.
    Points,
}

impl LineStyle {
    /// All styles.
    pub const ALL: [Self; 4] = [Self::Solid, Self::Dashed, Self::Dotted, Self::Points];

    /// Draws a line through points, in pixels.
    pub(crate) fn line(self, area: &Area, points: &[(i32, i32)], colour: RGBColor) -> Drawn {
        let stroke = colour.stroke_width(2);
        let (on, off) = match self {
            Self::Solid => {
                area.draw(&PathElement::new(points.to_vec(), stroke))?;
                return Ok(());
            }
            Self::Dashed => (9., 5.),
            Self::Dotted => (3., 5.),
            Self::Points => return Ok(()),
        };
        dashes(points, on, off).try_for_each(|dash| {
            area.draw(&PathElement::new(dash.to_vec(), stroke))?;
            Ok(())
        })
    }

    /// Draws the marker of a point.
    pub(crate) fn marker(self, area: &Area, at: (i32, i32), colour: RGBColor) -> Drawn {
        match self {
            Self::Solid => area.draw(&Circle::new(at, 4, colour.filled()))?,
            Self::Dashed => area.draw(&TriangleMarker::new(at, 6, colour.filled()))?,
            Self::Dotted => area.draw(&Cross::new(at, 4, colour.stroke_width(2)))?,
            Self::Points => area.draw(&Circle::new(at, 2, colour.mix(0.5).filled()))?,
        }
        Ok(())
    }
}

/// The pieces of a line through points that is drawn over lengths of `on` and not over lengths of
/// `off`. Dashes go on around corners.
fn dashes(points: &[(i32, i32)], on: f64, off: f64) -> impl Iterator<Item = [(i32, i32); 2]> {
    let mut pieces = vec![];
    let mut walked = 0f64;
    for pair in points.windows(2) {
        let [from, to] = [pair[0], pair[1]].map(|(x, y)| (f64::from(x), f64::from(y)));
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let at = |t: f64| {
            (
                (from.0 + (to.0 - from.0) * t / length).round() as i32,
                (from.1 + (to.1 - from.1) * t / length).round() as i32,
            )
        };
        let mut t = 0.;
        while t < length {
            let phase = (walked + t) % (on + off);
            let next = if phase < on { t + on - phase } else { t + on + off - phase };
            if phase < on {
                pieces.push([at(t), at(next.min(length))]);
            }
            t = next;
        }
        walked += length;
    }
    pieces.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_go_on_around_corners() {
        let pieces: Vec<_> = dashes(&[(0, 0), (6, 0), (6, 10)], 4., 4.).collect();
        // From 0 to 4, then from 8 to 12, which is 2 to 6 after the corner at 6.
        assert_eq!(pieces, [[(0, 0), (4, 0)], [(6, 2), (6, 6)]]);
        // A dash that ends behind a corner has two pieces.
        let pieces: Vec<_> = dashes(&[(0, 0), (2, 0), (2, 3)], 4., 4.).collect();
        assert_eq!(pieces, [[(0, 0), (2, 0)], [(2, 0), (2, 2)]]);
    }
}
