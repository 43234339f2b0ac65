//! Networks that are trained and answer.

use candle_core::{Device, Tensor};
use foresee_baselines::Baseline;
use foresee_celeba::{CelebA, Preprocessing};
use foresee_model::{Network, Predictions, Trainable};

use crate::error::Result;
use crate::progress::Progress;
use crate::session::check_finite;

/// Images of one batch.
const BATCH: usize = 32;

/// What gives the logits [B, K] of images.
pub(crate) type Answers<'a> = dyn Fn(&Tensor) -> Result<Tensor> + 'a;

/// A network that is trained and answers.
pub(crate) trait Classifier: Trainable {
    /// What gives its logits in evaluation mode.
    fn answers(&self) -> Box<Answers<'_>>;

    /// Parameters that are trained.
    fn trained_parameters(&self) -> usize {
        self.trainable().iter().map(|(_, var)| var.elem_count()).sum()
    }
}

impl Classifier for Network {
    fn answers(&self) -> Box<Answers<'_>> {
        let network = self.frozen();
        Box::new(move |images| Ok(network.forward(images)?.logits))
    }
}

impl Classifier for Baseline {
    fn answers(&self) -> Box<Answers<'_>> {
        Box::new(|images| Ok(self.forward(images)?.detach()))
    }
}

/// Logits of faces, with their labels.
pub(crate) fn answer(
    progress: Progress,
    answers: &Answers,
    data: &CelebA,
    faces: &[usize],
    preprocessing: &Preprocessing,
    device: &Device,
) -> Result<Predictions> {
    let mut predictions = Predictions::default();
    for batch in data.batches_in_order(faces, preprocessing, BATCH) {
        let batch = batch?;
        let logits = answers(&batch.images.to_device(device)?)?;
        check_finite(&logits, data, &batch)?;
        predictions.add(&logits, &batch.labels)?;
        progress.add(batch.faces.len(), String::new);
    }
    Ok(predictions)
}
