//! Several layers at once, within a budget of operations.

use foresee_graph::{ChannelGroup, Graph, Removal};
use foresee_stats::mean;

use super::order::GroupOrder;
use crate::error::{Error, Result};

/// How units to prune are spread over layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Allocation {
    /// Every layer loses the same share of its units.
    Uniform,
    /// The units that are worth least go, whichever layer they are of: their scores are divided by
    /// the mean of their layer's. The units of an order without scores are worth their place in
    /// it.
    Global,
}

/// One of the layers that are pruned together.
#[derive(Debug, Clone)]
pub struct Layer<'a> {
    /// Its channels.
    pub group: &'a ChannelGroup,
    /// The order in which they go.
    pub order: GroupOrder,
}

/// What the pruned network can cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Multiply-accumulates, as a share of the whole network's.
    pub operations: f64,
    /// The largest share of a layer's units that can go, below 1.
    pub largest_share: f64,
}

impl Default for Budget {
    /// Half of the operations; at most 9 of 10 units of a layer go.
    fn default() -> Self {
        Self { operations: 0.5, largest_share: 0.9 }
    }
}

impl Budget {
    /// How many units of each layer go, so that as few go as the budget demands. `sizes` are the
    /// free sizes of the graph's inputs, as [`Graph::shapes`] takes them.
    ///
    /// # Errors
    /// If a share is not between 0 and 1, or the largest share in all layers does not suffice.
    pub fn counts(
        &self,
        graph: &Graph,
        sizes: &[usize],
        layers: &[Layer],
        allocation: Allocation,
    ) -> Result<Vec<usize>> {
        for (parameter, share) in
            [("operations", self.operations), ("largest_share", self.largest_share)]
        {
            if !(0. ..1.).contains(&share) {
                let expected = "a share from 0 to below 1";
                return Err(Error::Parameter { parameter, value: share.to_string(), expected });
            }
        }
        let steps = self.steps(layers, allocation);
        let limit = operations(graph, sizes)? as f64 * self.operations;
        let counts = |length: usize| {
            let mut counts = vec![0; layers.len()];
            steps[..length].iter().for_each(|&layer| counts[layer] += 1);
            counts
        };
        let after = |length: usize| -> Result<f64> {
            let removals: Vec<Removal> = layers.iter().zip(counts(length)).map(removal).collect();
            Ok(operations(&graph.remove_channels(&removals)?, sizes)? as f64)
        };
        // The fewest steps that suffice.
        let (mut too_few, mut enough) = (0, steps.len());
        while too_few < enough {
            let middle = (too_few + enough) / 2;
            match after(middle) {
                Ok(operations) if operations > limit => too_few = middle + 1,
                // Too many: a part of a split would have nothing left.
                Ok(_) | Err(Error::Graph(foresee_graph::Error::NothingLeft { .. })) => {
                    enough = middle;
                }
                Err(error) => return Err(error),
            }
        }
        if after(enough)? > limit {
            return Err(Error::Parameter {
                parameter: "operations",
                value: self.operations.to_string(),
                expected: "more than what is left when every layer loses its largest share",
            });
        }
        Ok(counts(enough))
    }

    /// The layers that lose a unit, one after the other.
    fn steps(&self, layers: &[Layer], allocation: Allocation) -> Vec<usize> {
        let mut steps: Vec<(f64, usize)> = vec![];
        for (number, layer) in layers.iter().enumerate() {
            let units = layer.group.units;
            let most = ((units as f64 * self.largest_share) as usize).min(units.saturating_sub(1));
            let most = most.min(layer.order.order.len());
            let place = |at: usize| (at + 1) as f64 / units as f64;
            let scores: Vec<f64> = match (&layer.order.scores, allocation) {
                (Some(scores), Allocation::Global) => {
                    let mean = mean(scores);
                    let scale = if mean > 0. { mean } else { 1. };
                    scores.iter().map(|score| score / scale).collect()
                }
                _ => (0..units).map(place).collect(),
            };
            steps.extend(scores.into_iter().take(most).map(|score| (score, number)));
        }
        steps.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        steps.into_iter().map(|(_, layer)| layer).collect()
    }
}

/// The removal of so many units of a layer.
fn removal<'a>((layer, count): (&'a Layer, usize)) -> Removal<'a> {
    Removal { group: layer.group, units: layer.order.pruned(count) }
}

fn operations(graph: &Graph, sizes: &[usize]) -> Result<u64> {
    Ok(graph.cost(&graph.shapes(1, sizes)?).macs)
}
