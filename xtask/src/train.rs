//! Stage `train`: faces → `model.safetensors`, the history of the training, accuracies.

pub mod checkpoints;
mod history;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use candle_core::Device;
use foresee_celeba::{
    ATTRIBUTES, BatchOptions, Cache, CelebA, Normalisation, Preprocessing, Split,
};
use foresee_model::{
    Metrics, ModelCard, Network, Position, Predictions, Trainer, majority_accuracy,
};
use foresee_report::frame::df;

use self::history::{History, Validation};
use crate::faces;
use crate::interrupt::Patience;
use crate::memory::available_memory;
use crate::progress::Progress;
use crate::run::{Manifest, Run};

pub fn stage(run: &mut Run, device: &Device) -> Result<()> {
    let config = run.manifest.config.clone();
    let Manifest { seed, device: device_name, data, .. } = run.manifest.clone();
    let inputs = (&config.data, &config.model, &config.train, seed, data.sha256, device_name);
    run.stage("train", &inputs, &[], |run| {
        let data = faces::reopen(&run.manifest.data, &run.folder, config.data.split.into())?;
        let train = faces::limited(data.split(Split::Train)?, config.train.limit);
        let test = data.split(Split::Test)?;
        let mut training = Training::start(run, &data, &train, device)?;
        training.run()?;
        let network = training.trainer.trained();
        let card = card(run, train.len());
        network.save(&run.path("model.safetensors"), &card)?;
        let predictions = predict(
            Progress::new("testing", test.len(), 0),
            network,
            &data,
            &test,
            &faces::preprocessing(&card),
            device,
        )?;
        write_accuracy(run, &data, &train, &test, &predictions.metrics()?)?;
        checkpoints::remove(run);
        let made = [
            "model.safetensors",
            history::FILES[0],
            history::FILES[1],
            "data/accuracy.csv",
            "data/accuracy_per_attribute.csv",
        ];
        Ok(made.map(String::from).to_vec())
    })
}

fn card(run: &Run, trained: usize) -> ModelCard {
    let config = &run.manifest.config;
    let normalisation = Normalisation::default();
    ModelCard {
        network: config.network(ATTRIBUTES.len()),
        attributes: ATTRIBUTES.map(String::from).to_vec(),
        image_size: config.data.image_size,
        crop: config.data.crop.name().into(),
        mean: normalisation.mean,
        deviation: normalisation.deviation,
        seed: run.manifest.seed,
        trained_on: format!("{trained} of {}", run.manifest.data.description()),
        kept_channels: None,
    }
}

/// Logits of faces, with their labels.
pub fn predict(
    mut progress: Progress,
    network: &Network,
    data: &CelebA,
    faces: &[usize],
    preprocessing: &Preprocessing,
    device: &Device,
) -> Result<Predictions> {
    let (network, mut predictions) = (network.frozen(), Predictions::default());
    for batch in faces::in_order(data, faces, preprocessing, 32) {
        let batch = batch?;
        let output = network.forward(&batch.images.to_device(device)?)?;
        predictions.add(&output.logits, &batch.labels)?;
        progress.add(batch.faces.len(), String::new);
    }
    Ok(predictions)
}

struct Training<'a> {
    run: &'a Run,
    data: &'a CelebA,
    train: &'a [usize],
    device: &'a Device,
    trainer: Trainer,
    cache: Option<Arc<Cache>>,
    history: History,
    began: Instant,
    /// Seconds that earlier sessions took.
    earlier: f64,
    saved: Instant,
    saving: Duration,
}

impl<'a> Training<'a> {
    fn start(
        run: &'a Run,
        data: &'a CelebA,
        train: &'a [usize],
        device: &'a Device,
    ) -> Result<Self> {
        let (config, began, earlier) =
            (&run.manifest.config, Instant::now(), checkpoints::seconds(run));
        // The last batch of an epoch is left out if it is not full, unless it is the only one.
        let batches = (train.len() / config.train.batch_size).max(1);
        let fresh = || {
            let network =
                Network::new(config.network(ATTRIBUTES.len()), run.manifest.seed, device)?;
            Ok(Trainer::new(network, config.training(), batches)?)
        };
        let (trainer, history) = checkpoints::resume(run, fresh)?;
        tell_memory(
            &trainer,
            config.train.batch_size.min(train.len()),
            config.data.image_size,
            device,
        );
        tracing::info!(
            "training {} parameters on {} faces at {} px",
            trainer.network().parameters(),
            train.len(),
            config.data.image_size
        );
        let cache = faces::cache(
            &run.manifest.data,
            data,
            config.data.crop.into(),
            config.data.image_size,
        )?;
        Ok(Self {
            run,
            data,
            train,
            device,
            trainer,
            cache,
            history,
            began,
            earlier,
            saved: Instant::now(),
            saving: Duration::ZERO,
        })
    }

    fn run(&mut self) -> Result<()> {
        let config = &self.run.manifest.config;
        // Behind the training a signal ends the program at once again.
        let patience = Patience::begin();
        let (start, done) =
            (Instant::now(), self.trainer.position().step * config.train.batch_size);
        let mut progress = Progress::new(
            "training",
            self.trainer.steps() * config.train.batch_size.min(self.train.len()),
            done,
        );
        while !self.trainer.is_done() {
            if let Err(e) = self.epoch(&mut progress, &patience) {
                return Err(self.rescued(e));
            }
            self.validate(&progress)?;
            self.save()?;
            if let Some(interrupted) = patience.interrupted() {
                self.tell_saved();
                return Err(interrupted.into());
            }
        }
        let share = 100. * self.saving.as_secs_f64() / start.elapsed().as_secs_f64().max(1e-9);
        tracing::info!(
            "checkpoints took {:.2} s, {share:.2} % of the training",
            self.saving.as_secs_f64()
        );
        self.history.write(self.run)
    }

    fn epoch(&mut self, progress: &mut Progress, patience: &Patience) -> Result<()> {
        let config = &self.run.manifest.config;
        for batch in self.data.batches(self.train, &self.options()) {
            let batch = batch?;
            let at = self.trainer.position();
            let report = self.trainer.step(
                &batch.images.to_device(self.device)?,
                &batch.labels.to_device(self.device)?,
            )?;
            self.history.steps.push((at, report));
            progress.add(batch.faces.len(), || self.history.message(config.train.epochs));
            // At the end of an epoch the checkpoint is written after validation.
            if self.trainer.position().batch > 0 {
                patience.interrupted().map_or(Ok(()), Err)?;
                if self.saved.elapsed() > Duration::from_secs(config.train.checkpoint_seconds) {
                    self.save()?;
                }
            }
        }
        Ok(())
    }

    /// Images of the epoch under way, from the batch on that is next.
    fn options(&self) -> BatchOptions {
        let config = &self.run.manifest.config;
        let Position { epoch, batch, .. } = self.trainer.position();
        BatchOptions {
            crop: config.data.crop.into(),
            image_size: config.data.image_size,
            batch_size: config.train.batch_size,
            shuffle: Some((self.run.manifest.seed, epoch as u64)),
            flip: config.train.flip,
            smallest_crop: config.train.crop,
            drop_last: self.train.len() > config.train.batch_size,
            skip: batch,
            cache: self.cache.clone(),
            ..Default::default()
        }
    }

    /// An error in the middle of an epoch, after what was learned in it has been saved; unless it
    /// is the network itself that is broken.
    fn rescued(&mut self, error: anyhow::Error) -> anyhow::Error {
        let broken = matches!(error.downcast_ref(), Some(foresee_model::Error::NotFinite { .. }));
        if !broken && self.trainer.position().batch > 0 {
            match self.save() {
                Ok(()) => self.tell_saved(),
                Err(e) => tracing::warn!("the steps since the last checkpoint are lost: {e:#}"),
            }
        }
        error
    }

    fn tell_saved(&self) {
        tracing::info!(
            "saved at step {} of {}",
            self.trainer.position().step,
            self.trainer.steps()
        );
    }

    fn validate(&mut self, progress: &Progress) -> Result<()> {
        // The paper's split has no validation faces.
        let Ok(faces) = self.data.split(Split::Val) else { return Ok(()) };
        let faces = faces::limited(faces, faces::VALIDATION_FACES);
        let preprocessing = faces::preprocessing(&card(self.run, self.train.len()));
        let metrics = predict(
            Progress::hidden(),
            self.trainer.trained(),
            self.data,
            &faces,
            &preprocessing,
            self.device,
        )?
        .metrics()?;
        let last = self.history.message(self.run.manifest.config.train.epochs);
        progress.say(&format!(
            "{last}, validation accuracy {:.2} % ({} faces)",
            100. * metrics.accuracy(),
            faces.len()
        ));
        let (accuracy, balanced_accuracy) = (metrics.accuracy(), metrics.balanced_accuracy());
        self.history.validation.push(Validation {
            epochs_done: self.trainer.position().epoch,
            accuracy,
            balanced_accuracy,
        });
        Ok(())
    }

    fn save(&mut self) -> Result<()> {
        let start = Instant::now();
        checkpoints::save(
            self.run,
            &self.trainer,
            &self.history,
            self.earlier + self.began.elapsed().as_secs_f64(),
        )?;
        self.saved = Instant::now();
        self.saving += start.elapsed();
        Ok(())
    }
}

/// Says beforehand what memory the training needs, and warns if it is not there.
fn tell_memory(trainer: &Trainer, batch: usize, image_size: usize, device: &Device) {
    let needed = trainer.network().training_bytes(batch, image_size) as f64 / 1e9;
    match available_memory().map(|bytes| bytes as f64 / 1e9).filter(|_| device.is_cpu()) {
        Some(available) if needed > available => tracing::warn!(
            "training needs about {needed:.2} GB of memory, but {available:.2} GB are available: the system may end it; a smaller train.batch_size or data.image_size needs less"
        ),
        Some(available) => tracing::info!(
            "training needs about {needed:.2} GB of memory, {available:.2} GB are available"
        ),
        None => tracing::info!("training needs about {needed:.2} GB of memory"),
    }
}

fn write_accuracy(
    run: &Run,
    data: &CelebA,
    train: &[usize],
    test: &[usize],
    metrics: &Metrics,
) -> Result<()> {
    let (in_train, in_test) = (data.frequencies(train), data.frequencies(test));
    let summary = df!(
        "split" => ["test"],
        "images" => [metrics.images as i64],
        "accuracy" => [metrics.accuracy()],
        "balanced_accuracy" => [metrics.balanced_accuracy()],
        "auc" => [metrics.auc()],
        "majority_accuracy" => [majority_accuracy(&in_train, &in_test)],
    )?;
    run.write_csv("data/accuracy.csv", summary)?;
    let column = |value: fn(&foresee_model::AttributeMetrics) -> f64| {
        metrics.each.iter().map(value).collect::<Vec<_>>()
    };
    let majority: Vec<f64> = (0..ATTRIBUTES.len())
        .map(|k| majority_accuracy(&in_train[k..=k], &in_test[k..=k]))
        .collect();
    let each = df!(
        "attribute" => ATTRIBUTES.to_vec(),
        "frequency" => column(|m| m.frequency),
        "accuracy" => column(|m| m.accuracy),
        "balanced_accuracy" => column(|m| m.balanced_accuracy),
        "auc" => column(|m| m.auc),
        "majority_accuracy" => majority,
    )?;
    run.write_csv("data/accuracy_per_attribute.csv", each)
}

/// The trained network of a run, to be evaluated.
pub fn load(run: &Path, device: &Device) -> Result<(Network, ModelCard)> {
    let (network, card) = Network::load(&run.join("model.safetensors"), device)?;
    Ok((network.frozen(), card))
}
