//! Faces with masks over them (Figure 4), grids of cells (Figure 5), heat maps (Figure 6).

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::canvas::{Area, Drawn, Figure, Picture, Source, centred, colour_bar, draw, short, text};
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

/// Figure 4: attributes as rows, and for each face the attribute's top channels as columns, each a
/// mask over the face with its feature id below.
///
/// # Errors
/// If it cannot be drawn.
pub fn face_masks(name: &str, faces: &[Face], rows: &[FaceRow], source: &Source) -> Result<Figure> {
    let (cell, gap, left, top) = (84, 8, 150, 128);
    let per_face = rows.first().and_then(|row| row.masks.first()).map_or(0, Vec::len) as i32;
    let column = |face: usize, rank: i32| {
        left + face as i32 * (per_face * (cell + gap) + 18) + rank * (cell + gap)
    };
    let right = column(faces.len().saturating_sub(1), per_face);
    let row_height = cell + 26;
    let height = top + rows.len() as i32 * row_height;
    let mut values: Vec<f64> = rows
        .iter()
        .flat_map(|row| row.masks.iter().flatten().flat_map(|(_, mask)| mask.iter().copied()))
        .collect();
    let high = upper(&mut values);
    draw(name, ((right + 92) as u32, height as u32), source, |area, pictures| {
        text(area, "face", (left - 12, 14 + cell / 2), 16., BLACK, (HPos::Right, VPos::Center))?;
        for (i, face) in faces.iter().enumerate() {
            let at = (column(i, 0) + (per_face * (cell + gap) - gap - cell) / 2, 8);
            let rgb = face.rgb.iter().flat_map(|p| p.map(byte)).collect();
            pictures.push(Picture { at, size: (cell, cell), pixels: (face.size, face.size), rgb });
        }
        centred(
            area,
            "the three most important channels, with feature ids",
            ((left + right) / 2, 110),
            14.,
        )?;
        for (r, row) in rows.iter().enumerate() {
            let y = top + r as i32 * row_height;
            for (part, line) in wrapped(&row.name, 14).iter().enumerate() {
                text(
                    area,
                    line,
                    (left - 12, y + cell / 2 - 8 + 18 * part as i32),
                    16.,
                    BLACK,
                    (HPos::Right, VPos::Center),
                )?;
            }
            for (i, (face, masks)) in faces.iter().zip(&row.masks).enumerate() {
                for (rank, (channel, mask)) in masks.iter().enumerate() {
                    let at = (column(i, rank as i32), y);
                    pictures.push(Picture {
                        at,
                        size: (cell, cell),
                        pixels: (face.size, face.size),
                        rgb: overlay(face, mask, high),
                    });
                    centred(area, &channel.to_string(), (at.0 + cell / 2, y + cell + 10), 14.)?;
                }
            }
        }
        colour_bar(
            area,
            pictures,
            (right + 8, top),
            (height - top - 30).min(300),
            |share| blended(MID_GREY, share),
            (0., high),
            "mask value",
        )
    })
}

/// How a method's values are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reading {
    /// From 0: how much a pixel counts, not for what.
    Unsigned,
    /// Above 0 for the attribute, below 0 against it.
    Signed,
    /// One map for all faces; how much a pixel counts, and below 0 nothing but chance.
    Global,
}

impl Reading {
    fn title(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned: how much a pixel counts",
            Self::Signed => "signed: for (red) and against (blue)",
            Self::Global => "global",
        }
    }

    /// A light grey face's pixel of this luminance under a share in [-1, 1] of the method's scale.
    fn blended(self, luminance: f64, share: f64) -> [u8; 3] {
        let (strength, colour) = match self {
            Self::Signed => (share.abs(), Map::Diverging.at((share + 1.) / 2.)),
            Self::Unsigned | Self::Global => (share.max(0.), Map::Deepening.at(share)),
        };
        let (grey, alpha) = (0.55 + 0.4 * luminance, 0.35 + 0.6 * strength.clamp(0., 1.));
        colour.map(|c| byte((1. - alpha) * grey + alpha * f64::from(c) / 255.))
    }
}

/// A column of [`face_attributions`].
#[derive(Debug, Clone)]
pub struct AttributionMethod {
    /// Its name.
    pub name: String,
    /// What its colours mean. Columns of a kind stand together.
    pub reading: Reading,
}

/// The attributions of one attribute.
#[derive(Debug, Clone)]
pub struct AttributionRow {
    /// The attribute, and what the model says of it.
    pub name: String,
    /// The face that is explained.
    pub face: Face,
    /// The pixels at which the attribute is, where that is known; it is outlined.
    pub region: Option<Vec<bool>>,
    /// For each method a map in the method's own unit, pixel by pixel, row by row.
    pub maps: Vec<Vec<f64>>,
}

/// Attribution methods as columns and attributes as rows, each over a face of its own. A method's
/// colours are shares of one scale for all rows, the 99.5th percentile of |value|, which is written
/// below it. Methods come in the order unsigned, signed, global.
///
/// # Errors
/// If it cannot be drawn.
pub fn face_attributions(
    name: &str,
    methods: &[AttributionMethod],
    rows: &[AttributionRow],
    source: &Source,
) -> Result<Figure> {
    let mut order: Vec<usize> = (0..methods.len()).collect();
    order.sort_by_key(|&m| methods[m].reading);
    let scales: Vec<f64> =
        (0..methods.len()).map(|m| scale(rows.iter().filter_map(|row| row.maps.get(m)))).collect();
    let (cell, gap, left, top) = (84, 8, 150, 76);
    // Groups stand apart from each other and from the face.
    let groups = |i: usize| {
        if i == 0 {
            0
        } else {
            1 + (1..i)
                .filter(|&i| methods[order[i]].reading != methods[order[i - 1]].reading)
                .count() as i32
        }
    };
    let column = |i: usize| left + i as i32 * (cell + gap) + 14 * groups(i);
    let right = column(methods.len()) + cell + gap;
    let bottom = (top + rows.len() as i32 * (cell + gap)).max(top + 350);
    draw(name, ((right + 92) as u32, (bottom + 46) as u32), source, |area, pictures| {
        headings(area, methods, &order, column)?;
        for (r, row) in rows.iter().enumerate() {
            let y = top + r as i32 * (cell + gap);
            for (part, line) in row.name.lines().flat_map(|line| wrapped(line, 18)).enumerate() {
                text(
                    area,
                    &line,
                    (left - 12, y + 10 + 16 * part as i32),
                    13.,
                    BLACK,
                    (HPos::Right, VPos::Center),
                )?;
            }
            let (size, rgb) = outlined(&row.face, row.region.as_deref());
            pictures.push(Picture {
                at: (column(0), y),
                size: (cell, cell),
                pixels: (size, size),
                rgb,
            });
            for (i, &m) in order.iter().enumerate() {
                let Some(map) = row.maps.get(m) else { continue };
                let pixel = |(pixel, value): (&[f64; 3], &f64)| {
                    methods[m].reading.blended(luminance(pixel), value / scales[m])
                };
                let rgb = row.face.rgb.iter().zip(map).flat_map(pixel).collect();
                pictures.push(Picture {
                    at: (column(i + 1), y),
                    size: (cell, cell),
                    pixels: (row.face.size, row.face.size),
                    rgb,
                });
            }
        }
        let under = top + rows.len() as i32 * (cell + gap) + 6;
        text(area, "1 is", (left - 12, under), 13., BLACK, (HPos::Right, VPos::Center))?;
        for (i, &m) in order.iter().enumerate() {
            centred(area, &short(scales[m]), (column(i + 1) + cell / 2, under), 13.)?;
        }
        let note = "Colours are shares of a method's 99.5th percentile of |value| over all rows (\u{201c}1 is\u{201d}). A global map is the same for every face, and what is below 0 in it is drawn as 0. \
                    An outline on a face shows where a drawn attribute is.";
        text(area, note, (12, bottom + 30), 13., BLACK, (HPos::Left, VPos::Center))?;
        if methods.iter().any(|method| method.reading != Reading::Signed) {
            colour_bar(
                area,
                pictures,
                (right + 8, top),
                150,
                |share| Reading::Unsigned.blended(MID_GREY, share),
                (0., 1.),
                "share, over mid grey",
            )?;
        }
        if methods.iter().any(|method| method.reading == Reading::Signed) {
            let signed = |share: f64| Reading::Signed.blended(MID_GREY, 2. * share - 1.);
            colour_bar(
                area,
                pictures,
                (right + 8, top + 190),
                150,
                signed,
                (-1., 1.),
                "share, over mid grey",
            )?;
        }
        Ok(())
    })
}

/// Names of columns, and what a group's colours mean above its first.
fn headings(
    area: &Area,
    methods: &[AttributionMethod],
    order: &[usize],
    column: impl Fn(usize) -> i32,
) -> Drawn {
    let mut last = None;
    for (i, method) in order.iter().map(|&m| &methods[m]).enumerate() {
        if last.replace(method.reading) != Some(method.reading) {
            let many = order.iter().filter(|&&m| methods[m].reading == method.reading).count();
            let title = if many > 1 {
                method.reading.title()
            } else {
                method.reading.title().split(':').next().unwrap_or_default()
            };
            text(
                area,
                title,
                (column(i + 1), 12),
                13.,
                RGBColor(90, 90, 90),
                (HPos::Left, VPos::Center),
            )?;
        }
    }
    let names = std::iter::once("face").chain(order.iter().map(|&m| &methods[m].name[..]));
    for (i, name) in names.enumerate() {
        for (part, line) in wrapped(name, 11).iter().enumerate() {
            centred(area, line, (column(i) + 42, 34 + 16 * part as i32), 13.)?;
        }
    }
    Ok(())
}

/// The 99.5th percentile of |value| over maps.
fn scale<'a>(maps: impl Iterator<Item = &'a Vec<f64>>) -> f64 {
    upper(&mut maps.flatten().map(|v| v.abs()).collect::<Vec<_>>())
}

/// A face in colour, enlarged so that a line around its region is thinner than a pixel: side and
/// bytes.
fn outlined(face: &Face, region: Option<&[bool]>) -> (usize, Vec<u8>) {
    const TIMES: usize = 6;
    const LINE: [u8; 3] = [60, 240, 255];
    let (size, side) = (face.size, face.size * TIMES);
    let inside = |x: isize, y: isize| -> bool {
        let within = (0..size as isize).contains(&x) && (0..size as isize).contains(&y);
        within
            && region
                .and_then(|region| region.get(y as usize * size + x as usize))
                .is_some_and(|inside| *inside)
    };
    let pixel = |at: usize| -> [u8; 3] {
        let (x, y) = ((at % side) as isize, (at / side) as isize);
        let times = TIMES as isize;
        let line = inside(x / times, y / times)
            && [(-1, 0), (1, 0), (0, -1), (0, 1)]
                .iter()
                .any(|(dx, dy)| !inside((x + dx).div_euclid(times), (y + dy).div_euclid(times)));
        if line { LINE } else { face.rgb[at / side / TIMES * size + at % side / TIMES].map(byte) }
    };
    (side, (0..side * side).flat_map(pixel).collect())
}

/// Luminance of the face that colour bars show their colours over.
const MID_GREY: f64 = 0.5;

fn luminance(pixel: &[f64; 3]) -> f64 {
    0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]
}

/// A grey face under a mask: the more the mask lets through, the more of its colour.
fn overlay(face: &Face, mask: &[f64], high: f64) -> Vec<u8> {
    face.rgb
        .iter()
        .zip(mask)
        .flat_map(|(pixel, &value)| blended(luminance(pixel), value / high))
        .collect()
}

/// A grey pixel of this luminance under a share in [0, 1].
fn blended(luminance: f64, share: f64) -> [u8; 3] {
    let share = share.clamp(0., 1.);
    let (grey, alpha) = (0.35 + 0.5 * luminance, 0.25 + 0.65 * share);
    Map::Inferno.at(share).map(|c| byte((1. - alpha) * grey + alpha * f64::from(c) / 255.))
}

/// One panel of [`cell_grids`].
#[derive(Debug, Clone)]
pub struct CellGrid {
    /// Written above.
    pub title: String,
    /// The cells' values, row by row.
    pub values: Vec<f64>,
}

/// Figure 5: a panel for each attribute with a cell for each channel, deeper meaning higher, on one
/// scale.
///
/// # Errors
/// If it cannot be drawn.
pub fn cell_grids(name: &str, grids: &[CellGrid], legend: &str, source: &Source) -> Result<Figure> {
    let columns = 5;
    let cells = grids.first().map_or(1, |grid| grid.values.len()).max(1);
    let across = [16, 8, 4, 2]
        .into_iter()
        .find(|n| cells.is_multiple_of(*n) && cells / n >= 2)
        .unwrap_or(cells.min(16));
    let down = cells.div_ceil(across);
    let (w, pad) = (152, 12);
    let h = (w * down as i32 / across as i32).max(8);
    let (step_x, step_y) = (w + pad, h + 30);
    let rows = grids.len().div_ceil(columns) as i32;
    let (width, height) = (pad + step_x * columns as i32 + 84, rows * step_y + 40);
    let mut all: Vec<f64> = grids.iter().flat_map(|grid| grid.values.iter().copied()).collect();
    let high = upper(&mut all);
    draw(name, (width as u32, height as u32), source, |area, pictures| {
        let layout =
            format!("each panel: {across} × {down} channels, feature id 0 top left, rows first");
        text(area, &layout, (pad, height - 14), 13., BLACK, (HPos::Left, VPos::Center))?;
        for (i, grid) in grids.iter().enumerate() {
            let (x, y) = (pad + step_x * (i % columns) as i32, 24 + step_y * (i / columns) as i32);
            centred(area, &grid.title, (x + w / 2, y - 10), 14.)?;
            let padded = grid
                .values
                .iter()
                .map(|v| Map::Blues.at(v / high))
                .chain(std::iter::repeat([255; 3]));
            let rgb = padded.take(across * down).flatten().collect();
            pictures.push(Picture { at: (x, y), size: (w, h), pixels: (across, down), rgb });
            // The frame lies outside the image, which is placed last.
            area.draw(&Rectangle::new([(x - 1, y - 1), (x + w, y + h)], RGBColor(120, 120, 120)))?;
        }
        colour_bar(
            area,
            pictures,
            (width - 80, 24),
            (height - 80).min(300),
            |share| Map::Blues.at(share),
            (0., high),
            legend,
        )
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
            let rgb =
                map.rows.iter().flatten().flat_map(|v| Map::Diverging.at((v + 1.) / 2.)).collect();
            pictures.push(Picture { at: (x, y), size: (side, side), pixels: (n, n), rgb });
            area.draw(&Rectangle::new([(x - 1, y - 1), (x + side, y + side)], BLACK))?;
            for tick in (0..=4).map(|t| t * n / 4) {
                let at = side * tick as i32 / n.max(1) as i32;
                area.draw(&PathElement::new([(x + at, y + side), (x + at, y + side + 5)], BLACK))?;
                area.draw(&PathElement::new([(x - 5, y + at), (x, y + at)], BLACK))?;
                text(
                    area,
                    &tick.to_string(),
                    (x + at, y + side + 8),
                    14.,
                    BLACK,
                    (HPos::Center, VPos::Top),
                )?;
                text(
                    area,
                    &tick.to_string(),
                    (x - 8, y + at),
                    14.,
                    BLACK,
                    (HPos::Right, VPos::Center),
                )?;
            }
            text(
                area,
                &map.axis,
                (x + side / 2, y + side + 32),
                15.,
                BLACK,
                (HPos::Center, VPos::Top),
            )?;
        }
        colour_bar(
            area,
            pictures,
            (width - gap - 6, top),
            side,
            |share| Map::Diverging.at(share),
            (-1., 1.),
            scale,
        )
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::colour::tests::lightness;

    /// Over a face of one grey, more is darker, on both sides of 0 alike.
    #[test]
    fn stronger_values_are_darker() {
        let at = |reading: Reading, share: f64| lightness(reading.blended(MID_GREY, share));
        for i in 0..20 {
            let (less, more) = (f64::from(i) / 20., f64::from(i + 1) / 20.);
            assert!(
                at(Reading::Unsigned, less) > at(Reading::Unsigned, more)
                    && at(Reading::Signed, less) > at(Reading::Signed, more),
                "{less}"
            );
            assert!((at(Reading::Signed, more) - at(Reading::Signed, -more)).abs() < 3., "{more}");
        }
    }

    #[test]
    fn a_region_is_outlined_within_itself() {
        let face = Face { size: 2, rgb: vec![[0.; 3]; 4] };
        let (side, rgb) = outlined(&face, Some(&[true, false, false, false]));
        let lines: Vec<usize> = rgb
            .chunks_exact(3)
            .enumerate()
            .filter(|(_, pixel)| pixel[0] > 0)
            .map(|(at, _)| at)
            .collect();
        assert_eq!((side, lines.len()), (12, 4 * 5));
        assert!(lines.iter().all(|at| at % side < 6 && at / side < 6));
        assert!(outlined(&face, None).1.iter().all(|v| *v == 0));
    }

    #[test]
    fn a_scale_is_no_single_value() {
        let maps = [
            (0..500).map(|i| -f64::from(i % 10)).collect::<Vec<_>>(),
            [vec![1e6], vec![0.; 499]].concat(),
        ];
        assert_eq!(scale(maps.iter()), 9.);
        assert_eq!(scale([vec![0.; 4]].iter()), 1.);
    }
}
