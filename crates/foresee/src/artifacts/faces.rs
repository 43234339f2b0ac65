//! Faces: the pixels that figures show, and images that could not be read.

use candle_core::Tensor;
use foresee_celeba::Normalisation;
use foresee_report::{DataFrame, Face, PlaneTable, record};

use crate::error::Result;

record! {
    /// An image that cannot be read.
    #[derive(Debug, Clone, PartialEq)]
    pub struct BadImage {
        /// Its name.
        pub image: String,
        /// What is wrong, with the image's place.
        pub reason: String,
    }
}

record! {
    /// What a plane of a face's pixels is of.
    #[derive(Debug, Clone, PartialEq)]
    pub struct PixelLabel {
        /// The face's image.
        pub face: String,
        /// red, green or blue.
        pub colour: String,
    }
}

/// The planes of an image, in order.
const COLOURS: [&str; 3] = ["red", "green", "blue"];

/// Pixels in [0, 1] of the faces that a figure shows, as the network sees them.
#[derive(Debug, Clone, PartialEq)]
pub struct FacePixels(PlaneTable<PixelLabel>);

impl FacePixels {
    /// Of normalised images [B, 3, H, W] of faces with these names.
    ///
    /// # Errors
    /// If candle fails.
    pub fn new(names: &[&str], images: &Tensor, normalisation: &Normalisation) -> Result<Self> {
        let size = images.dim(3)?;
        let mut planes = PlaneTable::new(size);
        let images = images.flatten_from(1)?.to_vec2::<f32>()?;
        for (name, image) in names.iter().zip(images) {
            for (c, plane) in image.chunks_exact(size * size).enumerate() {
                let deviation = normalisation.deviation[c];
                let mean = normalisation.mean[c];
                let plane: Vec<f32> = plane.iter().map(|v| v * deviation + mean).collect();
                let label = PixelLabel { face: (*name).into(), colour: COLOURS[c].into() };
                planes.push(label, &plane);
            }
        }
        Ok(Self(planes))
    }

    pub(super) fn to_frame(&self) -> Result<DataFrame> {
        Ok(self.0.to_frame()?)
    }

    pub(super) fn from_frame(frame: &DataFrame) -> Result<Self> {
        Ok(Self(PlaneTable::from_frame(frame)?))
    }

    /// Names and pixels of the faces.
    pub fn faces(&self) -> Vec<(String, Face)> {
        let face = |planes: &[foresee_report::Plane<PixelLabel>]| {
            let [red, green, blue] = [0, 1, 2].map(|c| &planes[c].values);
            let rgb = red.iter().zip(green).zip(blue).map(|((r, g), b)| [*r, *g, *b]);
            (planes[0].label.face.clone(), Face { size: self.0.width, rgb: rgb.collect() })
        };
        self.0.planes.chunks_exact(COLOURS.len()).map(face).collect()
    }
}
