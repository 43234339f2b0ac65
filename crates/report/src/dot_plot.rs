//! Values with their ranges, one row below the other, in columns that share an axis.

use plotters::prelude::*;

use crate::canvas::{Canvas, Drawn, Fitted, MARGIN, draw};
use crate::error::Result;
use crate::figure::Figure;
use crate::source::Source;
use crate::style::{BODY, SMALL, Style};

/// A value, and the least and the greatest that it comes from.
#[derive(Debug, Clone, Copy)]
pub struct RangedDot {
    /// Nothing is drawn for NaN.
    pub value: f64,
    /// Nothing is drawn of a range that is not finite.
    pub range: (f64, f64),
}

/// Empty space at the sides of a column's axis.
const SIDE: i32 = 15;
const GRID: RGBColor = RGBColor(215, 215, 215);

/// Draws rows of dots; `columns` are the names of the columns, which all have the same axis, on
/// which 0 is, and `axis` what it measures, with its unit.
///
/// ```
/// use foresee_report::{RangedDot, Source, Style, dot_plot};
///
/// let dot = RangedDot { value: -1.5, range: (-2., -1.) };
/// let rows = vec![("Smiling".to_owned(), vec![dot])];
/// let source = Source { data: "40 drawn faces".into(), synthetic: true };
/// let axis = "difference [points]";
/// let figure = dot_plot("differences", axis, &["MOON"], &rows, &source, &Style::default())?;
/// assert!(["MOON", "Smiling", axis].iter().all(|words| figure.svg().contains(*words)));
/// # Ok::<(), foresee_report::Error>(())
/// ```
///
/// # Errors
/// If it cannot be drawn.
pub fn dot_plot(
    name: &str,
    axis: &str,
    columns: &[&str],
    rows: &[(String, Vec<RangedDot>)],
    source: &Source,
    style: &Style,
) -> Result<Figure> {
    let layout = Layout::new(columns, rows, style);
    let label = style.fitted(axis, SMALL, style.units() - 2 * MARGIN);
    let bottom = layout.top + layout.names.iter().map(height).sum::<i32>() + 6;
    draw(name, bottom + 26 + label.height(), source, style, |canvas| {
        for (i, title) in (0..).zip(&layout.titles) {
            let left = layout.left + layout.column * i;
            let y = layout.top - 6 - title.height() / 2;
            title.centred(canvas, (left + layout.column / 2, y))?;
            layout.axis(canvas, left, bottom)?;
        }
        let mut y = layout.top;
        for (name, (_, dots)) in layout.names.iter().zip(rows) {
            let middle = y + height(name) / 2;
            name.left_of(canvas, (layout.left - 6, middle - name.more() / 2))?;
            for (i, dot) in (0..).zip(dots) {
                layout.mark(canvas, (layout.left + layout.column * i, middle), dot)?;
            }
            y += height(name);
        }
        let middle = layout.left + layout.column * layout.titles.len() as i32 / 2;
        let half = label.lines.iter().map(|line| style.width_of(line, label.size));
        let half = (half.fold(0., f64::max) / 2.) as i32 + MARGIN;
        // In the middle of the columns, as far as it fits there.
        let middle = middle.min(style.units() - half).max(half);
        label.centred(canvas, (middle, bottom + 24 + label.height() / 2))
    })
}

/// Height of a row.
fn height(name: &Fitted) -> i32 {
    name.height().max(14) + 3
}

struct Layout {
    /// Where the columns begin, and how wide they are.
    left: i32,
    column: i32,
    titles: Vec<Fitted>,
    top: i32,
    names: Vec<Fitted>,
    /// Where axes begin and end, with 0 between, and how far ticks are apart.
    ends: (f64, f64),
    step: f64,
}

impl Layout {
    fn new(columns: &[&str], rows: &[(String, Vec<RangedDot>)], style: &Style) -> Self {
        let width = style.units();
        let left = (width / 4).min(300);
        let column = (width - left - MARGIN) / columns.len().max(1) as i32;
        let title = |words: &&str| style.shortened(words, BODY, column - 4, 4);
        let titles: Vec<Fitted> = columns.iter().map(title).collect();
        let top = titles.iter().map(Fitted::height).max().unwrap_or(0) + 12;
        let name = |(words, _): &(String, _)| style.shortened(words, SMALL, left - MARGIN - 6, 3);
        let names = rows.iter().map(name).collect();
        let dots = rows.iter().flat_map(|(_, dots)| dots);
        let ends = dots.flat_map(|dot| [dot.value, dot.range.0, dot.range.1]);
        let ends: Vec<f64> = ends.filter(|end| end.is_finite()).collect();
        let low = ends.iter().copied().fold(0., f64::min);
        let high = ends.iter().copied().fold(0., f64::max);
        let step = step(high.max(-low));
        // Where all is 0 there is still an axis.
        let high = if low == high { step } else { high };
        Self { left, column, titles, top, names, ends: (low, high), step }
    }

    /// Where a value is in a column.
    fn place(&self, left: i32, value: f64) -> i32 {
        let share = (value - self.ends.0) / (self.ends.1 - self.ends.0);
        left + SIDE + (share * f64::from(self.column - 2 * SIDE)) as i32
    }

    fn axis(&self, canvas: &Canvas, left: i32, bottom: i32) -> Drawn {
        let [first, last] = [self.ends.0, self.ends.1].map(|end| (end / self.step) as i32);
        for tick in first..=last {
            let value = f64::from(tick) * self.step;
            let x = self.place(left, value);
            let line = if tick == 0 { BLACK } else { GRID };
            let ends = [(x, self.top), (x, bottom)];
            canvas.area.draw(&PathElement::new(ends, line.stroke_width(1)))?;
            let words = format!("{value}");
            let is_end = tick == first || tick == last;
            if tick == 0 || (is_end && self.has_room(canvas.style, left, value)) {
                canvas.below(&words, (x, bottom + 4), SMALL)?;
            }
        }
        Ok(())
    }

    /// Whether the number of a tick fits between that of 0 and the ends of the column.
    fn has_room(&self, style: &Style, left: i32, value: f64) -> bool {
        let wide = style.width_of(&format!("{value}"), SMALL) / 2.;
        let zero = style.width_of("0", SMALL) / 2.;
        let apart = f64::from((self.place(left, value) - self.place(left, 0.)).abs());
        let x = self.place(left, value) - left;
        let free = f64::from(x.min(self.column - x));
        apart > wide + zero + 4. && free > wide + 1.
    }

    fn mark(&self, canvas: &Canvas, (left, y): (i32, i32), dot: &RangedDot) -> Drawn {
        if !dot.value.is_finite() {
            return Ok(());
        }
        let colour = canvas.style.palette.curve(0);
        if dot.range.0.is_finite() && dot.range.1.is_finite() {
            let ends = [dot.range.0, dot.range.1].map(|value| (self.place(left, value), y));
            canvas.area.draw(&PathElement::new(ends, colour.stroke_width(2)))?;
        }
        let at = (self.place(left, dot.value), y);
        canvas.area.draw(&Circle::new(at, 4, colour.filled()))?;
        Ok(())
    }
}

/// The step between ticks, 1, 2 or 5 times a power of ten, so that at most two are up to `most`; 1
/// for 0.
fn step(most: f64) -> f64 {
    if most <= 0. {
        return 1.;
    }
    let power = 10f64.powf((most / 3.).log10().floor());
    let steps = [1., 2., 5., 10.].map(|times| times * power);
    steps.into_iter().find(|step| most / step < 3.).unwrap_or(10. * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_one_or_two_ticks_on_each_side() {
        assert_eq!([0., 0.7, 1., 2.9, 3., 9.9, 45.].map(step), [1., 0.5, 0.5, 1., 2., 5., 20.]);
        for most in [0.001, 0.013, 0.99, 1.01, 6., 14.9, 15., 1234.] {
            let ticks = (most / step(most)).floor();
            assert!((1. ..=2.).contains(&ticks), "{most}: {}", step(most));
        }
    }
}
