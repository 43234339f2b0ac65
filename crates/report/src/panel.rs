//! Curves in panels, as they are given.

use plotters::style::RGBColor;

use crate::line_style::LineStyle;
use crate::style::Style;

/// How the spread around a curve is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Band {
    /// A filled band.
    Filled,
    /// A bar at each point.
    Bars,
}

/// One curve.
#[derive(Debug, Clone)]
pub struct Curve {
    /// Its name in the legend.
    pub name: String,
    /// (x, y), from left to right.
    pub points: Vec<(f64, f64)>,
    /// Lower and upper end of its spread at each point; empty for none.
    pub spread: Vec<(f64, f64)>,
    /// How the spread is drawn.
    pub band: Band,
    /// Its colour: a number in a list of seven.
    pub colour: usize,
    /// Its line and markers.
    pub style: LineStyle,
}

impl Curve {
    /// A curve without a spread.
    pub fn new(
        name: impl Into<String>,
        points: Vec<(f64, f64)>,
        colour: usize,
        style: LineStyle,
    ) -> Self {
        Self { name: name.into(), points, spread: vec![], band: Band::Filled, colour, style }
    }

    pub(crate) fn colour(&self, style: &Style) -> RGBColor {
        style.palette.curve(self.colour)
    }

    /// Points that lie close together are a line without markers.
    pub(crate) fn has_markers(&self) -> bool {
        self.points.len() <= 40 || self.style == LineStyle::Points
    }

    /// The points with a place.
    pub(crate) fn defined_points(&self) -> impl Iterator<Item = &(f64, f64)> {
        self.points.iter().filter(|p| p.0.is_finite() && p.1.is_finite())
    }

    /// x, y, and the ends of the spread, where all of them are defined.
    pub(crate) fn defined_spread(&self) -> impl Iterator<Item = (f64, f64, (f64, f64))> {
        let all = self.points.iter().zip(&self.spread).map(|(&(x, y), &spread)| (x, y, spread));
        all.filter(|(x, y, (low, high))| [x, y, low, high].iter().all(|v| v.is_finite()))
    }
}

/// A horizontal line.
#[derive(Debug, Clone)]
pub struct Level {
    /// Its name in the legend.
    pub name: String,
    /// Its height.
    pub y: f64,
}

/// One pair of axes.
#[derive(Debug, Clone)]
pub struct Panel {
    /// Written above.
    pub title: String,
    /// The x axis, with its unit.
    pub x: String,
    /// The y axis, with its unit.
    pub y: String,
    /// The curves.
    pub curves: Vec<Curve>,
    /// Horizontal lines.
    pub levels: Vec<Level>,
}

/// An entry of the legend.
pub(crate) enum Entry<'a> {
    Curve(&'a Curve),
    Level(&'a Level),
}

impl Entry<'_> {
    pub fn name(&self) -> &str {
        match self {
            Self::Curve(curve) => &curve.name,
            Self::Level(level) => &level.name,
        }
    }
}

/// The curves and levels of all panels, each name once.
pub(crate) fn legend_entries(panels: &[Panel]) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry> = vec![];
    let curves = panels.iter().flat_map(|panel| panel.curves.iter().map(Entry::Curve));
    let levels = panels.iter().flat_map(|panel| panel.levels.iter().map(Entry::Level));
    for entry in curves.chain(levels) {
        if !entries.iter().any(|known| known.name() == entry.name()) {
            entries.push(entry);
        }
    }
    entries
}
