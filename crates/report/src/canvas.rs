//! Drawing on SVG: an area for lines and text, pictures of pixels, and a note about the source.

use base64::Engine;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use resvg::tiny_skia;

use crate::error::{Error, Result};
use crate::figure::Figure;
use crate::font;
use crate::source::Source;

/// Height of the strip at the bottom with the note about the source.
const NOTE: i32 = 30;

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(crate) type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

/// Pixels that are placed in a figure as an image.
pub(crate) struct Picture {
    /// Left and top in SVG units.
    pub at: (i32, i32),
    /// Width and height in SVG units.
    pub size: (i32, i32),
    /// Columns and rows of pixels.
    pub pixels: (usize, usize),
    /// Red, green and blue of each pixel, row by row.
    pub rgb: Vec<u8>,
}

/// Draws a figure. `body` gets the area above the note, and a list to which it adds the figure's
/// pictures. These lie above all else.
pub(crate) fn draw(
    name: &str,
    (width, height): (u32, u32),
    source: &Source,
    body: impl FnOnce(&Area, &mut Vec<Picture>) -> Drawn,
) -> Result<Figure> {
    let failed = |reason: String| Error::Drawing { figure: name.into(), reason };
    font::register();
    let note = source_note(width, source);
    let strip = NOTE + note.line_height() * (note.lines.len() as i32 - 1);
    let height = height + strip as u32;
    let mut svg = String::new();
    let mut pictures = vec![];
    {
        let root = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        let result = (|| -> Drawn {
            root.fill(&WHITE)?;
            let (top, bottom) = root.split_vertically(height as i32 - strip);
            body(&top, &mut pictures)?;
            let colour = if source.synthetic { RGBColor(176, 0, 32) } else { RGBColor(90, 90, 90) };
            note.draw(&bottom, (8, NOTE / 2), colour, HPos::Left)?;
            root.present()?;
            Ok(())
        })();
        result.map_err(|e| failed(e.to_string()))?;
    }
    let images = pictures
        .iter()
        .map(image_element)
        .collect::<Option<String>>()
        .ok_or_else(|| failed("an image has no pixels".into()))?;
    let family = font::FAMILY;
    let svg = svg
        .replace(
            &format!("font-family=\"{family}\""),
            &format!("font-family=\"{family}, Verdana, sans-serif\""),
        )
        .replace("</svg>", &format!("{images}</svg>"));
    Ok(Figure::new(name, svg, (width, height)))
}

fn source_note(width: u32, source: &Source) -> Fitted {
    fitted(&source.note(), 13., width as i32 - 16)
}

fn image_element(picture: &Picture) -> Option<String> {
    let (w, h) = picture.pixels;
    let mut pixmap = tiny_skia::Pixmap::new(w as u32, h as u32)?;
    for (to, from) in pixmap.data_mut().chunks_exact_mut(4).zip(picture.rgb.chunks_exact(3)) {
        to.copy_from_slice(&[from[0], from[1], from[2], 255]);
    }
    let data = base64::engine::general_purpose::STANDARD.encode(pixmap.encode_png().ok()?);
    let (x, y) = picture.at;
    let (width, height) = picture.size;
    Some(format!(
        "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" \
         preserveAspectRatio=\"none\" image-rendering=\"optimizeSpeed\" \
         style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{data}\"/>\n"
    ))
}

pub(crate) fn style(size: f64, colour: RGBColor) -> TextStyle<'static> {
    (font::FAMILY, size).into_font().color(&colour)
}

pub(crate) fn text(
    area: &Area,
    words: &str,
    at: (i32, i32),
    size: f64,
    colour: RGBColor,
    (h, v): (HPos, VPos),
) -> Drawn {
    // XML has no such signs.
    let is_unknown = |c: char| c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}');
    let words = words.replace(is_unknown, "\u{FFFD}");
    area.draw(&Text::new(words, at, style(size, colour).pos(Pos::new(h, v))))?;
    Ok(())
}

/// Black text to the right of a place, at its height.
pub(crate) fn right_of(area: &Area, words: &str, at: (i32, i32), size: f64) -> Drawn {
    text(area, words, at, size, BLACK, (HPos::Left, VPos::Center))
}

/// Black text to the left of a place, at its height.
pub(crate) fn left_of(area: &Area, words: &str, at: (i32, i32), size: f64) -> Drawn {
    text(area, words, at, size, BLACK, (HPos::Right, VPos::Center))
}

/// Black text below a place.
pub(crate) fn below(area: &Area, words: &str, at: (i32, i32), size: f64) -> Drawn {
    text(area, words, at, size, BLACK, (HPos::Center, VPos::Top))
}

/// Black text around a place.
pub(crate) fn centred(area: &Area, words: &str, at: (i32, i32), size: f64) -> Drawn {
    text(area, words, at, size, BLACK, (HPos::Center, VPos::Center))
}

/// Words that fit into a width: in one line if need be somewhat smaller, else in several.
pub(crate) struct Fitted {
    pub lines: Vec<String>,
    pub size: f64,
}

/// How much smaller letters may be before a second line is begun.
const SMALLEST: f64 = 0.75;

/// Fits words of this size into this width.
pub(crate) fn fitted(words: &str, size: f64, width: i32) -> Fitted {
    let width = f64::from(width.max(1));
    let one_line = size * (width / width_of(words, size)).min(1.);
    if one_line >= SMALLEST * size {
        return Fitted { lines: vec![words.into()], size: one_line };
    }
    let size = SMALLEST * size;
    Fitted { lines: lines(words, size, width as i32), size }
}

/// Words in lines of this size that are no wider than this.
pub(crate) fn lines(words: &str, size: f64, width: i32) -> Vec<String> {
    let width = f64::from(width.max(1));
    let mut lines: Vec<String> = vec![];
    for word in words.split(' ').flat_map(|word| pieces(word, size, width)) {
        let longer = lines.last().map(|line| format!("{line} {word}"));
        match (longer.filter(|longer| width_of(longer, size) <= width), lines.last_mut()) {
            (Some(longer), Some(line)) => *line = longer,
            _ => lines.push(word),
        }
    }
    lines
}

/// No more than so many lines; what is left out is told by dots.
pub(crate) fn shortened(mut lines: Vec<String>, most: usize) -> Vec<String> {
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            last.pop();
            last.push('…');
        }
    }
    lines
}

/// A word, or, if it is wider than a line, its parts.
fn pieces(word: &str, size: f64, width: f64) -> Vec<String> {
    let mut pieces = vec![];
    let mut piece = String::new();
    for letter in word.chars() {
        piece.push(letter);
        if piece.chars().count() > 1 && width_of(&piece, size) > width {
            piece.pop();
            pieces.push(std::mem::replace(&mut piece, letter.into()));
        }
    }
    pieces.push(piece);
    pieces
}

/// The width of text. A word without a letter that the font has counts by its letters.
pub(crate) fn width_of(words: &str, size: f64) -> f64 {
    font::register();
    let measured = (font::FAMILY, size).into_font().box_size(words);
    measured.map_or(words.chars().count() as f64 * 0.6 * size, |(width, _)| f64::from(width))
}

impl Fitted {
    /// From a line to the next.
    pub fn line_height(&self) -> i32 {
        (1.25 * self.size).ceil() as i32
    }

    /// Height of all lines but the first.
    pub fn more(&self) -> i32 {
        self.line_height() * (self.lines.len() as i32 - 1)
    }

    /// Draws the lines, of which the first is centred at a height.
    pub fn draw(&self, area: &Area, (x, y): (i32, i32), colour: RGBColor, h: HPos) -> Drawn {
        for (line, words) in (0..).zip(&self.lines) {
            let at = (x, y + line * self.line_height());
            text(area, words, at, self.size, colour, (h, VPos::Center))?;
        }
        Ok(())
    }

    /// Draws black lines around a place.
    pub fn centred(&self, area: &Area, (x, y): (i32, i32)) -> Drawn {
        self.draw(area, (x, y - self.more() / 2), BLACK, HPos::Center)
    }

    /// Draws black lines that end at a place.
    pub fn left_of(&self, area: &Area, at: (i32, i32)) -> Drawn {
        self.draw(area, at, BLACK, HPos::Right)
    }

    /// Draws black lines that begin at a place.
    pub fn right_of(&self, area: &Area, at: (i32, i32)) -> Drawn {
        self.draw(area, at, BLACK, HPos::Left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fitted_words_are_no_wider_than_their_place() {
        let long = "x".repeat(300);
        let many = "several words that go on and on ".repeat(9);
        for words in ["short", "a somewhat longer title", &long, &many, "", "ééé \u{4e2d}\u{6587}"]
        {
            for width in [40, 160, 400] {
                let found = fitted(words, 16., width);
                assert!((12. ..=16.).contains(&found.size), "{words}: {}", found.size);
                for line in &found.lines {
                    let wide = width_of(line, found.size);
                    assert!(wide <= f64::from(width) + 1., "{line:?}: {wide} of {width}");
                }
                let kept: String = found.lines.concat().split(' ').collect();
                assert_eq!(kept, words.split(' ').collect::<String>());
            }
        }
        assert_eq!(fitted("short", 16., 400).size, 16.);
    }
}
