//! Scores with their intervals, one below the other ("forest plot").

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::canvas::{Area, Drawn, draw, fitted, shortened, text};
use crate::colour::category;
use crate::error::Result;
use crate::figure::Figure;
use crate::source::Source;

/// One score.
#[derive(Debug, Clone, Copy)]
pub struct Dot {
    /// Its value; nothing is drawn for NaN.
    pub value: f64,
    /// Lower and upper end of its interval.
    pub interval: (f64, f64),
    /// The same score of two controls, drawn as a hollow disc and a grey bar.
    pub controls: [f64; 2],
}

/// Some rows under a title.
#[derive(Debug, Clone)]
pub struct Forest {
    /// Written above its rows.
    pub title: String,
    /// Name of each row, and a score for each column.
    pub rows: Vec<(String, Vec<Dot>)>,
}

/// Left end of every axis: values below are drawn at it as an arrow.
const LOW: f64 = -0.5;
/// Widths of the names and of a column.
const NAMES: i32 = 400;
const COLUMN: i32 = 250;
const ROW: i32 = 24;
/// Width of the legend.
const LEGEND: i32 = 1130;

/// Draws groups of rows; `columns` are the scores' names, which all run from -0.5 (and less) to 1.
/// `level` is that of the intervals, 0 to 1.
///
/// # Errors
/// If it cannot be drawn.
pub fn forest(
    name: &str,
    columns: &[&str],
    groups: &[Forest],
    level: f64,
    source: &Source,
) -> Result<Figure> {
    let lines: i32 = groups.iter().map(|group| group.rows.len() as i32 + 2).sum();
    let top = 34;
    let height = top + lines * ROW + 74;
    let width = (NAMES + COLUMN * columns.len() as i32 + 24).max(LEGEND);
    draw(name, (width as u32, height as u32), source, |area, _| {
        for (i, column) in columns.iter().enumerate() {
            let left = NAMES + COLUMN * i as i32;
            fitted(column, 16., COLUMN - 8).centred(area, (left + COLUMN / 2, 16))?;
            axis(area, left, (top, top + lines * ROW))?;
        }
        let mut y = top + ROW / 2;
        for group in groups {
            fitted(&group.title, 16., width - 20).right_of(area, (10, y))?;
            y += ROW;
            for (name, dots) in &group.rows {
                // Names of several lines stay within their row.
                let mut name = fitted(name, 14., NAMES - 24);
                name.lines = shortened(name.lines, 2);
                name.left_of(area, (NAMES - 14, y - name.more() / 2))?;
                for (i, dot) in dots.iter().enumerate() {
                    mark(area, NAMES + COLUMN * i as i32, y, dot)?;
                }
                y += ROW;
            }
            y += ROW;
        }
        legend(area, height - 16, level)
    })
}

/// Where a value is in a column.
fn place(left: i32, value: f64) -> i32 {
    left + 12 + ((value.clamp(LOW, 1.) - LOW) / (1. - LOW) * f64::from(COLUMN - 30)) as i32
}

fn axis(area: &Area, left: i32, (top, bottom): (i32, i32)) -> Drawn {
    let grey = RGBColor(215, 215, 215);
    for tick in [LOW, 0., 0.5, 1.] {
        let x = place(left, tick);
        let line = if tick == 0. { BLACK.stroke_width(1) } else { grey.stroke_width(1) };
        area.draw(&PathElement::new([(x, top), (x, bottom)], line))?;
        text(area, &tick.to_string(), (x, bottom + 6), 14., BLACK, (HPos::Center, VPos::Top))?;
    }
    Ok(())
}

fn mark(area: &Area, left: i32, y: i32, dot: &Dot) -> Drawn {
    for (control, value) in
        dot.controls.into_iter().enumerate().filter(|(_, value)| value.is_finite())
    {
        draw_control(area, control, (place(left, value), y))?;
    }
    if !dot.value.is_finite() {
        return Ok(());
    }
    let colour = category(0);
    if dot.interval.0.is_finite() {
        let ends = [(place(left, dot.interval.0), y), (place(left, dot.interval.1), y)];
        area.draw(&PathElement::new(ends, colour.stroke_width(2)))?;
    }
    let x = place(left, dot.value);
    if dot.value < LOW {
        area.draw(&Polygon::new([(x - 6, y), (x + 5, y - 6), (x + 5, y + 6)], colour.filled()))?;
    } else {
        area.draw(&Circle::new((x, y), 5, colour.filled()))?;
    }
    Ok(())
}

fn draw_control(area: &Area, control: usize, (x, y): (i32, i32)) -> Drawn {
    let grey = RGBColor(110, 110, 110);
    match control {
        0 => area.draw(&Circle::new((x, y), 5, grey.stroke_width(1)))?,
        _ => area.draw(&PathElement::new([(x, y - 7), (x, y + 7)], grey.stroke_width(2)))?,
    }
    Ok(())
}

fn legend(area: &Area, y: i32, level: f64) -> Drawn {
    let colour = category(0);
    area.draw(&PathElement::new([(20, y), (48, y)], colour.stroke_width(2)))?;
    area.draw(&Circle::new((34, y), 5, colour.filled()))?;
    let forecast = format!("forecast, {} % interval (arrow: below {LOW})", 100. * level);
    text(area, &forecast, (58, y), 14., BLACK, (HPos::Left, VPos::Center))?;
    for (control, name) in [
        "all exchanged at random: nothing is known",
        "operations exchanged: what holds whatever is done",
    ]
    .into_iter()
    .enumerate()
    {
        let x = 404 + 350 * control as i32;
        draw_control(area, control, (x, y))?;
        text(area, name, (x + 14, y), 14., BLACK, (HPos::Left, VPos::Center))?;
    }
    Ok(())
}
