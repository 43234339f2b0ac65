//! A pruned network: a number of channels of one layer, or as many of several layers as a budget
//! demands.

use foresee_graph::{ChannelGroup, Graph, Removal};
use foresee_perturb::{
    Budget, GroupOrder, GroupRule, GroupStatistics, GroupStudy, Layer, Takeover,
};
use serde::Serialize;

use super::calibration::{Images, top5_accuracy};
use crate::error::{Result, input};
use crate::networks::layers::layers;
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
    let images = Images::new(task, options.calibration)?;
    let groups = layers(&task.network, &options.layers)?;
    check(&groups, options.amount)?;
    let graph = &task.network.graph;
    tracing::info!("measuring channels on {} images", images.calibration());
    let all: Vec<&ChannelGroup> = groups.iter().collect();
    let statistics = images.statistics(graph, &all)?;
    let orders = orders(task, &images, &statistics, &all, options)?;
    let parts = groups.iter().zip(orders);
    let layers: Vec<Layer> = parts.map(|(group, order)| Layer { group, order }).collect();
    let counts = counts(graph, &layers, options)?;
    let removals: Vec<Removal> = layers
        .iter()
        .zip(&counts)
        .filter(|(_, count)| **count > 0)
        .map(|(layer, &count)| Removal { group: layer.group, units: layer.order.pruned(count) })
        .collect();
    let smaller = statistics.cut(&removals, options.takeover, false)?;
    tracing::info!("measuring both networks on {} images", images.judged());
    let (before, after) = (measure(task, &images, graph)?, measure(task, &images, &smaller)?);
    let layers: Vec<PrunedLayer> = removals
        .iter()
        .map(|removal| PrunedLayer {
            layer: removal.group.name.clone(),
            channels: removal.group.units,
            pruned: removal.units.to_vec(),
        })
        .collect();
    let note = serde_json::to_string(&layers)?;
    Ok(Pruned {
        bytes: task.network.with_input_of_file(smaller)?.to_onnx(&[("foresee_pruned", &note)])?,
        layers,
        rule: options.rule.id(),
        takeover: options.takeover.id(),
        calibration_images: images.calibration(),
        images: images.judged(),
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

/// The order in which the channels of each layer go.
fn orders(
    task: &Task,
    images: &Images,
    statistics: &GroupStatistics,
    groups: &[&ChannelGroup],
    options: &SaveOptions,
) -> Result<Vec<GroupOrder>> {
    let terms = match options.rule {
        GroupRule::Taylor => Some(images.taylor(&task.network.with_logits_output()?, groups)?),
        GroupRule::Of(_) => None,
    };
    let study = GroupStudy { random_orders: 1, seed: options.seed, ..GroupStudy::default() };
    let order = |(at, group): (usize, &&ChannelGroup)| {
        let terms = terms.as_ref().map(|terms| terms[at].as_slice());
        let orders = study.orders(&[options.rule], statistics, group, terms)?;
        let failed = || anyhow::anyhow!("{} has no order {}", group.name, options.rule.id());
        orders.into_iter().next().ok_or_else(failed)
    };
    groups.iter().enumerate().map(order).collect()
}

fn counts(graph: &Graph, layers: &[Layer], options: &SaveOptions) -> Result<Vec<usize>> {
    match options.amount {
        Amount::Count(count) => Ok(vec![count; layers.len()]),
        Amount::Budget(operations) => {
            let budget = Budget { operations, ..Budget::default() };
            budget
                .counts(graph, &[], layers)
                .map_err(|e| input(format!("--budget {operations}: {e}")))
        }
    }
}

fn measure(task: &Task, images: &Images, graph: &Graph) -> Result<Measured> {
    let logits = task.network.with_logits_output_of(graph)?;
    let tally = images.tally(&logits)?;
    let cost = graph.cost(&graph.shapes(1, &[])?);
    Ok(Measured {
        accuracy: tally.accuracy(),
        standard_error: tally.standard_error(),
        top5_accuracy: Some(top5_accuracy(&tally, images.outputs())).filter(|a| a.is_finite()),
        macs: cost.macs,
        parameters: cost.parameters,
        milliseconds: images.milliseconds(&logits)?,
    })
}
