//! A training: epochs of steps, with checkpoints, validation and interruption.

use std::sync::Arc;

use anyhow::Context;
use candle_core::Device;
use foresee_celeba::{BatchOptions, Cache, CelebA, Split};
use foresee_model::{Network, Predictions, Trainer};

use super::batches::{Batching, batch_options, images_and_labels};
use super::checkpoints::{self, Clock};
use super::classifier::{Asked, Classifier};
use super::follower;
use super::history::History;
use super::together::Together;
use crate::artifacts::Validation;
use crate::error::{Result, input};
use crate::faces;
use crate::interrupt::Patience;
use crate::memory::{Available, available_memory};
use crate::progress::{Progress, Unit};
use crate::run::Run;
use crate::session::images_of;

pub(super) struct Training<'a, N: Classifier> {
    run: &'a Run,
    data: &'a CelebA,
    train: &'a [usize],
    device: &'a Device,
    trainer: Trainer<N>,
    together: Together,
    cache: Option<Arc<Cache>>,
    history: History,
    clock: Clock,
}

impl<'a, N: Classifier> Training<'a, N> {
    /// From the start, or from the newest checkpoint. `fresh` begins the training of a network with
    /// so many batches an epoch.
    pub fn start(
        run: &'a Run,
        data: &'a CelebA,
        train: &'a [usize],
        device: &'a Device,
        clock: Clock,
        fresh: &dyn Fn(usize) -> Result<Trainer<N>>,
    ) -> Result<Self> {
        let config = &run.manifest.config;
        let Batching { images, batches } = Batching::new(config, train.len());
        let (trainer, history) = checkpoints::resume(run, || fresh(batches))?;
        let together = Together::new(trainer.network(), &config.train.trainer, images, device)?;
        let cache = faces::cache(&run.manifest.data, data, &config.data)?;
        let validation = history.validation_due(data, trainer.position());
        // From here to the first step nothing may fail: the other ranks wait for it.
        follower::call(run, &trainer, validation, device)?;
        tracing::info!(
            "training {} parameters on {} faces at {} px",
            trainer.network().trained_parameters(),
            train.len(),
            config.data.image_size
        );
        Ok(Self { run, data, train, device, trainer, together, cache, history, clock })
    }

    /// Seconds that earlier sessions took.
    pub fn earlier_seconds(&self) -> f64 {
        self.clock.earlier_seconds
    }

    /// The network with its current weights.
    pub fn network(&self) -> &N {
        self.trainer.network()
    }

    /// What the training has come to.
    pub fn trained(&self) -> &N {
        self.trainer.trained()
    }

    /// What happened in all sessions.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Trains to the end, or until a signal asks it to stop.
    pub fn run(&mut self) -> Result<()> {
        let config = &self.run.manifest.config;
        // Behind the training a signal ends the program at once again.
        let patience = Patience::begin();
        let Batching { images, .. } = Batching::new(config, self.train.len());
        let done = self.trainer.position().step * images;
        let all = self.trainer.steps() * images;
        let progress = Progress::new("training", Unit::Images, all, done);
        if let Err(e) = self.epochs(&progress, &patience) {
            self.together.stop()?;
            return Err(e);
        }
        self.clock.report();
        Ok(())
    }

    /// The answers of what was trained to test faces, behind [`run`](Self::run).
    pub fn test(&mut self, faces: &[usize]) -> Result<Predictions> {
        let (data, device) = (self.data, self.device);
        let images = images_of(&self.run.manifest.config);
        let answers = self.trainer.trained().answers();
        let asked = Asked { data, faces, images: &images, device };
        self.together.test(&asked, &*answers)?.context("rank 0 has all answers")
    }

    fn epochs(&mut self, progress: &Progress, patience: &Patience) -> Result<()> {
        while !self.trainer.is_done() || self.is_validation_due() {
            if let Err(e) = self.epoch_and_validation(progress, patience) {
                return Err(self.rescue(e));
            }
            self.save()?;
            if let Some(interrupted) = patience.interrupted() {
                self.report_saved();
                return Err(interrupted.into());
            }
        }
        Ok(())
    }

    /// Whether an epoch has ended without a validation, which has failed.
    fn is_validation_due(&self) -> bool {
        self.history.validation_due(self.data, self.trainer.position())
    }

    fn epoch_and_validation(&mut self, progress: &Progress, patience: &Patience) -> Result<()> {
        if !self.is_validation_due() {
            self.epoch(progress, patience)?;
        }
        self.validate(progress)
    }

    fn epoch(&mut self, progress: &Progress, patience: &Patience) -> Result<()> {
        let config = &self.run.manifest.config;
        let faces = self.train.len();
        let Batching { images: in_batch, .. } = Batching::new(config, faces);
        let (position, cache) = (self.trainer.position(), self.cache.clone());
        let rows = self.together.rows();
        let seed = self.run.manifest.seed;
        let options = BatchOptions { rows, cache, ..batch_options(config, seed, faces, position) };
        self.together.restart_clock();
        for batch in self.data.batches(self.train, &options) {
            let at = self.trainer.position();
            let images = images_and_labels(batch, self.device);
            let Some(report) = self.together.step(&mut self.trainer, images)? else {
                return Err(input("another rank ended the training"));
            };
            self.history.push(at, &report);
            progress.add(in_batch, || self.history.message(config));
            // At the end of an epoch the checkpoint is written after validation.
            if self.trainer.position().batch > 0 {
                patience.interrupted().map_or(Ok(()), Err)?;
                if self.clock.is_due() {
                    self.save()?;
                }
            }
        }
        Ok(())
    }

    /// An error in the middle of an epoch or in the validation behind it, after what was learned
    /// has been saved; unless it is the network itself that is broken.
    fn rescue(&mut self, error: anyhow::Error) -> anyhow::Error {
        let broken = matches!(error.downcast_ref(), Some(foresee_model::Error::NotFinite { .. }));
        if !broken && (self.trainer.position().batch > 0 || self.is_validation_due()) {
            match self.save() {
                Ok(()) => self.report_saved(),
                Err(e) => tracing::warn!("the steps since the last checkpoint are lost: {e:#}"),
            }
        }
        error
    }

    fn report_saved(&self) {
        let (step, steps) = (self.trainer.position().step, self.trainer.steps());
        tracing::info!("saved at step {step} of {steps}");
    }

    fn validate(&mut self, progress: &Progress) -> Result<()> {
        // The paper's split has no validation faces.
        let Ok(val) = self.data.split(Split::Val) else { return Ok(()) };
        let val = faces::first(val, faces::VALIDATION_FACES);
        let images = images_of(&self.run.manifest.config);
        let answers = self.trainer.trained().answers();
        let asked = Asked { data: self.data, faces: &val, images: &images, device: self.device };
        let predictions = self.together.validate(&asked, &*answers)?;
        let metrics = predictions.context("rank 0 has all answers")?.metrics()?;
        drop(answers);
        progress.say(&format!(
            "{}, validation accuracy {:.2} % ({} faces)",
            self.history.message(&self.run.manifest.config),
            100. * metrics.accuracy(),
            val.len()
        ));
        self.history.validation.push(Validation {
            epochs_done: self.trainer.position().epoch,
            accuracy: metrics.accuracy(),
            balanced_accuracy: metrics.balanced_accuracy(),
        });
        Ok(())
    }

    fn save(&mut self) -> Result<()> {
        self.clock.save(self.run, &self.trainer, &self.history)
    }
}

/// Bytes that the stages after training need at least: drawing figures took 0.22 GB in a smoke run.
const OTHER_STAGES: u64 = 250_000_000;

/// What memory a run needs, and what there is.
pub(crate) struct MemoryNeed {
    /// Bytes of a training step, an estimate.
    pub training: u64,
    /// Bytes of the run: of its training, or what the other stages need at least.
    pub needed: u64,
    /// What a process can still have, where the system tells it and the device is the CPU.
    pub available: Option<Available>,
}

impl MemoryNeed {
    /// Of training a network on batches of images of this height and width.
    pub fn new(network: &Network, batch: usize, image_size: usize, device: &Device) -> Self {
        let training = network.training_bytes(batch, image_size);
        Self {
            training,
            needed: training.max(OTHER_STAGES),
            available: available_memory().filter(|_| device.is_cpu()),
        }
    }
}

/// Says beforehand what memory the training needs, and warns if it is not there.
pub(super) fn report_memory(network: &Network, batch: usize, image_size: usize, device: &Device) {
    let need = MemoryNeed::new(network, batch, image_size, device);
    let [training, needed] = [need.training, need.needed].map(|bytes| bytes as f64 / 1e9);
    let found = need.available;
    let found = found.map(|found| (found.bytes as f64 / 1e9, found.bound.consequence()));
    match found {
        Some((available, consequence)) if needed > available => tracing::warn!(
            "the run needs about {needed:.2} GB of memory, but {available:.2} GB are available: \
             {consequence}; a smaller train.batch_size or data.image_size needs less"
        ),
        Some((available, _)) => tracing::info!(
            "training needs about {training:.2} GB of memory, {available:.2} GB are available"
        ),
        None => tracing::info!("training needs about {training:.2} GB of memory"),
    }
}
