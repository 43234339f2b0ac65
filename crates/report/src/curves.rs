//! Accuracy over the strength of an operation (Figures 7 and 8, training).

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::canvas::{Area, Drawn, Figure, Source, draw, style, text};
use crate::colour::category;
use crate::error::Result;

/// A spread around a curve.
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
    /// Its colour, by number.
    pub colour: usize,
    /// Its line and marker: 0 solid with discs, 1 dashed with triangles, 2 dotted with crosses, 3
    /// small discs without a line.
    pub dash: usize,
}

/// A horizontal line.
#[derive(Debug, Clone)]
pub struct Level {
    /// Its name, written at its end.
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

/// Draws panels side by side, with one legend below for all of them.
///
/// # Errors
/// If it cannot be drawn.
pub fn curves(name: &str, panels: &[Panel], source: &Source) -> Result<Figure> {
    let mut legend: Vec<&Curve> = vec![];
    for curve in panels.iter().flat_map(|panel| &panel.curves) {
        if !legend.iter().any(|known| known.name == curve.name) {
            legend.push(curve);
        }
    }
    let width = 640 * panels.len() as u32;
    // A line of the legend's letters is about 7 pixels a letter, after its sample.
    let longest = legend.iter().map(|curve| 42 + 7 * curve.name.chars().count()).max().unwrap_or(1);
    let columns = ((width as usize - 80) / longest).clamp(1, if panels.len() > 1 { 3 } else { 2 });
    let legend_height = 12 + 24 * legend.len().div_ceil(columns) as i32;
    draw(name, (width, 430 + legend_height as u32), source, |area, _| {
        let (plots, below) = area.split_vertically(430);
        for (panel, plot) in panels.iter().zip(plots.split_evenly((1, panels.len()))) {
            axes(&plot, panel)?;
        }
        for (i, curve) in legend.iter().enumerate() {
            let wide = (width as i32 - 80) / columns as i32;
            let at = (80 + wide * (i % columns) as i32, 14 + 24 * (i / columns) as i32);
            stroke(&below, &[at, (at.0 + 34, at.1)], curve)?;
            if has_markers(curve) {
                marker(&below, (at.0 + 17, at.1), curve)?;
            }
            text(&below, &curve.name, (at.0 + 42, at.1), 15., BLACK, (HPos::Left, VPos::Center))?;
        }
        Ok(())
    })
}

/// Points that lie close together are a line without them.
fn has_markers(curve: &Curve) -> bool {
    curve.points.len() <= 40 || curve.dash == 3
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

fn axes(area: &Area, panel: &Panel) -> Drawn {
    let curves = &panel.curves;
    let (left, right) = range(curves.iter().flat_map(|c| c.points.iter().map(|p| p.0)), 0.02);
    let values = curves
        .iter()
        .flat_map(|c| c.points.iter().map(|p| p.1).chain(c.spread.iter().flat_map(|s| [s.0, s.1])));
    let (low, high) = range(values.chain(panel.levels.iter().map(|l| l.y)), 0.06);
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
        let grey = RGBColor(110, 110, 110);
        chart.draw_series(DashedLineSeries::new(
            [(left, level.y), (right, level.y)],
            3,
            4,
            grey.stroke_width(1),
        ))?;
        // At the left, where curves begin high above it.
        let place = chart.backend_coord(&(left, level.y));
        let (x0, y0) = area.get_base_pixel();
        text(
            area,
            &level.name,
            (place.0 - x0 + 4, place.1 - y0 - 3),
            13.,
            grey,
            (HPos::Left, VPos::Bottom),
        )?;
    }
    for curve in curves {
        let colour = category(curve.colour);
        let spread = curve.points.iter().zip(&curve.spread);
        match curve.band {
            Band::Filled if !curve.spread.is_empty() => {
                let upper = spread.clone().map(|(p, s)| (p.0, s.1));
                let outline: Vec<_> = upper.chain(spread.rev().map(|(p, s)| (p.0, s.0))).collect();
                chart.draw_series(std::iter::once(Polygon::new(outline, colour.mix(0.18))))?;
            }
            Band::Bars => {
                chart.draw_series(spread.map(|(p, s)| {
                    ErrorBar::new_vertical(p.0, s.0, p.1, s.1, colour.stroke_width(1), 6)
                }))?;
            }
            Band::Filled => {}
        }
    }
    let place = |p: &(f64, f64)| {
        let (x, y) = chart.backend_coord(p);
        let (x0, y0) = area.get_base_pixel();
        (x - x0, y - y0)
    };
    for curve in curves {
        let points: Vec<(i32, i32)> =
            curve.points.iter().filter(|p| p.1.is_finite()).map(place).collect();
        stroke(area, &points, curve)?;
        if has_markers(curve) {
            points.iter().try_for_each(|&at| marker(area, at, curve))?;
        }
    }
    Ok(())
}

fn tick(value: f64) -> String {
    let text = format!("{:.2}", if value.abs() < 1e-9 { 0. } else { value });
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A line through points, in pixels, dashed as the curve says.
fn stroke(area: &Area, points: &[(i32, i32)], curve: &Curve) -> Drawn {
    if curve.dash == 3 {
        return Ok(());
    }
    let line = category(curve.colour).stroke_width(2);
    let (on, off) = match curve.dash {
        0 => {
            area.draw(&PathElement::new(points.to_vec(), line))?;
            return Ok(());
        }
        1 => (9., 5.),
        _ => (3., 5.),
    };
    // Distance walked along the line so far: dashes go on over corners.
    let mut walked = 0f64;
    for pair in points.windows(2) {
        let (from, to) = (
            (f64::from(pair[0].0), f64::from(pair[0].1)),
            (f64::from(pair[1].0), f64::from(pair[1].1)),
        );
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
                area.draw(&PathElement::new([at(t), at(next.min(length))], line))?;
            }
            t = next;
        }
        walked += length;
    }
    Ok(())
}

fn marker(area: &Area, at: (i32, i32), curve: &Curve) -> Drawn {
    let colour = category(curve.colour);
    match curve.dash {
        0 => area.draw(&Circle::new(at, 4, colour.filled()))?,
        1 => area.draw(&TriangleMarker::new(at, 6, colour.filled()))?,
        3 => area.draw(&Circle::new(at, 2, colour.mix(0.5).filled()))?,
        _ => area.draw(&Cross::new(at, 4, colour.stroke_width(2)))?,
    }
    Ok(())
}
