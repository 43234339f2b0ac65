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
    let height = height + NOTE as u32;
    let mut svg = String::new();
    let mut pictures = vec![];
    {
        let root = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        let result = (|| -> Drawn {
            root.fill(&WHITE)?;
            let (top, bottom) = root.split_vertically(height as i32 - NOTE);
            body(&top, &mut pictures)?;
            source_note(&bottom, width, source)?;
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

fn source_note(area: &Area, width: u32, source: &Source) -> Drawn {
    let colour = if source.synthetic { RGBColor(176, 0, 32) } else { RGBColor(90, 90, 90) };
    // Long notes are set smaller rather than cut.
    let note = source.note();
    let size = (f64::from(width) / (note.chars().count() as f64 * 0.6)).clamp(7., 13.);
    text(area, &note, (8, NOTE / 2), size, colour, (HPos::Left, VPos::Center))
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
    area.draw(&Text::new(words.to_owned(), at, style(size, colour).pos(Pos::new(h, v))))?;
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

/// Words in lines of about this many letters.
pub(crate) fn wrapped(words: &str, letters: usize) -> Vec<String> {
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

    #[test]
    fn words_are_wrapped_between_words() {
        assert_eq!(wrapped("5 o Clock Shadow", 10), ["5 o Clock", "Shadow"]);
        assert_eq!(wrapped("Unbreakable", 4), ["Unbreakable"]);
    }
}
