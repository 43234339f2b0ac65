//! Faces with masks over them (Figure 4).

use plotters::prelude::*;

use crate::canvas::{Canvas, Drawn, MARGIN, Picture, draw};
use crate::colour::ColourMap;
use crate::colour_bar::{self, ColourBar};
use crate::error::Result;
use crate::face::{Face, MID_GREY, blend, byte, luminance};
use crate::figure::Figure;
use crate::scale::{above_note, share, upper_end};
use crate::source::Source;
use crate::style::{BODY, SMALL, Style};

const COLOURS: ColourMap = ColourMap::Inferno;
const SCALE: &str = "mask value (over mid grey)";

/// Smallest and largest side of a picture.
const SIDES: (i32, i32) = (40, 110);
const GAP: i32 = 5;
/// Between the masks of a face and those of the next.
const BETWEEN: i32 = 14;
/// Width of the bar beside the masks of a face that has the attribute.
const BAR: i32 = 3;
/// Height of a channel's number below its mask.
const NUMBER: i32 = 20;

/// A channel's mask on a face.
#[derive(Debug, Clone)]
pub struct ChannelMask {
    /// The channel (feature id).
    pub channel: usize,
    /// Its readout weight for the attribute: it speaks for the attribute above 0, against it below.
    pub weight: f64,
    /// The mask, row by row.
    pub mask: Vec<f64>,
}

impl ChannelMask {
    /// The channel and the sign of its weight.
    fn number(&self) -> String {
        let sign = match self.weight {
            w if w > 0. => " +",
            w if w < 0. => " \u{2212}",
            _ => "",
        };
        format!("{}{sign}", self.channel)
    }
}

/// The masks of one attribute: for each face, those of the attribute's top channels.
#[derive(Debug, Clone)]
pub struct FaceRow {
    /// The attribute.
    pub name: String,
    /// For each face whether it has the attribute, and the masks.
    pub faces: Vec<(bool, Vec<ChannelMask>)>,
}

impl FaceRow {
    fn masks(&self) -> impl Iterator<Item = &ChannelMask> {
        self.faces.iter().flat_map(|(_, masks)| masks)
    }
}

/// The mask values of all rows.
fn values(rows: &[FaceRow]) -> impl Iterator<Item = f64> {
    rows.iter().flat_map(FaceRow::masks).flat_map(|mask| mask.mask.iter().copied())
}

/// What is in a row, and what its colours leave out.
fn heading(channels: i32, above: Option<String>) -> String {
    let channels = match channels {
        1 => "the attribute's most important channel".into(),
        3 => "the attribute's three most important channels".into(),
        n => format!("the attribute's {n} most important channels"),
    };
    let above = above.map_or_else(String::new, |note| format!(" {note}"));
    format!(
        "On each face: {channels}, the same on all faces, with their feature ids and whether they \
         speak for the attribute (+) or against it (\u{2212}). A bar beside masks: the face has \
         the attribute.{above}"
    )
}

/// Figure 4: attributes as rows, and for each face the attribute's top channels as columns, each a
/// mask over the face with its feature id and the sign of its readout weight below. A bar stands
/// beside the masks of a face that has the attribute. Faces for which there is no room stand below
/// the others.
///
/// ```
/// use foresee_report::{ChannelMask, Face, FaceRow, Source, Style, face_masks};
///
/// // A grey face of 2 × 2 pixels; of its masks that of channel 17 is the most important one.
/// let face = Face { size: 2, rgb: vec![[0.5; 3]; 4] };
/// let mask = ChannelMask { channel: 17, weight: 0.4, mask: vec![0.9, 0.1, 0.1, 0.1] };
/// let row = FaceRow { name: "Smiling".into(), faces: vec![(true, vec![mask])] };
/// let source = Source { data: "40 drawn faces".into(), synthetic: true };
/// let figure = face_masks("fig4", &[face], &[row], &source, &Style::default())?;
/// assert!(figure.svg().contains("Smiling") && figure.svg().contains("17 +"));
/// // The face and its mask are pictures.
/// assert!(figure.svg().matches("<image").count() >= 2);
/// # Ok::<(), foresee_report::Error>(())
/// ```
///
/// # Errors
/// If it cannot be drawn.
pub fn face_masks(
    name: &str,
    faces: &[Face],
    rows: &[FaceRow],
    source: &Source,
    style: &Style,
) -> Result<Figure> {
    let layout = Layout::new(faces.len(), rows, style);
    let room = style.units() - 2 * MARGIN;
    let above = above_note(values(rows), layout.high);
    let heading = style.fitted(&heading(layout.per_face, above), SMALL, room);
    let top = heading.height() + 8;
    let bottom = top + faces.len().div_ceil(layout.in_block) as i32 * layout.block();
    let height = bottom + colour_bar::height(style, SCALE, room);
    draw(name, height, source, style, |canvas| {
        heading.right_of(canvas, (MARGIN, 4 + heading.line_height() / 2))?;
        for (i, block) in (0..).zip(faces.chunks(layout.in_block)) {
            let first = i as usize * layout.in_block;
            layout.draw_block(canvas, top + i * layout.block(), block, first, rows)?;
        }
        let colour = |share| overlaid(MID_GREY, share);
        let bar = ColourBar { colour, ends: (0., layout.high), title: SCALE };
        bar.draw(canvas, (MARGIN, bottom), room)
    })
}

/// Where everything is.
struct Layout {
    /// Masks of each face in a row.
    per_face: i32,
    /// Faces beside each other.
    in_block: usize,
    /// Width of the attributes' names.
    left: i32,
    /// Side of a picture.
    side: i32,
    /// Height of a row.
    row: i32,
    rows: i32,
    /// The mask value at the upper end of the colour scale.
    high: f64,
}

impl Layout {
    fn new(faces: usize, rows: &[FaceRow], style: &Style) -> Self {
        let high = upper_end(values(rows));
        let shown = rows.first().and_then(|row| row.faces.first());
        let per_face = shown.map_or(1, |(_, masks)| masks.len().max(1)) as i32;
        let left = (style.units() / 5).clamp(80, 150);
        let room = style.units() - left - MARGIN;
        let side = |faces: i32| (room / faces - BETWEEN) / per_face - GAP;
        let most = (1..=faces.max(1) as i32).rev().find(|&n| side(n) >= SIDES.0).unwrap_or(1);
        let blocks = faces.max(1).div_ceil(most as usize);
        let in_block = faces.max(1).div_ceil(blocks);
        let side = side(in_block as i32).clamp(8, SIDES.1);
        let names = rows.iter().map(|row| style.shortened(&row.name, BODY, left - 16, 4).height());
        let row = (side + NUMBER + 4).max(names.max().unwrap_or(0) + 4);
        Self { per_face, in_block, left, side, row, rows: rows.len() as i32, high }
    }

    /// Height of a block of faces.
    fn block(&self) -> i32 {
        self.side + 10 + self.rows * self.row + 8
    }

    /// Left end of a face's mask of this rank.
    fn column(&self, face: usize, rank: i32) -> i32 {
        let step = self.side + GAP;
        self.left + face as i32 * (self.per_face * step + BETWEEN) + rank * step
    }

    /// Faces, each above the middle of its masks, and all rows of masks below.
    fn draw_block(
        &self,
        canvas: &Canvas,
        y: i32,
        faces: &[Face],
        first: usize,
        rows: &[FaceRow],
    ) -> Drawn {
        canvas.left_of("face", (self.left - 10, y + self.side / 2), BODY)?;
        let step = self.side + GAP;
        for (i, face) in faces.iter().enumerate() {
            let x = self.column(i, 0) + (self.per_face * step - GAP - self.side) / 2;
            let rgb = face.rgb.iter().flat_map(|p| p.map(byte)).collect();
            canvas.place(self.picture((x, y), face, rgb));
        }
        for (r, row) in (0..).zip(rows) {
            let y = y + self.side + 10 + r * self.row;
            let name = canvas.style.shortened(&row.name, BODY, self.left - 16, 4);
            name.left_of(canvas, (self.left - 10, y + self.side / 2 - name.more() / 2))?;
            let of_faces = faces.iter().zip(row.faces.iter().skip(first));
            for (i, (face, (present, masks))) in of_faces.enumerate() {
                if *present {
                    self.draw_bar(canvas, (i, y))?;
                }
                self.draw_masks(canvas, (i, y), face, masks)?;
            }
        }
        Ok(())
    }

    /// The bar that says that a face has the attribute.
    fn draw_bar(&self, canvas: &Canvas, (i, y): (usize, i32)) -> Drawn {
        let right = self.column(i, 0) - 2;
        let corners = [(right - BAR, y), (right, y + self.side)];
        canvas.area.draw(&Rectangle::new(corners, BLACK.filled()))?;
        Ok(())
    }

    /// An attribute's masks over a face.
    fn draw_masks(
        &self,
        canvas: &Canvas,
        (i, y): (usize, i32),
        face: &Face,
        masks: &[ChannelMask],
    ) -> Drawn {
        for (rank, mask) in (0..).zip(masks) {
            let x = self.column(i, rank);
            let pixels = face.rgb.iter().zip(&mask.mask);
            let rgb =
                pixels.flat_map(|(p, value)| overlaid(luminance(p), share(*value, self.high)));
            canvas.place(self.picture((x, y), face, rgb.collect()));
            let at = (x + self.side / 2, y + self.side + NUMBER / 2);
            let number = canvas.style.shortened(&mask.number(), SMALL, self.side + GAP, 1);
            number.centred(canvas, at)?;
        }
        Ok(())
    }

    fn picture(&self, at: (i32, i32), face: &Face, rgb: Vec<u8>) -> Picture {
        Picture { at, size: (self.side, self.side), pixels: (face.size, face.size), rgb }
    }
}

/// A grey pixel of this luminance under a mask, whose value is a share in [0, 1] of the scale: the
/// more the mask lets through, the more of its colour.
fn overlaid(luminance: f64, share: f64) -> [u8; 3] {
    let share = share.clamp(0., 1.);
    blend(0.35 + 0.5 * luminance, COLOURS.at(share), 0.25 + 0.65 * share)
}
