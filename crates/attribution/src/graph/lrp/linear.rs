//! Linear layers, with what they take up.

use candle_core::Tensor;
use foresee_graph::{Node, NodeId, Op};

use super::Pass;
use super::affine::Affine;
use super::layer::LinearLayer;
use super::shares::Shares;
use crate::error::Result;
use crate::graph::linear::LinearNode;

impl<'a> Pass<'a> {
    /// Relevance r through a linear layer, by the rule of the composite.
    pub(super) fn through_linear(
        &mut self,
        id: NodeId,
        node: &'a Node,
        linear: &LinearNode,
        r: &Tensor,
    ) -> Result<Shares> {
        let bias = linear.bias.as_ref();
        let shift = bias.map(|bias| spread(&node.op, bias, r.rank())).transpose()?;
        let own = Affine { scale: None, shift };
        let behind = match node.outputs.first().and_then(|id| self.behind.remove(id)) {
            Some(behind) => own.then(&behind)?,
            None => own,
        };
        let (Some(x), Some(weights)) = (linear.x(), linear.weights()) else {
            return Err(self.refuse(node, "an input is missing"));
        };
        let Some(weights) = behind.scaled_weights(&node.op, weights)? else {
            return Err(self.refuse(node, "the scale behind it does not fit its weights"));
        };
        let is_conv = matches!(node.op, Op::Conv(_) | Op::ConvTranspose(_));
        let is_first = self.first == Some(id);
        let of_input = self.composite.box_of_input(&node.name).filter(|_| is_first);
        let moved = of_input.map(|bounds| self.moved_box(node, linear.place(), bounds));
        let moved = moved.transpose()?;
        let rule = moved.as_ref();
        let rule = rule.unwrap_or_else(|| self.composite.rule(&node.name, is_conv, is_first));
        let layer = LinearLayer {
            map: linear,
            weight: &weights,
            bias: behind.shift.as_ref(),
            takes: self.composite.bias,
            stabilizer: self.composite.stabilizer,
        };
        let found = layer.propagate(rule, x, r)?;
        Ok(Shares {
            to: vec![(linear.place(), found.relevance)],
            bias: self.by_input(found.bias),
            stabilizer: self.by_input(found.stabilizer),
        })
    }
}

/// A node's bias in a shape that is broadcast to its outputs.
fn spread(op: &Op, bias: &Tensor, rank: usize) -> Result<Tensor> {
    Ok(match op {
        Op::Conv(_) | Op::ConvTranspose(_) => {
            let mut shape = vec![1; rank];
            shape[1] = bias.elem_count();
            bias.reshape(shape)?
        }
        Op::Gemm(gemm) => (bias * gemm.beta)?,
        _ => bias.clone(),
    })
}
