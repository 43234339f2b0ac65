//! What results are made from, for manifests.

use foresee_celeba::Framing;
use serde::Serialize;

use super::image_input::Layout;
use super::labels::Labels;
use super::task::Task;
use crate::device;
use crate::error::Result;

/// What an image goes through, and what is answered.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Preprocessing {
    answer: String,
    layout: Layout,
    height: usize,
    width: usize,
    crop: &'static str,
    crop_share: f64,
    mean: Vec<f32>,
    std: Vec<f32>,
    multi_label: bool,
    device: String,
}

/// What results are made from, for manifests.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct MadeFrom<S> {
    preprocessing: Preprocessing,
    images_sha256: String,
    labels_sha256: Option<String>,
    /// A command's own.
    pub settings: S,
}

impl Task {
    /// What results are made from: the images, what they go through, the labels, and a command's
    /// own settings.
    pub fn made_from<S>(&self, settings: S) -> MadeFrom<S> {
        MadeFrom {
            preprocessing: self.preprocessing(),
            images_sha256: self.images_sha256.clone(),
            labels_sha256: self.labels.as_ref().map(Labels::sha256),
            settings,
        }
    }

    /// The same of an image alone.
    ///
    /// # Errors
    /// If the image cannot be read.
    pub fn made_from_image<S>(&self, image: usize, settings: S) -> Result<MadeFrom<S>> {
        Ok(MadeFrom {
            preprocessing: self.preprocessing(),
            images_sha256: self.images.sha256_of(image)?,
            labels_sha256: self.labels.as_ref().map(|labels| labels.of(image).sha256()),
            settings,
        })
    }

    fn preprocessing(&self) -> Preprocessing {
        let Framing { crop, share, height, width } = self.reader.framing;
        Preprocessing {
            answer: self.network.graph.value(self.network.output).name.clone(),
            layout: self.network.input.layout,
            height,
            width,
            crop: crop.id(),
            crop_share: share,
            mean: self.reader.mean.clone(),
            std: self.reader.std.clone(),
            multi_label: self.multi_label,
            device: device::id(&self.device).into(),
        }
    }
}
