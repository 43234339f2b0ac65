//! Attribution methods beside each other, as maps over faces.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::canvas::{
    Area, Drawn, Picture, centred, draw, left_of, lines, right_of, shortened, text, width_of,
};
use crate::colour::ColourMap;
use crate::colour_bar::{colour_bar, number_label};
use crate::error::Result;
use crate::face::{Face, MID_GREY, blend, byte, luminance};
use crate::figure::Figure;
use crate::scale::{share, upper_end};
use crate::source::Source;

/// Height and width of a picture.
const CELL: i32 = 84;
const GAP: i32 = 8;
const LEFT: i32 = 150;
const TOP: i32 = 76;
/// Height of a colour bar, and from one to the next.
const BAR: i32 = 150;
const BAR_STEP: i32 = 190;

/// What is written below the maps.
const NOTE: &str = "Colours are shares of a method's 99.5th percentile of |value| over all rows \
     (\u{201c}1 is\u{201d}). A global map is the same for every face, and what is below 0 in it is \
     drawn as 0. An outline on a face shows where a drawn attribute is.";

/// Height of a line of the note.
const NOTE_LINE: i32 = 18;

/// What the values of an attribution method mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AttributionKind {
    /// From 0: how much a pixel counts, not for what.
    Unsigned,
    /// Above 0 for the attribute, below 0 against it.
    Signed,
    /// One map for all faces; how much a pixel counts, and below 0 nothing but chance.
    Global,
}

impl AttributionKind {
    fn title(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned: how much a pixel counts",
            Self::Signed => "signed: for (red) and against (blue)",
            Self::Global => "global",
        }
    }

    /// A light grey face's pixel of this luminance under a share in [-1, 1] of the method's scale.
    fn overlaid(self, luminance: f64, share: f64) -> [u8; 3] {
        let (strength, colour) = match self {
            Self::Signed => (share.abs(), ColourMap::Diverging.at((share + 1.) / 2.)),
            Self::Unsigned | Self::Global => (share.max(0.), ColourMap::ViridisReversed.at(share)),
        };
        blend(0.55 + 0.4 * luminance, colour, 0.35 + 0.6 * strength.clamp(0., 1.))
    }
}

/// A column of [`face_attributions`].
#[derive(Debug, Clone)]
pub struct AttributionMethod {
    /// Its name.
    pub name: String,
    /// What its values mean. Columns of a kind stand together.
    pub kind: AttributionKind,
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
    let columns = Columns::new(methods, rows);
    let right = columns.left(methods.len()) + CELL + GAP;
    let below_rows = TOP + rows.len() as i32 * (CELL + GAP);
    // The colour bars need as much.
    let bottom = below_rows.max(TOP + BAR_STEP * bars(methods) - 30);
    let width = right + 92;
    let note = lines(NOTE, 13., width - 24);
    let height = bottom + 28 + NOTE_LINE * note.len() as i32;
    draw(name, (width as u32, height as u32), source, |area, pictures| {
        columns.draw_headings(area)?;
        for (r, row) in rows.iter().enumerate() {
            columns.draw_row(area, pictures, TOP + r as i32 * (CELL + GAP), row)?;
        }
        columns.draw_scales(area, below_rows + 6)?;
        for (line, words) in (0..).zip(&note) {
            right_of(area, words, (12, bottom + 30 + NOTE_LINE * line), 13.)?;
        }
        draw_colour_bars(area, pictures, right + 8, methods)
    })
}

/// The methods in the order in which they are drawn.
struct Columns<'a> {
    /// Each method's place among the maps of a row, the method, and the upper end of its scale.
    methods: Vec<(usize, &'a AttributionMethod, f64)>,
}

impl<'a> Columns<'a> {
    fn new(methods: &'a [AttributionMethod], rows: &[AttributionRow]) -> Self {
        let scale = |m: usize| {
            upper_end(rows.iter().filter_map(|row| row.maps.get(m)).flatten().map(|v| v.abs()))
        };
        let mut methods: Vec<_> =
            methods.iter().enumerate().map(|(m, method)| (m, method, scale(m))).collect();
        methods.sort_by_key(|(_, method, _)| method.kind);
        Self { methods }
    }

    /// Whether a method is the first of its kind.
    fn begins_kind(&self, at: usize) -> bool {
        at == 0 || self.methods[at].1.kind != self.methods[at - 1].1.kind
    }

    /// Left end of a column: the face is column 0, then come the methods. Kinds stand apart from
    /// each other and from the face.
    fn left(&self, column: usize) -> i32 {
        let kinds = (0..column).filter(|&at| self.begins_kind(at)).count();
        LEFT + column as i32 * (CELL + GAP) + 14 * kinds as i32
    }

    /// The names of columns, and what a kind's colours mean above its first.
    fn draw_headings(&self, area: &Area) -> Drawn {
        for (at, (_, method, _)) in self.methods.iter().enumerate() {
            if self.begins_kind(at) {
                let columns = self.methods.iter().filter(|m| m.1.kind == method.kind).count();
                let title = method.kind.title();
                let short = title.split(':').next().unwrap_or_default();
                let room = f64::from(columns as i32 * (CELL + GAP));
                let has_room = columns > 1 && width_of(title, 13.) <= room;
                text(
                    area,
                    if has_room { title } else { short },
                    (self.left(at + 1), 12),
                    13.,
                    RGBColor(90, 90, 90),
                    (HPos::Left, VPos::Center),
                )?;
            }
        }
        let names = self.methods.iter().map(|(_, method, _)| method.name.as_str());
        for (i, name) in std::iter::once("face").chain(names).enumerate() {
            for (part, line) in lines(name, 13., CELL + 4).iter().enumerate() {
                centred(area, line, (self.left(i) + CELL / 2, 34 + 16 * part as i32), 13.)?;
            }
        }
        Ok(())
    }

    /// An attribute's name, its face, and the methods' maps over the face.
    fn draw_row(
        &self,
        area: &Area,
        pictures: &mut Vec<Picture>,
        y: i32,
        row: &AttributionRow,
    ) -> Drawn {
        let name = row.name.lines().flat_map(|line| lines(line, 13., LEFT - 20));
        for (part, line) in shortened(name.collect(), 5).iter().enumerate() {
            left_of(area, line, (LEFT - 12, y + 10 + 16 * part as i32), 13.)?;
        }
        let mut place = |column: usize, side: usize, rgb: Vec<u8>| {
            let at = (self.left(column), y);
            pictures.push(Picture { at, size: (CELL, CELL), pixels: (side, side), rgb });
        };
        let (side, rgb) = outlined(&row.face, row.region.as_deref());
        place(0, side, rgb);
        for (at, (m, method, scale)) in self.methods.iter().enumerate() {
            let Some(map) = row.maps.get(*m) else { continue };
            let pixels = row.face.rgb.iter().zip(map);
            let rgb = pixels
                .flat_map(|(p, value)| method.kind.overlaid(luminance(p), share(*value, *scale)));
            place(at + 1, row.face.size, rgb.collect());
        }
        Ok(())
    }

    /// What 1 is on each method's scale.
    fn draw_scales(&self, area: &Area, y: i32) -> Drawn {
        left_of(area, "1 is", (LEFT - 12, y), 13.)?;
        for (at, (_, _, scale)) in self.methods.iter().enumerate() {
            let words = if *scale > 0. { number_label(*scale) } else { "–".into() };
            centred(area, &words, (self.left(at + 1) + CELL / 2, y), 13.)?;
        }
        Ok(())
    }
}

/// How many colour bars the methods need: one for those with a sign, one for those without.
fn bars(methods: &[AttributionMethod]) -> i32 {
    let signed = methods.iter().filter(|method| method.kind == AttributionKind::Signed).count();
    i32::from(signed > 0) + i32::from(signed < methods.len())
}

/// A colour bar for methods without a sign, and one for those with a sign, where there are such.
fn draw_colour_bars(
    area: &Area,
    pictures: &mut Vec<Picture>,
    x: i32,
    methods: &[AttributionMethod],
) -> Drawn {
    let title = "share, over mid grey";
    if methods.iter().any(|method| method.kind != AttributionKind::Signed) {
        let colour = |share: f64| AttributionKind::Unsigned.overlaid(MID_GREY, share);
        colour_bar(area, pictures, (x, TOP), BAR, colour, (0., 1.), title)?;
    }
    if methods.iter().any(|method| method.kind == AttributionKind::Signed) {
        let colour = |share: f64| AttributionKind::Signed.overlaid(MID_GREY, 2. * share - 1.);
        let y = TOP + BAR_STEP * (bars(methods) - 1);
        colour_bar(area, pictures, (x, y), BAR, colour, (-1., 1.), title)?;
    }
    Ok(())
}

/// A face in colour, enlarged so that a line around its region is thinner than a pixel: side and
/// bytes.
fn outlined(face: &Face, region: Option<&[bool]>) -> (usize, Vec<u8>) {
    const TIMES: usize = 6;
    const LINE: [u8; 3] = [60, 240, 255];
    let size = face.size;
    let side = size * TIMES;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::colour::tests::lightness;

    /// Over a face of one grey, more is darker, on both sides of 0 alike.
    #[test]
    fn stronger_values_are_darker() {
        use AttributionKind::{Signed, Unsigned};
        let at = |kind: AttributionKind, share: f64| lightness(kind.overlaid(MID_GREY, share));
        for i in 0..20 {
            let less = f64::from(i) / 20.;
            let more = f64::from(i + 1) / 20.;
            assert!(
                at(Unsigned, less) > at(Unsigned, more) && at(Signed, less) > at(Signed, more),
                "{less}"
            );
            assert!((at(Signed, more) - at(Signed, -more)).abs() < 3., "{more}");
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
    fn a_scale_is_that_of_absolute_values_over_all_rows() {
        let method = AttributionMethod { name: "a".into(), kind: AttributionKind::Signed };
        let row = |map: Vec<f64>| AttributionRow {
            name: String::new(),
            face: Face { size: 1, rgb: vec![[0.; 3]] },
            region: None,
            maps: vec![map],
        };
        let first: Vec<f64> = (0..500).map(|i| -f64::from(i % 10)).collect();
        let rows = [row(first), row([vec![1e6], vec![0.; 499]].concat())];
        assert_eq!(Columns::new(&[method], &rows).methods[0].2, 9.);
    }
}
