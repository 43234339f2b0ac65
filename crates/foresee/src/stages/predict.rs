//! Stage `predict`: how well forecasts that a person could make say what a perturbation changes.

use candle_core::Tensor;
use foresee_celeba::Split;
use foresee_perturb::{PruneOrder, Victim};
use foresee_predict::{Explanation, NetworkStudy, NetworkStudySettings, RegressionStudy};
use foresee_stats::Matrix;

use crate::artifacts::{
    Artifact, AttributeCorrelation, Channel, ChannelCorrelation, ChannelStatisticsFile,
    MeanContributions, MeanMasks, RegressionReport, Row, ScoredForecasts, SemanticPlan,
};
use crate::error::Result;
use crate::faces;
use crate::progress::{LateProgress, Unit};
use crate::run::{Inputs, Outputs, Run, Stage};
use crate::session::{MODEL, Session, Trained};

const FORMAT: u32 = 5;

/// Images of a batch whose masks are worked on at once.
const BATCH: usize = 16;
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
    let trained = session.trained(run)?;
    let batches = batches(run, session, trained)?;
    let statistics = ChannelStatisticsFile::read(run.folder())?;
    let progress = LateProgress::default();
    let step = |images: usize| progress.add(images);
    let study = NetworkStudy {
        network: &trained.network,
        batches: &batches,
        explanation: &explanation(run, &statistics.readout)?,
        statistics: &statistics,
        semantic_orders: &semantic_orders(run)?,
        attribute_correlation: &run.read::<AttributeCorrelation>()?.matrix(),
        settings: settings(run, trained),
        progress: &step,
    };
    let images = study.images_to_run();
    progress.begin("predicting", Unit::Passes, images);
    let scored = study.run()?;
    outputs.write(&ScoredForecasts(scored))
}

/// Test images on the session's device, with their numbers.
fn batches(run: &Run, session: &Session, trained: &Trained) -> Result<Vec<(Tensor, Vec<usize>)>> {
    let data = session.data(run)?;
    let test = faces::first(data.split(Split::Test)?, run.manifest.config.predict.images);
    let batches = data.batches_in_order(&test, &trained.preprocessing, BATCH);
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

fn semantic_orders(run: &Run) -> Result<Vec<PruneOrder>> {
    Victim::ALL.into_iter().map(|victim| Ok(run.semantic_plan(victim)?.order())).collect()
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
