//! The training of a system that the paper's network is compared with: faces → `network.onnx`, the
//! history of the training, accuracies.

use anyhow::Context;
use candle_core::{Device, Tensor};
use foresee_baselines::{Baseline, PandaConfig, System};
use foresee_celeba::{ATTRIBUTES, CelebA, Split};
use foresee_model::Trainer;

use super::checkpoints::Clock;
use super::classifier::{Asked, Classifier};
use super::examples::{answers_of, some_faces};
use super::training::Training;
use super::{forget_checkpoints, identities, parts, write_accuracy};
use crate::config::Config;
use crate::error::Result;
use crate::faces;
use crate::hash::{file_sha256, sha256};
use crate::networks::notes::{KEY, Notes};
use crate::progress::{Progress, Unit};
use crate::run::{Inputs, Manifest, Run, Stage};
use crate::session::{NETWORK, Session, images_of};

const FORMAT: u32 = 1;

/// Faces that support vector machines learn from, at most.
const MACHINE_FACES: usize = 4000;
/// Images of one batch.
const BATCH: usize = 64;

pub(super) fn stage(run: &mut Run, session: &Session) -> Result<()> {
    let Manifest { seed, device, data, config, .. } = run.manifest.clone();
    let read = read_besides(run, session)?;
    let settings = (&config.data, &config.system, read, &config.train, seed, &data.sha256, &device);
    let inputs = Inputs { stage: Stage::Train, format: FORMAT, settings, reads: &[] };
    run.stage(&inputs, |outputs| {
        let run = outputs.run();
        let data = session.data(run)?;
        let train = faces::first(data.split(Split::Train)?, config.train.limit);
        let test = data.split(Split::Test)?;
        let device = &session.device;
        let system = config.system.baseline(&config.data)?.context("the system is no network")?;
        let system = parts::placed(system, data, &train)?;
        parts::report(&system);
        let mut clock = Clock::start(run);
        let learned = identities::learn(run, data, &train, device, &mut clock)?;
        let anet = learned.as_ref().map(Trainer::trained);
        let begin = Begin { config: &config, system: &system, anet };
        let fresh = |batches| begin.trainer(seed, device, batches);
        let mut training = Training::start(run, data, &train, device, clock, &fresh)?;
        outputs.add_earlier_seconds(training.earlier_seconds());
        training.run()?;
        let network = training.trained();
        if network.has_machines() {
            fit_machines(run, network, data, &train, &session.device)?;
        }
        let notes = Notes::of_training(&config).text()?;
        network.graph().save_onnx(run.path(NETWORK), &[(KEY, &notes)])?;
        outputs.add(NETWORK);
        training.history().write(outputs)?;
        if let System::Panda(panda) = &system {
            outputs.write(&parts::places(panda))?;
        }
        if let Some(anet) = anet {
            outputs.write(&vec![identities::judge(anet, run, data, &train, device)?])?;
        }
        let images = images_of(&config);
        let asked = Asked { data, faces: &test, images: &images, device };
        let predictions = asked.answer(Some("testing"), &*network.answers())?;
        write_accuracy(outputs, data, &train, &test, &predictions.metrics()?)
    })?;
    forget_checkpoints(run);
    Ok(())
}

/// Hashes of what a training reads besides images and their attributes: weights, where landmarks
/// put parts, and who is on which image.
fn read_besides(run: &Run, session: &Session) -> Result<Option<String>> {
    let config = &run.manifest.config;
    let mut read = vec![];
    read.extend(config.system.weights().map(file_sha256).transpose()?);
    let system = config.system.baseline(&config.data)?;
    let is_panda = matches!(system, Some(System::Panda(_)));
    if is_panda || config.system.identities > 0 {
        let data = session.data(run)?;
        let train = faces::first(data.split(Split::Train)?, config.train.limit);
        read.extend(identities::sha256(run, data, &train)?);
        if let Some(panda) = system.filter(|_| is_panda)
            && let System::Panda(PandaConfig { landmarks: Some(landmarks), .. }) =
                parts::placed(panda, data, &train)?
        {
            read.push(sha256(&serde_json::to_vec(&landmarks)?));
        }
    }
    Ok((!read.is_empty()).then(|| read.join(" ")))
}

/// Trains the support vector machines of a trained network on some of its training faces, as they
/// are.
fn fit_machines(
    run: &Run,
    network: &Baseline,
    data: &CelebA,
    train: &[usize],
    device: &Device,
) -> Result<()> {
    let faces = some_faces(train, MACHINE_FACES, run.manifest.seed);
    let progress = Progress::new("seeing", Unit::Images, faces.len(), 0);
    let (mut features, mut labels) = (vec![], vec![]);
    for batch in data.batches_in_order(&faces, &images_of(&run.manifest.config), BATCH) {
        let batch = batch?;
        features.extend(network.features(&batch.images.to_device(device)?)?);
        labels.extend(answers_of(&batch)?);
        progress.add(batch.faces.len(), String::new);
    }
    let features = Tensor::cat(&features, 0)?;
    let progress = Progress::new("fitting", Unit::Labels, ATTRIBUTES.len(), 0);
    network.fit_machines(&features, &labels, &|machines| progress.add(machines, String::new))?;
    Ok(())
}

/// What a training begins with.
struct Begin<'a> {
    config: &'a Config,
    system: &'a System,
    /// An ANet that has learned to tell people.
    anet: Option<&'a Baseline>,
}

impl Begin<'_> {
    /// The training of a network with `batches` batches an epoch, from its first step.
    fn trainer(&self, seed: u64, device: &Device, batches: usize) -> Result<Trainer<Baseline>> {
        let Self { config, system, anet } = self;
        let network = Baseline::new((*system).clone(), seed, device)?;
        if let Some(file) = config.system.weights() {
            let left = network.load_torchvision(file)?;
            if !left.is_empty() {
                tracing::info!("{}: these stay as drawn: {}", file.display(), left.join(", "));
            }
        }
        if let Some(anet) = anet {
            network.take_over(anet)?;
        }
        Ok(Trainer::new(network, config.train.trainer.clone(), batches)?)
    }
}
