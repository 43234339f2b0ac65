//! Attribution methods beside each other, as maps over faces or other images.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::canvas::{Canvas, Drawn, Fitted, MARGIN, Picture, draw};
use crate::colour::ColourMap;
use crate::colour_bar::{self, ColourBar, number_label};
use crate::error::Result;
use crate::face::{Face, MID_GREY, blend, byte, luminance};
use crate::figure::Figure;
use crate::scale::{share, upper_end};
use crate::source::Source;
use crate::style::{SMALL, Style};

/// Smallest and largest side of a picture.
const SIDES: (i32, i32) = (40, 64);
const GAP: i32 = 6;
/// Smallest and largest width of the methods' names.
const NAMES: (i32, i32) = (80, 150);
/// Height of the line above the methods of a kind.
const KIND: i32 = 20;
/// What a colour bar is named.
const SCALE: &str = "share of a method's scale, over mid grey";
/// Lines of a column's name and of a method's name, at most.
const COLUMN_LINES: usize = 7;
const METHOD_LINES: usize = 3;

/// What pictures are called.
#[derive(Clone, Copy)]
struct Words {
    /// One of them.
    picture: &'static str,
    /// What is written below the maps.
    note: &'static str,
}

const FACES: Words = Words {
    picture: "face",
    note: "Colours are shares of a method's 99.5th percentile of |value| over all faces (\u{201c}1 \
           is\u{201d}). A global map is the same for every face, and what is below 0 in it is \
           drawn as 0. An outline on a face shows where a drawn attribute is.",
};

const IMAGES: Words = Words {
    picture: "image",
    note: "Colours are shares of a method's 99.5th percentile of |value| over all images of this \
           figure (\u{201c}1 is\u{201d}).",
};

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
    /// What its colours mean.
    pub fn title(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned: how much a pixel counts",
            Self::Signed => "signed: for (red) and against (blue)",
            Self::Global => "global: one map for all faces",
        }
    }

    /// A light grey face's pixel of this luminance under a share in [-1, 1] of the method's scale.
    pub(crate) fn overlaid(self, luminance: f64, share: f64) -> [u8; 3] {
        let (strength, colour) = match self {
            Self::Signed => (share.abs(), ColourMap::Diverging.at((share + 1.) / 2.)),
            Self::Unsigned | Self::Global => (share.max(0.), ColourMap::ViridisReversed.at(share)),
        };
        blend(0.55 + 0.4 * luminance, colour, 0.35 + 0.6 * strength.clamp(0., 1.))
    }
}

/// A row of [`face_attributions`].
#[derive(Debug, Clone)]
pub struct AttributionMethod {
    /// Its name.
    pub name: String,
    /// What its values mean. Methods of a kind stand together.
    pub kind: AttributionKind,
}

/// The attributions of one attribute, a column of [`face_attributions`].
#[derive(Debug, Clone)]
pub struct AttributionColumn {
    /// The attribute, and what the model says of it.
    pub name: String,
    /// The face that is explained.
    pub face: Face,
    /// The pixels at which the attribute is, where that is known; it is outlined.
    pub region: Option<Vec<bool>>,
    /// For each method a map in the method's own unit, pixel by pixel, row by row.
    pub maps: Vec<Vec<f64>>,
}

/// Attribution methods as rows and attributes as columns, each over a face of its own. Attributes
/// for which there is no room stand below the others; where there is more than enough, methods
/// stand beside each other. A method's colours are shares of one scale for all faces, the 99.5th
/// percentile of |value|, which is written below its name. Methods come in the order unsigned,
/// signed, global.
///
/// # Errors
/// If it cannot be drawn.
pub fn face_attributions(
    name: &str,
    methods: &[AttributionMethod],
    columns: &[AttributionColumn],
    source: &Source,
    style: &Style,
) -> Result<Figure> {
    attributions(name, FACES, methods, columns, source, style)
}

/// [`face_attributions`] over images that are no faces.
///
/// # Errors
/// If it cannot be drawn.
pub fn image_attributions(
    name: &str,
    methods: &[AttributionMethod],
    columns: &[AttributionColumn],
    source: &Source,
    style: &Style,
) -> Result<Figure> {
    attributions(name, IMAGES, methods, columns, source, style)
}

fn attributions(
    name: &str,
    words: Words,
    methods: &[AttributionMethod],
    columns: &[AttributionColumn],
    source: &Source,
    style: &Style,
) -> Result<Figure> {
    let strips = strips(methods, columns, style);
    let in_block = strips[0].in_block;
    let block = strips.iter().map(Layout::block).max().unwrap_or(0);
    let blocks = columns.chunks(in_block);
    let bottom = blocks.len() as i32 * block;
    let room = style.units() - 2 * MARGIN;
    let note = style.fitted(words.note, SMALL, room);
    let bar = colour_bar::height(style, SCALE, room / 2 - 16);
    draw(name, bottom + bar + note.height() + 6, source, style, |canvas| {
        for (here, y) in blocks.zip((0..).map(|i| i * block)) {
            for strip in &strips {
                strip.draw_names(canvas, y, words)?;
                for (column, i) in here.iter().zip(0..) {
                    strip.draw_column(
                        canvas,
                        (strip.x + strip.left + i * strip.step, y),
                        column,
                    )?;
                }
            }
        }
        draw_colour_bars(canvas, bottom, methods)?;
        note.right_of(canvas, (MARGIN, bottom + bar + 4 + note.line_height() / 2))
    })
}

/// Methods with all columns, as many beside each other as there is room for.
fn strips<'a>(
    methods: &'a [AttributionMethod],
    columns: &[AttributionColumn],
    style: &Style,
) -> Vec<Layout<'a>> {
    let methods = in_order(methods, columns);
    let wide = NAMES.1 + columns.len() as i32 * (SIDES.1 + GAP) + MARGIN;
    let most = (style.units() / wide).clamp(1, methods.len().max(1) as i32);
    let in_strip = methods.len().div_ceil(most as usize).max(1);
    let count = methods.len().div_ceil(in_strip).max(1) as i32;
    let width = style.units() / count;
    let strip = |i: i32| {
        let here = methods.iter().skip(i as usize * in_strip).take(in_strip);
        Layout::new(here.copied().collect(), columns, style, (i * width, width))
    };
    (0..count).map(strip).collect()
}

/// Methods in the order in which they are drawn, and where.
struct Layout<'a> {
    /// Left end.
    x: i32,
    /// Each method's place among the maps of a column, the method, and the upper end of its scale.
    methods: Vec<(usize, &'a AttributionMethod, f64)>,
    /// The methods' names with what 1 is on their scales.
    names: Vec<Fitted>,
    /// Top of each method's row in its block.
    tops: Vec<i32>,
    /// Columns beside each other.
    in_block: usize,
    /// Width of the methods' names, and from a column to the next.
    left: i32,
    step: i32,
    /// Side of a picture.
    side: i32,
    /// Height of the columns' names.
    above: i32,
    /// Height of a row.
    row: i32,
}

impl<'a> Layout<'a> {
    fn new(
        methods: Vec<(usize, &'a AttributionMethod, f64)>,
        columns: &[AttributionColumn],
        style: &Style,
        (x, width): (i32, i32),
    ) -> Self {
        let left = (width / 5).clamp(NAMES.0, NAMES.1);
        let room = width - left - MARGIN;
        let most = (room / (SIDES.0 + GAP)).max(1) as usize;
        let blocks = columns.len().div_ceil(most).max(1);
        let in_block = columns.len().div_ceil(blocks).max(1);
        let step = (room / in_block as i32).min(2 * SIDES.1);
        let side = (step - GAP).clamp(8, SIDES.1);
        let name = |(_, method, scale): &(usize, &AttributionMethod, f64)| {
            let room = left - 10;
            let lines = style.lines(&method.name, SMALL, room);
            let mut lines = style.cut(lines, METHOD_LINES, SMALL, room);
            let scale = if *scale > 0. { number_label(*scale) } else { "–".into() };
            lines.push(format!("1 is {scale}"));
            Fitted { lines, size: SMALL }
        };
        let names: Vec<Fitted> = methods.iter().map(name).collect();
        let heads = columns.iter().map(|column| column_name(column, style, step).height());
        let above = heads.max().unwrap_or(0) + 8;
        let row = side.max(names.iter().map(Fitted::height).max().unwrap_or(0)) + GAP;
        let mut layout =
            Self { x, methods, names, tops: vec![], in_block, left, step, side, above, row };
        layout.tops = layout.tops();
        layout
    }

    /// Rows follow each other below the faces; above the first of a kind is a line.
    fn tops(&self) -> Vec<i32> {
        let mut y = self.above + self.side + 4;
        let top = |at: usize| {
            y += if self.begins_kind(at) { KIND } else { 0 };
            y += self.row;
            y - self.row
        };
        (0..self.methods.len()).map(top).collect()
    }

    /// Height of a block.
    fn block(&self) -> i32 {
        self.tops.last().map_or(self.above + self.side, |top| top + self.row) + 8
    }

    /// Whether a method is the first of its kind.
    fn begins_kind(&self, at: usize) -> bool {
        at == 0 || self.methods[at].1.kind != self.methods[at - 1].1.kind
    }

    /// The methods' names, and what a kind's colours mean above its first.
    fn draw_names(&self, canvas: &Canvas, y: i32, words: Words) -> Drawn {
        let left = self.x + self.left;
        let middle = y + self.above + self.side / 2;
        canvas.left_of(words.picture, (left - 8, middle), SMALL)?;
        for (at, (name, top)) in self.names.iter().zip(&self.tops).enumerate() {
            let y = y + top;
            if self.begins_kind(at) {
                let grey = RGBColor(90, 90, 90);
                let title = self.methods[at].1.kind.title();
                let place = (left, y - KIND / 2);
                canvas.text(title, place, SMALL, grey, (HPos::Left, VPos::Center))?;
            }
            name.left_of(canvas, (left - 8, y + self.side / 2 - name.more() / 2))?;
        }
        Ok(())
    }

    /// An attribute's name, its face, and the methods' maps over the face.
    fn draw_column(
        &self,
        canvas: &Canvas,
        (x, y): (i32, i32),
        column: &AttributionColumn,
    ) -> Drawn {
        let name = column_name(column, canvas.style, self.step);
        let top = y + self.above - 4 - name.height() + name.line_height() / 2;
        name.draw(canvas, (x + self.side / 2, top), BLACK, HPos::Center)?;
        let place = |y: i32, pixels: usize, rgb: Vec<u8>| {
            let size = (self.side, self.side);
            canvas.place(Picture { at: (x, y), size, pixels: (pixels, pixels), rgb });
        };
        let (side, rgb) = outlined(&column.face, column.region.as_deref());
        place(y + self.above, side, rgb);
        for ((m, method, scale), top) in self.methods.iter().zip(&self.tops) {
            let Some(map) = column.maps.get(*m) else { continue };
            let pixels = column.face.rgb.iter().zip(map);
            let rgb = pixels
                .flat_map(|(p, value)| method.kind.overlaid(luminance(p), share(*value, *scale)));
            place(y + top, column.face.size, rgb.collect());
        }
        Ok(())
    }
}

/// A column's name in lines that are as wide as the column.
fn column_name(column: &AttributionColumn, style: &Style, width: i32) -> Fitted {
    let lines = column.name.lines().flat_map(|line| style.lines(line, SMALL, width));
    Fitted { lines: style.cut(lines.collect(), COLUMN_LINES, SMALL, width), size: SMALL }
}

/// Each method's place, the method, and the upper end of its scale, by kind.
fn in_order<'a>(
    methods: &'a [AttributionMethod],
    columns: &[AttributionColumn],
) -> Vec<(usize, &'a AttributionMethod, f64)> {
    let scale = |m: usize| {
        upper_end(columns.iter().filter_map(|column| column.maps.get(m)).flatten().map(|v| v.abs()))
    };
    let mut methods: Vec<_> =
        methods.iter().enumerate().map(|(m, method)| (m, method, scale(m))).collect();
    methods.sort_by_key(|(_, method, _)| method.kind);
    methods
}

/// A colour bar for methods without a sign, and one beside it for those with a sign, where there
/// are such.
fn draw_colour_bars(canvas: &Canvas, y: i32, methods: &[AttributionMethod]) -> Drawn {
    let half = canvas.style.units() / 2;
    let is_signed = |method: &AttributionMethod| method.kind == AttributionKind::Signed;
    let mut x = MARGIN;
    if methods.iter().any(|method| !is_signed(method)) {
        let colour = |share: f64| AttributionKind::Unsigned.overlaid(MID_GREY, share);
        let bar = ColourBar { colour, ends: (0., 1.), title: SCALE };
        bar.draw(canvas, (x, y), half - 24)?;
        x += half;
    }
    if methods.iter().any(is_signed) {
        let colour = |share: f64| AttributionKind::Signed.overlaid(MID_GREY, 2. * share - 1.);
        let bar = ColourBar { colour, ends: (-1., 1.), title: SCALE };
        bar.draw(canvas, (x, y), half - 24)?;
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
        let column = |map: Vec<f64>| AttributionColumn {
            name: String::new(),
            face: Face { size: 1, rgb: vec![[0.; 3]] },
            region: None,
            maps: vec![map],
        };
        let first: Vec<f64> = (0..500).map(|i| -f64::from(i % 10)).collect();
        let columns = [column(first), column([vec![1e6], vec![0.; 499]].concat())];
        assert_eq!(in_order(&[method], &columns)[0].2, 9.);
    }
}
