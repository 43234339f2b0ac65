//! Stage `train`: faces → `model.safetensors`, the history of the training, accuracies.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use candle_core::Device;
use foresee_celeba::{ATTRIBUTES, BatchOptions, Cache, CelebA, Normalisation, Preprocessing, Split};
use foresee_model::{Metrics, ModelCard, Network, Position, Predictions, StepReport, Trainer, majority_accuracy};
use foresee_report::frame::{self, DataFrame, df};

use crate::faces;
use crate::progress::Progress;
use crate::run::{CHECKPOINT, Manifest, Run};

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
        let predictions = predict(Progress::new("testing", test.len(), 0), network, &data, &test, &faces::preprocessing(&card), device)?;
        write_accuracy(run, &data, &train, &test, &predictions.metrics()?)?;
        let _ = std::fs::remove_file(run.path(CHECKPOINT));
        Ok(["model.safetensors", "data/training.csv", "data/validation.csv", "data/accuracy.csv", "data/accuracy_per_attribute.csv"]
            .map(String::from)
            .to_vec())
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
    let mut predictions = Predictions::default();
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
    steps: Vec<(Position, StepReport)>,
    validation: Vec<(usize, f64, f64)>,
    saved: Instant,
}

impl<'a> Training<'a> {
    fn start(run: &'a Run, data: &'a CelebA, train: &'a [usize], device: &'a Device) -> Result<Self> {
        let config = &run.manifest.config;
        let network = Network::new(config.network(ATTRIBUTES.len()), run.manifest.seed, device)?;
        tracing::info!("training {} parameters on {} faces at {} px", network.parameters(), train.len(), config.data.image_size);
        // The last batch of an epoch is left out if it is not full, unless it is the only one.
        let batches = (train.len() / config.train.batch_size).max(1);
        let mut trainer = Trainer::new(network, config.training(), batches)?;
        let (mut steps, mut validation) = (vec![], vec![]);
        if run.path(CHECKPOINT).exists() {
            match trainer.resume(&run.path(CHECKPOINT)).map_err(anyhow::Error::from).and_then(|()| history(run, trainer.position())) {
                Ok(history) => {
                    (steps, validation) = history;
                    tracing::info!("going on from step {} of {}", trainer.position().step, trainer.steps());
                }
                Err(e) => {
                    tracing::warn!("starting afresh: {e:#}");
                    let network = Network::new(config.network(ATTRIBUTES.len()), run.manifest.seed, device)?;
                    trainer = Trainer::new(network, config.training(), batches)?;
                }
            }
        }
        let cache = faces::cache(&run.manifest.data, data, config.data.crop.into(), config.data.image_size)?;
        Ok(Self { run, data, train, device, trainer, cache, steps, validation, saved: Instant::now() })
    }

    fn run(&mut self) -> Result<()> {
        let config = &self.run.manifest.config;
        let done = self.trainer.position().step * config.train.batch_size;
        let mut progress = Progress::new("training", self.trainer.steps() * config.train.batch_size.min(self.train.len()), done);
        while !self.trainer.is_done() {
            self.epoch(&mut progress)?;
            self.validate(&progress)?;
            self.checkpoint()?;
        }
        self.write_history()
    }

    fn epoch(&mut self, progress: &mut Progress) -> Result<()> {
        let config = &self.run.manifest.config;
        let Position { epoch, batch, .. } = self.trainer.position();
        let options = BatchOptions {
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
        };
        for batch in self.data.batches(self.train, &options) {
            let batch = batch?;
            let at = self.trainer.position();
            let report = self.trainer.step(&batch.images.to_device(self.device)?, &batch.labels.to_device(self.device)?)?;
            self.steps.push((at, report));
            progress.add(batch.faces.len(), || message(&self.steps, config.train.epochs));
            // At the end of an epoch the checkpoint is written after validation.
            if self.trainer.position().batch > 0 && self.saved.elapsed() > Duration::from_secs(config.train.checkpoint_seconds) {
                self.checkpoint()?;
            }
        }
        Ok(())
    }

    fn validate(&mut self, progress: &Progress) -> Result<()> {
        let epoch = self.trainer.position().epoch;
        // The paper's split has no validation faces.
        let Ok(faces) = self.data.split(Split::Val) else { return Ok(()) };
        let faces = faces::limited(faces, faces::VALIDATION_FACES);
        let preprocessing = faces::preprocessing(&card(self.run, self.train.len()));
        let metrics = predict(Progress::hidden(), self.trainer.trained(), self.data, &faces, &preprocessing, self.device)?.metrics()?;
        let last = message(&self.steps, self.run.manifest.config.train.epochs);
        progress.say(&format!("{last}, validation accuracy {:.2} % ({} faces)", 100. * metrics.accuracy(), faces.len()));
        self.validation.push((epoch, metrics.accuracy(), metrics.balanced_accuracy()));
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<()> {
        self.write_history()?;
        self.trainer.save_checkpoint(&self.run.path(CHECKPOINT))?;
        self.saved = Instant::now();
        Ok(())
    }

    fn write_history(&self) -> Result<()> {
        let column = |value: fn(&StepReport) -> f64| self.steps.iter().map(|(_, r)| value(r)).collect::<Vec<_>>();
        let place = |value: fn(&Position) -> usize| self.steps.iter().map(|(p, _)| value(p) as i64).collect::<Vec<_>>();
        let steps = df!(
            "step" => place(|p| p.step),
            "epoch" => place(|p| p.epoch),
            "loss" => column(|r| r.loss.into()),
            "classification_loss" => column(|r| r.classification.into()),
            "sparsity_loss" => column(|r| r.sparsity.into()),
            "batch_accuracy" => column(|r| r.accuracy.into()),
            "mask_mean" => column(|r| r.mask_mean.into()),
            "learning_rate" => column(|r| r.learning_rate),
        )?;
        self.run.write_csv("data/training.csv", steps)?;
        let validation = df!(
            "epochs_done" => self.validation.iter().map(|v| v.0 as i64).collect::<Vec<_>>(),
            "accuracy" => self.validation.iter().map(|v| v.1).collect::<Vec<_>>(),
            "balanced_accuracy" => self.validation.iter().map(|v| v.2).collect::<Vec<_>>(),
        )?;
        self.run.write_csv("data/validation.csv", validation)
    }
}

/// Means over the last steps, for the eye.
fn message(steps: &[(Position, StepReport)], epochs: usize) -> String {
    let last = &steps[steps.len().saturating_sub(20)..];
    let mean = |value: fn(&StepReport) -> f32| last.iter().map(|(_, r)| value(r)).sum::<f32>() / last.len().max(1) as f32;
    let epoch = steps.last().map_or(0, |(p, _)| p.epoch) + 1;
    format!(
        "epoch {epoch}/{epochs}, loss {:.3} = {:.3} + {:.3} sparsity, accuracy {:.1} %, mask mean {:.3}",
        mean(|r| r.loss),
        mean(|r| r.classification),
        mean(|r| r.sparsity),
        100. * mean(|r| r.accuracy),
        mean(|r| r.mask_mean)
    )
}

type History = (Vec<(Position, StepReport)>, Vec<(usize, f64, f64)>);

/// What happened before a checkpoint at this position.
fn history(run: &Run, at: Position) -> Result<History> {
    let read = |file: &str| -> Result<DataFrame> { run.read_csv(file).context("the history beside the checkpoint") };
    let steps = read("data/training.csv")?;
    let numbers = |name: &str| frame::numbers(&steps, name);
    let (step, epoch, loss) = (numbers("step")?, numbers("epoch")?, numbers("loss")?);
    let (classification, sparsity, accuracy) = (numbers("classification_loss")?, numbers("sparsity_loss")?, numbers("batch_accuracy")?);
    let (mask_mean, learning_rate) = (numbers("mask_mean")?, numbers("learning_rate")?);
    let rows = (0..step.len().min(at.step)).map(|i| {
        let position = Position { step: step[i] as usize, epoch: epoch[i] as usize, batch: 0 };
        let report = StepReport {
            loss: loss[i] as f32,
            classification: classification[i] as f32,
            sparsity: sparsity[i] as f32,
            accuracy: accuracy[i] as f32,
            mask_mean: mask_mean[i] as f32,
            learning_rate: learning_rate[i],
        };
        (position, report)
    });
    let rows: Vec<_> = rows.collect();
    anyhow::ensure!(rows.len() == at.step, "data/training.csv ends at step {}, before the checkpoint", rows.len());
    let validation = read("data/validation.csv")?;
    let (epochs, accuracy, balanced) =
        (frame::numbers(&validation, "epochs_done")?, frame::numbers(&validation, "accuracy")?, frame::numbers(&validation, "balanced_accuracy")?);
    let validation = (0..epochs.len()).map(|i| (epochs[i] as usize, accuracy[i], balanced[i])).filter(|v| v.0 <= at.epoch).collect();
    Ok((rows, validation))
}

fn write_accuracy(run: &Run, data: &CelebA, train: &[usize], test: &[usize], metrics: &Metrics) -> Result<()> {
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
    let column = |value: fn(&foresee_model::AttributeMetrics) -> f64| metrics.each.iter().map(value).collect::<Vec<_>>();
    let majority: Vec<f64> = (0..ATTRIBUTES.len()).map(|k| majority_accuracy(&in_train[k..=k], &in_test[k..=k])).collect();
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

/// The trained network of a run.
pub fn load(run: &Path, device: &Device) -> Result<(Network, ModelCard)> {
    Ok(Network::load(&run.join("model.safetensors"), device)?)
}
