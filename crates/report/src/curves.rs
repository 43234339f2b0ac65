//! Accuracy over the strength of an operation (Figures 7 and 8, training).

use plotters::coord::ranged1d::Ranged;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use crate::canvas::{Canvas, Drawn, Fitted, MARGIN, draw};
use crate::error::Result;
use crate::figure::Figure;
use crate::panel::{Band, Curve, Entry, Panel, legend_entries};
use crate::source::Source;
use crate::style::{BODY, SMALL, Style, TITLE};
use crate::tikz::tikz;

/// Narrowest panel beside another.
const NARROWEST: i32 = 240;
/// Heights of a panel.
const LOWEST: i32 = 230;
const HIGHEST: i32 = 400;
/// Width of a line's sample in the legend, with its gap.
const SAMPLE: i32 = 42;
/// From a tick's label to the axis.
const TICK: i32 = 8;

/// Draws panels beside and below each other over the style's width, with one legend below for all
/// of them.
///
/// ```
/// use foresee_report::{Curve, Format, Level, LineStyle, Panel, Source, Style, curves};
///
/// let points = vec![(0., 90.), (16., 88.), (32., 80.)];
/// let panel = Panel {
///     title: String::new(),
///     x: "pruned channels".into(),
///     y: "accuracy [%]".into(),
///     curves: vec![Curve::new("semantic", points, 0, LineStyle::Solid)],
///     levels: vec![Level { name: "guessing".into(), y: 50. }],
/// };
/// let source = Source { data: "40 drawn faces".into(), synthetic: true };
/// let figure = curves("fig7", &[panel], &source, &Style::default())?;
/// // The legend names the curve and the level.
/// assert!(figure.svg().contains("semantic") && figure.svg().contains("guessing"));
/// assert!(figure.has(Format::Tikz));
/// # Ok::<(), foresee_report::Error>(())
/// ```
///
/// # Errors
/// If it cannot be drawn.
pub fn curves(name: &str, panels: &[Panel], source: &Source, style: &Style) -> Result<Figure> {
    let places = places(panels, style);
    let bottom = places.last().map_or(0, |(_, y, _, height)| y + height);
    let legend = Legend::new(panels, style);
    let figure = draw(name, bottom + legend.height(), source, style, |canvas| {
        for (panel, place) in panels.iter().zip(&places) {
            axes(canvas, panel, *place)?;
        }
        legend.draw(canvas, bottom)
    })?;
    Ok(figure.with_tikz(tikz(name, panels, source, style)))
}

/// Left, top, width and height of a panel.
type Place = (i32, i32, i32, i32);

/// Where the panels are: as many in a row as there is room for, rows as even as can be, each as
/// wide as the figure and as high as its longest title needs.
fn places(panels: &[Panel], style: &Style) -> Vec<Place> {
    let width = style.units();
    let most = (width / NARROWEST).max(1) as usize;
    let rows = panels.len().div_ceil(most).max(1);
    let mut places = vec![];
    let mut y = 0;
    let mut rest = panels;
    for row in 0..rows {
        // The first rows have one more where they cannot be even.
        let count = panels.len() / rows + usize::from(row < panels.len() % rows);
        let (here, further) = rest.split_at(count);
        rest = further;
        let wide = width / count.max(1) as i32;
        let titles = here.iter().map(|panel| title(panel, style, wide).height());
        let high = (wide * 2 / 3).clamp(LOWEST, HIGHEST) + titles.max().unwrap_or(0);
        places.extend((0..count as i32).map(|i| (i * wide, y, wide, high)));
        y += high;
    }
    places
}

fn title(panel: &Panel, style: &Style, width: i32) -> Fitted {
    match panel.title.as_str() {
        "" => Fitted { lines: vec![], size: TITLE },
        words => style.fitted(words, TITLE, width - 2 * MARGIN),
    }
}

/// The names of all panels' curves and levels, each once.
struct Legend<'a> {
    entries: Vec<Entry<'a>>,
    names: Vec<Fitted>,
    columns: usize,
    /// Width of a column.
    step: i32,
    /// Height of a row.
    row: i32,
}

impl<'a> Legend<'a> {
    fn new(panels: &'a [Panel], style: &Style) -> Self {
        let entries = legend_entries(panels);
        let room = style.units() - 2 * MARGIN;
        let widest = entries.iter().map(|entry| style.width_of(entry.name(), BODY));
        let widest = SAMPLE + 16 + widest.fold(0., f64::max).ceil() as i32;
        let columns = (room / widest).clamp(1, 4).min(entries.len().max(1) as i32);
        let step = room / columns;
        let name = |entry: &Entry| style.fitted(entry.name(), BODY, step - SAMPLE - 8);
        let names: Vec<Fitted> = entries.iter().map(name).collect();
        let row = 4 + names.iter().map(Fitted::height).max().unwrap_or(0);
        Self { entries, names, columns: columns as usize, step, row }
    }

    fn height(&self) -> i32 {
        self.row * self.entries.len().div_ceil(self.columns) as i32
    }

    fn draw(&self, canvas: &Canvas, top: i32) -> Drawn {
        for (i, (entry, name)) in self.entries.iter().zip(&self.names).enumerate() {
            let x = MARGIN + self.step * (i % self.columns) as i32;
            let y = top + self.row * (i / self.columns) as i32 + name.line_height() / 2;
            let sample = [x, x + 34].map(|x| (f64::from(x), f64::from(y)));
            match entry {
                Entry::Curve(curve) => {
                    let colour = curve.colour(canvas.style);
                    curve.style.line(canvas, &sample, colour);
                    if curve.has_markers() {
                        curve.style.marker(canvas, (x + 17, y), colour)?;
                    }
                }
                Entry::Level(_) => level_line(canvas, &sample),
            }
            name.right_of(canvas, (x + SAMPLE, y))?;
        }
        Ok(())
    }
}

type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

fn axes(canvas: &Canvas, panel: &Panel, (x, y, width, height): Place) -> Drawn {
    let style = canvas.style;
    let ((left, right), (low, high)) = ranges(panel)?;
    let y_words = style.shortened(&panel.y, BODY, height - 60, 3);
    let x_words = style.shortened(&panel.x, BODY, width - 90, 3);
    let title = style.fitted(&panel.title, TITLE, width - 2 * MARGIN);
    let above = if panel.title.is_empty() { 0 } else { title.height() };
    if above > 0 {
        title.draw(
            canvas,
            (x + width / 2, y + 4 + title.line_height() / 2),
            BLACK,
            HPos::Center,
        )?;
    }
    let (beside, below) = (y_words.height() + 4, x_words.height() + 6);
    let plot_height = height - above - below;
    let y_ticks = Ticks::new(style, (low, high), |t| t.height_with_gaps() <= plot_height - 38);
    let label_width = (y_ticks.widest + TICK).min(width / 3);
    let plot_width = width - beside - label_width - 26;
    let x_ticks = Ticks::new(style, (left, right), |t| t.width_with_gaps() <= plot_width);
    let area = canvas.area.clone().shrink((x + beside, y + above), (width - beside, plot_height));
    let mut chart = ChartBuilder::on(&area)
        .margin_top(12)
        .margin_right(8 + x_ticks.widest / 2)
        .x_label_area_size(26)
        .y_label_area_size(label_width)
        .build_cartesian_2d(left..right, low..high)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .label_style(canvas.font(SMALL, BLACK))
        .x_labels(x_ticks.most)
        .y_labels(y_ticks.most)
        .x_label_formatter(&|v| tick(*v, (left, right), x_ticks.most))
        .y_label_formatter(&|v| tick(*v, (low, high), y_ticks.most))
        .draw()?;
    let (plot_x, plot_y) = chart.plotting_area().get_pixel_range();
    let middle = ((plot_x.start + plot_x.end) / 2, (plot_y.start + plot_y.end) / 2);
    let bottom = y + height - below + x_words.line_height() / 2;
    x_words.draw(canvas, (middle.0, bottom), BLACK, HPos::Center)?;
    for (line, words) in (0..).zip(&y_words.lines) {
        let at = x + 4 + y_words.line_height() * line + y_words.line_height() / 2;
        canvas.turned(words, (at, middle.1), y_words.size)?;
    }
    // As the axes and error bars have it: the last pixel of the range is no place of theirs.
    let corner = |x, y| chart.plotting_area().map_coordinate(&(x, y));
    let ((first_x, last_y), (last_x, first_y)) = (corner(left, low), corner(right, high));
    let (across, down) = (first_x..last_x, first_y..last_y);
    let plot = Plot { x: (left, right), y: (low, high), across, down };
    for level in &panel.levels {
        level_line(canvas, &[left, right].map(|x| plot.place(&(x, level.y))));
    }
    for curve in &panel.curves {
        draw_spread(style, &mut chart, curve)?;
    }
    for curve in &panel.curves {
        draw_curve(canvas, &plot, curve)?;
    }
    Ok(())
}

/// The area between the axes.
struct Plot {
    x: Range,
    y: Range,
    /// Its places in units.
    across: std::ops::Range<i32>,
    down: std::ops::Range<i32>,
}

impl Plot {
    /// Where a point is.
    fn place(&self, &(x, y): &(f64, f64)) -> (f64, f64) {
        let share = |value: f64, (low, high): Range| (value - low) / (high - low);
        let along = |share: f64, range: &std::ops::Range<i32>| {
            let (start, end) = (f64::from(range.start), f64::from(range.end));
            start + share * (end - start)
        };
        (along(share(x, self.x), &self.across), along(1. - share(y, self.y), &self.down))
    }
}

/// The least and the greatest value of an axis.
type Range = (f64, f64);

/// The ranges of both axes.
fn ranges(panel: &Panel) -> std::result::Result<(Range, Range), String> {
    let x_values = panel.curves.iter().flat_map(|c| c.points.iter().map(|p| p.0));
    let y_values = panel
        .curves
        .iter()
        .flat_map(|c| c.points.iter().map(|p| p.1).chain(c.spread.iter().flat_map(|s| [s.0, s.1])))
        .chain(panel.levels.iter().map(|level| level.y));
    Ok((range(x_values, 0.02)?, range(y_values, 0.06)?))
}

/// The labels of an axis.
struct Ticks {
    /// So many of them at most.
    most: usize,
    /// How many there are.
    count: usize,
    /// Width of the widest.
    widest: i32,
}

impl Ticks {
    /// As many as an axis of this range can have, so that they fit.
    fn new(style: &Style, range: (f64, f64), fits: impl Fn(&Self) -> bool) -> Self {
        let of = |most: usize| {
            let axis: RangedCoordf64 = (range.0..range.1).into();
            let labels = axis.key_points(most).into_iter().map(|v| tick(v, range, most));
            let widths: Vec<f64> = labels.map(|label| style.width_of(&label, SMALL)).collect();
            let widest = widths.iter().copied().fold(0., f64::max).ceil() as i32;
            Self { most, count: widths.len(), widest }
        };
        (2..=TICKS).rev().map(of).find(fits).unwrap_or_else(|| of(2))
    }

    fn width_with_gaps(&self) -> i32 {
        self.count as i32 * (self.widest + SMALL as i32)
    }

    fn height_with_gaps(&self) -> i32 {
        self.count as i32 * 2 * SMALL as i32
    }
}

/// A dashed grey line between two points.
fn level_line(canvas: &Canvas, ends: &[(f64, f64)]) {
    canvas.polyline(ends, RGBColor(110, 110, 110), 1., Some((3., 4.)));
}

/// Half the width of the ends of an error bar.
const CAP: i32 = 3;

/// Points whose spread is not defined have none.
fn draw_spread(style: &Style, chart: &mut Chart, curve: &Curve) -> Drawn {
    let defined: Vec<_> = curve.defined_spread().collect();
    match curve.band {
        Band::Filled if !defined.is_empty() => {
            let lower = defined.iter().rev().map(|&(x, _, (low, _))| (x, low));
            let upper = defined.iter().map(|&(x, _, (_, high))| (x, high));
            let outline: Vec<_> = upper.chain(lower).collect();
            let fill = curve.colour(style).mix(0.18);
            chart.draw_series(std::iter::once(Polygon::new(outline, fill)))?;
        }
        Band::Bars => {
            let line = curve.colour(style).stroke_width(1);
            for (x, _, (low, high)) in defined {
                chart.draw_series([PathElement::new([(x, low), (x, high)], line)])?;
                let cap =
                    |y| EmptyElement::at((x, y)) + PathElement::new([(-CAP, 0), (CAP, 0)], line);
                chart.draw_series([cap(low), cap(high)])?;
            }
        }
        Band::Filled => {}
    }
    Ok(())
}

fn draw_curve(canvas: &Canvas, plot: &Plot, curve: &Curve) -> Drawn {
    let points: Vec<(f64, f64)> = curve.defined_points().map(|p| plot.place(p)).collect();
    let colour = curve.colour(canvas.style);
    curve.style.line(canvas, &points, colour);
    if curve.has_markers() {
        for &(x, y) in &points {
            curve.style.marker(canvas, (x.round() as i32, y.round() as i32), colour)?;
        }
    }
    Ok(())
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

/// The label of a tick on an axis of this range with so many ticks: as many digits as tell it from
/// the next.
fn tick(value: f64, (low, high): (f64, f64), ticks: usize) -> String {
    let step = (high - low) / ticks as f64;
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
    use crate::line_style::LineStyle;

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
                .map(|v| tick(v, (low, high), TICKS))
                .collect();
            let mut distinct = labels.clone();
            distinct.dedup();
            assert_eq!(labels, distinct, "{low} to {high}");
            let is_short = |l: &String| l.len() <= 9 && l != "-0" && !l.ends_with(".0");
            assert!(labels.iter().all(is_short), "{low} to {high}: {labels:?}");
        }
        let labels = [1e-12, 0.5, 100., -0.25].map(|value| tick(value, (-1., 1.), TICKS));
        assert_eq!(labels, ["0", "0.5", "100", "-0.25"]);
        assert_eq!(tick(1.5e6, (0., 2e6), TICKS), "1.5e6");
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
        let drawn = curves("test", &[panel(vec![curve])], &source, &Style::default())?;
        assert!(!drawn.svg().contains("NaN"), "{}", drawn.svg());
        let huge = Curve::new("a", vec![(0., -1e308), (1., 1e308)], 0, LineStyle::Solid);
        assert!(curves("test", &[panel(vec![huge])], &source, &Style::default()).is_err());
        Ok(())
    }
}
