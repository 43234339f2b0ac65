//! From a decoded image to the numbers that a network sees: crop, resize, normalise.

use std::path::Path;

use crate::error::{Error, Result};
use crate::formats;
use crate::resize::resize_part;
use crate::view::View;

/// x ↦ (x - mean) / deviation in each colour channel, for pixels x in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalisation {
    /// The mean of red, green and blue.
    pub mean: [f32; 3],
    /// The standard deviation of red, green and blue; above 0.
    pub deviation: [f32; 3],
}

impl Default for Normalisation {
    /// Mean 0.5 and deviation 0.5, which map pixels to [-1, 1].
    fn default() -> Self {
        Self { mean: [0.5; 3], deviation: [0.5; 3] }
    }
}

/// The part of an image that is resized to the network's square input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Crop {
    /// The largest centred square: rows 20 to 197 of the 218 rows of CelebA's aligned images.
    #[default]
    Square,
    /// The complete image. The resizing changes its aspect ratio.
    Whole,
}

impl Crop {
    /// All values.
    pub const ALL: [Self; 2] = [Self::Square, Self::Whole];

    /// The name in configuration files: square or whole.
    pub fn id(self) -> &'static str {
        match self {
            Self::Square => "square",
            Self::Whole => "whole",
        }
    }

    /// The crop with this [`id`](Self::id).
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|crop| crop.id() == id)
    }

    /// Width and height of the centred part that is left of an image.
    pub(crate) fn size<T: PartialOrd + Copy>(self, (width, height): (T, T)) -> (T, T) {
        let side = if height < width { height } else { width };
        match self {
            Self::Square => (side, side),
            Self::Whole => (width, height),
        }
    }
}

/// What happens to each image between its file and the network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preprocessing {
    /// The part of the image that is used.
    pub crop: Crop,
    /// Height and width of the result in pixels.
    pub image_size: usize,
    /// Applied last.
    pub normalisation: Normalisation,
}

/// The augmentation of one image: a part of what [`Crop`] leaves, and whether it is mirrored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Augmentation {
    /// Whether left and right are exchanged.
    pub flip: bool,
    /// The sides of the part, as a share of the sides that [`Crop`] leaves; in (0, 1].
    pub side: f64,
    /// Where the part lies, horizontally and vertically: 0 is left or top, 1 is right or bottom,
    /// and 0.5 is the centre.
    pub position: [f64; 2],
}

impl Default for Augmentation {
    /// No augmentation.
    fn default() -> Self {
        Self { flip: false, side: 1., position: [0.5; 2] }
    }
}

impl Preprocessing {
    /// What is seen of an image of this width and height in pixels.
    pub fn view(&self, (width, height): (usize, usize), augmentation: &Augmentation) -> View {
        let (width, height) = (width as f64, height as f64);
        let (crop_width, crop_height) = self.crop.size((width, height));
        let Augmentation { flip, side, position } = *augmentation;
        let room = 1. - side;
        View {
            left: (width - crop_width) / 2. + position[0] * room * crop_width,
            top: (height - crop_height) / 2. + position[1] * room * crop_height,
            width: side * crop_width,
            height: side * crop_height,
            mirrored: flip,
            image_size: self.image_size,
        }
    }

    /// Reads an augmented image file: its normalised pixels [3, size, size], and what is seen of
    /// it.
    ///
    /// ```
    /// use foresee_celeba::{Augmentation, Crop, Normalisation, Preprocessing, synthetic};
    ///
    /// let folder = tempfile::tempdir()?;
    /// synthetic::write(folder.path(), 1, 7, |_| ())?;
    /// let path = folder.path().join("img_align_celeba/000001.jpg");
    /// let normalisation = Normalisation::default();
    /// let preprocessing = Preprocessing { crop: Crop::Square, image_size: 16, normalisation };
    /// let (pixels, view) = preprocessing.read(&path, &Augmentation::default())?;
    /// // The square in the middle of 178×218 pixels, as numbers from -1 to 1.
    /// assert_eq!((view.left, view.top, view.width, view.height), (0., 20., 178., 178.));
    /// assert_eq!(pixels.len(), 3 * 16 * 16);
    /// assert!(pixels.iter().all(|value| value.abs() < 1.001));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Image`] if the file is missing, empty, truncated, too large or no image.
    pub fn read(&self, path: &Path, augmentation: &Augmentation) -> Result<(Vec<f32>, View)> {
        let bytes = formats::read_file(path)?;
        let (pixels, size) = self
            .pixels(&bytes, augmentation)
            .map_err(|reason| Error::Image { path: path.into(), reason })?;
        Ok((self.normalised(&pixels, augmentation.flip), self.view(size, augmentation)))
    }

    /// The normalised pixels [3, size, size] of the bytes of an image file, without augmentation.
    ///
    /// # Errors
    /// [`Error::ImageBytes`] if they are empty, truncated, too large or no image.
    pub fn read_bytes(&self, bytes: &[u8]) -> Result<Vec<f32>> {
        let read = self.pixels(bytes, &Augmentation::default());
        let (pixels, _) = read.map_err(|reason| Error::ImageBytes { reason })?;
        Ok(self.normalised(&pixels, false))
    }

    fn normalised(&self, pixels: &[u8], flip: bool) -> Vec<f32> {
        let mut out = vec![0.; 3 * self.image_size * self.image_size];
        self.normalise(pixels, flip, &mut out);
        out
    }

    /// The pixels of an augmented image, RGB row by row, [size, size, 3], not mirrored yet, and
    /// the width and height of the original. An error says what is wrong with the image.
    pub(crate) fn pixels(
        &self,
        bytes: &[u8],
        augmentation: &Augmentation,
    ) -> std::result::Result<(Vec<u8>, (usize, usize)), String> {
        if self.image_size == 0 {
            return Err("cannot be resized to 0 pixels: `image_size` is at least 1".into());
        }
        let image = formats::decode(bytes)?;
        let size = (image.width, image.height);
        let View { left, top, width, height, image_size, .. } = self.view(size, augmentation);
        let part = (left, top, width, height);
        Ok((resize_part(&image, part, (image_size, image_size))?, size))
    }

    /// Normalises pixels, RGB row by row, into `out` [3, size, size].
    pub(crate) fn normalise(&self, pixels: &[u8], flip: bool, out: &mut [f32]) {
        let size = self.image_size;
        for (channel, plane) in out.chunks_exact_mut(size * size).enumerate() {
            let scale = 1. / (255. * self.normalisation.deviation[channel]);
            let shift = -self.normalisation.mean[channel] / self.normalisation.deviation[channel];
            let value: [f32; 256] = std::array::from_fn(|byte| byte as f32 * scale + shift);
            for (row, from) in plane.chunks_exact_mut(size).zip(pixels.chunks_exact(3 * size)) {
                let values = from.chunks_exact(3).map(|pixel| value[usize::from(pixel[channel])]);
                if flip {
                    row.iter_mut().rev().zip(values).for_each(|(out, v)| *out = v);
                } else {
                    row.iter_mut().zip(values).for_each(|(out, v)| *out = v);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crop_ids_are_read_back() {
        assert!(Crop::ALL.into_iter().all(|crop| Crop::from_id(crop.id()) == Some(crop)));
        assert_eq!((Crop::default().id(), Crop::from_id("Whole")), ("square", None));
        assert_eq!(Crop::Square.size((178, 218)), (178, 178));
        assert_eq!(Crop::Whole.size((178, 218)), (178, 218));
    }

    #[test]
    fn views_by_hand() {
        let view = |crop, augmentation: &Augmentation| {
            let normalisation = Normalisation::default();
            Preprocessing { crop, image_size: 50, normalisation }.view((100, 140), augmentation)
        };
        // The centred square of 100×140 pixels begins in row 20.
        let square = view(Crop::Square, &Augmentation::default());
        let expected =
            View { left: 0., top: 20., width: 100., height: 100., mirrored: false, image_size: 50 };
        assert_eq!(square, expected);
        // 9.5/2 - 0.5 and (29.5 - 20)/2 - 0.5.
        assert_eq!(square.apply([9., 29.]), [4.25, 4.25]);
        // Half of its sides, at its right and its upper edge.
        let corner = Augmentation { flip: true, side: 0.5, position: [1., 0.] };
        let part = View { left: 50., width: 50., height: 50., mirrored: true, ..expected };
        assert_eq!(view(Crop::Square, &corner), part);
        assert_eq!(part.apply([60., 30.]), [39., 10.]);
        let whole = View { top: 0., height: 140., ..expected };
        assert_eq!(view(Crop::Whole, &Augmentation::default()), whole);
    }

    #[test]
    fn pixels_become_normalised_planes() {
        let preprocessing = Preprocessing {
            crop: Crop::Square,
            image_size: 2,
            normalisation: Normalisation { mean: [0., 0.5, 1.], deviation: [1., 0.5, 0.5] },
        };
        // Two rows of two pixels: black and white, then (255, 0, 255) twice.
        let pixels = [0, 0, 0, 255, 255, 255, 255, 0, 255, 255, 0, 255];
        let normalised = |flip| {
            let mut out = [f32::NAN; 12];
            preprocessing.normalise(&pixels, flip, &mut out);
            out.map(|v| (v * 1e4).round() / 1e4)
        };
        assert_eq!(normalised(false), [0., 1., 1., 1., -1., 1., -1., -1., -2., 0., 0., 0.]);
        assert_eq!(normalised(true)[..4], [1., 0., 1., 1.]);
    }
}
