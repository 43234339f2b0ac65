//! A figure is drawn once, as SVG; PNG and PDF are made from that.

use std::path::{Path, PathBuf};

use foresee_files::write_atomic;
use resvg::{tiny_skia, usvg};

use crate::error::{Error, Result};
use crate::font;
use crate::pdf::pdf;

/// PNG pixels per SVG unit: a figure of 660 units is 1,980 pixels wide, 600 dpi in a column of 3.3
/// inches.
const PIXELS_PER_UNIT: f32 = 3.;

/// A drawn figure.
#[derive(Debug, Clone)]
pub struct Figure {
    name: String,
    svg: String,
    size: (u32, u32),
}

impl Figure {
    /// A figure from SVG text of this width and height.
    pub(crate) fn new(name: &str, svg: String, size: (u32, u32)) -> Self {
        Self { name: name.into(), svg, size }
    }

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
        let tree = usvg::Tree::from_str(&self.svg, &font::svg_options())
            .map_err(|e| failed(e.to_string()))?;
        let pdf = pdf(&tree).map_err(failed)?;
        let png = self.png(&tree).ok_or_else(|| failed("no PNG could be made".into()))?;
        let files = [("svg", self.svg.as_bytes()), ("png", &png), ("pdf", &pdf)];
        files
            .into_iter()
            .map(|(extension, bytes)| {
                let path = folder.join(format!("{}.{extension}", self.name));
                write_atomic(&path, bytes)?;
                Ok(path)
            })
            .collect()
    }

    fn png(&self, tree: &usvg::Tree) -> Option<Vec<u8>> {
        let pixels = |units: u32| (units as f32 * PIXELS_PER_UNIT) as u32;
        let mut pixmap = tiny_skia::Pixmap::new(pixels(self.size.0), pixels(self.size.1))?;
        let transform = tiny_skia::Transform::from_scale(PIXELS_PER_UNIT, PIXELS_PER_UNIT);
        resvg::render(tree, transform, &mut pixmap.as_mut());
        pixmap.encode_png().ok()
    }
}
