//! The box of the network's input, where the first layer reads it.

use candle_core::Tensor;
use foresee_graph::{Binary, Node, Op};

use super::{Pass, only_moves};
use crate::error::{Error, Result};
use crate::methods::Rule;

impl Pass<'_> {
    /// z^B with the bounds of what a layer reads at a place, which what comes before it makes of
    /// bounds of the network's input.
    pub(super) fn moved_box(
        &self,
        layer: &Node,
        place: usize,
        (low, high): (&Tensor, &Tensor),
    ) -> Result<Rule> {
        let model = self.trace.model;
        let missing = Error::Degenerate("a linear layer without an input");
        let value = layer.input(place).ok_or(missing)?;
        let mut left = vec![value];
        while let Some(value) = left.pop() {
            let Some(node) = model.producer(value) else { continue };
            let active = self.trace.active_places(node);
            if !moves_bounds(&node.op, &active) {
                let reason = "z^B is for the first layer, and the box is that of the network's \
                              input, but here it becomes another: give the rule to the layer by \
                              its name, with the bounds of what it reads";
                return Err(self.refuse(node, reason));
            }
            left.extend(active.into_iter().filter_map(|place| node.input(place)));
        }
        let x = self.trace.get(model.input)?;
        let at = |bound: &Tensor| -> Result<Tensor> {
            let bound = bound.to_dtype(x.dtype())?.broadcast_as(x.shape())?.contiguous()?;
            match value == model.input {
                true => Ok(bound),
                false => model.evaluate(&[(model.input, bound)], value),
            }
        };
        let (a, b) = (at(low)?, at(high)?);
        Ok(Rule::ZBox { low: a.minimum(&b)?, high: a.maximum(&b)? })
    }
}

/// Whether every number that an operation gives rises or falls with one number that it reads.
fn moves_bounds(op: &Op, active: &[usize]) -> bool {
    match op {
        Op::Binary(Binary::Add | Binary::Sub | Binary::Mul) => active.len() == 1,
        Op::Binary(Binary::Div) | Op::BatchNorm { .. } => active == [0],
        op => only_moves(op),
    }
}
