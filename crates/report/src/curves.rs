//! Accuracy over the strength of an operation (Figures 7 and 8, training).

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::canvas::{Area, Drawn, Fitted, centred, draw, fitted, style, text};
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
/// Width of a panel.
const WIDTH: i32 = 640;
/// Width of a line's sample in the legend, with its gap.
const SAMPLE: i32 = 42;

/// Draws panels side by side, with one legend below for all of them.
///
/// # Errors
/// If it cannot be drawn.
pub fn curves(name: &str, panels: &[Panel], source: &Source) -> Result<Figure> {
    let width = WIDTH as u32 * panels.len() as u32;
    let legend = Legend::new(panels, width);
    let height = HEIGHT + 12 + legend.height();
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
    names: Vec<Fitted>,
    columns: usize,
    /// Width of a column.
    step: i32,
    /// Height of a row.
    row: i32,
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
        let widths = curves.iter().map(|curve| SAMPLE as usize + 7 * curve.name.chars().count());
        let most = if panels.len() > 1 { 3 } else { 2 };
        let columns = ((width as usize - 80) / widths.max().unwrap_or(1)).clamp(1, most);
        let step = (width as i32 - 80) / columns as i32;
        let names: Vec<Fitted> =
            curves.iter().map(|curve| fitted(&curve.name, 15., step - SAMPLE - 8)).collect();
        let row = 24 + names.iter().map(Fitted::more).max().unwrap_or(0);
        Self { curves, names, columns, step, row }
    }

    fn height(&self) -> i32 {
        self.row * self.curves.len().div_ceil(self.columns) as i32
    }

    fn draw(&self, area: &Area) -> Drawn {
        for (i, (curve, name)) in self.curves.iter().zip(&self.names).enumerate() {
            let x = 80 + self.step * (i % self.columns) as i32;
            let y = 14 + self.row * (i / self.columns) as i32;
            curve.style.line(area, &[(x, y), (x + 34, y)], curve.colour())?;
            if curve.has_markers() {
                curve.style.marker(area, (x + 17, y), curve.colour())?;
            }
            name.right_of(area, (x + SAMPLE, y))?;
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
    let (left, right) = range(x_values, 0.02)?;
    let (low, high) = range(y_values, 0.06)?;
    let title = fitted(&panel.title, 18., WIDTH - 60);
    let (last, above) = title.lines.split_last().map_or(("", &[][..]), |(l, a)| (l.as_str(), a));
    for (line, words) in (0..).zip(above) {
        centred(area, words, (WIDTH / 2, 16 + line * title.line_height()), title.size)?;
    }
    let mut chart = ChartBuilder::on(area)
        .caption(last, style(title.size, BLACK))
        .margin(8)
        .margin_top(8 + title.more())
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
        .x_labels(TICKS)
        .y_labels(TICKS)
        .x_label_formatter(&|v| tick(*v, (left, right)))
        .y_label_formatter(&|v| tick(*v, (low, high)))
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

/// Points whose spread is not defined have none.
fn draw_spread(chart: &mut Chart, curve: &Curve) -> Drawn {
    let defined: Vec<_> = curve
        .spread_at_points()
        .filter(|(x, y, (low, high))| [x, y, low, high].iter().all(|v| v.is_finite()))
        .collect();
    match curve.band {
        Band::Filled if !defined.is_empty() => {
            let lower = defined.iter().rev().map(|&(x, _, (low, _))| (x, low));
            let upper = defined.iter().map(|&(x, _, (_, high))| (x, high));
            let outline: Vec<_> = upper.chain(lower).collect();
            let fill = curve.colour().mix(0.18);
            chart.draw_series(std::iter::once(Polygon::new(outline, fill)))?;
        }
        Band::Bars => {
            let bar = curve.colour().stroke_width(1);
            let bars = defined.into_iter();
            chart.draw_series(
                bars.map(|(x, y, (low, high))| ErrorBar::new_vertical(x, low, y, high, bar, 6)),
            )?;
        }
        Band::Filled => {}
    }
    Ok(())
}

fn draw_curve(area: &Area, chart: &Chart, curve: &Curve) -> Drawn {
    let finite = curve.points.iter().filter(|p| p.0.is_finite() && p.1.is_finite());
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

/// The range of some values with a margin; never empty. Values that differ by their rounding alone
/// count as one.
fn range(
    values: impl Iterator<Item = f64>,
    margin: f64,
) -> std::result::Result<(f64, f64), String> {
    let (low, high) = values
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    if low > high {
        return Ok((0., 1.));
    }
    let largest = low.abs().max(high.abs());
    if largest > LARGEST {
        return Err(format!("a value of {largest:e} cannot be drawn: the greatest is {LARGEST:e}"));
    }
    let by = match high - low {
        wide if wide > 1e-9 * largest => wide * margin,
        _ if largest > 0. => 0.01 * largest,
        _ => 1.,
    };
    Ok((low - by, high + by))
}

/// What axes can hold without overflow.
const LARGEST: f64 = 1e100;

/// Ticks of an axis, at most.
const TICKS: usize = 7;

/// The label of a tick on an axis of this range: as many digits as tell it from the next.
fn tick(value: f64, (low, high): (f64, f64)) -> String {
    let step = (high - low) / TICKS as f64;
    let value = if value.abs() < 1e-6 * step { 0. } else { value };
    let digits = 1 - step.log10().floor() as i32;
    let largest = low.abs().max(high.abs());
    if value == 0. || ((-2..=6).contains(&digits) && largest < 1e5) {
        let text = format!("{value:.0$}", digits.max(0) as usize);
        return match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text,
        };
    }
    let behind = (value.abs().log10().floor() as i32 + digits).clamp(0, 15);
    let text = format!("{value:.0$e}", behind as usize);
    match text.split_once('e') {
        Some((number, exponent)) if number.contains('.') => {
            format!("{}e{exponent}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_never_empty() {
        let range = |values: &[f64]| range(values.iter().copied(), 0.5);
        assert_eq!(range(&[f64::NAN]), Ok((0., 1.)));
        assert_eq!(range(&[2., 2.]), Ok((1.98, 2.02)));
        assert_eq!(range(&[0., 0.]), Ok((-1., 1.)));
        assert_eq!(range(&[0., 4., f64::INFINITY]), Ok((-2., 6.)));
        assert_eq!(range(&[85., 85f64.next_up()]), Ok((84.15, 85f64.next_up() + 0.85)));
        assert!(range(&[-1e308, 1e308]).is_err());
    }

    /// As plotters places them: multiples of 1, 2 or 5 times a power of ten.
    #[test]
    fn ticks_differ_and_have_no_idle_zeros() {
        for (low, high) in [
            (0., 0.003),
            (-0.002, 0.001),
            (86.2, 86.21),
            (-1., 1.),
            (84.15, 85.85),
            (0., 100.),
            (-3e15, 2e15),
            (1e-9, 5e-9),
            (0., 123456.),
        ] {
            let rough = (high - low) / TICKS as f64;
            let power = 10f64.powf(rough.log10().floor());
            let step = [1., 2., 5., 10.].map(|f| f * power).into_iter().find(|s| *s >= rough);
            let step = step.unwrap_or(power);
            let first = (low / step).ceil() as i64;
            let labels: Vec<String> = (first..)
                .map(|i| i as f64 * step)
                .take_while(|v| *v <= high)
                .map(|v| tick(v, (low, high)))
                .collect();
            let mut distinct = labels.clone();
            distinct.dedup();
            assert_eq!(labels, distinct, "{low} to {high}");
            let is_short = |l: &String| l.len() <= 9 && l != "-0" && !l.ends_with(".0");
            assert!(labels.iter().all(is_short), "{low} to {high}: {labels:?}");
        }
        let labels = [1e-12, 0.5, 100., -0.25].map(|value| tick(value, (-1., 1.)));
        assert_eq!(labels, ["0", "0.5", "100", "-0.25"]);
        assert_eq!(tick(1.5e6, (0., 2e6)), "1.5e6");
    }

    #[test]
    fn what_is_not_defined_is_not_drawn() -> Result<()> {
        let nan = f64::NAN;
        let mut curve = Curve::new("a", vec![(0., 1.), (1., nan), (nan, 2.)], 0, LineStyle::Solid);
        curve.spread = vec![(nan, nan), (0., 1.), (0., 1.)];
        curve.band = Band::Bars;
        let panel = |curves| Panel {
            title: String::new(),
            x: "x".into(),
            y: "y".into(),
            curves,
            levels: vec![],
        };
        let source = Source { data: "none".into(), synthetic: false };
        let drawn = curves("test", &[panel(vec![curve])], &source)?;
        assert!(!drawn.svg().contains("NaN"), "{}", drawn.svg());
        let huge = Curve::new("a", vec![(0., -1e308), (1., 1e308)], 0, LineStyle::Solid);
        assert!(curves("test", &[panel(vec![huge])], &source).is_err());
        Ok(())
    }
}
