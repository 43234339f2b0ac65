//! Stage `predict`: how well forecasts that a person could make say what a perturbation changes.

use anyhow::Context;
use candle_core::Tensor;
use foresee_celeba::Split;
use foresee_model::Network;
use foresee_perturb::{ChannelStatistics, PruneOrder, Victim};
use foresee_predict::{
    Explanation, NetworkStudy, NetworkStudySettings, Observations, Progress as Told,
    RegressionStudy,
};
use foresee_ranks::Communicator;
use foresee_stats::Matrix;

use crate::artifacts::{
    Artifact, AttributeCorrelation, Channel, ChannelCorrelation, ChannelStatisticsFile,
    MeanContributions, MeanMasks, RegressionReport, Row, ScoredForecasts, SemanticPlan,
};
use crate::error::Result;
use crate::faces;
use crate::progress::{LateProgress, Unit};
use crate::ranks;
use crate::run::{Inputs, Outputs, Run, Stage};
use crate::session::{MODEL, Session, Trained};
use crate::stages::jobs::Job;
use crate::stages::shared;

const FORMAT: u32 = 8;

/// Images of a batch whose masks are worked on at once, and that one rank observes.
const BATCH: usize = 8;
/// Data sets of the regression study.
const REGRESSIONS: u64 = 20;

/// The stage; left out if no images are asked for.
pub(crate) fn stage(run: &mut Run, session: &Session) -> Result<()> {
    let config = run.manifest.config.clone();
    if config.predict.images == 0 {
        return Ok(());
    }
    let sigmas = &config.transform.sigmas;
    let inputs = Inputs {
        stage: Stage::Predict,
        format: FORMAT,
        settings: (
            &config.data,
            &config.predict,
            sigmas,
            config.transform.clip,
            config.prune.absolute,
            run.manifest.seed,
        ),
        reads: &[
            MODEL,
            ChannelStatisticsFile::PATH,
            Channel::PATH,
            ChannelCorrelation::PATH,
            MeanMasks::PATH,
            MeanContributions::PATH,
            AttributeCorrelation::PATH,
            SemanticPlan::path(Victim::Lower),
            SemanticPlan::path(Victim::Higher),
        ],
    };
    run.stage(&inputs, |outputs| {
        write_scores(outputs, session)?;
        let report = regression_study(REGRESSIONS, config.predict.resamples)?;
        outputs.write_simulated(&report)
    })
}

/// The paper's regression models (Eq. 3 to 7) on so many data sets.
pub(crate) fn regression_study(seeds: u64, resamples: usize) -> Result<RegressionReport> {
    let study = RegressionStudy { seeds, resamples, ..RegressionStudy::default() };
    Ok(RegressionReport::new(&study.run()?))
}

/// The network under the paper's operations, and what its explanation forecasts of them.
fn write_scores(outputs: &mut Outputs, session: &Session) -> Result<()> {
    let run = outputs.run();
    let materials = Materials::new(run, session)?;
    let ranks = ranks::of(&session.device);
    let job = || Job::share(Stage::Predict, run, &session.device);
    let mut observed = None;
    let parts = shared::job(&ranks, job, || {
        let own = observed.insert(materials.observe()?);
        // One rank's numbers need not be put together.
        Ok(if ranks.size() > 1 { own.to_values() } else { vec![] })
    })?;
    let mut observed = observed.context("this rank has observed its share")?;
    if ranks.size() > 1 {
        let faces = faces_of(run, session)?;
        shared::check_faces(&parts, observed.values_of_image(), (&faces, BATCH), &ranks)?;
        observed.replace(&parts)?;
    }
    let progress = |_| ();
    let scored = materials.study(&progress).score(&observed)?;
    outputs.write(&ScoredForecasts(scored))
}

/// What another rank observes for the stage.
pub(super) fn share(run: &Run, session: &Session) -> Result<Vec<f64>> {
    Ok(Materials::new(run, session)?.observe()?.to_values())
}

/// What the study is made of.
struct Materials<'a> {
    run: &'a Run,
    trained: &'a Trained,
    /// Test images of this rank, on the session's device, with their numbers.
    batches: Vec<(Tensor, Vec<usize>)>,
    statistics: ChannelStatistics,
    explanation: Explanation,
    semantic_orders: Vec<PruneOrder>,
    attribute_correlation: Matrix,
}

impl<'a> Materials<'a> {
    fn new(run: &'a Run, session: &'a Session) -> Result<Self> {
        let trained = session.trained(run)?;
        let statistics = ChannelStatisticsFile::read(run.folder())?;
        let orders = Victim::ALL.into_iter().map(|victim| Ok(run.semantic_plan(victim)?.order()));
        Ok(Self {
            run,
            trained,
            batches: batches(run, session, trained)?,
            explanation: explanation(run, &statistics.readout)?,
            statistics,
            semantic_orders: orders.collect::<Result<_>>()?,
            attribute_correlation: run.read::<AttributeCorrelation>()?.matrix(),
        })
    }

    fn study<'s>(&'s self, progress: Told<'s>) -> NetworkStudy<'s, Network> {
        NetworkStudy {
            network: &self.trained.network,
            batches: &self.batches,
            explanation: &self.explanation,
            statistics: &self.statistics,
            semantic_orders: &self.semantic_orders,
            attribute_correlation: &self.attribute_correlation,
            settings: settings(self.run, self.trained),
            progress,
        }
    }

    /// What the network does to this rank's images.
    fn observe(&self) -> Result<Observations> {
        let progress = LateProgress::default();
        let step = |images: usize| progress.add(images);
        let study = self.study(&step);
        progress.begin("predicting", Unit::Passes, study.images_to_run());
        Ok(study.observe()?)
    }
}

/// Test faces of all ranks.
fn faces_of(run: &Run, session: &Session) -> Result<Vec<usize>> {
    let test = session.data(run)?.split(Split::Test)?;
    Ok(faces::first(test, run.manifest.config.predict.images))
}

/// Test images of this rank on the session's device, with their numbers.
fn batches(run: &Run, session: &Session, trained: &Trained) -> Result<Vec<(Tensor, Vec<usize>)>> {
    let (data, test) = (session.data(run)?, faces_of(run, session)?);
    let own = shared::own(&test, BATCH, &ranks::of(&session.device));
    let batches = data.batches_in_order(own, &trained.preprocessing, BATCH);
    batches
        .map(|batch| {
            let batch = batch?;
            Ok((batch.images.to_device(&session.device)?, batch.faces))
        })
        .collect()
}

fn explanation(run: &Run, readout: &[Vec<f64>]) -> Result<Explanation> {
    let channels: Vec<Channel> = run.read()?;
    Ok(Explanation {
        correlation: run.read::<ChannelCorrelation>()?.matrix(),
        mean_masks: run.read::<MeanMasks>()?.matrix(),
        readout: Matrix::from_rows(readout),
        contributions: run.read::<MeanContributions>()?.matrix(),
        filter_norms: channels.iter().map(|channel| channel.filter_l1).collect(),
    })
}

fn settings(run: &Run, trained: &Trained) -> NetworkStudySettings {
    let config = &run.manifest.config;
    NetworkStudySettings {
        channels: config.predict.channels,
        resamples: config.predict.resamples,
        seed: run.manifest.seed,
        absolute: config.prune.absolute,
        attention: config.model.attention,
        sigmas: config.transform.sigmas.clone(),
        clip: config.transform.clip,
        mean: trained.card.mean,
        deviation: trained.card.deviation,
    }
}
