//! Stage `train`: faces → `model.safetensors`, the history of the training, accuracies.

mod baseline;
mod batches;
mod checkpoints;
mod classifier;
mod examples;
mod face_tracer;
mod follower;
mod history;
mod identities;
mod parts;
mod together;
mod training;

use candle_core::Device;
use foresee_celeba::{ATTRIBUTES, CelebA, Normalisation, Split};
use foresee_model::{Metrics, ModelCard, Network, Trainer, majority_accuracy};

pub(crate) use self::batches::{Batching, batch_options};
pub(crate) use self::classifier::{Answers, Asked, Classifier};
pub(crate) use self::face_tracer::answers as face_tracer_answers;
pub(crate) use self::follower::follow;
pub(crate) use self::training::MemoryNeed;
use self::training::{Training, report_memory};
use crate::artifacts::{Accuracy, AttributeAccuracy};
use crate::config::{Config, SystemName};
use crate::error::Result;
use crate::faces;
use crate::run::{Inputs, Manifest, Outputs, Run, Stage, checkpoint_files};
use crate::seen;
use crate::session::{MODEL, Session, crop_of_card};

/// The model's card came to state its conventions and a square crop without a new number: an older
/// card is read as saying the same, so an older model is still what this stage makes. So it is
/// although training steps came to compute masks once, which changes the last digits of new
/// weights: a model that was trained before is as good a result, and is not trained again.
const FORMAT: u32 = 1;

pub(crate) fn stage(run: &mut Run, session: &Session) -> Result<()> {
    match run.manifest.config.system.name {
        SystemName::Paper => paper(run, session),
        SystemName::Facetracer => face_tracer::stage(run, session),
        _ => baseline::stage(run, session),
    }
}

/// Trains the paper's network.
fn paper(run: &mut Run, session: &Session) -> Result<()> {
    let Manifest { seed, device, data, config, .. } = run.manifest.clone();
    let settings = (&config.data, &config.model, &config.train, seed, &data.sha256, &device);
    let inputs = Inputs { stage: Stage::Train, format: FORMAT, settings, reads: &[] };
    run.stage(&inputs, |outputs| {
        let run = outputs.run();
        let data = session.data(run)?;
        let train = faces::first(data.split(Split::Train)?, config.train.limit);
        let test = data.split(Split::Test)?;
        let fresh = |batches| trainer_of_paper(&config, seed, &session.device, batches);
        let clock = checkpoints::Clock::start(run);
        let mut training = Training::start(run, data, &train, &session.device, clock, &fresh)?;
        let Batching { images, .. } = Batching::new(&config, train.len());
        report_memory(training.network(), images, config.data.image_size, &session.device);
        outputs.add_earlier_seconds(training.earlier_seconds());
        training.run()?;
        let predictions = training.test(&test)?;
        let network = training.trained();
        let card = card(run, data, train.len())?;
        network.save(&run.path(MODEL), &card)?;
        outputs.add(MODEL);
        training.history().write(outputs)?;
        write_accuracy(outputs, data, &train, &test, &predictions.metrics()?)
    })?;
    forget_checkpoints(run);
    Ok(())
}

/// Removes the checkpoints of a training that the manifest has. Until then they are all that a
/// process which is killed leaves of it.
fn forget_checkpoints(run: &Run) {
    if !run.is_plan() {
        checkpoint_files::remove(run.folder());
    }
}

/// The training of the paper's network with so many batches an epoch, from its first step.
fn trainer_of_paper(
    config: &Config,
    seed: u64,
    device: &Device,
    batches: usize,
) -> Result<Trainer> {
    let network = Network::new(config.model.clone(), seed, device)?;
    Ok(Trainer::new(network, config.train.trainer.clone(), batches)?)
}

/// What the model file says about itself.
fn card(run: &Run, data: &CelebA, trained: usize) -> Result<ModelCard> {
    let manifest = &run.manifest;
    let normalisation = Normalisation::default();
    Ok(ModelCard {
        network: manifest.config.model.clone(),
        attributes: ATTRIBUTES.map(String::from).to_vec(),
        image_size: manifest.config.data.image_size,
        crop: crop_of_card(manifest.config.data.crop),
        mean: normalisation.mean,
        deviation: normalisation.deviation,
        conventions: Default::default(),
        seed: manifest.seed,
        trained_on: format!("{trained} of {}", manifest.data.description()),
        training_split_sha256: Some(training_split(run, data)?),
        kept_channels: None,
        left_out: None,
    })
}

/// The hash of the training split, with images that were left out because they cannot be read: who
/// asks the network later does not leave them out.
fn training_split(run: &Run, data: &CelebA) -> Result<String> {
    let Manifest { data: record, config, .. } = &run.manifest;
    let all = match record.left_out.is_empty() {
        true => data.clone(),
        false => faces::with_bad(record, config.data.split)?,
    };
    Ok(seen::hash_of_split(&all, &all.split(Split::Train)?))
}

fn write_accuracy(
    outputs: &mut Outputs,
    data: &CelebA,
    train: &[usize],
    test: &[usize],
    metrics: &Metrics,
) -> Result<()> {
    let in_train = data.frequencies(train);
    let in_test = data.frequencies(test);
    outputs.write(&vec![Accuracy {
        split: Split::Test.id().into(),
        images: metrics.images,
        accuracy: metrics.accuracy(),
        balanced_accuracy: metrics.balanced_accuracy(),
        auc: metrics.auc(),
        majority_accuracy: majority_accuracy(&in_train, &in_test),
    }])?;
    let of_attribute = |(k, m): (usize, &foresee_model::AttributeMetrics)| AttributeAccuracy {
        attribute: ATTRIBUTES[k].into(),
        frequency: m.frequency,
        accuracy: m.accuracy,
        balanced_accuracy: m.balanced_accuracy,
        auc: m.auc,
        majority_accuracy: majority_accuracy(&in_train[k..=k], &in_test[k..=k]),
    };
    outputs.write(&metrics.each.iter().enumerate().map(of_attribute).collect::<Vec<_>>())
}
