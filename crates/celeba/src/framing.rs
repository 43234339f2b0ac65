//! Any image file as the pixels of an input of any height and width.

use std::path::Path;

use crate::error::{Error, Result};
use crate::formats::{self, Rgb};
use crate::preprocessing::Crop;
use crate::resize::resize_part;

/// Which part of an image a network sees, and at which size: for networks from ONNX files, whose
/// inputs need not be square.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Framing {
    /// [`Crop::Square`]: the largest centred part with the proportions of the result.
    /// [`Crop::Whole`]: the complete image, whose proportions the resizing changes.
    pub crop: Crop,
    /// The sides of the centred part that is used, as a share of what [`crop`](Self::crop) leaves,
    /// in (0, 1]. torchvision's `Resize(256)` and `CenterCrop(224)` use 224/256 = 0.875.
    pub share: f64,
    /// Rows of the result.
    pub height: usize,
    /// Columns of the result.
    pub width: usize,
}

impl Framing {
    /// Reads an image file: turned as its EXIF data say, cropped, and resized by bilinear filtering
    /// whose support grows with the scale (PyTorch's `antialias=True`). Returns RGB bytes, row by
    /// row, [height, width, 3].
    ///
    /// ```
    /// use foresee_celeba::{Crop, Framing, synthetic};
    ///
    /// let folder = tempfile::tempdir()?;
    /// synthetic::write(folder.path(), 1, 7, |_| ())?;
    /// let framing = Framing { crop: Crop::Square, share: 1., height: 16, width: 24 };
    /// let pixels = framing.read(&folder.path().join("img_align_celeba/000001.jpg"))?;
    /// assert_eq!(pixels.len(), 16 * 24 * 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Image`] if the file is missing, empty, truncated, too large or no image.
    pub fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let refused = |reason: String| Error::Image { path: path.into(), reason };
        let bytes = formats::read_file(path).map_err(|e| match e {
            Error::Missing(_) => refused("does not exist".into()),
            e => e,
        })?;
        let image = formats::decode(&bytes).map_err(refused)?;
        self.pixels(&image).map_err(refused)
    }

    fn pixels(&self, image: &Rgb) -> std::result::Result<Vec<u8>, String> {
        let part = self.part((image.width as f64, image.height as f64));
        resize_part(image, part, (self.width, self.height))
    }

    /// Left, top, width and height of the part that is used.
    fn part(&self, (width, height): (f64, f64)) -> (f64, f64, f64, f64) {
        let (wide, high) = match self.crop {
            Crop::Whole => (width, height),
            Crop::Square => {
                let proportions = self.width as f64 / self.height as f64;
                (width.min(height * proportions), height.min(width / proportions))
            }
        };
        let (wide, high) = (self.share * wide, self.share * high);
        ((width - wide) / 2., (height - high) / 2., wide, high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_by_hand() {
        let part = |crop, share, (height, width), image| {
            Framing { crop, share, height, width }.part(image)
        };
        // The largest square of 100×140 pixels begins in row 20.
        assert_eq!(part(Crop::Square, 1., (8, 8), (100., 140.)), (0., 20., 100., 100.));
        // The largest part that is twice as wide as high.
        assert_eq!(part(Crop::Square, 1., (10, 20), (100., 140.)), (0., 45., 100., 50.));
        assert_eq!(part(Crop::Square, 1., (10, 20), (300., 100.)), (50., 0., 200., 100.));
        assert_eq!(part(Crop::Square, 0.5, (8, 8), (100., 140.)), (25., 45., 50., 50.));
        assert_eq!(part(Crop::Whole, 1., (8, 8), (100., 140.)), (0., 0., 100., 140.));
    }

    #[test]
    fn pixels_are_those_of_the_part() {
        // Columns of black, red, red and white.
        let row = [[0, 0, 0], [255, 0, 0], [255, 0, 0], [255, 255, 255]].concat();
        let image = Rgb { pixels: [row.clone(), row].concat(), width: 4, height: 2 };
        let framing = Framing { crop: Crop::Square, share: 1., height: 2, width: 2 };
        assert_eq!(framing.pixels(&image).unwrap(), [255, 0, 0].repeat(4));
        let whole = Framing { crop: Crop::Whole, height: 2, width: 4, ..framing };
        assert_eq!(whole.pixels(&image).unwrap(), image.pixels);
    }
}
