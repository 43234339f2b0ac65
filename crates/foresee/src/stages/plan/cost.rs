//! What a run would take: time, memory and disk. All of these are estimates.

use candle_core::Device;
use foresee_attribution::Method;
use foresee_celeba::{ATTRIBUTES, CelebA};
use foresee_model::Network;
use foresee_perturb::{Curve, PruneStudy, ToneCurve};
use foresee_predict::NetworkStudySettings;
use serde::Serialize;

use super::pace::Pace;
use crate::config::Config;
use crate::error::Result;
use crate::faces::VALIDATION_FACES;
use crate::provenance::first_of;
use crate::run::{Run, Stage, checkpoint_files};
use crate::stages::train::MemoryNeed;

/// Seconds to draw figures, tables and the report: 1 to 3 on two cores, for networks of 16 and of
/// 128 channels.
const FIGURES: f64 = 3.;
/// What an explained pass of the stage `attribute` takes, in passes through the extractor and one
/// head that are measured here: its images are few at a time, in `f32`, and some of its operations
/// are not fused.
const EXPLAINED: f64 = 1.5;
/// Passes of one explanation by all methods beside those that the settings count.
const OTHER_METHODS: usize = 20;
/// Faces among which the comparison looks for one of each attribute, at most.
const LOOKED_AT: usize = 36;
/// Networks of the cascade of random weights: one for each layer.
const RANDOMISED: usize = 6;
/// Bytes of a drawn face: 11,814 in a run of 4,000.
const FACE: u64 = 12_000;
/// Bytes of figures, tables and the report, at most: 22 MB in a run of the profile quick.
const DRAWINGS: u64 = 30_000_000;
/// Bytes of a row of a CSV file that is for one image.
const ROW: u64 = 50;
/// Bytes of a number in a CSV file, at most.
const NUMBER: u64 = 22;

/// What a run would take.
#[derive(Serialize)]
pub(crate) struct Cost {
    pub training: Training,
    /// Of the stages that would be done.
    pub stages: Vec<StageTime>,
    /// The sum of these.
    pub seconds: f64,
    /// Images of the training step that was measured, if one was.
    pub measured_batch: Option<usize>,
    pub memory: Memory,
    pub disk: Disk,
}

/// How much is trained.
#[derive(Serialize)]
pub(crate) struct Training {
    /// Whether the stage would be done.
    pub runs: bool,
    pub epochs: usize,
    pub steps: usize,
    pub batch: usize,
    /// Of all steps.
    pub images: usize,
    pub parameters: usize,
    /// Whether a checkpoint is there, from which the training goes on: it then takes less.
    pub checkpoint: bool,
}

/// The time of a stage.
#[derive(Serialize)]
pub(crate) struct StageTime {
    pub stage: Stage,
    pub seconds: f64,
    pub basis: Basis,
}

/// What a time is estimated from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Basis {
    /// What the stage took when it was done here before.
    Before,
    /// Training steps, measured now.
    Steps,
    /// The same, in which no mask sleeps: the stage takes at most so long.
    DenseSteps,
    /// Passes through the network, counted, and the time of a pass, measured now.
    Passes,
    /// What it took in other runs.
    OtherRuns,
}

impl Basis {
    /// In words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Before => "as it took before",
            Self::Steps => "from training steps that were measured now",
            Self::DenseSteps => {
                "at most: from training steps that were measured now; masks that sleep make it \
                 shorter"
            }
            Self::Passes => "from passes through the network, one of which was measured now",
            Self::OtherRuns => "as in other runs",
        }
    }
}

/// Memory in bytes.
#[derive(Serialize)]
pub(crate) struct Memory {
    /// Of the run at its peak.
    pub needed: u64,
    /// What a process can still have, where the system tells it.
    pub available: Option<u64>,
}

/// Bytes on disk.
#[derive(Serialize)]
pub(crate) struct Disk {
    /// Of the run's folder when all is done, at most.
    pub needed: u64,
    /// More than that while the network is trained.
    pub checkpoints: u64,
    /// Of resized images in the folder of `--cache`, which other runs share.
    pub cache: u64,
    /// What is free where the run's folder is, where the system tells it.
    pub free: Option<u64>,
}

impl Cost {
    /// Of a run that is planned. `data` are its faces, unless they would be drawn.
    pub fn new(run: &Run, data: Option<&CelebA>, draws: bool, device: &Device) -> Result<Self> {
        let config = &run.manifest.config;
        let network = Network::new(config.model.clone(), 0, &Device::Cpu)?;
        let training = Training::new(run, network.parameters());
        let need = MemoryNeed::new(&network, training.batch, config.data.image_size, device);
        let done = run.planned().iter().filter(|planned| planned.state.runs());
        let done: Vec<Stage> = done.map(|planned| planned.stage).collect();
        let before = |stage: Stage| run.manifest.stages.get(&stage).map(|r| r.wall_seconds);
        let is_measured = |stage: &Stage| *stage != Stage::Figures && before(*stage).is_none();
        let pace = match done.iter().any(is_measured) {
            true => Some(Pace::measure(config, training.batch, &need, data, device)?),
            false => None,
        };
        let work = Work { run, training: &training };
        let time = |&stage: &Stage| match (before(stage), &pace) {
            (Some(seconds), _) => Some(StageTime { stage, seconds, basis: Basis::Before }),
            (None, _) if stage == Stage::Figures => {
                Some(StageTime { stage, seconds: FIGURES, basis: Basis::OtherRuns })
            }
            (None, Some(pace)) => Some(work.time(stage, pace)),
            (None, None) => None,
        };
        let stages: Vec<StageTime> = done.iter().filter_map(time).collect();
        Ok(Self {
            // The sum of nothing is -0.
            seconds: 0. + stages.iter().map(|time| time.seconds).sum::<f64>(),
            stages,
            measured_batch: pace.map(|pace| pace.batch),
            memory: Memory {
                needed: need.needed,
                available: need.available.map(|found| found.bytes),
            },
            disk: Disk::new(run, draws, network.parameters()),
            training,
        })
    }
}

impl Training {
    fn new(run: &Run, parameters: usize) -> Self {
        let Config { train, .. } = &run.manifest.config;
        let faces = first_of(run.manifest.data.train, train.limit);
        let batch = train.batch_size.min(faces).max(1);
        let epochs = train.trainer.epochs;
        // The last batch of an epoch is left out if it is not full, unless it is the only one.
        let steps = epochs * (faces / train.batch_size).max(1);
        let is_train = |planned: &&crate::run::PlannedStage| planned.stage == Stage::Train;
        Self {
            runs: run.planned().iter().find(is_train).is_some_and(|train| train.state.runs()),
            epochs,
            steps,
            batch,
            images: steps * batch,
            parameters,
            checkpoint: run.path(checkpoint_files::NEWEST).exists(),
        }
    }
}

/// What stages have to do, in images through a part of the network.
struct Work<'a> {
    run: &'a Run,
    training: &'a Training,
}

impl Work<'_> {
    fn config(&self) -> &Config {
        &self.run.manifest.config
    }

    /// So many test faces of those that there are.
    fn test(&self, limit: usize) -> f64 {
        first_of(self.run.manifest.data.test, limit) as f64
    }

    fn time(&self, stage: Stage, pace: &Pace) -> StageTime {
        let reading = pace.reading.unwrap_or(0.);
        let pass = pace.features + pace.heads;
        let seconds = match stage {
            Stage::Train => {
                let data = &self.run.manifest.data;
                let validated = self.training.epochs * data.val.min(VALIDATION_FACES);
                self.training.images as f64 * (pace.training + reading)
                    + (validated + data.test) as f64 * (pass + reading)
            }
            Stage::Measure => {
                let limit = self.config().measure.images;
                let images = first_of(self.run.manifest.data.train, limit) as f64;
                images * (pass + reading)
            }
            Stage::Prune => {
                // The networks of a curve share their products. Those with larger masks, and all
                // on a GPU, are run one by one, with half of the channels on average.
                let shared = self.config().model.mask_kernel == 1;
                let share = if shared && self.run.manifest.device == "cpu" { 0.2 } else { 0.5 };
                let heads = share * self.pruned_networks() as f64 * pace.heads;
                self.test(self.config().prune.images) * (pace.features + heads + reading)
            }
            Stage::Transform => {
                let settings = &self.config().transform;
                let heads = passes_under_curves(&settings.curves) * pace.heads;
                let each = settings.sigmas.len() as f64 * (pace.features + heads);
                let val = match settings.validation {
                    0 => 0,
                    limit => first_of(self.run.manifest.data.val, limit),
                };
                (self.test(settings.images) + val as f64) * (each + reading)
            }
            Stage::Predict => {
                let images = self.test(self.config().predict.images);
                images * (pace.features + self.predicted_passes() as f64 * pace.heads + reading)
            }
            Stage::Attribute => self.attribution(pace),
            Stage::Figures => FIGURES,
            // It is in no run that is planned.
            Stage::Judge => 0.,
        };
        let basis = match stage {
            Stage::Train if self.may_sleep() => Basis::DenseSteps,
            Stage::Train => Basis::Steps,
            Stage::Figures => Basis::OtherRuns,
            _ => Basis::Passes,
        };
        StageTime { stage, seconds, basis }
    }

    /// Whether masks may sleep in training.
    fn may_sleep(&self) -> bool {
        let Config { model, train, .. } = self.config();
        train.trainer.may_sleep(model)
    }

    /// Networks of all curves of pruning.
    fn pruned_networks(&self) -> usize {
        pruned_networks(self.config(), self.run.manifest.seed)
    }

    fn predicted_passes(&self) -> usize {
        let Config { model, prune, transform, predict, .. } = self.config();
        let settings = NetworkStudySettings {
            channels: predict.channels,
            resamples: predict.resamples,
            seed: self.run.manifest.seed,
            absolute: prune.absolute,
            attention: model.attention,
            sigmas: transform.sigmas.clone(),
            clip: transform.clip,
            mean: [0.; 3],
            deviation: [1.; 3],
        };
        settings.passes(model.channels, 2)
    }

    /// Seconds of the stage `attribute`, roughly. Explanations need the head of their attribute
    /// only; permutations and surrogates those of the attributes that the run asks about.
    fn attribution(&self, pace: &Pace) -> f64 {
        let Config { measure, model, attribute, .. } = self.config();
        let head = pace.heads / model.attributes.max(1) as f64;
        let asked = head * measure.attributes.len() as f64;
        let faces = |setting: usize| if setting == 0 { 0. } else { self.test(setting) };
        let permuted = faces(attribute.permutation_images) * attribute.repeats as f64;
        let cells = (attribute.grid * attribute.grid) as f64;
        let channels = first_of(model.channels, attribute.channels) as f64;
        let permutations = cells * (pace.features + asked) + channels * asked;
        self.explained_passes() as f64 * EXPLAINED * (pace.features + head)
            + permuted * permutations
            + faces(attribute.surrogate_images) * (pace.features + asked)
    }

    /// Passes of images through the layers of one attribute; a backward pass counts as one more. On
    /// each face with an attribute all methods explain and are scored by deletion and insertion,
    /// whose ends they share; some explain again for the checks, after small changes and after
    /// weights are drawn anew, layer by layer.
    fn explained_passes(&self) -> usize {
        let Config { measure, model, attribute, .. } = self.config();
        let methods = Method::studied(model.attention, attribute.permutation_images > 0).len();
        let attributes = measure.attributes.len();
        // Two methods walk `steps` copies forward and back, and LIME sees its samples.
        let explain = 4 * attribute.steps + attribute.lime_samples + OTHER_METHODS;
        let score = 2 * attribute.steps.saturating_sub(1) * methods + 3;
        let pairs = attributes * attribute.images;
        let checks = attribute.checks.min(pairs) * (1 + attribute.neighbours + RANDOMISED);
        pairs * (explain + score) + attributes * (explain + LOOKED_AT) + checks * explain
    }
}

/// What the heads take under all curves, in passes without one. The masks are computed once, for
/// the identity. Curves of Eq. 11 with n up to 3 share sums; others are applied to each mask.
fn passes_under_curves(curves: &[Curve]) -> f64 {
    let is_shared = |curve: &Curve| {
        let form = curve.closed_form(0, 0).filter(|form| !form.clips());
        form.is_some_and(|form| [1., 2., 3.].contains(&form.n))
    };
    let share = |curve: &Curve| if is_shared(curve) { 0.15 } else { 0.3 };
    1. + curves.iter().filter(|curve| !curve.is_identity()).map(share).sum::<f64>()
}

fn pruned_networks(config: &Config, seed: u64) -> usize {
    let study = PruneStudy {
        norm: config.prune.norm,
        absolute: config.prune.absolute,
        takeover: config.prune.takeover,
        random_orders: config.prune.random_seeds,
        seed,
    };
    study.curve_count() * PruneStudy::counts(config.model.channels, config.prune.step).len()
}

impl Disk {
    /// Sums of the files whose size grows with the settings, and a bound of the others.
    fn new(run: &Run, draws: bool, parameters: usize) -> Self {
        let manifest = &run.manifest;
        let (config, data) = (&manifest.config, &manifest.data);
        let (channels, attributes) = (config.model.channels as u64, ATTRIBUTES.len() as u64);
        let weights = 4 * parameters as u64;
        // Covariances of the features and of each attribute's products, in double precision.
        let statistics = 8 * (attributes + 1) * channels * (channels + 4);
        let test = |limit: usize| first_of(data.test, limit) as u64;
        let pruned = test(config.prune.images) * pruned_networks(config, manifest.seed) as u64;
        let settings = config.transform.sigmas.len() * config.transform.curves.len();
        let transformed = test(config.transform.images) * settings as u64;
        let matrices = NUMBER * channels * (channels + 3 * attributes);
        let side = config.data.image_size as u64;
        let methods = Method::ALL.len() as u64;
        let shown = config.measure.attributes.len() as u64;
        // A plane for each method, and for each mask of Figure 4.
        let planes = shown * (methods + 3 * config.measure.faces as u64) * side * side * 12;
        let files = ROW * (pruned + transformed) + matrices + planes + 2 * weights + statistics;
        let own = data.synthetic && (draws || run.path("faces").exists());
        let faces = if own { FACE * data.faces as u64 } else { 0 };
        let averaged = u64::from(config.train.trainer.average > 0.);
        Self {
            needed: files + faces + DRAWINGS,
            // Two of them, each with the weights, two moments and perhaps an average.
            checkpoints: 2 * (3 + averaged) * weights,
            cache: data.cache.as_ref().map_or(0, |_| 3 * side * side * data.faces as u64),
            free: free(run),
        }
    }
}

/// What is free where a run's folder is, or would be.
#[cfg(unix)]
fn free(run: &Run) -> Option<u64> {
    let folder = std::path::absolute(run.folder()).ok()?;
    let there = folder.ancestors().find(|folder| folder.exists())?;
    let found = rustix::fs::statvfs(there).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(not(unix))]
fn free(_: &Run) -> Option<u64> {
    None
}
