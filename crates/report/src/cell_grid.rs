//! Grids of coloured cells (Figure 5).

use plotters::prelude::*;

use crate::canvas::{Canvas, Drawn, MARGIN, Picture, draw};
use crate::colour::ColourMap;
use crate::colour_bar::{self, ColourBar};
use crate::error::Result;
use crate::figure::Figure;
use crate::scale::{above_note, share, upper_end};
use crate::source::Source;
use crate::style::{SMALL, Style};

/// Narrowest panel.
const NARROWEST: i32 = 108;
/// Distance between panels.
const GAP: i32 = 12;

/// One panel of [`cell_grids`].
#[derive(Debug, Clone)]
pub struct CellGrid {
    /// Written above.
    pub title: String,
    /// The cells' values, row by row.
    pub values: Vec<f64>,
}

/// Where panels and their cells are.
struct Layout {
    /// Panels in a row.
    columns: i32,
    /// Width of a panel, and height of its cells and of its title.
    width: i32,
    height: i32,
    above: i32,
    /// Cells of a panel.
    across: usize,
    down: usize,
    colours: ColourMap,
    /// The value at the upper end of the colour scale.
    high: f64,
}

impl Layout {
    fn new(grids: &[CellGrid], style: &Style) -> Self {
        let cells = grids.first().map_or(1, |grid| grid.values.len()).max(1);
        let (across, down) = arrangement(cells);
        let room = style.units() - 2 * MARGIN + GAP;
        let columns = (room / (NARROWEST + GAP)).clamp(1, grids.len().clamp(3, 6) as i32);
        let width = room / columns - GAP;
        let title = |grid: &CellGrid| style.shortened(&grid.title, SMALL, width, 2).height();
        let above = grids.iter().map(title).max().unwrap_or(0) + 4;
        let height = (width * down as i32 / across as i32).clamp(8, 2 * width);
        let high = upper_end(grids.iter().flat_map(|grid| grid.values.iter().copied()));
        let colours = style.palette.cells();
        Self { columns, width, height, above, across, down, colours, high }
    }

    fn bottom(&self, panels: usize) -> i32 {
        panels.div_ceil(self.columns as usize) as i32 * (self.above + self.height + 8) + 8
    }

    fn panel(&self, canvas: &Canvas, i: usize, grid: &CellGrid) -> Drawn {
        let (column, row) = (i as i32 % self.columns, i as i32 / self.columns);
        let x = MARGIN + column * (self.width + GAP);
        let y = row * (self.above + self.height + 8) + self.above + 4;
        let title = canvas.style.shortened(&grid.title, SMALL, self.width, 2);
        title.centred(canvas, (x + self.width / 2, y - 3 - title.height() / 2))?;
        let colours = grid.values.iter().map(|v| self.colours.at(share(*v, self.high)));
        let padded = colours.chain(std::iter::repeat([255; 3]));
        let rgb = padded.take(self.across * self.down).flatten().collect();
        let pixels = (self.across, self.down);
        canvas.place(Picture { at: (x, y), size: (self.width, self.height), pixels, rgb });
        // The frame lies outside the image, which is placed last.
        let frame = [(x - 1, y - 1), (x + self.width, y + self.height)];
        canvas.area.draw(&Rectangle::new(frame, RGBColor(120, 120, 120)))?;
        Ok(())
    }
}

/// Columns and rows of so many cells.
fn arrangement(cells: usize) -> (usize, usize) {
    let across = [16, 8, 4, 2]
        .into_iter()
        .find(|n| cells.is_multiple_of(*n) && cells / n >= 2)
        .unwrap_or(cells.min(16));
    (across, cells.div_ceil(across))
}

/// Figure 5: a panel for each attribute with a cell for each channel, deeper meaning higher, on one
/// scale.
///
/// ```
/// use foresee_report::{CellGrid, Source, Style, cell_grids};
///
/// // The mean masks of one attribute in 16 channels.
/// let values = (0..16).map(|channel| f64::from(channel) / 16.).collect();
/// let grid = CellGrid { title: "Smiling".into(), values };
/// let source = Source { data: "40 drawn faces".into(), synthetic: true };
/// let figure = cell_grids("fig5", &[grid], "mean mask", &source, &Style::default())?;
/// assert!(figure.svg().contains("Smiling") && figure.svg().contains("8 × 2 channels"));
/// # Ok::<(), foresee_report::Error>(())
/// ```
///
/// # Errors
/// If it cannot be drawn.
pub fn cell_grids(
    name: &str,
    grids: &[CellGrid],
    legend: &str,
    source: &Source,
    style: &Style,
) -> Result<Figure> {
    let layout = Layout::new(grids, style);
    let bottom = layout.bottom(grids.len());
    let room = style.units() - 2 * MARGIN;
    let order = format!(
        "Each panel: {} × {} channels; the first is at the top left, rows come first.",
        layout.across, layout.down
    );
    let values = grids.iter().flat_map(|grid| grid.values.iter().copied());
    let above = above_note(values, layout.high).map_or_else(String::new, |note| format!(" {note}"));
    let order = style.fitted(&(order + &above), SMALL, room);
    let bar_height = colour_bar::height(style, legend, room);
    draw(name, bottom + bar_height + order.height() + 4, source, style, |canvas| {
        for (i, grid) in grids.iter().enumerate() {
            layout.panel(canvas, i, grid)?;
        }
        let colour = |share| layout.colours.at(share);
        let bar = ColourBar { colour, ends: (0., layout.high), title: legend };
        bar.draw(canvas, (MARGIN, bottom), room)?;
        order.right_of(canvas, (MARGIN, bottom + bar_height + order.line_height() / 2))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_fill_whole_rows_if_they_can() {
        for (count, across, down) in [(64, 16, 4), (16, 8, 2), (6, 2, 3), (7, 7, 1), (17, 16, 2)] {
            assert_eq!(arrangement(count), (across, down), "{count}");
        }
    }
}
