//! A figure is drawn once, as SVG; PNG and PDF are made from that.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use base64::Engine;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};
use resvg::{tiny_skia, usvg};

use crate::error::{Error, Result};
use crate::frame::write_whole;

const FONT: &str = "DejaVu Sans";
/// Height of the strip at the bottom that tells what the figure ran on.
const NOTE: i32 = 30;
/// PNG pixels per unit: a figure of 660 units is 1,980 pixels wide, 600 dpi in a column of 3.3
/// inches.
const SCALE: f32 = 3.;

/// What a figure or table was made from. It is written on its face.
#[derive(Debug, Clone)]
pub struct Source {
    /// For example "8000 CelebA faces (…), 32 px, seed 0".
    pub data: String,
    /// Whether the faces were drawn; then the figure says that it shows nothing about CelebA.
    pub synthetic: bool,
}

impl Source {
    pub(crate) fn note(&self) -> String {
        match self.synthetic {
            true => format!("SYNTHETIC FACES: {}", self.data),
            false => self.data.clone(),
        }
    }
}

/// A drawn figure.
#[derive(Debug, Clone)]
pub struct Figure {
    name: String,
    svg: String,
    size: (u32, u32),
}

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(crate) type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

/// Pixels that are placed in a figure as an image.
pub(crate) struct Picture {
    pub at: (i32, i32),
    pub size: (i32, i32),
    pub pixels: (usize, usize),
    pub rgb: Vec<u8>,
}

impl Figure {
    /// The figure's file name without extension.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The figure as SVG text.
    pub fn svg(&self) -> &str {
        &self.svg
    }

    /// Width and height in SVG units.
    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    /// Writes `<name>.svg`, `.png` and `.pdf` into a folder and returns their paths.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let failed = |reason: String| Error::Drawing { figure: self.name.clone(), reason };
        let mut options = usvg::Options::default();
        let fonts = Arc::make_mut(&mut options.fontdb);
        fonts.load_font_data(dejavu::sans::regular().to_vec());
        fonts.load_font_data(dejavu::sans::bold().to_vec());
        let tree = usvg::Tree::from_str(&self.svg, &options).map_err(|e| failed(e.to_string()))?;
        let pdf = svg2pdf::to_pdf(
            &tree,
            svg2pdf::ConversionOptions::default(),
            svg2pdf::PageOptions::default(),
        );
        let pdf = pdf.map_err(|e| failed(e.to_string()))?;
        let png = self.png(&tree).ok_or_else(|| failed("no PNG could be made".into()))?;
        let files = [("svg", self.svg.as_bytes()), ("png", &png), ("pdf", &pdf)];
        files
            .into_iter()
            .map(|(extension, bytes)| {
                let path = folder.join(format!("{}.{extension}", self.name));
                write_whole(&path, bytes)?;
                Ok(path)
            })
            .collect()
    }

    fn png(&self, tree: &usvg::Tree) -> Option<Vec<u8>> {
        let pixels = |v: u32| (v as f32 * SCALE) as u32;
        let mut pixmap = tiny_skia::Pixmap::new(pixels(self.size.0), pixels(self.size.1))?;
        resvg::render(tree, tiny_skia::Transform::from_scale(SCALE, SCALE), &mut pixmap.as_mut());
        pixmap.encode_png().ok()
    }
}

/// Draws a figure. `body` gets the area above the note and returns what it wants to be placed as
/// images.
pub(crate) fn draw(
    name: &str,
    (width, height): (u32, u32),
    source: &Source,
    body: impl FnOnce(&Area, &mut Vec<Picture>) -> Drawn,
) -> Result<Figure> {
    let failed = |reason: String| Error::Drawing { figure: name.into(), reason };
    fonts();
    let height = height + NOTE as u32;
    let mut svg = String::new();
    let mut pictures = vec![];
    {
        let root = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        let result = (|| -> Drawn {
            root.fill(&WHITE)?;
            let (top, bottom) = root.split_vertically(height as i32 - NOTE);
            body(&top, &mut pictures)?;
            let colour = if source.synthetic { RGBColor(176, 0, 32) } else { RGBColor(90, 90, 90) };
            // Long notes are set smaller rather than cut.
            let note = source.note();
            let size = (f64::from(width) / (note.chars().count() as f64 * 0.6)).clamp(7., 13.);
            text(&bottom, &note, (8, NOTE / 2), size, colour, (HPos::Left, VPos::Center))?;
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
    let svg = svg.replace(
        &format!("font-family=\"{FONT}\""),
        &format!("font-family=\"{FONT}, Verdana, sans-serif\""),
    );
    let svg = svg.replace("</svg>", &format!("{images}</svg>"));
    Ok(Figure { name: name.into(), svg, size: (width, height) })
}

fn image_element(picture: &Picture) -> Option<String> {
    let (w, h) = picture.pixels;
    let mut pixmap = tiny_skia::Pixmap::new(w as u32, h as u32)?;
    for (to, from) in pixmap.data_mut().chunks_exact_mut(4).zip(picture.rgb.chunks_exact(3)) {
        to.copy_from_slice(&[from[0], from[1], from[2], 255]);
    }
    let data = base64::engine::general_purpose::STANDARD.encode(pixmap.encode_png().ok()?);
    let ((x, y), (width, height)) = (picture.at, picture.size);
    Some(format!(
        "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" image-rendering=\"optimizeSpeed\" \
         style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{data}\"/>\n"
    ))
}

fn fonts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // The fonts are compiled in; if one could not be read, plotters would say so when text is
        // drawn.
        let _ = register_font(FONT, FontStyle::Normal, dejavu::sans::regular());
        let _ = register_font(FONT, FontStyle::Bold, dejavu::sans::bold());
    });
}

pub(crate) fn style(size: f64, colour: RGBColor) -> TextStyle<'static> {
    (FONT, size).into_font().color(&colour)
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

pub(crate) fn centred(area: &Area, words: &str, at: (i32, i32), size: f64) -> Drawn {
    text(area, words, at, size, BLACK, (HPos::Center, VPos::Center))
}

/// A vertical colour bar with its ends, its middle and a title; `colour` is that of a share from 0
/// at the bottom to 1 at the top.
pub(crate) fn colour_bar(
    area: &Area,
    pictures: &mut Vec<Picture>,
    (x, y): (i32, i32),
    height: i32,
    colour: impl Fn(f64) -> [u8; 3],
    (low, high): (f64, f64),
    title: &str,
) -> Drawn {
    let width = 14;
    let rgb = (0..256).flat_map(|i| colour(1. - f64::from(i) / 255.)).collect();
    pictures.push(Picture { at: (x, y), size: (width, height), pixels: (1, 256), rgb });
    area.draw(&Rectangle::new([(x, y), (x + width, y + height)], BLACK))?;
    for (share, value) in [(0., high), (0.5, (low + high) / 2.), (1., low)] {
        let at = y + (f64::from(height) * share) as i32;
        area.draw(&PathElement::new([(x + width, at), (x + width + 4, at)], BLACK))?;
        text(area, &short(value), (x + width + 7, at), 13., BLACK, (HPos::Left, VPos::Center))?;
    }
    let turned = style(13., BLACK)
        .transform(FontTransform::Rotate270)
        .pos(Pos::new(HPos::Center, VPos::Top));
    area.draw(&Text::new(title.to_owned(), (x + width + 48, y + height / 2), turned))?;
    Ok(())
}

/// A number for a label: three digits that matter.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        0. => "0".into(),
        v if v < 0.001 => format!("{value:.0e}"),
        v if v < 0.1 => format!("{value:.3}"),
        v if v < 10. => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    }
}
