//! Stage `prune`: plans of semantic channel pruning and accuracy over the number of pruned channels
//! (Figure 7).

use candle_core::Tensor;
use foresee_celeba::{Batch, CelebA, Split};
use foresee_model::{Network, majority_accuracy};
use foresee_perturb::{
    ChannelStatistics, PruneCurve, PruneInputs, PrunePlan, PruneStudy, Tally, prune_curves,
};

use crate::artifacts::{
    Artifact, Channel, ChannelCorrelation, ChannelStatisticsFile, PrunedImage, PruningCurves,
    PruningPoint, Row, SemanticPlan,
};
use crate::error::Result;
use crate::faces;
use crate::progress::{Progress, Unit, counted};
use crate::ranks;
use crate::run::{Inputs, Run, Stage};
use crate::session::{MODEL, Session, Trained};
use crate::stages::jobs::Job;
use crate::stages::shared::{self, Table};

const FORMAT: u32 = 4;

/// Images of one batch: what the networks of a curve share is prepared anew for each.
const BATCH: usize = 32;

pub(crate) fn stage(run: &mut Run, session: &Session) -> Result<()> {
    let config = run.manifest.config.clone();
    let inputs = Inputs {
        stage: Stage::Prune,
        format: FORMAT,
        settings: (&config.data, &config.prune, run.manifest.seed),
        reads: &[MODEL, ChannelCorrelation::PATH, Channel::PATH, ChannelStatisticsFile::PATH],
    };
    run.stage(&inputs, |outputs| {
        let run = outputs.run();
        let data = session.data(run)?;
        let trained = session.trained(run)?;
        let counts = PruneStudy::counts(trained.network.config().channels, config.prune.step);
        let (plans, curves) = curves(run, &trained.network, &counts)?;
        for plan in &plans {
            let file = SemanticPlan::path(plan.victim);
            outputs.write_frame(file, SemanticPlan::new(plan).to_frame()?)?;
        }
        let test = faces::first(data.split(Split::Test)?, config.prune.images);
        let ranks = ranks::of(&session.device);
        let count = || Ok(vec![measure(trained, data, &test, &curves, session)?]);
        let parts = shared::job(&ranks, || Job::share(Stage::Prune, run, &session.device), count)?;
        let tallies = shared::tables(parts, &[&test], BATCH, &ranks)?.swap_remove(0);
        let in_train = data.frequencies(&data.split(Split::Train)?);
        let majority = majority_accuracy(&in_train, &data.frequencies(&test));
        let points = Points { curves: &curves, counts: &counts, tallies: &tallies };
        outputs.write(&points.table(majority))?;
        outputs.write(&points.by_image(data, &test))
    })
}

/// What another rank counts of the stage.
pub(super) fn share(run: &Run, session: &Session) -> Result<Vec<Table>> {
    let config = &run.manifest.config;
    let trained = session.trained(run)?;
    let data = session.data(run)?;
    let counts = PruneStudy::counts(trained.network.config().channels, config.prune.step);
    let (_, curves) = curves(run, &trained.network, &counts)?;
    let test = faces::first(data.split(Split::Test)?, config.prune.images);
    Ok(vec![measure(trained, data, &test, &curves, session)?])
}

/// The semantic plans, and all curves that are measured.
fn curves(
    run: &Run,
    network: &Network,
    counts: &[usize],
) -> Result<(Vec<PrunePlan>, Vec<PruneCurve>)> {
    let study = study(run);
    let tables = PruneTables::read(run, network, study.takeover)?;
    let inputs = tables.inputs();
    let plans = study.plans(&inputs)?;
    let curves = study.curves(&plans, &inputs, counts)?;
    Ok((plans, curves))
}

/// What the run compares.
pub(crate) fn study(run: &Run) -> PruneStudy {
    let config = &run.manifest.config.prune;
    PruneStudy {
        norm: config.norm,
        absolute: config.absolute,
        takeover: config.takeover,
        random_orders: config.random_seeds,
        seed: run.manifest.seed,
    }
}

/// What orders of pruning and takeovers are made from, as the stage `measure` leaves it.
pub(crate) struct PruneTables {
    correlation: Vec<Vec<f64>>,
    filter_norms: Vec<f64>,
    readout_norms: Vec<f64>,
    mask_gram: Option<Vec<Vec<f64>>>,
    /// What takeovers are computed from.
    pub statistics: ChannelStatistics,
}

impl PruneTables {
    /// Of a run that is measured; what only the lasso needs if that is asked for.
    pub fn read(run: &Run, network: &Network, for_lasso: bool) -> Result<Self> {
        let channels: Vec<Channel> = run.read()?;
        Ok(Self {
            correlation: run.read::<ChannelCorrelation>()?.0.rows,
            filter_norms: channels.iter().map(|c| c.filter_l1).collect(),
            readout_norms: channels.iter().map(|c| c.readout_l1).collect(),
            mask_gram: if for_lasso { Some(mask_gram(network)?) } else { None },
            statistics: ChannelStatisticsFile::read(run.folder())?,
        })
    }

    /// As a study of pruning takes them.
    pub fn inputs(&self) -> PruneInputs<'_> {
        PruneInputs {
            correlation: &self.correlation,
            filter_norms: &self.filter_norms,
            readout_norms: &self.readout_norms,
            mask_gram: self.mask_gram.as_deref(),
            statistics: &self.statistics,
        }
    }
}

fn mask_gram(network: &Network) -> Result<Vec<Vec<f64>>> {
    let rows = network.heads().mask_gram()?;
    Ok(rows.into_iter().map(|row| row.into_iter().map(f64::from).collect()).collect())
}

/// A tally for each curve and number of pruned channels, on this rank's share of the faces.
fn measure(
    trained: &Trained,
    data: &CelebA,
    test: &[usize],
    curves: &[PruneCurve],
    session: &Session,
) -> Result<Table> {
    let device = &session.device;
    let test = shared::own(test, BATCH, &ranks::of(device));
    let networks: usize = curves.iter().map(|curve| curve.cuts.len()).sum();
    let progress = Progress::new("pruning", Unit::Images, test.len(), 0);
    let batches = data.batches_in_order(test, &trained.preprocessing, BATCH);
    let size = |batch: &foresee_celeba::Result<Batch>| batch.as_ref().map_or(0, |b| b.faces.len());
    let each = || format!("each through {networks} networks");
    let batches =
        counted(batches, &progress, size, each).map(|batch| -> Result<(Tensor, Tensor)> {
            let batch = batch?;
            Ok((batch.images.to_device(device)?, batch.labels.to_device(device)?))
        });
    prune_curves(&trained.network, curves, batches)
}

/// All points of all curves.
struct Points<'a> {
    curves: &'a [PruneCurve],
    counts: &'a [usize],
    tallies: &'a [Vec<Tally>],
}

impl Points<'_> {
    fn iter(&self) -> impl Iterator<Item = (&PruneCurve, usize, &Tally)> {
        self.curves.iter().zip(self.tallies).flat_map(|(curve, tallies)| {
            self.counts.iter().zip(tallies).map(move |(&count, tally)| (curve, count, tally))
        })
    }

    fn table(&self, majority_accuracy: f64) -> PruningCurves {
        let point = |(curve, pruned, tally): (&PruneCurve, usize, &Tally)| PruningPoint {
            rule: curve.order.rule,
            takeover: curve.takeover,
            seed: curve.order.seed,
            pruned,
            images: tally.images(),
            accuracy: tally.accuracy(),
            standard_error: tally.standard_error(),
            majority_accuracy,
        };
        let with_attributes =
            |item: (&PruneCurve, usize, &Tally)| (point(item), item.2.by_attribute());
        PruningCurves { points: self.iter().map(with_attributes).collect() }
    }

    fn by_image(&self, data: &CelebA, faces: &[usize]) -> Vec<PrunedImage> {
        let of_point = |(curve, pruned, tally): (&PruneCurve, usize, &Tally)| {
            let correct = tally.correct_by_image();
            let row = |(&face, correct): (&usize, i64)| PrunedImage {
                image: data.name(face).into(),
                rule: curve.order.rule,
                seed: curve.order.seed,
                takeover: curve.takeover,
                pruned,
                correct: correct as usize,
            };
            faces.iter().zip(correct).map(row).collect::<Vec<_>>()
        };
        self.iter().flat_map(of_point).collect()
    }
}
