//! What a network costs without some channels of a layer.

use foresee_graph::{ChannelGroup, Graph, Removal};
use foresee_perturb::{Norm, PruneOrder, share_counts};
use serde::Serialize;

use super::PruneOptions;
use super::measures::{milliseconds, timed_batch};
use super::rows::CostPoint;
use crate::error::Result;
use crate::networks::calibration::Images;
use crate::networks::made_from::MadeFrom;

/// Costs of smaller networks without the units that have the lowest filter norms. Those of other
/// orders are the same unless units of a group are read by other nodes.
pub(super) struct Costs<'a> {
    options: &'a PruneOptions,
    images: &'a Images<'a>,
    graph: &'a Graph,
}

/// What decides them, beside the network.
#[derive(Serialize)]
pub(super) struct Settings<'a> {
    layer: &'a str,
    shares: &'a [f64],
    /// The images whose time is measured are the first of so many.
    calibration: usize,
    batch: usize,
    threads: usize,
}

impl<'a> Costs<'a> {
    pub fn new(options: &'a PruneOptions, images: &'a Images<'a>, graph: &'a Graph) -> Self {
        Self { options, images, graph }
    }

    pub fn made_from<'s>(&'s self, group: &'s ChannelGroup) -> MadeFrom<Settings<'s>> {
        self.images.task().made_from(Settings {
            layer: &group.name,
            shares: &self.options.shares,
            calibration: self.images.calibration().len(),
            batch: timed_batch(self.images),
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
            milliseconds: milliseconds(self.images, graph)?,
            batch: timed_batch(self.images),
            threads: rayon::current_num_threads(),
        })
    }
}
