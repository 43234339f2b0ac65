//! Bars to both sides of 0: of changes, with the numbers before and after, and of values.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::canvas::{Canvas, Drawn, Fitted, MARGIN, draw};
use crate::error::Result;
use crate::figure::Figure;
use crate::source::Source;
use crate::style::{SMALL, Style};

/// A row of the figure.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeBar {
    /// Its name.
    pub name: String,
    /// The number before.
    pub before: f64,
    /// The number after; the bar is the difference.
    pub after: f64,
    /// Whether the row is marked: its bar has another colour, and a sign stands behind its name.
    pub marked: bool,
}

/// Height of a row.
const ROW: i32 = 20;
/// Width of the column of a number.
const NUMBER: i32 = 70;
/// The sign behind the names of marked rows.
const MARK: &str = " *";

/// Draws rows with their numbers before and after, and bars for the changes, one below the other.
/// `unit` is written below the bars, and `mark` says what the marked rows are.
///
/// ```
/// use foresee_report::{ChangeBar, Source, Style, change_bars};
///
/// let rows = [ChangeBar { name: "Smiling".into(), before: 1., after: -0.5, marked: true }];
/// let source = Source { data: "40 drawn faces".into(), synthetic: true };
/// let figure =
///     change_bars("changes", &rows, "change of the logit", "flips", &source, &Style::default())?;
/// assert!(figure.svg().contains("Smiling *") && figure.svg().contains("-1.500"));
/// # Ok::<(), foresee_report::Error>(())
/// ```
///
/// # Errors
/// If it cannot be drawn.
pub fn change_bars(
    name: &str,
    rows: &[ChangeBar],
    unit: &str,
    mark: &str,
    source: &Source,
    style: &Style,
) -> Result<Figure> {
    let layout = Layout::new(rows, true, style);
    let bottom = layout.bottom(rows);
    let legend = style.fitted(&format!("*: {mark}"), SMALL, style.units() - 2 * MARGIN);
    draw(name, bottom + 2 * ROW + legend.height(), source, style, |canvas| {
        layout.head(canvas)?;
        layout.rows(canvas, rows)?;
        canvas.below(unit, (layout.zero, bottom + 4), SMALL)?;
        legend.right_of(canvas, (MARGIN, bottom + ROW + 4 + legend.line_height() / 2))
    })
}

/// Draws a bar for each named value, one below the other. `unit` is written below them.
///
/// ```
/// use foresee_report::{Source, Style, value_bars};
///
/// let rows = [("Smiling".to_owned(), 1.25), ("Bald".to_owned(), -0.5)];
/// let source = Source { data: "40 drawn faces".into(), synthetic: true };
/// let figure = value_bars("values", &rows, "contribution", &source, &Style::default())?;
/// assert!(figure.svg().contains("+1.250") && figure.svg().contains("-0.500"));
/// # Ok::<(), foresee_report::Error>(())
/// ```
///
/// # Errors
/// If it cannot be drawn.
pub fn value_bars(
    name: &str,
    rows: &[(String, f64)],
    unit: &str,
    source: &Source,
    style: &Style,
) -> Result<Figure> {
    let bar = |(name, value): &(String, f64)| ChangeBar {
        name: name.clone(),
        before: 0.,
        after: *value,
        marked: false,
    };
    let rows: Vec<ChangeBar> = rows.iter().map(bar).collect();
    let layout = Layout::new(&rows, false, style);
    let bottom = layout.bottom(&rows);
    let unit = style.fitted(unit, SMALL, style.units() - 2 * MARGIN);
    draw(name, bottom + ROW + unit.height(), source, style, |canvas| {
        layout.rows(canvas, &rows)?;
        unit.centred(canvas, (style.units() / 2, bottom + 8 + unit.height() / 2))
    })
}

struct Layout {
    /// Right end of the names.
    names: i32,
    top: i32,
    /// Where the bars begin.
    zero: i32,
    /// Units of a change of 1.
    scale: f64,
    /// Whether the numbers before and after stand in columns.
    columns: bool,
}

impl Layout {
    fn new(rows: &[ChangeBar], columns: bool, style: &Style) -> Self {
        let names = style.units() / 4;
        let left = if columns { names + 2 * NUMBER } else { names };
        let right = style.units() - MARGIN;
        let sizes = rows.iter().map(ChangeBar::change).filter(|change| change.is_finite());
        let largest = sizes.fold(0., |most: f64, change| most.max(change.abs()));
        // The number of a change stands behind its bar.
        let room = f64::from((right - left) / 2 - NUMBER);
        let scale = if largest > 0. { room / largest } else { 0. };
        let top = if columns { ROW + 10 } else { 10 };
        Self { names, top, zero: (left + right) / 2, scale, columns }
    }

    fn bottom(&self, rows: &[ChangeBar]) -> i32 {
        self.top + ROW * rows.len() as i32
    }

    fn rows(&self, canvas: &Canvas, rows: &[ChangeBar]) -> Drawn {
        for (i, row) in (0..).zip(rows) {
            self.row(canvas, row, self.top + ROW * i + ROW / 2)?;
        }
        let zero = [(self.zero, self.top), (self.zero, self.bottom(rows))];
        canvas.area.draw(&PathElement::new(zero, BLACK.stroke_width(1)))?;
        Ok(())
    }

    fn head(&self, canvas: &Canvas) -> Drawn {
        let y = self.top - ROW / 2;
        canvas.left_of("before", (self.names + NUMBER - 8, y), SMALL)?;
        canvas.left_of("after", (self.names + 2 * NUMBER - 8, y), SMALL)
    }

    fn row(&self, canvas: &Canvas, row: &ChangeBar, y: i32) -> Drawn {
        let mark = if row.marked { MARK } else { "" };
        let name: Fitted = canvas.style.shortened(
            &format!("{}{mark}", row.name),
            SMALL,
            self.names - MARGIN - 8,
            1,
        );
        name.left_of(canvas, (self.names - 4, y))?;
        let number = |value: f64| format!("{value:.2}");
        if self.columns {
            canvas.left_of(&number(row.before), (self.names + NUMBER - 8, y), SMALL)?;
            canvas.left_of(&number(row.after), (self.names + 2 * NUMBER - 8, y), SMALL)?;
        }
        if !row.change().is_finite() {
            return Ok(());
        }
        let colour = canvas.style.palette.curve(usize::from(row.marked));
        let end = self.zero + (row.change() * self.scale).round() as i32;
        let bar = [(self.zero.min(end), y - 6), (self.zero.max(end), y + 6)];
        canvas.area.draw(&Rectangle::new(bar, colour.filled()))?;
        let (at, side) =
            if row.change() < 0. { (end - 5, HPos::Right) } else { (end + 5, HPos::Left) };
        let text = format!("{:+.3}", row.change());
        canvas.text(&text, (at, y), SMALL, BLACK, (side, VPos::Center))
    }
}

impl ChangeBar {
    fn change(&self) -> f64 {
        self.after - self.before
    }
}
