//! Grids of coloured cells (Figure 5).

use plotters::prelude::*;

use crate::canvas::{Area, Drawn, Picture, draw, fitted, right_of, shortened};
use crate::colour::ColourMap;
use crate::colour_bar::colour_bar;
use crate::error::Result;
use crate::figure::Figure;
use crate::scale::{share, upper_end};
use crate::source::Source;

const COLOURS: ColourMap = ColourMap::Blues;

/// Panels in a row.
const COLUMNS: usize = 5;
/// Width of a panel.
const WIDTH: i32 = 152;
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

/// How the cells of a panel are arranged.
struct Cells {
    across: usize,
    down: usize,
    /// Height of the panel.
    height: i32,
}

impl Cells {
    fn new(cells: usize) -> Self {
        let across = [16, 8, 4, 2]
            .into_iter()
            .find(|n| cells.is_multiple_of(*n) && cells / n >= 2)
            .unwrap_or(cells.min(16));
        let down = cells.div_ceil(across);
        Self { across, down, height: (WIDTH * down as i32 / across as i32).max(8) }
    }
}

/// Figure 5: a panel for each attribute with a cell for each channel, deeper meaning higher, on one
/// scale.
///
/// # Errors
/// If it cannot be drawn.
pub fn cell_grids(name: &str, grids: &[CellGrid], legend: &str, source: &Source) -> Result<Figure> {
    let cells = Cells::new(grids.first().map_or(1, |grid| grid.values.len()).max(1));
    let step_x = WIDTH + GAP;
    let step_y = cells.height + 30;
    let width = GAP + step_x * COLUMNS as i32 + 84;
    // The colour bar needs as much.
    let height = (grids.len().div_ceil(COLUMNS) as i32 * step_y + 40).max(190);
    let high = upper_end(grids.iter().flat_map(|grid| grid.values.iter().copied()));
    draw(name, (width as u32, height as u32), source, |area, pictures| {
        let layout = format!(
            "each panel: {} × {} channels, feature id 0 top left, rows first",
            cells.across, cells.down
        );
        right_of(area, &layout, (GAP, height - 14), 13.)?;
        for (i, grid) in grids.iter().enumerate() {
            let x = GAP + step_x * (i % COLUMNS) as i32;
            let y = 24 + step_y * (i / COLUMNS) as i32;
            panel(area, pictures, (x, y), grid, &cells, high)?;
        }
        colour_bar(
            area,
            pictures,
            (width - 80, 24),
            (height - 80).min(300),
            |share| COLOURS.at(share),
            (0., high),
            legend,
        )
    })
}

fn panel(
    area: &Area,
    pictures: &mut Vec<Picture>,
    (x, y): (i32, i32),
    grid: &CellGrid,
    cells: &Cells,
    high: f64,
) -> Drawn {
    let mut title = fitted(&grid.title, 14., WIDTH);
    title.lines = shortened(title.lines, 1);
    title.centred(area, (x + WIDTH / 2, y - 10))?;
    let colours = grid.values.iter().map(|v| COLOURS.at(share(*v, high)));
    let padded = colours.chain(std::iter::repeat([255; 3]));
    let rgb = padded.take(cells.across * cells.down).flatten().collect();
    let pixels = (cells.across, cells.down);
    pictures.push(Picture { at: (x, y), size: (WIDTH, cells.height), pixels, rgb });
    // The frame lies outside the image, which is placed last.
    let frame = [(x - 1, y - 1), (x + WIDTH, y + cells.height)];
    area.draw(&Rectangle::new(frame, RGBColor(120, 120, 120)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_fill_whole_rows_if_they_can() {
        for (count, across, down) in [(64, 16, 4), (16, 8, 2), (6, 2, 3), (7, 7, 1), (17, 16, 2)] {
            let cells = Cells::new(count);
            assert_eq!((cells.across, cells.down), (across, down), "{count}");
        }
    }
}
