//! Faces with masks over them (Figure 4).

use crate::canvas::{Area, Drawn, Picture, centred, draw, fitted, left_of, lines};
use crate::colour::ColourMap;
use crate::colour_bar::colour_bar;
use crate::error::Result;
use crate::face::{Face, MID_GREY, blend, byte, luminance};
use crate::figure::Figure;
use crate::scale::{share, upper_end};
use crate::source::Source;

const COLOURS: ColourMap = ColourMap::Inferno;

/// Height and width of a picture.
const CELL: i32 = 84;
const GAP: i32 = 8;
const LEFT: i32 = 150;
const TOP: i32 = 128;
/// Height of a row: a picture, and the feature id below it.
const ROW: i32 = CELL + 26;

/// The masks of one attribute: for each face, its top channels.
#[derive(Debug, Clone)]
pub struct FaceRow {
    /// The attribute.
    pub name: String,
    /// For each face the channels (feature ids) and their masks, row by row.
    pub masks: Vec<Vec<(usize, Vec<f64>)>>,
}

fn heading(channels: i32) -> String {
    match channels {
        1 => "the most important channel, with its feature id".into(),
        3 => "the three most important channels, with feature ids".into(),
        n => format!("the {n} most important channels, with feature ids"),
    }
}

/// Figure 4: attributes as rows, and for each face the attribute's top channels as columns, each a
/// mask over the face with its feature id below.
///
/// # Errors
/// If it cannot be drawn.
pub fn face_masks(name: &str, faces: &[Face], rows: &[FaceRow], source: &Source) -> Result<Figure> {
    let masks = rows.iter().flat_map(|row| row.masks.iter().flatten());
    let layout = Layout {
        faces,
        per_face: rows.first().and_then(|row| row.masks.first()).map_or(0, Vec::len) as i32,
        high: upper_end(masks.flat_map(|(_, mask)| mask.iter().copied())),
    };
    let right = layout.column(faces.len().saturating_sub(1), layout.per_face);
    let height = TOP + rows.len() as i32 * ROW;
    draw(name, ((right + 92) as u32, height as u32), source, |area, pictures| {
        layout.draw_faces(area, pictures)?;
        let place = right - LEFT + 80;
        fitted(&heading(layout.per_face), 14., place).centred(area, ((LEFT + right) / 2, 110))?;
        for (r, row) in rows.iter().enumerate() {
            layout.draw_masks(area, pictures, TOP + r as i32 * ROW, row)?;
        }
        colour_bar(
            area,
            pictures,
            (right + 8, TOP),
            (height - TOP - 30).min(300),
            |share| overlaid(MID_GREY, share),
            (0., layout.high),
            "mask value",
        )
    })
}

/// What all rows share.
struct Layout<'a> {
    faces: &'a [Face],
    /// Masks of each face in a row.
    per_face: i32,
    /// The mask value at the upper end of the colour scale.
    high: f64,
}

impl Layout<'_> {
    /// Left end of a face's mask of this rank.
    fn column(&self, face: usize, rank: i32) -> i32 {
        LEFT + face as i32 * (self.per_face * (CELL + GAP) + 18) + rank * (CELL + GAP)
    }

    /// The faces, each above the middle of its masks.
    fn draw_faces(&self, area: &Area, pictures: &mut Vec<Picture>) -> Drawn {
        left_of(area, "face", (LEFT - 12, 14 + CELL / 2), 16.)?;
        for (i, face) in self.faces.iter().enumerate() {
            let x = self.column(i, 0) + (self.per_face * (CELL + GAP) - GAP - CELL) / 2;
            let rgb = face.rgb.iter().flat_map(|p| p.map(byte)).collect();
            pictures.push(picture((x, 8), face, rgb));
        }
        Ok(())
    }

    /// An attribute's name and its masks over the faces.
    fn draw_masks(&self, area: &Area, pictures: &mut Vec<Picture>, y: i32, row: &FaceRow) -> Drawn {
        for (part, line) in lines(&row.name, 16., LEFT - 20).iter().enumerate() {
            left_of(area, line, (LEFT - 12, y + CELL / 2 - 8 + 18 * part as i32), 16.)?;
        }
        for (i, (face, masks)) in self.faces.iter().zip(&row.masks).enumerate() {
            for (rank, (channel, mask)) in masks.iter().enumerate() {
                let x = self.column(i, rank as i32);
                let pixels = face.rgb.iter().zip(mask);
                let rgb =
                    pixels.flat_map(|(p, value)| overlaid(luminance(p), share(*value, self.high)));
                pictures.push(picture((x, y), face, rgb.collect()));
                centred(area, &channel.to_string(), (x + CELL / 2, y + CELL + 10), 14.)?;
            }
        }
        Ok(())
    }
}

fn picture(at: (i32, i32), face: &Face, rgb: Vec<u8>) -> Picture {
    Picture { at, size: (CELL, CELL), pixels: (face.size, face.size), rgb }
}

/// A grey pixel of this luminance under a mask, whose value is a share in [0, 1] of the scale: the
/// more the mask lets through, the more of its colour.
fn overlaid(luminance: f64, share: f64) -> [u8; 3] {
    let share = share.clamp(0., 1.);
    blend(0.35 + 0.5 * luminance, COLOURS.at(share), 0.25 + 0.65 * share)
}
