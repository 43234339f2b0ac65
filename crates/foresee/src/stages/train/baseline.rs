//! The training of a system that the paper's network is compared with: faces → `network.onnx`, the
//! history of the training, accuracies.

use anyhow::Context;
use candle_core::Device;
use foresee_baselines::Baseline;
use foresee_celeba::Split;
use foresee_model::Trainer;

use super::classifier::{Classifier, answer};
use super::training::Training;
use super::write_accuracy;
use crate::config::Config;
use crate::error::Result;
use crate::faces;
use crate::hash::file_sha256;
use crate::progress::{Progress, Unit};
use crate::run::{Inputs, Manifest, Run, Stage, checkpoint_files};
use crate::session::{NETWORK, Session, images_of};

const FORMAT: u32 = 1;

pub(super) fn stage(run: &mut Run, session: &Session) -> Result<()> {
    let Manifest { seed, device, data, config, .. } = run.manifest.clone();
    let weights = config.system.weights().map(file_sha256).transpose()?;
    let settings =
        (&config.data, &config.system, weights, &config.train, seed, &data.sha256, &device);
    let inputs = Inputs { stage: Stage::Train, format: FORMAT, settings, reads: &[] };
    run.stage(&inputs, |outputs| {
        let run = outputs.run();
        let data = session.data(run)?;
        let train = faces::first(data.split(Split::Train)?, config.train.limit);
        let test = data.split(Split::Test)?;
        let fresh = |batches| start(&config, seed, &session.device, batches);
        let mut training = Training::start(run, data, &train, &session.device, &fresh)?;
        outputs.add_earlier_seconds(training.earlier_seconds());
        training.run()?;
        let network = training.trained();
        network.graph().save_onnx(run.path(NETWORK), &[])?;
        outputs.add(NETWORK);
        training.history().write(outputs)?;
        let progress = Progress::new("testing", Unit::Images, test.len(), 0);
        let images = images_of(run);
        let answers = network.answers();
        let predictions = answer(progress, &*answers, data, &test, &images, &session.device)?;
        write_accuracy(outputs, data, &train, &test, &predictions.metrics()?)?;
        checkpoint_files::remove(run.folder());
        Ok(())
    })
}

/// The training of a network with `batches` batches an epoch, from its first step.
fn start(config: &Config, seed: u64, device: &Device, batches: usize) -> Result<Trainer<Baseline>> {
    let system = config.system.baseline(&config.data)?.context("the system is no network")?;
    let network = Baseline::new(system, seed, device)?;
    if let Some(file) = config.system.weights() {
        let left = network.load_torchvision(file)?;
        if !left.is_empty() {
            tracing::info!("{}: these stay as drawn: {}", file.display(), left.join(", "));
        }
    }
    Ok(Trainer::new(network, config.train.trainer.clone(), batches)?)
}
