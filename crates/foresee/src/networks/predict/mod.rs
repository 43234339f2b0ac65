//! `predict`: what pruning each layer would change, forecast before it is done, beside what it
//! changes.

mod page;
mod rows;

use std::path::Path;

use candle_core::{DType, Tensor};
use foresee_graph::{ChannelGroup, Graph};
use foresee_perturb::{Norm, PruneOrder};
use foresee_predict::{Answers, Layer, LayerOutcome, LayerStudy, LayerStudySettings};
use foresee_stats::Matrix;
use serde::Serialize;

pub(crate) use self::page::{PAGE, table};
pub(crate) use self::rows::OutcomeRow;
use super::folder::{Folder, Part};
use super::labels::{Labels, greatest};
use super::layers::{layers, title};
use super::subject::{Given, Subject};
use crate::artifacts::{Artifact, ScoredForecasts};
use crate::error::Result;
use crate::progress::{Progress, Unit};

/// The version of its files.
const FORMAT: u32 = 1;
const PART: &str = "predict";
/// Forecast and outcome of every layer.
pub(crate) const FILE: &str = "data/forecasts.csv";

/// What is forecast.
#[derive(Debug, Clone)]
pub(crate) struct PredictOptions {
    /// Layers; empty: all that can be pruned.
    pub layers: Vec<String>,
    /// The shares of each layer's channels that are pruned.
    pub shares: Vec<f64>,
    /// So many outputs are forecast: if there are more, those that are answered most often.
    pub outputs: usize,
    /// Samples of the bootstrap.
    pub resamples: usize,
    pub seed: u64,
}

#[derive(Serialize)]
struct MadeFrom<'a> {
    given: Given,
    images_sha256: &'a str,
    labels_sha256: Option<String>,
    layers: Vec<String>,
    shares: &'a [f64],
    outputs: Vec<usize>,
    resamples: usize,
    seed: u64,
}

/// Forecasts, prunes, compares, and writes data, figures and page into a folder.
///
/// # Errors
/// If there is nothing to prune, the network fails, or a file cannot be written.
pub(crate) fn predict(subject: &Subject, out: &Path, options: &PredictOptions) -> Result<Folder> {
    let groups = layers(&subject.network, &options.layers)?;
    let graph = subject.network.judged()?;
    let mut folder = subject.folder(out)?;
    let batches = batches(subject)?;
    let outputs = outputs(subject, &graph, &batches, options.outputs)?;
    let part = Part {
        name: PART,
        format: FORMAT,
        made_from: MadeFrom {
            given: subject.given(),
            images_sha256: subject.images_sha256(),
            labels_sha256: subject.labels.as_ref().map(Labels::sha256),
            layers: groups.iter().map(|group| group.name.clone()).collect(),
            shares: &options.shares,
            outputs: outputs.clone(),
            resamples: options.resamples,
            seed: options.seed,
        },
    };
    folder.part(&part, |files| {
        let (outcomes, scores) = study(subject, &graph, &groups, &batches, outputs, options)?;
        let row = |outcome: &LayerOutcome| {
            let group = groups.iter().find(|group| group.name == outcome.layer);
            let title = group.map_or(String::new(), |group| title(&graph, group));
            OutcomeRow::new(outcome, title, &options.shares)
        };
        files.write(FILE, &outcomes.iter().map(row).collect::<Vec<_>>())?;
        files.write_frame(ScoredForecasts::PATH, &scores.to_frame()?)
    })?;
    page::write(subject, &mut folder)?;
    Ok(folder)
}

fn batches(subject: &Subject) -> Result<Vec<Tensor>> {
    let layout = subject.network.input.layout;
    subject.batches().map(|images| subject.read(&images, layout)).collect()
}

/// The outputs that are forecast: all, or those that are answered most often.
fn outputs(
    subject: &Subject,
    graph: &Graph,
    batches: &[Tensor],
    most: usize,
) -> Result<Vec<usize>> {
    let all = subject.network.outputs;
    if all <= most {
        return Ok((0..all).collect());
    }
    let mut counts = vec![0usize; all];
    for images in batches {
        let answers = subject.network.answers(graph, images)?.to_dtype(DType::F64)?;
        for row in answers.to_vec2::<f64>()? {
            match subject.multi_label {
                true => row.iter().zip(&mut counts).for_each(|(v, n)| *n += usize::from(*v > 0.)),
                false => counts[greatest(&row)] += 1,
            }
        }
    }
    let mut order: Vec<usize> = (0..all).collect();
    order.sort_by_key(|&k| std::cmp::Reverse(counts[k]));
    order.truncate(most);
    order.sort_unstable();
    let names: Vec<&str> = order.iter().map(|&k| subject.classes.name(k)).collect();
    tracing::info!("of {all} outputs these are forecast (--outputs): {}", names.join(", "));
    Ok(order)
}

fn study(
    subject: &Subject,
    graph: &Graph,
    groups: &[ChannelGroup],
    batches: &[Tensor],
    outputs: Vec<usize>,
    options: &PredictOptions,
) -> Result<(Vec<LayerOutcome>, ScoredForecasts)> {
    let norms: Vec<Vec<f64>> =
        groups.iter().map(|group| Ok(group.filter_norms(graph)?)).collect::<Result<_>>()?;
    let orders: Vec<PruneOrder> =
        norms.iter().map(|norms| PruneOrder::by_norm(Norm::Filter, norms)).collect();
    let parts = groups.iter().zip(&orders).zip(&norms);
    let layers: Vec<Layer> =
        parts.map(|((group, order), norms)| Layer { group, order: &order.order, norms }).collect();
    let judge = |answers: &Matrix| {
        subject.labels.as_ref().map_or(f64::NAN, |labels| labels.accuracy(answers))
    };
    let progress = std::sync::OnceLock::<Progress>::new();
    let step = |images: usize| {
        if let Some(progress) = progress.get() {
            progress.add(images, String::new);
        }
    };
    let study = LayerStudy {
        graph,
        layers: &layers,
        batches,
        judge: subject.labels.is_some().then_some(&judge),
        settings: LayerStudySettings {
            shares: options.shares.clone(),
            outputs,
            answers: if subject.multi_label { Answers::Each } else { Answers::One },
            resamples: options.resamples,
            seed: options.seed,
        },
        progress: &step,
    };
    let passes = study.passes() * subject.images.len();
    progress.get_or_init(|| Progress::new("forecasting", Unit::Passes, passes, 0));
    let (outcomes, scored) = study.run()?;
    Ok((outcomes, ScoredForecasts(scored)))
}
