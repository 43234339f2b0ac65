//! A pruned network: a number of channels of one layer, or as many of several layers as a budget
//! demands.

use foresee_graph::{ChannelGroup, Graph, Removal};
use foresee_perturb::{GroupOrder, GroupRule, Takeover, budget_counts};
use serde::Serialize;

use super::measures::{milliseconds, tally, top5_accuracy};
use crate::error::{Result, input};
use crate::networks::calibration::Images;
use crate::networks::layers::{can_take_over, layers};
use crate::networks::notes::{KEY, Notes};
use crate::networks::task::Task;

/// How much goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Amount {
    /// So many channels of the one layer.
    Count(usize),
    /// As many channels as leave this share of the operations.
    Budget(f64),
}

/// Which channels go.
#[derive(Debug, Clone)]
pub(crate) struct SaveOptions {
    /// Layers; empty: all that can be pruned.
    pub layers: Vec<String>,
    pub amount: Amount,
    pub rule: GroupRule,
    pub takeover: Takeover,
    /// Images for the channels' statistics; 0: half of them.
    pub calibration: usize,
    pub seed: u64,
}

/// A pruned network beside the one that it was.
#[derive(Debug, Serialize)]
pub(crate) struct Pruned {
    /// The ONNX file's bytes.
    #[serde(skip)]
    pub bytes: Vec<u8>,
    pub layers: Vec<PrunedLayer>,
    pub rule: &'static str,
    pub takeover: &'static str,
    /// Images that the channels' statistics are of, and others that accuracy is of.
    pub calibration_images: usize,
    pub images: usize,
    pub before: Measured,
    pub after: Measured,
}

/// What went of a layer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PrunedLayer {
    pub layer: String,
    pub channels: usize,
    /// The units that went, in this order.
    pub pruned: Vec<usize>,
}

/// What a network does and costs.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Measured {
    pub accuracy: f64,
    pub standard_error: f64,
    /// Of networks with more than five classes.
    pub top5_accuracy: Option<f64>,
    pub macs: u64,
    pub parameters: usize,
    /// For one image.
    pub milliseconds: f64,
}

/// Prunes the network, and measures it beside the unpruned one.
///
/// # Errors
/// If there are no labels or nothing to prune, or a number does not fit.
pub(crate) fn prune_network(task: &Task, options: &SaveOptions) -> Result<Pruned> {
    task.labels()?;
    let images = Images::split(task, options.calibration)?;
    let groups = layers(&task.network, &options.layers)?;
    check(&groups, options.amount)?;
    let graph = &task.network.graph;
    tracing::info!("measuring channels on {} images", images.calibration().len());
    let all: Vec<&ChannelGroup> = groups.iter().collect();
    let statistics = images.statistics(graph, &all)?;
    let groups = images.with_order(&statistics, groups, options.rule, &options.layers)?;
    let all: Vec<&ChannelGroup> = groups.iter().collect();
    let orders = images.orders(&statistics, &all, options.rule, options.seed)?;
    let removals = removals(graph, &groups, &orders, options.amount)?;
    let pruned: Vec<&ChannelGroup> = removals.iter().map(|removal| removal.group).collect();
    let takeover = match can_take_over(graph, &pruned, options.takeover) {
        true => options.takeover,
        false => Takeover::Nothing,
    };
    let smaller = statistics.cut(&removals, takeover)?;
    tracing::info!("measuring both networks on {} images", images.observed().len());
    let (before, after) = (measure(&images, graph)?, measure(&images, &smaller)?);
    let layers: Vec<PrunedLayer> = removals
        .iter()
        .map(|removal| PrunedLayer {
            layer: removal.group.name.clone(),
            channels: removal.group.units,
            pruned: removal.units.to_vec(),
        })
        .collect();
    let note = serde_json::to_string(&layers)?;
    let notes = Notes::read(&task.network.file).map(|notes| notes.text()).transpose()?;
    let mut metadata = vec![("foresee_pruned", note.as_str())];
    metadata.extend(notes.as_ref().map(|notes| (KEY, notes.as_str())));
    Ok(Pruned {
        bytes: task.network.with_input_of_file(smaller)?.to_onnx(&metadata)?,
        layers,
        rule: options.rule.id(),
        takeover: takeover.id(),
        calibration_images: images.calibration().len(),
        images: images.observed().len(),
        before,
        after,
    })
}

fn check(groups: &[ChannelGroup], amount: Amount) -> Result<()> {
    match (amount, groups) {
        (Amount::Budget(_), _) => Ok(()),
        (Amount::Count(count), [group]) if count < group.units => Ok(()),
        (Amount::Count(count), [group]) => Err(input(format!(
            "--count {count} is not possible: {} has {} channels, of which one stays at least",
            group.name, group.units
        ))),
        (Amount::Count(_), _) => Err(input(
            "--count is of one layer: name it with --layer, or prune several layers with --budget",
        )),
    }
}

/// What goes of each layer of which anything goes.
fn removals<'a>(
    graph: &Graph,
    groups: &'a [ChannelGroup],
    orders: &'a [GroupOrder],
    amount: Amount,
) -> Result<Vec<Removal<'a>>> {
    let all = groups.iter().zip(orders);
    let all = all.map(|(group, order)| Removal { group, units: &order.order });
    let all: Vec<Removal> = all.collect();
    let counts = match amount {
        Amount::Count(count) => vec![count; all.len()],
        Amount::Budget(operations) => budget_counts(graph, &all, operations)
            .map_err(|e| input(format!("--budget {operations}: {e}")))?,
    };
    let some = all.iter().zip(counts).filter(|(_, count)| *count > 0);
    Ok(some.map(|(of, count)| Removal { group: of.group, units: &of.units[..count] }).collect())
}

fn measure(images: &Images, graph: &Graph) -> Result<Measured> {
    let network = &images.task().network;
    let logits = network.with_logits_output_of(graph)?;
    let tally = tally(images, &logits)?;
    let cost = graph.cost(&graph.shapes(1, &[])?);
    Ok(Measured {
        accuracy: tally.accuracy(),
        standard_error: tally.standard_error(),
        top5_accuracy: Some(top5_accuracy(&tally, network.outputs)).filter(|a| a.is_finite()),
        macs: cost.macs,
        parameters: cost.parameters,
        milliseconds: milliseconds(images, &logits)?,
    })
}
