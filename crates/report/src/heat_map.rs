//! Heat maps of square matrices (Figure 6).

use plotters::prelude::*;

use crate::canvas::{Area, Drawn, Picture, below, draw, fitted, left_of, shortened};
use crate::colour::ColourMap;
use crate::colour_bar::colour_bar;
use crate::error::Result;
use crate::figure::Figure;
use crate::source::Source;

const COLOURS: ColourMap = ColourMap::Diverging;

/// Height and width of a matrix.
const SIDE: i32 = 400;
const LEFT: i32 = 62;
const TOP: i32 = 40;
const GAP: i32 = 76;

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

/// Figure 6: matrices side by side, on a scale from -1 to 1 that is named `scale`.
///
/// # Errors
/// If it cannot be drawn.
pub fn heat_maps(name: &str, maps: &[HeatMap], scale: &str, source: &Source) -> Result<Figure> {
    let width = LEFT + maps.len() as i32 * (SIDE + GAP) + 20;
    draw(name, (width as u32, (TOP + SIDE + 58) as u32), source, |area, pictures| {
        for (i, map) in maps.iter().enumerate() {
            panel(area, pictures, LEFT + i as i32 * (SIDE + GAP), map)?;
        }
        colour_bar(
            area,
            pictures,
            (width - GAP - 6, TOP),
            SIDE,
            |share| COLOURS.at(share),
            (-1., 1.),
            scale,
        )
    })
}

fn panel(area: &Area, pictures: &mut Vec<Picture>, x: i32, map: &HeatMap) -> Drawn {
    let n = map.rows.len();
    let mut title = fitted(&map.title, 17., SIDE);
    title.lines = shortened(title.lines, 2);
    title.centred(area, (x + SIDE / 2, TOP - 18))?;
    let rgb = map.rows.iter().flatten().flat_map(|v| COLOURS.at((v + 1.) / 2.)).collect();
    pictures.push(Picture { at: (x, TOP), size: (SIDE, SIDE), pixels: (n, n), rgb });
    area.draw(&Rectangle::new([(x - 1, TOP - 1), (x + SIDE, TOP + SIDE)], BLACK))?;
    let mut ticks: Vec<usize> = (0..=4).map(|quarter| quarter * n / 4).collect();
    ticks.dedup();
    for tick in ticks {
        let at = SIDE * tick as i32 / n.max(1) as i32;
        let bottom = TOP + SIDE;
        area.draw(&PathElement::new([(x + at, bottom), (x + at, bottom + 5)], BLACK))?;
        area.draw(&PathElement::new([(x - 5, TOP + at), (x, TOP + at)], BLACK))?;
        below(area, &tick.to_string(), (x + at, bottom + 8), 14.)?;
        left_of(area, &tick.to_string(), (x - 8, TOP + at), 14.)?;
    }
    below(area, &map.axis, (x + SIDE / 2, TOP + SIDE + 32), 15.)
}
