//! Heat maps of square matrices (Figure 6).

use plotters::prelude::*;

use crate::canvas::{Canvas, Drawn, MARGIN, Picture, draw};
use crate::colour::ColourMap;
use crate::colour_bar::{self, ColourBar};
use crate::error::Result;
use crate::figure::Figure;
use crate::source::Source;
use crate::style::{BODY, SMALL, Style, TITLE};

const COLOURS: ColourMap = ColourMap::Diverging;

/// Smallest and largest side of a matrix.
const SIDES: (i32, i32) = (180, 400);
/// Room for the ticks' labels at the left, and to the next matrix.
const LEFT: i32 = 44;
const GAP: i32 = 22;
/// Room for the ticks' labels below.
const BELOW: i32 = 30;

/// One panel of [`heat_maps`].
#[derive(Debug, Clone)]
pub struct HeatMap {
    /// Written above.
    pub title: String,
    /// A square matrix with entries from -1 to 1.
    pub rows: Vec<Vec<f64>>,
    /// What rows and columns are, for the axis.
    pub axis: String,
}

/// Figure 6: matrices beside and below each other, on a scale from -1 to 1 that is named `scale`.
///
/// ```
/// use foresee_report::{Format, HeatMap, Source, Style, heat_maps};
///
/// let map = HeatMap {
///     title: "before".into(),
///     rows: vec![vec![1., 0.5], vec![0.5, 1.]],
///     axis: "channel".into(),
/// };
/// let source = Source { data: "40 drawn faces".into(), synthetic: true };
/// let figure = heat_maps("fig6", &[map], "correlation", &source, &Style::default())?;
/// assert_eq!(figure.name(), "fig6");
/// assert!(figure.svg().contains("before") && figure.svg().contains("correlation"));
/// // Only curves have a form in LaTeX.
/// assert!(!figure.has(Format::Tikz));
/// # Ok::<(), foresee_report::Error>(())
/// ```
///
/// # Errors
/// If it cannot be drawn.
pub fn heat_maps(
    name: &str,
    maps: &[HeatMap],
    scale: &str,
    source: &Source,
    style: &Style,
) -> Result<Figure> {
    let layout = Layout::new(maps, style);
    let rows = maps.len().div_ceil(layout.columns) as i32;
    let bottom = rows * layout.height();
    let room = style.units() - 2 * MARGIN - LEFT;
    let height = bottom + 8 + colour_bar::height(style, scale, room);
    draw(name, height, source, style, |canvas| {
        for (i, map) in maps.iter().enumerate() {
            layout.panel(canvas, i, map)?;
        }
        let bar = ColourBar { colour: |share| COLOURS.at(share), ends: (-1., 1.), title: scale };
        bar.draw(canvas, (LEFT + MARGIN, bottom + 8), room)
    })
}

/// Where the panels are.
struct Layout {
    columns: usize,
    /// Width of a panel, and of its matrix.
    step: i32,
    side: i32,
    /// Heights of what is written above and below a matrix.
    above: i32,
    below: i32,
}

impl Layout {
    fn new(maps: &[HeatMap], style: &Style) -> Self {
        let width = style.units();
        let most = (width / (SIDES.0 + LEFT + GAP)).max(1) as usize;
        let rows = maps.len().div_ceil(most).max(1);
        let columns = maps.len().div_ceil(rows).max(1);
        let step = width / columns as i32;
        let side = (step - LEFT - GAP).min(SIDES.1);
        let highest = |words: fn(&HeatMap) -> &str, size: f64| {
            let heights = maps.iter().map(|m| style.shortened(words(m), size, side, 3).height());
            heights.max().unwrap_or(0)
        };
        let above = highest(|map| &map.title, TITLE) + 10;
        let below = highest(|map| &map.axis, BODY) + BELOW + 6;
        Self { columns, step, side, above, below }
    }

    fn height(&self) -> i32 {
        self.above + self.side + self.below
    }

    fn panel(&self, canvas: &Canvas, i: usize, map: &HeatMap) -> Drawn {
        let side = self.side;
        let (column, row) = ((i % self.columns) as i32, (i / self.columns) as i32);
        let x = column * self.step + LEFT + (self.step - LEFT - GAP - side) / 2;
        let y = row * self.height() + self.above;
        let middle = x + side / 2;
        let title = canvas.style.shortened(&map.title, TITLE, side, 3);
        title.centred(canvas, (middle, y - 4 - title.height() / 2))?;
        let n = map.rows.len();
        let rgb = map.rows.iter().flatten().flat_map(|v| COLOURS.at((v + 1.) / 2.)).collect();
        canvas.place(Picture { at: (x, y), size: (side, side), pixels: (n, n), rgb });
        canvas.area.draw(&Rectangle::new([(x - 1, y - 1), (x + side, y + side)], BLACK))?;
        let bottom = y + side;
        for tick in ticks(n) {
            let at = side * tick as i32 / n.max(1) as i32;
            let label = tick.to_string();
            canvas.area.draw(&PathElement::new([(x + at, bottom), (x + at, bottom + 5)], BLACK))?;
            canvas.area.draw(&PathElement::new([(x - 5, y + at), (x, y + at)], BLACK))?;
            canvas.below(&label, (x + at, bottom + 8), SMALL)?;
            canvas.left_of(&label, (x - 8, y + at), SMALL)?;
        }
        let axis = canvas.style.shortened(&map.axis, BODY, side, 3);
        axis.centred(canvas, (middle, bottom + BELOW + axis.height() / 2))
    }
}

fn ticks(n: usize) -> Vec<usize> {
    let mut ticks: Vec<usize> = (0..=4).map(|quarter| quarter * n / 4).collect();
    ticks.dedup();
    ticks
}
