//! The batches of a training, and the faces that it is judged on, which are every rank's.

use candle_core::{Device, Tensor};
use foresee_celeba::{Batch, BatchOptions, Epoch};
use foresee_model::Position;

use crate::config::Config;
use crate::error::Result;

/// How many training faces make how many batches.
#[derive(Clone, Copy)]
pub(crate) struct Batching {
    /// Images of a batch.
    pub images: usize,
    /// Batches of an epoch. The last one is left out if it is not full, unless it is the only one.
    pub batches: usize,
}

impl Batching {
    pub fn new(config: &Config, faces: usize) -> Self {
        let size = config.train.batch_size;
        Self { images: size.min(faces), batches: (faces / size).max(1) }
    }
}

/// Images of the epoch under way, from the next batch on, of so many training faces.
pub(crate) fn batch_options(
    config: &Config,
    seed: u64,
    faces: usize,
    position: Position,
) -> BatchOptions {
    let Position { epoch, batch, .. } = position;
    BatchOptions {
        crop: config.data.crop,
        image_size: config.data.image_size,
        batch_size: config.train.batch_size,
        epoch: Some(Epoch {
            seed,
            number: epoch as u64,
            flip: config.train.flip,
            smallest_crop: config.train.crop,
        }),
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
