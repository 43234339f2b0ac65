//! The graph in which channels contribute nothing.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::Tensor;

use super::editor::{At, Editor};
use super::removal::{Removal, check};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::op::Binary;

impl Graph {
    /// The graph of the same size, in which the channels of these units are 0 wherever a node sums
    /// over them (the next convolutions, linear layers and products), so that they contribute
    /// nothing. Elsewhere, such as in a norm or a residual sum, they are as they were. It computes
    /// what the graph does from which [`remove_channels`](Self::remove_channels) removed them.
    /// Values keep their ids.
    ///
    /// # Errors
    /// As [`remove_channels`](Self::remove_channels).
    pub fn mask_channels(&self, removals: &[Removal]) -> Result<Self> {
        let mut closed: BTreeMap<(NodeId, usize, usize), Closed> = BTreeMap::new();
        for Removal { group, units } in removals {
            check(group, units)?;
            for read in &group.reads {
                let blocks = if read.block_axis.is_some() { 1 } else { read.blocks };
                for consumer in &read.consumers {
                    let key = (consumer.node, consumer.input, read.axis);
                    let closed = closed.entry(key).or_default();
                    closed.size = read.places.len() * blocks;
                    closed.axes_after = read.rank - 1 - read.axis;
                    closed.places.extend(read.places_of(units));
                }
            }
        }
        let mut editor = Editor::new(self);
        for ((node, input, _), closed) in closed {
            editor.mask(node, input, &closed)?;
        }
        Ok(editor.finish())
    }
}

/// Places of an axis that are 0.
#[derive(Debug, Default)]
struct Closed {
    /// The axis's size.
    size: usize,
    /// How many axes come after it.
    axes_after: usize,
    places: BTreeSet<usize>,
}

impl Editor<'_> {
    /// Multiplies what a node reads by 0 at some places of an axis.
    fn mask(&mut self, id: NodeId, input: usize, closed: &Closed) -> Result<()> {
        let other = || Error::OtherGraph { name: format!("node {}", id.0) };
        let node = self.graph.nodes.get(id.0).ok_or_else(other)?;
        let (value, name) = (node.input(input).ok_or_else(other)?, node.name.clone());
        let (dtype, device) = self.graph.float_type();
        let open = |place| if closed.places.contains(&place) { 0. } else { 1. };
        let mask: Vec<f64> = (0..closed.size).map(open).collect();
        // What has fewer axes is broadcast to those before.
        let shape: Vec<usize> =
            [closed.size].into_iter().chain(vec![1; closed.axes_after]).collect();
        let mask = Tensor::from_vec(mask, shape, &device)?.to_dtype(dtype)?;
        let mask = self.weight(&format!("{name}.mask"), mask);
        let masked = format!("{name}.masked");
        let masked = self.node(At::Before(id), &masked, Binary::Mul, [value, mask]);
        self.graph.nodes[id.0].inputs[input] = Some(masked);
        Ok(())
    }
}
