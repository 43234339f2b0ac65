//! Drawing on SVG: an area for lines and text, pictures of pixels, and a note about the source.

use std::cell::RefCell;

use base64::Engine;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use resvg::tiny_skia;

use crate::error::{Error, Result};
use crate::figure::Figure;
use crate::source::Source;
use crate::style::{PER_FONT_SIZE, SMALL, Style};
use crate::xml::drawable;

/// Between the edge of a figure and what is drawn.
pub(crate) const MARGIN: i32 = 8;

pub(crate) type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

/// Pixels that are placed in a figure as an image.
pub(crate) struct Picture {
    /// Left and top in units.
    pub at: (i32, i32),
    /// Width and height in units.
    pub size: (i32, i32),
    /// Columns and rows of pixels.
    pub pixels: (usize, usize),
    /// Red, green and blue of each pixel, row by row.
    pub rgb: Vec<u8>,
}

/// What is drawn on: an SVG of a style's width, lines above it, and the pictures that lie above all
/// else.
pub(crate) struct Canvas<'s, 'a> {
    pub area: DrawingArea<SVGBackend<'s>, Shift>,
    pub style: &'a Style,
    lines: RefCell<String>,
    pictures: RefCell<Vec<Picture>>,
}

/// Draws a figure of this height, without the note below it.
pub(crate) fn draw(
    name: &str,
    height: i32,
    source: &Source,
    style: &Style,
    body: impl FnOnce(&Canvas) -> Drawn,
) -> Result<Figure> {
    style.check()?;
    let failed = |reason: String| Error::Drawing { figure: name.into(), reason };
    let width = style.units();
    let note = style.fitted(&source.note(), SMALL, width - 2 * MARGIN);
    let strip = if style.note { note.height() + 2 * MARGIN } else { 0 };
    let size = (width as u32, (height + strip) as u32);
    let mut svg = String::new();
    let (lines, pictures) = {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let (lines, pictures) = (RefCell::default(), RefCell::default());
        let canvas = Canvas { area, style, lines, pictures };
        let result = (|| -> Drawn {
            canvas.area.fill(&WHITE)?;
            body(&canvas)?;
            if style.note {
                let colour =
                    if source.synthetic { RGBColor(176, 0, 32) } else { RGBColor(90, 90, 90) };
                let top = height + MARGIN + note.line_height() / 2;
                note.draw(&canvas, (MARGIN, top), colour, HPos::Left)?;
            }
            canvas.area.present()?;
            Ok(())
        })();
        result.map_err(|e| failed(e.to_string()))?;
        (canvas.lines.into_inner(), canvas.pictures.into_inner())
    };
    let images = pictures
        .iter()
        .map(image_element)
        .collect::<Option<String>>()
        .ok_or_else(|| failed("an image has no pixels".into()))?;
    let svg = on_paper(&svg, size, style).replace("</svg>", &format!("{lines}{images}</svg>"));
    Ok(Figure::new(name, svg, size, source, style))
}

/// The SVG with its size in millimetres, and with fonts to take where its own is missing.
fn on_paper(svg: &str, (width, height): (u32, u32), style: &Style) -> String {
    let family = style.font.family();
    let (wide, high) = (style.millimetres(width), style.millimetres(height));
    svg.replacen(
        &format!("width=\"{width}\" height=\"{height}\""),
        &format!("width=\"{wide:.3}mm\" height=\"{high:.3}mm\""),
        1,
    )
    .replace(
        &format!("font-family=\"{family}\""),
        &format!("font-family=\"{family}, DejaVu Sans, Verdana, sans-serif\""),
    )
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

impl Canvas<'_, '_> {
    /// Places a picture above all else.
    pub fn place(&self, picture: Picture) {
        self.pictures.borrow_mut().push(picture);
    }

    /// Draws a line through points, which need not lie on whole units as plotters' do; if it is
    /// dashed, over these lengths and not over those.
    pub fn polyline(
        &self,
        points: &[(f64, f64)],
        RGBColor(red, green, blue): RGBColor,
        width: f64,
        dashes: Option<(f64, f64)>,
    ) {
        let places: Vec<String> = points.iter().map(|(x, y)| format!("{x:.2},{y:.2}")).collect();
        let dashes =
            dashes.map_or(String::new(), |(on, off)| format!(" stroke-dasharray=\"{on} {off}\""));
        self.lines.borrow_mut().push_str(&format!(
            "<polyline fill=\"none\" stroke=\"#{red:02X}{green:02X}{blue:02X}\" \
             stroke-width=\"{width}\" stroke-linejoin=\"round\"{dashes} points=\"{}\"/>\n",
            places.join(" ")
        ));
    }

    /// A font of this height for plotters.
    pub fn font(&self, size: f64, colour: RGBColor) -> TextStyle<'_> {
        (self.style.font.family(), size).into_font().color(&colour)
    }

    /// Text at a place.
    pub fn text(
        &self,
        words: &str,
        at: (i32, i32),
        size: f64,
        colour: RGBColor,
        (h, v): (HPos, VPos),
    ) -> Drawn {
        let font = self.font(size, colour).pos(Pos::new(h, v));
        self.area.draw(&Text::new(drawable(words), at, font))?;
        Ok(())
    }

    /// Black text that is turned to read from the bottom to the top, around a place.
    pub fn turned(&self, words: &str, at: (i32, i32), size: f64) -> Drawn {
        let font = self
            .font(size, BLACK)
            .transform(FontTransform::Rotate270)
            .pos(Pos::new(HPos::Center, VPos::Center));
        self.area.draw(&Text::new(drawable(words), at, font))?;
        Ok(())
    }

    /// Black text to the left of a place, at its height.
    pub fn left_of(&self, words: &str, at: (i32, i32), size: f64) -> Drawn {
        self.text(words, at, size, BLACK, (HPos::Right, VPos::Center))
    }

    /// Black text below a place.
    pub fn below(&self, words: &str, at: (i32, i32), size: f64) -> Drawn {
        self.text(words, at, size, BLACK, (HPos::Center, VPos::Top))
    }

    /// Black text around a place.
    pub fn centred(&self, words: &str, at: (i32, i32), size: f64) -> Drawn {
        self.text(words, at, size, BLACK, (HPos::Center, VPos::Center))
    }
}

/// Words that fit into a width: in one line if need be somewhat smaller, else in several.
pub(crate) struct Fitted {
    pub lines: Vec<String>,
    pub size: f64,
}

impl Style {
    /// Fits words of this size into this width. No letter becomes smaller than the smallest text.
    pub(crate) fn fitted(&self, words: &str, size: f64, width: i32) -> Fitted {
        let room = f64::from(width.max(1));
        let one_line = size * (room / self.width_of(words, size)).min(1.);
        if one_line >= SMALL {
            return Fitted { lines: vec![words.into()], size: one_line };
        }
        Fitted { lines: self.lines(words, SMALL, width), size: SMALL }
    }

    /// The same with no more than so many lines; dots tell what is left out.
    pub(crate) fn shortened(&self, words: &str, size: f64, width: i32, most: usize) -> Fitted {
        let fitted = self.fitted(words, size, width);
        Fitted { lines: self.cut(fitted.lines, most, fitted.size, width), size: fitted.size }
    }

    /// No more than so many lines of this size and width; dots tell what is left out.
    pub(crate) fn cut(
        &self,
        mut lines: Vec<String>,
        most: usize,
        size: f64,
        width: i32,
    ) -> Vec<String> {
        if lines.len() > most {
            lines.truncate(most);
            if let Some(last) = lines.last_mut() {
                // The dots take the place of a hyphen, and of as much as they need.
                last.pop();
                while !last.is_empty()
                    && self.width_of(&format!("{last}…"), size) > f64::from(width)
                {
                    last.pop();
                }
                last.push('…');
            }
        }
        lines
    }

    /// Words in lines of this size that are no wider than this.
    pub(crate) fn lines(&self, words: &str, size: f64, width: i32) -> Vec<String> {
        let room = f64::from(width.max(1));
        let mut lines: Vec<String> = vec![];
        for word in words.split(' ').flat_map(|word| self.pieces(word, size, room)) {
            let longer = lines.last().map(|line| format!("{line} {word}"));
            let fits = |longer: &String| self.width_of(longer, size) <= room;
            match (longer.filter(fits), lines.last_mut()) {
                (Some(longer), Some(line)) => *line = longer,
                _ => lines.push(word),
            }
        }
        lines
    }

    /// A word, or, if it is wider than a line, its parts: broken behind its own hyphens if that is
    /// enough, else anywhere, with a hyphen between letters.
    fn pieces(&self, word: &str, size: f64, width: f64) -> Vec<String> {
        let fits = |words: &str| self.width_of(words, size) <= width;
        if fits(word) {
            return vec![word.into()];
        }
        let parts: Vec<&str> = word.split_inclusive('-').collect();
        if parts.len() > 1 && parts.iter().all(|part| fits(part)) {
            return parts.into_iter().map(str::to_owned).collect();
        }
        let mut pieces = vec![];
        let mut piece = String::new();
        for letter in word.chars() {
            if !piece.is_empty() && !fits(&format!("{piece}{letter}-")) {
                let is_within = piece.ends_with(char::is_alphabetic) && letter.is_alphabetic();
                piece.push_str(if is_within { "-" } else { "" });
                pieces.push(std::mem::take(&mut piece));
            }
            piece.push(letter);
        }
        pieces.push(piece);
        pieces
    }

    /// The width of text of this size.
    pub(crate) fn width_of(&self, words: &str, size: f64) -> f64 {
        self.font.ems(words) * size / PER_FONT_SIZE
    }
}

impl Fitted {
    /// From a line to the next.
    pub fn line_height(&self) -> i32 {
        (1.25 * self.size).ceil() as i32
    }

    /// Height of all lines.
    pub fn height(&self) -> i32 {
        self.line_height() * self.lines.len() as i32
    }

    /// Height of all lines but the first.
    pub fn more(&self) -> i32 {
        self.height() - self.line_height()
    }

    /// Draws the lines, of which the first is centred at a height.
    pub fn draw(&self, canvas: &Canvas, (x, y): (i32, i32), colour: RGBColor, h: HPos) -> Drawn {
        for (line, words) in (0..).zip(&self.lines) {
            let at = (x, y + line * self.line_height());
            canvas.text(words, at, self.size, colour, (h, VPos::Center))?;
        }
        Ok(())
    }

    /// Draws black lines around a place.
    pub fn centred(&self, canvas: &Canvas, (x, y): (i32, i32)) -> Drawn {
        self.draw(canvas, (x, y - self.more() / 2), BLACK, HPos::Center)
    }

    /// Draws black lines that end at a place.
    pub fn left_of(&self, canvas: &Canvas, at: (i32, i32)) -> Drawn {
        self.draw(canvas, at, BLACK, HPos::Right)
    }

    /// Draws black lines that begin at a place.
    pub fn right_of(&self, canvas: &Canvas, at: (i32, i32)) -> Drawn {
        self.draw(canvas, at, BLACK, HPos::Left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fitted_words_are_no_wider_than_their_place() {
        let style = Style::default();
        let long = "x".repeat(300);
        let many = "several words that go on and on ".repeat(9);
        for words in ["short", "a somewhat longer title", &long, &many, "", "ééé \u{4e2d}\u{6587}"]
        {
            for width in [40, 160, 400] {
                let found = style.fitted(words, 16., width);
                assert!((SMALL..=16.).contains(&found.size), "{words}: {}", found.size);
                for line in &found.lines {
                    let wide = style.width_of(line, found.size);
                    assert!(wide <= f64::from(width) + 1., "{line:?}: {wide} of {width}");
                }
                let kept = found.lines.concat().replace([' ', '-'], "");
                assert_eq!(kept, words.replace(' ', ""));
            }
        }
        assert_eq!(style.fitted("short", 16., 400).size, 16.);
        assert_eq!(style.lines("Grad-CAM++", SMALL, 66), ["Grad-", "CAM++"]);
        assert_eq!(style.lines("Eyeglasses", SMALL, 54), ["Eyeglass-", "es"]);
        assert_eq!(style.lines("000123.jpg", SMALL, 40), ["00012", "3.jpg"]);
    }
}
