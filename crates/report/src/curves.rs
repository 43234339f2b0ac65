//! Accuracy over the strength of an operation (Figures 7 and 8, training).

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::canvas::{Area, Drawn, draw, right_of, style, text};
use crate::colour::category;
use crate::error::Result;
use crate::figure::Figure;
use crate::line_style::LineStyle;
use crate::source::Source;

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

    fn colour(&self) -> RGBColor {
        category(self.colour)
    }

    /// Points that lie close together are a line without markers.
    fn has_markers(&self) -> bool {
        self.points.len() <= 40 || self.style == LineStyle::Points
    }

    fn spread_at_points(&self) -> impl DoubleEndedIterator<Item = (f64, f64, (f64, f64))> {
        self.points.iter().zip(&self.spread).map(|(&(x, y), &spread)| (x, y, spread))
    }
}

/// A horizontal line.
#[derive(Debug, Clone)]
pub struct Level {
    /// Its name, written at its left end.
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

/// Height of the axes, without the legend.
const HEIGHT: i32 = 430;

/// Draws panels side by side, with one legend below for all of them.
///
/// # Errors
/// If it cannot be drawn.
pub fn curves(name: &str, panels: &[Panel], source: &Source) -> Result<Figure> {
    let width = 640 * panels.len() as u32;
    let legend = Legend::new(panels, width);
    let height = HEIGHT + 12 + 24 * legend.rows() as i32;
    draw(name, (width, height as u32), source, |area, _| {
        let (plots, below) = area.split_vertically(HEIGHT);
        for (panel, plot) in panels.iter().zip(plots.split_evenly((1, panels.len()))) {
            axes(&plot, panel)?;
        }
        legend.draw(&below)
    })
}

/// The names of all panels' curves, each once.
struct Legend<'a> {
    curves: Vec<&'a Curve>,
    columns: usize,
    /// Width of a column.
    step: i32,
}

impl<'a> Legend<'a> {
    fn new(panels: &'a [Panel], width: u32) -> Self {
        let mut curves: Vec<&Curve> = vec![];
        for curve in panels.iter().flat_map(|panel| &panel.curves) {
            if !curves.iter().any(|known| known.name == curve.name) {
                curves.push(curve);
            }
        }
        // A name takes about 7 pixels a letter, after its sample.
        let widths = curves.iter().map(|curve| 42 + 7 * curve.name.chars().count());
        let most = if panels.len() > 1 { 3 } else { 2 };
        let columns = ((width as usize - 80) / widths.max().unwrap_or(1)).clamp(1, most);
        Self { curves, columns, step: (width as i32 - 80) / columns as i32 }
    }

    fn rows(&self) -> usize {
        self.curves.len().div_ceil(self.columns)
    }

    fn draw(&self, area: &Area) -> Drawn {
        for (i, curve) in self.curves.iter().enumerate() {
            let x = 80 + self.step * (i % self.columns) as i32;
            let y = 14 + 24 * (i / self.columns) as i32;
            curve.style.line(area, &[(x, y), (x + 34, y)], curve.colour())?;
            if curve.has_markers() {
                curve.style.marker(area, (x + 17, y), curve.colour())?;
            }
            right_of(area, &curve.name, (x + 42, y), 15.)?;
        }
        Ok(())
    }
}

type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

fn axes(area: &Area, panel: &Panel) -> Drawn {
    let x_values = panel.curves.iter().flat_map(|c| c.points.iter().map(|p| p.0));
    let y_values = panel
        .curves
        .iter()
        .flat_map(|c| c.points.iter().map(|p| p.1).chain(c.spread.iter().flat_map(|s| [s.0, s.1])))
        .chain(panel.levels.iter().map(|level| level.y));
    let (left, right) = range(x_values, 0.02);
    let (low, high) = range(y_values, 0.06);
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, style(18., BLACK))
        .margin(8)
        .margin_right(26)
        .x_label_area_size(52)
        .y_label_area_size(72)
        .build_cartesian_2d(left..right, low..high)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .label_style(style(15., BLACK))
        .axis_desc_style(style(17., BLACK))
        .x_desc(&panel.x)
        .y_desc(&panel.y)
        .x_labels(7)
        .y_labels(7)
        .x_label_formatter(&|v| tick(*v))
        .y_label_formatter(&|v| tick(*v))
        .draw()?;
    for level in &panel.levels {
        draw_level(area, &mut chart, (left, right), level)?;
    }
    for curve in &panel.curves {
        draw_spread(&mut chart, curve)?;
    }
    for curve in &panel.curves {
        draw_curve(area, &chart, curve)?;
    }
    Ok(())
}

/// A dashed line with its name at the left, where curves begin high above it.
fn draw_level(area: &Area, chart: &mut Chart, (left, right): (f64, f64), level: &Level) -> Drawn {
    let grey = RGBColor(110, 110, 110);
    let ends = [(left, level.y), (right, level.y)];
    chart.draw_series(DashedLineSeries::new(ends, 3, 4, grey.stroke_width(1)))?;
    let (x, y) = pixel(area, chart, &(left, level.y));
    text(area, &level.name, (x + 4, y - 3), 13., grey, (HPos::Left, VPos::Bottom))
}

fn draw_spread(chart: &mut Chart, curve: &Curve) -> Drawn {
    let spread = curve.spread_at_points();
    match curve.band {
        Band::Filled if !curve.spread.is_empty() => {
            let lower = curve.spread_at_points().rev().map(|(x, _, (low, _))| (x, low));
            let outline: Vec<_> = spread.map(|(x, _, (_, high))| (x, high)).chain(lower).collect();
            let fill = curve.colour().mix(0.18);
            chart.draw_series(std::iter::once(Polygon::new(outline, fill)))?;
        }
        Band::Bars => {
            let bar = curve.colour().stroke_width(1);
            chart.draw_series(
                spread.map(|(x, y, (low, high))| ErrorBar::new_vertical(x, low, y, high, bar, 6)),
            )?;
        }
        Band::Filled => {}
    }
    Ok(())
}

fn draw_curve(area: &Area, chart: &Chart, curve: &Curve) -> Drawn {
    let finite = curve.points.iter().filter(|p| p.1.is_finite());
    let points: Vec<(i32, i32)> = finite.map(|p| pixel(area, chart, p)).collect();
    curve.style.line(area, &points, curve.colour())?;
    if curve.has_markers() {
        for &at in &points {
            curve.style.marker(area, at, curve.colour())?;
        }
    }
    Ok(())
}

/// Where a point of the chart is in the area.
fn pixel(area: &Area, chart: &Chart, point: &(f64, f64)) -> (i32, i32) {
    let (x, y) = chart.backend_coord(point);
    let (left, top) = area.get_base_pixel();
    (x - left, y - top)
}

/// The range of some values with a margin; never empty.
fn range(values: impl Iterator<Item = f64>, margin: f64) -> (f64, f64) {
    let (low, high) = values
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    if low > high {
        return (0., 1.);
    }
    let by = if high > low { (high - low) * margin } else { low.abs().max(1.) * 0.01 };
    (low - by, high + by)
}

/// The label of a tick: at most two digits after the decimal point.
fn tick(value: f64) -> String {
    let text = format!("{:.2}", if value.abs() < 1e-9 { 0. } else { value });
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_never_empty() {
        assert_eq!(range([f64::NAN].into_iter(), 0.5), (0., 1.));
        assert_eq!(range([2., 2.].into_iter(), 0.5), (1.98, 2.02));
        assert_eq!(range([0., 4., f64::INFINITY].into_iter(), 0.5), (-2., 6.));
    }

    #[test]
    fn ticks_have_no_idle_zeros() {
        for (value, expected) in [(1e-12, "0"), (0.5, "0.5"), (100., "100"), (-0.25, "-0.25")] {
            assert_eq!(tick(value), expected);
        }
    }
}
