//! The other ranks' part of a training: they read their share of each batch, and make each step
//! together with rank 0, which alone writes files.

use std::path::Path;
use std::sync::Arc;

use candle_core::Device;
use foresee_celeba::{BatchOptions, Cache, CelebA, Split};
use foresee_files::write_atomic;
use foresee_model::{Network, Trainable, Trainer};

use super::batches::{Batching, batch_options, images_and_labels};
use super::classifier::{Asked, Classifier};
use super::together::Together;
use super::trainer_of_paper;
use crate::device::DeviceKind;
use crate::error::Result;
use crate::faces;
use crate::ranks;
use crate::run::{Manifest, Run};
use crate::session::images_of;
use crate::stages::jobs::Job;

/// The name of a checkpoint that is sent.
const CHECKPOINT: &str = "checkpoint.safetensors";

/// Calls the other ranks, if there are any, to train together with this one from here on, or from
/// the `validation` behind the last epoch.
///
/// # Errors
/// If one of them cannot, with its reason.
pub(super) fn call<N: Trainable>(
    run: &Run,
    trainer: &Trainer<N>,
    validation: bool,
    device: &Device,
) -> Result<()> {
    if !ranks::is_several() {
        return Ok(());
    }
    let manifest = Box::new(run.manifest.clone());
    let folder = std::path::absolute(run.folder())?;
    let checkpoint = checkpoint(trainer)?;
    Job::Train { manifest, folder, validation, device: DeviceKind::of(device) }.tell()?;
    ranks::send_bytes(&checkpoint)?;
    ranks::agree(Ok(()))
}

fn checkpoint<N: Trainable>(trainer: &Trainer<N>) -> Result<Vec<u8>> {
    if trainer.position().step == 0 {
        return Ok(vec![]);
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join(CHECKPOINT);
    trainer.save_checkpoint(&path)?;
    Ok(std::fs::read(path)?)
}

/// Takes part in the training of a run, which begins with a `validation` or with a step.
pub(crate) fn follow(
    manifest: Manifest,
    folder: &Path,
    validation: bool,
    device: &DeviceKind,
) -> Result<()> {
    let checkpoint = ranks::receive_bytes()?;
    let follower =
        device.open().and_then(|device| Follower::new(manifest, folder, &checkpoint, device));
    ranks::agree(follower)?.train(validation)
}

/// A rank in a training that is not the first.
struct Follower {
    manifest: Manifest,
    device: Device,
    data: CelebA,
    train: Vec<usize>,
    trainer: Trainer<Network>,
    together: Together,
    cache: Option<Arc<Cache>>,
}

impl Follower {
    fn new(manifest: Manifest, folder: &Path, checkpoint: &[u8], device: Device) -> Result<Self> {
        let config = &manifest.config;
        let data = faces::reopen(&manifest.data, folder, config.data.split)?;
        let train = faces::first(data.split(Split::Train)?, config.train.limit);
        let Batching { images, batches } = Batching::new(config, train.len());
        let mut trainer = trainer_of_paper(config, manifest.seed, &device, batches)?;
        if !checkpoint.is_empty() {
            let folder = tempfile::tempdir()?;
            let path = folder.path().join(CHECKPOINT);
            write_atomic(&path, checkpoint)?;
            trainer.resume(&path)?;
        }
        let together = Together::new(trainer.network(), &config.train.trainer, images, &device)?;
        let cache = faces::cache(&manifest.data, &data, &config.data)?;
        Ok(Self { manifest, device, data, train, trainer, together, cache })
    }

    fn train(&mut self, mut validation: bool) -> Result<()> {
        let images = images_of(&self.manifest.config);
        let (val, test) = (self.data.split(Split::Val), self.data.split(Split::Test)?);
        let val = val.ok().map(|val| faces::first(val, faces::VALIDATION_FACES));
        let data = self.data.clone();
        let device = self.device.clone();
        let asked = Asked { data: &data, faces: &test, images: &images, device: &device };
        while !self.trainer.is_done() || validation {
            if !std::mem::take(&mut validation) && !self.epoch()? {
                return Ok(());
            }
            if let Some(val) = &val {
                // What fails is rank 0's to tell, which makes no further step then.
                let asked = Asked { faces: val, ..asked };
                let _ = self.together.validate(&asked, &*self.trainer.trained().answers());
            }
        }
        self.together.test(&asked, &*self.trainer.trained().answers()).map(drop)
    }

    /// Whether the epoch came to its end.
    fn epoch(&mut self) -> Result<bool> {
        let (position, cache) = (self.trainer.position(), self.cache.clone());
        let rows = self.together.rows();
        let Manifest { config, seed, .. } = &self.manifest;
        let options = batch_options(config, *seed, self.train.len(), position);
        let options = BatchOptions { rows, cache, ..options };
        self.together.restart_clock();
        for batch in self.data.batches(&self.train, &options) {
            let images = images_and_labels(batch, &self.device);
            if self.together.step(&mut self.trainer, images)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
