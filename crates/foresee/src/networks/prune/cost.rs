//! What a network costs without some channels of a layer.

use foresee_graph::{ChannelGroup, Graph, Removal};
use foresee_perturb::{Norm, PruneOrder, share_counts};
use serde::Serialize;

use super::PruneOptions;
use super::calibration::Images;
use super::rows::CostPoint;
use crate::error::Result;
use crate::networks::made_from::MadeFrom;
use crate::networks::task::Task;

/// Costs of smaller networks; they are the same for all orders.
pub(super) struct Costs<'a> {
    task: &'a Task,
    options: &'a PruneOptions,
    images: &'a Images<'a>,
    graph: &'a Graph,
}

/// What decides them, beside the network.
#[derive(Serialize)]
pub(super) struct Settings<'a> {
    layer: &'a str,
    shares: &'a [f64],
    batch: usize,
    threads: usize,
}

impl<'a> Costs<'a> {
    pub fn new(
        task: &'a Task,
        options: &'a PruneOptions,
        images: &'a Images<'a>,
        graph: &'a Graph,
    ) -> Self {
        Self { task, options, images, graph }
    }

    pub fn made_from<'s>(&'s self, group: &'s ChannelGroup) -> MadeFrom<Settings<'s>> {
        self.task.made_from(Settings {
            layer: &group.name,
            shares: &self.options.shares,
            batch: self.task.batch,
            threads: rayon::current_num_threads(),
        })
    }

    /// # Errors
    /// If an image cannot be read, or a node fails.
    pub fn of(&self, group: &ChannelGroup) -> Result<Vec<CostPoint>> {
        let order = PruneOrder::by_norm(Norm::Filter, &group.filter_norms(self.graph)?);
        let mut costs = vec![self.cost(group, 0, self.graph)?];
        for count in share_counts(group.units, &self.options.shares) {
            let units = order.pruned(count);
            match self.graph.remove_channels(&[Removal { group, units }]) {
                Err(foresee_graph::Error::NothingLeft { .. }) => {}
                smaller => costs.push(self.cost(group, count, &smaller?)?),
            }
        }
        Ok(costs)
    }

    fn cost(&self, group: &ChannelGroup, pruned: usize, graph: &Graph) -> Result<CostPoint> {
        let cost = graph.cost(&graph.shapes(1, &[])?);
        Ok(CostPoint {
            layer: group.name.clone(),
            channels: group.units,
            pruned,
            macs: cost.macs,
            parameters: cost.parameters,
            milliseconds: self.images.milliseconds(graph)?,
            batch: self.task.batch,
            threads: rayon::current_num_threads(),
        })
    }
}
