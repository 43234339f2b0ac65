//! Scores with their intervals, one below the other ("forest plot").

use plotters::prelude::*;

use crate::canvas::{Canvas, Drawn, Fitted, MARGIN, draw};
use crate::error::Result;
use crate::figure::Figure;
use crate::source::Source;
use crate::style::{BODY, SMALL, Style};

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
/// Width of a sample in the legend, with its gap.
const SAMPLE: i32 = 40;
const GREY: RGBColor = RGBColor(110, 110, 110);

/// Draws groups of rows; `columns` are the scores' names, which all run from -0.5 (and less) to 1.
/// `level` is that of the intervals, 0 to 1.
///
/// ```
/// use foresee_report::{Dot, Forest, Source, Style, forest};
///
/// let dot = Dot { value: 0.7, interval: (0.6, 0.8), controls: [0.05, f64::NAN] };
/// let rows = vec![("filter norm".to_owned(), vec![dot])];
/// let group = Forest { title: "pruning".into(), rows };
/// let source = Source { data: "40 drawn faces".into(), synthetic: true };
/// let figure = forest("scores", &["skill"], &[group], 0.95, &source, &Style::default())?;
/// assert!(["skill", "pruning", "filter norm"].iter().all(|name| figure.svg().contains(*name)));
/// # Ok::<(), foresee_report::Error>(())
/// ```
///
/// # Errors
/// If it cannot be drawn.
pub fn forest(
    name: &str,
    columns: &[&str],
    groups: &[Forest],
    level: f64,
    source: &Source,
    style: &Style,
) -> Result<Figure> {
    let layout = Layout::new(columns, groups, style);
    let legend = Legend::new(groups, level, style);
    let bottom = layout.top + layout.lines.iter().map(Line::height).sum::<i32>() + 6;
    draw(name, bottom + 26 + legend.height(), source, style, |canvas| {
        for (i, title) in (0..).zip(&layout.titles) {
            let left = layout.names + layout.column * i;
            let y = layout.top - 6 - title.height() / 2;
            title.centred(canvas, (left + layout.column / 2, y))?;
            layout.axis(canvas, left, bottom)?;
        }
        let mut y = layout.top;
        for line in &layout.lines {
            layout.draw_line(canvas, line, y)?;
            y += line.height();
        }
        legend.draw(canvas, bottom + 26)
    })
}

/// A group's title, or a row with its name.
enum Line<'a> {
    Title(Fitted),
    Row(Fitted, &'a [Dot]),
}

impl Line<'_> {
    fn height(&self) -> i32 {
        match self {
            Self::Title(words) => words.height() + 12,
            Self::Row(name, _) => name.height().max(16) + 5,
        }
    }
}

struct Layout<'a> {
    /// Widths of the names and of a column.
    names: i32,
    column: i32,
    /// The columns' names, and the height of what is above the rows.
    titles: Vec<Fitted>,
    top: i32,
    lines: Vec<Line<'a>>,
}

impl<'a> Layout<'a> {
    fn new(columns: &[&str], groups: &'a [Forest], style: &Style) -> Self {
        let width = style.units();
        let names = (width / 3).min(400);
        let column = (width - names - MARGIN) / columns.len().max(1) as i32;
        let title = |words: &&str| style.shortened(words, BODY, column - 2, 4);
        let titles: Vec<Fitted> = columns.iter().map(title).collect();
        let top = titles.iter().map(Fitted::height).max().unwrap_or(0) + 12;
        let mut lines = vec![];
        for group in groups {
            lines.push(Line::Title(style.shortened(&group.title, BODY, width - 2 * MARGIN, 3)));
            lines.extend(group.rows.iter().map(|(name, dots)| {
                Line::Row(style.shortened(name, SMALL, names - MARGIN - 12, 4), dots)
            }));
        }
        Self { names, column, titles, top, lines }
    }

    /// Where a value is in a column.
    fn place(&self, left: i32, value: f64) -> i32 {
        let share = (value.clamp(LOW, 1.) - LOW) / (1. - LOW);
        left + 14 + (share * f64::from(self.column - 30)) as i32
    }

    fn axis(&self, canvas: &Canvas, left: i32, bottom: i32) -> Drawn {
        for tick in [LOW, 0., 0.5, 1.] {
            let x = self.place(left, tick);
            let line = if tick == 0. { BLACK } else { RGBColor(215, 215, 215) };
            let ends = [(x, self.top), (x, bottom)];
            canvas.area.draw(&PathElement::new(ends, line.stroke_width(1)))?;
            // A narrow column has room for two numbers.
            if self.column >= 110 || tick == 0. || tick == 1. {
                canvas.below(&tick.to_string(), (x, bottom + 4), SMALL)?;
            }
        }
        Ok(())
    }

    fn draw_line(&self, canvas: &Canvas, line: &Line, y: i32) -> Drawn {
        match line {
            Line::Title(words) => {
                // Lines of axes behind it would cross its letters.
                let wide = words.lines.iter().map(|l| canvas.style.width_of(l, words.size));
                let right = MARGIN + 4 + wide.fold(0., f64::max) as i32;
                let behind = [(0, y + 4), (right, y + 8 + words.height())];
                canvas.area.draw(&Rectangle::new(behind, WHITE.filled()))?;
                words.right_of(canvas, (MARGIN, y + 6 + words.line_height() / 2))
            }
            Line::Row(name, dots) => {
                let y = y + line.height() / 2;
                name.left_of(canvas, (self.names - 10, y - name.more() / 2))?;
                for (i, dot) in (0..).zip(*dots) {
                    self.mark(canvas, self.names + self.column * i, y, dot)?;
                }
                Ok(())
            }
        }
    }

    fn mark(&self, canvas: &Canvas, left: i32, y: i32, dot: &Dot) -> Drawn {
        for (control, value) in dot.controls.into_iter().enumerate() {
            if value.is_finite() {
                draw_control(canvas, control, (self.place(left, value), y))?;
            }
        }
        if !dot.value.is_finite() {
            return Ok(());
        }
        let colour = canvas.style.palette.curve(0);
        if dot.interval.0.is_finite() {
            let ends = [dot.interval.0, dot.interval.1].map(|v| (self.place(left, v), y));
            canvas.area.draw(&PathElement::new(ends, colour.stroke_width(2)))?;
        }
        let x = self.place(left, dot.value);
        if dot.value < LOW {
            let arrow = [(x - 6, y), (x + 5, y - 6), (x + 5, y + 6)];
            canvas.area.draw(&Polygon::new(arrow, colour.filled()))?;
        } else {
            canvas.area.draw(&Circle::new((x, y), 5, colour.filled()))?;
        }
        Ok(())
    }
}

fn draw_control(canvas: &Canvas, control: usize, (x, y): (i32, i32)) -> Drawn {
    match control {
        0 => canvas.area.draw(&Circle::new((x, y), 5, GREY.stroke_width(1)))?,
        _ => canvas.area.draw(&PathElement::new([(x, y - 7), (x, y + 7)], GREY.stroke_width(2)))?,
    }
    Ok(())
}

/// What the marks are: the forecast's, and those of its two controls.
struct Legend(Vec<(Mark, Fitted)>);

/// A mark of the legend.
#[derive(Clone, Copy)]
enum Mark {
    Score,
    Control(usize),
}

impl Legend {
    /// Controls that no row has are not named.
    fn new(groups: &[Forest], level: f64, style: &Style) -> Self {
        let room = style.units() - 2 * MARGIN - SAMPLE;
        let dots = || groups.iter().flat_map(|group| &group.rows).flat_map(|(_, dots)| dots);
        let has = |control: usize| dots().any(|dot| dot.controls[control].is_finite());
        let score = format!("forecast, {} % interval (arrow: below {LOW})", 100. * level);
        let controls = [
            "all exchanged at random: nothing is known",
            "operations exchanged: what holds whatever is done",
        ];
        let controls = controls.into_iter().enumerate().filter(|(control, _)| has(*control));
        let names = controls.map(|(control, name)| (Mark::Control(control), name.to_owned()));
        let all = [(Mark::Score, score)].into_iter().chain(names);
        Self(all.map(|(mark, name)| (mark, style.fitted(&name, SMALL, room))).collect())
    }

    fn height(&self) -> i32 {
        self.0.iter().map(|(_, name)| name.height() + 4).sum()
    }

    fn draw(&self, canvas: &Canvas, top: i32) -> Drawn {
        let colour = canvas.style.palette.curve(0);
        let mut y = top;
        for (mark, name) in &self.0 {
            let at = (MARGIN + 14, y + name.line_height() / 2);
            match mark {
                Mark::Score => {
                    let ends = [(at.0 - 14, at.1), (at.0 + 14, at.1)];
                    canvas.area.draw(&PathElement::new(ends, colour.stroke_width(2)))?;
                    canvas.area.draw(&Circle::new(at, 5, colour.filled()))?;
                }
                Mark::Control(control) => draw_control(canvas, *control, at)?,
            }
            name.right_of(canvas, (MARGIN + SAMPLE, at.1))?;
            y += name.height() + 4;
        }
        Ok(())
    }
}
