//! The batches of a training: every rank gives them the same options.

use candle_core::{Device, Tensor};
use foresee_celeba::{Batch, BatchOptions};
use foresee_model::{Position, Trainer};

use super::classifier::Classifier;
use crate::error::Result;
use crate::run::Manifest;

/// Images of the epoch under way, from the next batch on, of so many training faces.
pub(super) fn batch_options<N: Classifier>(
    manifest: &Manifest,
    faces: usize,
    trainer: &Trainer<N>,
) -> BatchOptions {
    let config = &manifest.config;
    let Position { epoch, batch, .. } = trainer.position();
    BatchOptions {
        crop: config.data.crop,
        image_size: config.data.image_size,
        batch_size: config.train.batch_size,
        shuffle: Some((manifest.seed, epoch as u64)),
        flip: config.train.flip,
        smallest_crop: config.train.crop,
        drop_last: faces > config.train.batch_size,
        skip: batch,
        ..Default::default()
    }
}

/// What a step is made on.
pub(super) fn images_and_labels(
    batch: foresee_celeba::Result<Batch>,
    device: &Device,
) -> Result<(Tensor, Tensor)> {
    let batch = batch?;
    Ok((batch.images.to_device(device)?, batch.labels.to_device(device)?))
}
