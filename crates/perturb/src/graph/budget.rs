//! Several layers at once, within a budget of operations.

use foresee_graph::{ChannelGroup, Graph, Removal};

use super::order::GroupOrder;
use crate::error::{Error, Result};

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
    /// How many units of each layer go: the same share of every layer, and as few as the budget
    /// demands. `sizes` are the free sizes of the graph's inputs, as [`Graph::shapes`] takes them.
    ///
    /// # Errors
    /// If a share is not between 0 and 1, or the largest share in all layers does not suffice.
    pub fn counts(&self, graph: &Graph, sizes: &[usize], layers: &[Layer]) -> Result<Vec<usize>> {
        for (parameter, share) in
            [("operations", self.operations), ("largest_share", self.largest_share)]
        {
            if !(0. ..1.).contains(&share) {
                let expected = "a share from 0 to below 1";
                return Err(Error::Parameter { parameter, value: share.to_string(), expected });
            }
        }
        let steps = self.steps(layers);
        let limit = operations(graph, sizes)? as f64 * self.operations;
        let counts = |length: usize| {
            let mut counts = vec![0; layers.len()];
            steps[..length].iter().for_each(|&layer| counts[layer] += 1);
            counts
        };
        // Too many units: a part of a split would have nothing left.
        let after = |length: usize| -> Result<Option<f64>> {
            let removals: Vec<Removal> = layers.iter().zip(counts(length)).map(removal).collect();
            match graph.remove_channels(&removals) {
                Err(foresee_graph::Error::NothingLeft { .. }) => Ok(None),
                smaller => Ok(Some(operations(&smaller?, sizes)? as f64)),
            }
        };
        // The fewest steps that suffice.
        let (mut too_few, mut enough) = (0, steps.len());
        while too_few < enough {
            let middle = (too_few + enough) / 2;
            match after(middle)? {
                Some(operations) if operations > limit => too_few = middle + 1,
                _ => enough = middle,
            }
        }
        match after(enough)? {
            Some(operations) if operations <= limit => Ok(counts(enough)),
            _ => Err(Error::Parameter {
                parameter: "operations",
                value: self.operations.to_string(),
                expected: "more than what is left when every layer loses its largest share",
            }),
        }
    }

    /// The layers that lose a unit, one after the other.
    fn steps(&self, layers: &[Layer]) -> Vec<usize> {
        let mut steps: Vec<(f64, usize)> = vec![];
        for (number, layer) in layers.iter().enumerate() {
            let units = layer.group.units;
            let most = ((units as f64 * self.largest_share) as usize).min(units.saturating_sub(1));
            let most = most.min(layer.order.order.len());
            steps.extend((1..=most).map(|count| (count as f64 / units as f64, number)));
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
