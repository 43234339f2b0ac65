//! How fast this machine is, measured for some seconds.

use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use foresee_baselines::Baseline;
use foresee_celeba::{ATTRIBUTES, CelebA, Normalisation, Preprocessing, Split};
use foresee_model::{Network, Trainable, Trainer};

use crate::config::Config;
use crate::error::Result;
use crate::faces;
use crate::stages::train::MemoryNeed;

/// How long each part is measured, if one go does not take longer.
const MEASURED: Duration = Duration::from_millis(1500);
/// Goes of a part at most.
const GOES: u32 = 20;
/// Images that go through the network at once, as in the stages after training.
const BATCH: usize = 16;
/// Images that are read.
const READ: usize = 48;

/// Seconds an image takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// In a training step.
    pub training: f64,
    /// Through the extractor.
    pub features: f64,
    /// From the features through the heads.
    pub heads: f64,
    /// To be read and resized; none if there are no faces yet.
    pub reading: Option<f64>,
    /// Images of the training step that was measured.
    pub batch: usize,
}

impl Pace {
    /// Trains and runs a new network of the run's form on images of its size. `need` is the memory
    /// of a step of `batch` images: if there is less than twice that, fewer images are taken.
    pub fn measure(
        config: &Config,
        batch: usize,
        need: &MemoryNeed,
        data: Option<&CelebA>,
        device: &Device,
    ) -> Result<Self> {
        let size = config.data.image_size;
        let network = Network::new(config.model.clone(), 0, device)?;
        let available = need.available.map_or(u64::MAX, |found| found.bytes);
        let mut measured = batch;
        while measured > 1 && network.training_bytes(measured, size).saturating_mul(2) > available {
            measured /= 2;
        }
        let images = images(measured, size, device)?;
        let labels = Tensor::zeros((measured, ATTRIBUTES.len()), images.dtype(), device)?;
        let mut trainer = Trainer::new(network, config.train.trainer.clone(), 1000)?;
        let training = seconds(device, || {
            trainer.step(&images, &labels)?;
            Ok(())
        })?;

        let frozen = trainer.network().frozen();
        let few = measured.min(BATCH);
        let images = images.narrow(0, 0, few)?;
        let features = seconds(device, || {
            frozen.extractor().forward(&images)?;
            Ok(())
        })?;
        let z = frozen.extractor().forward(&images)?;
        let heads = seconds(device, || {
            frozen.forward_features(&z)?;
            Ok(())
        })?;
        Ok(Self {
            training: training / measured as f64,
            features: features / few as f64,
            heads: heads / few as f64,
            reading: data.map(|data| reading(config, data)).transpose()?.flatten(),
            batch: measured,
        })
    }
}

/// Seconds an image takes in a training step of the system that a configuration names, which is a
/// network.
pub(crate) fn training_pace(config: &Config, batch: usize, device: &Device) -> Result<f64> {
    let trainer = config.train.trainer.clone();
    match config.system.baseline(&config.data)? {
        Some(system) => {
            let network = Baseline::new(system, 0, device)?;
            step_pace(Trainer::new(network, trainer, 1000)?, config, batch, device)
        }
        None => {
            let network = Network::new(config.model.clone(), 0, device)?;
            step_pace(Trainer::new(network, trainer, 1000)?, config, batch, device)
        }
    }
}

fn step_pace<N: Trainable>(
    mut trainer: Trainer<N>,
    config: &Config,
    batch: usize,
    device: &Device,
) -> Result<f64> {
    let images = images(batch, config.data.image_size, device)?;
    let labels = Tensor::zeros((batch, ATTRIBUTES.len()), images.dtype(), device)?;
    let seconds = seconds(device, || {
        trainer.step(&images, &labels)?;
        Ok(())
    })?;
    Ok(seconds / batch as f64)
}

/// Images in which no two pixels are the same: what is in them does not matter here.
fn images(count: usize, size: usize, device: &Device) -> Result<Tensor> {
    let values = Tensor::arange(0f32, (count * 3 * size * size) as f32, device)?;
    Ok(values.sin()?.reshape((count, 3, size, size))?)
}

/// The mean time of a go, after a first one that does not count unless it takes long.
fn seconds(device: &Device, mut go: impl FnMut() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    go()?;
    device.synchronize()?;
    let first = start.elapsed();
    if first > MEASURED {
        return Ok(first.as_secs_f64());
    }
    let start = Instant::now();
    let mut goes = 0;
    while goes == 0 || (goes < GOES && start.elapsed() < MEASURED) {
        go()?;
        goes += 1;
    }
    device.synchronize()?;
    Ok(start.elapsed().as_secs_f64() / f64::from(goes))
}

/// Seconds to read an image; none if the first ones cannot be read, which the run will tell.
fn reading(config: &Config, data: &CelebA) -> Result<Option<f64>> {
    let train = faces::first(data.split(Split::Train)?, READ);
    let preprocessing = Preprocessing {
        crop: config.data.crop,
        image_size: config.data.image_size,
        normalisation: Normalisation::default(),
    };
    let start = Instant::now();
    let read = data.batches_in_order(&train, &preprocessing, train.len().max(1)).next();
    let seconds = start.elapsed().as_secs_f64() / train.len().max(1) as f64;
    Ok(read.is_some_and(|batch| batch.is_ok()).then_some(seconds))
}
