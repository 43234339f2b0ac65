//! How the line and the markers of a curve look.

use plotters::prelude::*;

use crate::canvas::{Canvas, Drawn};

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

    /// Draws a line through points, in units.
    pub(crate) fn line(self, canvas: &Canvas, points: &[(f64, f64)], colour: RGBColor) {
        match self {
            Self::Solid => canvas.polyline(points, colour, 2., None),
            Self::Dashed => canvas.polyline(points, colour, 2., Some((9., 5.))),
            Self::Dotted => canvas.polyline(points, colour, 2., Some((3., 5.))),
            Self::Points => {}
        }
    }

    /// Draws the marker of a point.
    pub(crate) fn marker(self, canvas: &Canvas, at: (i32, i32), colour: RGBColor) -> Drawn {
        match self {
            Self::Solid => canvas.area.draw(&Circle::new(at, 4, colour.filled()))?,
            Self::Dashed => canvas.area.draw(&TriangleMarker::new(at, 6, colour.filled()))?,
            Self::Dotted => canvas.area.draw(&Cross::new(at, 4, colour.stroke_width(2)))?,
            Self::Points => canvas.area.draw(&Circle::new(at, 2, colour.mix(0.5).filled()))?,
        }
        Ok(())
    }
}
