//! Faces with masks over them (Figure 4), grids of cells (Figure 5), heat maps (Figure 6).

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::canvas::{Figure, Picture, Source, centred, colour_bar, draw, text};
use crate::colour::Map;
use crate::error::Result;

/// A square picture.
#[derive(Debug, Clone)]
pub struct Face {
    /// Height and width.
    pub size: usize,
    /// Red, green and blue in [0, 1], pixel by pixel.
    pub rgb: Vec<[f64; 3]>,
}

/// The masks of one attribute: for each face, its top channels.
#[derive(Debug, Clone)]
pub struct FaceRow {
    /// The attribute.
    pub name: String,
    /// For each face the channels (feature ids) and their masks, row by row.
    pub masks: Vec<Vec<(usize, Vec<f64>)>>,
}

/// Figure 4: attributes as rows, and for each face the attribute's top channels as columns, each a mask over the face with its feature id below.
///
/// # Errors
/// If it cannot be drawn.
pub fn face_masks(name: &str, faces: &[Face], rows: &[FaceRow], source: &Source) -> Result<Figure> {
    let (cell, gap, left, top) = (84, 8, 150, 128);
    let per_face = rows.first().and_then(|row| row.masks.first()).map_or(0, Vec::len) as i32;
    let column = |face: usize, rank: i32| left + face as i32 * (per_face * (cell + gap) + 18) + rank * (cell + gap);
    let right = column(faces.len().saturating_sub(1), per_face);
    let row_height = cell + 26;
    let height = top + rows.len() as i32 * row_height;
    let mut values: Vec<f64> = rows.iter().flat_map(|row| row.masks.iter().flatten().flat_map(|(_, mask)| mask.iter().copied())).collect();
    let high = upper(&mut values);
    draw(name, ((right + 92) as u32, height as u32), source, |area, pictures| {
        text(area, "face", (left - 12, 14 + cell / 2), 16., BLACK, (HPos::Right, VPos::Center))?;
        for (i, face) in faces.iter().enumerate() {
            let at = (column(i, 0) + (per_face * (cell + gap) - gap - cell) / 2, 8);
            let rgb = face.rgb.iter().flat_map(|p| p.map(byte)).collect();
            pictures.push(Picture { at, size: (cell, cell), pixels: (face.size, face.size), rgb });
        }
        centred(area, "the three most important channels, with feature ids", ((left + right) / 2, 110), 14.)?;
        for (r, row) in rows.iter().enumerate() {
            let y = top + r as i32 * row_height;
            for (part, line) in wrapped(&row.name, 14).iter().enumerate() {
                text(area, line, (left - 12, y + cell / 2 - 8 + 18 * part as i32), 16., BLACK, (HPos::Right, VPos::Center))?;
            }
            for (i, (face, masks)) in faces.iter().zip(&row.masks).enumerate() {
                for (rank, (channel, mask)) in masks.iter().enumerate() {
                    let at = (column(i, rank as i32), y);
                    pictures.push(Picture { at, size: (cell, cell), pixels: (face.size, face.size), rgb: overlay(face, mask, high) });
                    centred(area, &channel.to_string(), (at.0 + cell / 2, y + cell + 10), 14.)?;
                }
            }
        }
        colour_bar(area, pictures, (right + 8, top), (height - top - 30).min(300), Map::Inferno, (0., high), "mask value")
    })
}

/// The attributions of one attribute.
#[derive(Debug, Clone)]
pub struct AttributionRow {
    /// The attribute, and what the model says of it.
    pub name: String,
    /// For each method a map in [-1, 1], row by row.
    pub maps: Vec<Vec<f64>>,
}

/// Attribution methods as columns and attributes as rows over one face: red speaks for the attribute, blue against it. Each map has a scale of its own.
///
/// # Errors
/// If it cannot be drawn.
pub fn face_attributions(name: &str, face: &Face, methods: &[String], rows: &[AttributionRow], source: &Source) -> Result<Figure> {
    let (cell, gap, left, top) = (84, 8, 150, 56);
    let column = |i: usize| left + i as i32 * (cell + gap);
    let right = column(methods.len() + 1);
    let height = (top + rows.len() as i32 * (cell + gap)).max(top + 190);
    draw(name, ((right + 92) as u32, height as u32), source, |area, pictures| {
        for (i, method) in std::iter::once("face").chain(methods.iter().map(String::as_str)).enumerate() {
            for (part, line) in wrapped(method, 11).iter().enumerate() {
                centred(area, line, (column(i) + cell / 2, 10 + 16 * part as i32), 13.)?;
            }
        }
        for (r, row) in rows.iter().enumerate() {
            let y = top + r as i32 * (cell + gap);
            for (part, line) in wrapped(&row.name, 14).iter().enumerate() {
                text(area, line, (left - 12, y + cell / 2 - 18 + 18 * part as i32), 15., BLACK, (HPos::Right, VPos::Center))?;
            }
            let plain = face.rgb.iter().flat_map(|p| p.map(byte)).collect();
            let maps = row.maps.iter().map(|map| signed_overlay(face, map));
            for (i, rgb) in std::iter::once(plain).chain(maps).enumerate() {
                pictures.push(Picture { at: (column(i), y), size: (cell, cell), pixels: (face.size, face.size), rgb });
            }
        }
        colour_bar(area, pictures, (right + 8, top), 160, Map::Diverging, (-1., 1.), "share of the greatest")
    })
}

/// A light grey face under a map in [-1, 1].
fn signed_overlay(face: &Face, map: &[f64]) -> Vec<u8> {
    let blend = |(pixel, &value): (&[f64; 3], &f64)| {
        let grey = 0.55 + 0.4 * (0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]);
        let alpha = 0.15 + 0.8 * value.abs().clamp(0., 1.).sqrt();
        Map::Diverging.at((value + 1.) / 2.).map(|c| byte((1. - alpha) * grey + alpha * f64::from(c) / 255.))
    };
    face.rgb.iter().zip(map).flat_map(blend).collect()
}

/// A grey face under a mask: the more the mask lets through, the more of its colour.
fn overlay(face: &Face, mask: &[f64], high: f64) -> Vec<u8> {
    let blend = |(pixel, &value): (&[f64; 3], &f64)| {
        let grey = 0.35 + 0.5 * (0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]);
        let share = (value / high).clamp(0., 1.);
        let alpha = 0.25 + 0.65 * share;
        Map::Inferno.at(share).map(|c| byte((1. - alpha) * grey + alpha * f64::from(c) / 255.))
    };
    face.rgb.iter().zip(mask).flat_map(blend).collect()
}

/// One panel of [`cell_grids`].
#[derive(Debug, Clone)]
pub struct CellGrid {
    /// Written above.
    pub title: String,
    /// The cells' values, row by row.
    pub values: Vec<f64>,
}

/// Figure 5: a panel for each attribute with a cell for each channel, deeper meaning higher, on one scale.
///
/// # Errors
/// If it cannot be drawn.
pub fn cell_grids(name: &str, grids: &[CellGrid], legend: &str, source: &Source) -> Result<Figure> {
    let columns = 5;
    let cells = grids.first().map_or(1, |grid| grid.values.len()).max(1);
    let across = [16, 8, 4, 2].into_iter().find(|n| cells.is_multiple_of(*n) && cells / n >= 2).unwrap_or(cells.min(16));
    let down = cells.div_ceil(across);
    let (w, pad) = (152, 12);
    let h = (w * down as i32 / across as i32).max(8);
    let (step_x, step_y) = (w + pad, h + 30);
    let rows = grids.len().div_ceil(columns) as i32;
    let (width, height) = (pad + step_x * columns as i32 + 84, rows * step_y + 40);
    let mut all: Vec<f64> = grids.iter().flat_map(|grid| grid.values.iter().copied()).collect();
    let high = upper(&mut all);
    draw(name, (width as u32, height as u32), source, |area, pictures| {
        let layout = format!("each panel: {across} × {down} channels, feature id 0 top left, rows first");
        text(area, &layout, (pad, height - 14), 13., BLACK, (HPos::Left, VPos::Center))?;
        for (i, grid) in grids.iter().enumerate() {
            let (x, y) = (pad + step_x * (i % columns) as i32, 24 + step_y * (i / columns) as i32);
            centred(area, &grid.title, (x + w / 2, y - 10), 14.)?;
            let padded = grid.values.iter().map(|v| Map::Blues.at(v / high)).chain(std::iter::repeat([255; 3]));
            let rgb = padded.take(across * down).flatten().collect();
            pictures.push(Picture { at: (x, y), size: (w, h), pixels: (across, down), rgb });
            // The frame lies outside the image, which is placed last.
            area.draw(&Rectangle::new([(x - 1, y - 1), (x + w, y + h)], RGBColor(120, 120, 120)))?;
        }
        colour_bar(area, pictures, (width - 80, 24), (height - 80).min(300), Map::Blues, (0., high), legend)
    })
}

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
    let (side, left, top, gap) = (400, 62, 40, 76);
    let width = left + maps.len() as i32 * (side + gap) + 20;
    draw(name, (width as u32, (top + side + 58) as u32), source, |area, pictures| {
        for (i, map) in maps.iter().enumerate() {
            let (x, y, n) = (left + i as i32 * (side + gap), top, map.rows.len());
            centred(area, &map.title, (x + side / 2, top - 18), 17.)?;
            let rgb = map.rows.iter().flatten().flat_map(|v| Map::Diverging.at((v + 1.) / 2.)).collect();
            pictures.push(Picture { at: (x, y), size: (side, side), pixels: (n, n), rgb });
            area.draw(&Rectangle::new([(x - 1, y - 1), (x + side, y + side)], BLACK))?;
            for tick in (0..=4).map(|t| t * n / 4) {
                let at = side * tick as i32 / n.max(1) as i32;
                area.draw(&PathElement::new([(x + at, y + side), (x + at, y + side + 5)], BLACK))?;
                area.draw(&PathElement::new([(x - 5, y + at), (x, y + at)], BLACK))?;
                text(area, &tick.to_string(), (x + at, y + side + 8), 14., BLACK, (HPos::Center, VPos::Top))?;
                text(area, &tick.to_string(), (x - 8, y + at), 14., BLACK, (HPos::Right, VPos::Center))?;
            }
            text(area, &map.axis, (x + side / 2, y + side + 32), 15., BLACK, (HPos::Center, VPos::Top))?;
        }
        colour_bar(area, pictures, (width - gap - 6, top), side, Map::Diverging, (-1., 1.), scale)
    })
}

/// The upper end of a scale: the 99.5th percentile, so that single values do not hide the rest.
fn upper(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() as f64 * 0.995) as usize;
    values.get(at.min(values.len().saturating_sub(1))).copied().filter(|v| *v > 0.).unwrap_or(1.)
}

fn byte(v: f64) -> u8 {
    (v * 255.).clamp(0., 255.).round() as u8
}

/// Words in lines of about this many letters.
fn wrapped(words: &str, letters: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    for word in words.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < letters => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    lines
}
