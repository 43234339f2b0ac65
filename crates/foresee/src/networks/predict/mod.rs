//! `predict`: what pruning each layer would change, forecast before it is done, beside what it
//! changes.

mod page;
mod rows;

use std::path::Path;

use candle_core::Tensor;
use foresee_graph::{ChannelGroup, Graph};
use foresee_perturb::{GroupRule, Takeover};
use foresee_predict::{
    Answers, Layer, LayerForecasts, LayerOutcome, LayerStudy, LayerStudySettings,
};
use foresee_report::frame;
use foresee_stats::Matrix;
use serde::Serialize;

pub(crate) use self::page::{PAGE, table};
pub(crate) use self::rows::{OutcomeRow, SkippedRow};
use super::calibration::Images;
use super::folder::{Part, read_rows};
use super::image_input::ImageInput;
use super::layers::{can_take_over, layers, title};
use super::task::Task;
use crate::artifacts::{Artifact, ScoredForecasts};
use crate::error::{Result, input};
use crate::progress::{LateProgress, Unit};

/// The version of its files.
const FORMAT: u32 = 9;
const PART: &str = "predict";
/// Forecast and outcome of every layer.
const FILE: &str = "data/forecasts.csv";
/// What has none, and why.
const SKIPPED: &str = "data/forecasts_skipped.csv";

/// Images are held in memory up to this size.
const MOST_BYTES: usize = 4 << 30;

/// What is forecast.
#[derive(Debug, Clone)]
pub(crate) struct PredictOptions {
    /// Layers; empty: all that can be pruned.
    pub layers: Vec<String>,
    /// The shares of each layer's channels that are pruned.
    pub shares: Vec<f64>,
    /// The shares of the operations to which all layers are pruned together.
    pub budgets: Vec<f64>,
    /// What the kept channels do. If they take over, half of the images are for their statistics.
    pub takeover: Takeover,
    /// So many outputs are forecast: if there are more, those that are answered most often.
    pub outputs: usize,
    /// What orders the channels.
    pub rule: GroupRule,
    /// Samples of the bootstrap.
    pub resamples: usize,
    pub seed: u64,
}

/// What decides the forecasts, beside images and labels.
#[derive(Serialize)]
struct Settings<'a> {
    layers: Vec<&'a str>,
    shares: &'a [f64],
    budgets: &'a [f64],
    takeover: &'static str,
    outputs: usize,
    rule: &'static str,
    resamples: usize,
    seed: u64,
}

/// What was forecast, and what came.
pub(crate) struct Forecasts {
    /// Forecast and outcome of every layer.
    pub outcomes: Vec<OutcomeRow>,
    /// What has none.
    pub skipped: Vec<SkippedRow>,
    /// The forecasts' scores.
    pub scores: ScoredForecasts,
}

/// Forecasts, prunes, compares, and writes data, figures and page into a folder.
///
/// # Errors
/// If there is nothing to prune, images or labels do not suffice, the network fails, or a file
/// cannot be written.
pub(crate) fn predict(task: &Task, out: &Path, options: &PredictOptions) -> Result<Forecasts> {
    let groups = layers(&task.network, &options.layers)?;
    let graph = task.network.with_logits_output()?;
    if options.rule == GroupRule::Taylor {
        task.labels()?;
    }
    let images = match options.takeover {
        Takeover::Nothing => Images::shared(task)?,
        _ => Images::split(task, 0)?,
    };
    check_memory(&images)?;
    let mut folder = task.folder(out)?;
    // All options are named, so that none is forgotten.
    let PredictOptions { layers: _, shares, budgets, takeover, outputs, rule, resamples, seed } =
        options;
    let settings = Settings {
        layers: groups.iter().map(|group| group.name.as_str()).collect(),
        shares,
        budgets,
        takeover: takeover.id(),
        outputs: *outputs,
        rule: rule.id(),
        resamples: *resamples,
        seed: *seed,
    };
    let part = Part { name: PART, format: FORMAT, made_from: task.made_from(settings) };
    folder.part(&part, |files| {
        let LayerForecasts { outcomes, scores, skipped } =
            study(&images, &graph, &groups, options)?;
        let title = |layer: &str| {
            let group = groups.iter().find(|group| group.name == layer);
            group.map_or(String::new(), |group| title(&graph, group))
        };
        let observed = images.observed().len();
        let row = |outcome: &LayerOutcome| OutcomeRow::new(outcome, title, observed);
        files.write(FILE, &outcomes.iter().map(row).collect::<Vec<_>>())?;
        let skipped: Vec<SkippedRow> = skipped.iter().map(SkippedRow::new).collect();
        files.write(SKIPPED, &skipped)?;
        files.write_frame(ScoredForecasts::PATH, &ScoredForecasts(scores).to_frame()?)
    })?;
    page::write(&images, &mut folder)?;
    let found = read(out)?;
    found.skipped.iter().for_each(|row| tracing::warn!("skipped: {}", row.why));
    Ok(found)
}

/// The results in a folder.
fn read(folder: &Path) -> Result<Forecasts> {
    let scores = frame::read_csv(&folder.join(ScoredForecasts::PATH))?;
    Ok(Forecasts {
        outcomes: read_rows(&folder.join(FILE))?,
        skipped: read_rows(&folder.join(SKIPPED))?,
        scores: ScoredForecasts::from_frame(&scores)?,
    })
}

/// Those that networks are run on are held in memory.
fn check_memory(images: &Images) -> Result<()> {
    let (task, count) = (images.task(), images.observed().len());
    let ImageInput { channels, height, width, .. } = task.network.input;
    let bytes = count * channels * height * width * size_of::<f32>();
    match bytes > MOST_BYTES {
        true => Err(input(format!(
            "--limit: {count} images take {:.0} GB of memory; 64 to 500 are enough to compare \
             layers",
            bytes as f64 / 1e9
        ))),
        false => Ok(()),
    }
}

/// The outputs that are forecast: all, or those that are answered most often. All images are run,
/// so that logits that are not finite are told before any work.
fn outputs(task: &Task, graph: &Graph, batches: &[Tensor], most: usize) -> Result<Vec<usize>> {
    let all = task.network.outputs;
    let mut counts = vec![0usize; all];
    for images in batches {
        let logits = task.network.logits(graph, images)?;
        if task.multi_label {
            let yes = logits.gt(0f64)?.to_vec2::<u8>()?;
            let add = |row: &Vec<u8>| {
                counts.iter_mut().zip(row).for_each(|(count, yes)| *count += usize::from(*yes));
            };
            yes.iter().for_each(add);
        } else {
            let classes = logits.argmax(1)?.to_vec1::<u32>()?;
            classes.iter().for_each(|class| counts[*class as usize] += 1);
        }
    }
    if all <= most {
        return Ok((0..all).collect());
    }
    let mut order: Vec<usize> = (0..all).collect();
    order.sort_by_key(|&k| std::cmp::Reverse(counts[k]));
    order.truncate(most);
    order.sort_unstable();
    let names: Vec<&str> = order.iter().map(|&k| task.classes.name(k)).collect();
    tracing::info!("of {all} outputs these are forecast (--outputs): {}", names.join(", "));
    Ok(order)
}

fn study(
    images: &Images,
    graph: &Graph,
    groups: &[ChannelGroup],
    options: &PredictOptions,
) -> Result<LayerForecasts> {
    let task = images.task();
    let batches = images.batches(images.observed()).map(|batch| Ok(batch?.1));
    let batches: Vec<Tensor> = batches.collect::<Result<_>>()?;
    let outputs = outputs(task, graph, &batches, options.outputs)?;
    let all: Vec<&ChannelGroup> = groups.iter().collect();
    let statistics = images.statistics(graph, &all)?;
    let groups = images.with_order(&statistics, groups.to_vec(), options.rule, &options.layers)?;
    let all: Vec<&ChannelGroup> = groups.iter().collect();
    can_take_over(graph, &all, options.takeover);
    let orders = images.orders(&statistics, &all, options.rule, options.seed)?;
    let norms: Vec<Vec<f64>> =
        groups.iter().map(|group| Ok(group.filter_norms(graph)?)).collect::<Result<_>>()?;
    let parts = groups.iter().zip(&orders).zip(&norms);
    let layers: Vec<Layer> =
        parts.map(|((group, order), norms)| Layer { group, order: &order.order, norms }).collect();
    let judge = |logits: &Matrix| {
        let accuracy =
            task.labels.as_ref().map(|labels| labels.accuracy(images.observed(), logits));
        accuracy.transpose().ok().flatten().unwrap_or(f64::NAN)
    };
    let progress = LateProgress::default();
    let step = |images: usize| progress.add(images);
    let study = LayerStudy {
        graph,
        layers: &layers,
        statistics: &statistics,
        batches: &batches,
        judge: task.labels.is_some().then_some(&judge),
        settings: LayerStudySettings {
            shares: options.shares.clone(),
            budgets: options.budgets.clone(),
            takeover: options.takeover,
            outputs,
            answers: if task.multi_label { Answers::Each } else { Answers::One },
            resamples: options.resamples,
            seed: options.seed,
        },
        progress: &step,
    };
    let passes = study.passes() * images.observed().len();
    progress.begin("forecasting", Unit::Passes, passes);
    Ok(study.run()?)
}
