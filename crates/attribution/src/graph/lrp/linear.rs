//! Linear layers of a graph: nodes whose weights are constants.

use candle_core::Tensor;
use foresee_graph::{Node, NodeId, Op};

use super::Pass;
use super::affine::Affine;
use super::shares::Shares;
use crate::error::Result;
use crate::graph::one_node;
use crate::methods::{LinearLayer, LinearMap};

/// A node as a map of one of its inputs and its weights, without its bias.
pub(super) struct NodeMap<'a> {
    node: &'a Node,
    /// What the node reads.
    inputs: Vec<Option<Tensor>>,
    /// The places of x and the weights.
    x: usize,
    weight: usize,
}

impl NodeMap<'_> {
    fn inputs(&self, x: &Tensor, weight: &Tensor) -> Vec<Option<Tensor>> {
        let mut inputs = self.inputs.clone();
        inputs[self.x] = Some(x.clone());
        inputs[self.weight] = Some(weight.clone());
        inputs
    }
}

impl LinearMap for NodeMap<'_> {
    fn forward(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let y = one_node::apply(self.node, &self.inputs(x, weight))?.swap_remove(0);
        match bias {
            None => Ok(y),
            Some(bias) => Ok(y.broadcast_add(bias)?),
        }
    }

    fn transposed(&self, s: &Tensor, weight: &Tensor, x: &Tensor) -> Result<Tensor> {
        let (inputs, s) = (self.inputs(x, weight), [Some(s.clone())]);
        Ok(one_node::back(self.node, &inputs, &[self.x], &s)?.swap_remove(0))
    }

    /// It already is.
    fn spread(&self, bias: &Tensor) -> Result<Tensor> {
        Ok(bias.clone())
    }
}

impl<'a> Pass<'a> {
    /// The places of x and the weights of a linear layer.
    pub(super) fn linear_places(&self, node: &Node) -> Option<(usize, usize)> {
        let bias_is_constant = !self.trace.has_active(node, 2);
        let places = match (&node.op, self.trace.active_places(node).first()?) {
            (Op::MatMul | Op::Gemm(_), &x @ (0 | 1)) => (x, 1 - x),
            (Op::Conv(_) | Op::ConvTranspose(_) | Op::Readout, 0) => (0, 1),
            _ => return None,
        };
        (bias_is_constant && !self.trace.has_active(node, places.1)).then_some(places)
    }

    /// Relevance r through a linear layer, by the rule of the composite.
    pub(super) fn through_linear(
        &mut self,
        id: NodeId,
        node: &'a Node,
        (x, weight): (usize, usize),
        r: &Tensor,
    ) -> Result<Shares> {
        let mut inputs = self.trace.inputs(node)?;
        let bias = match inputs.get_mut(2) {
            None => None,
            // The operation needs one.
            Some(Some(bias)) if matches!(node.op, Op::Readout) => {
                let zeros = bias.zeros_like()?;
                Some(std::mem::replace(bias, zeros))
            }
            Some(bias) => bias.take(),
        };
        let bias = bias.map(|bias| spread(&node.op, &bias, r.rank())).transpose()?;
        let own = Affine { scale: None, shift: bias };
        let behind = match node.outputs.first().and_then(|id| self.behind.remove(id)) {
            Some(behind) => own.then(&behind)?,
            None => own,
        };
        let (Some(input), Some(weights)) = (inputs[x].clone(), inputs[weight].clone()) else {
            return Err(self.refuse(node, "an input is missing"));
        };
        let weights = behind.scaled_weights(&node.op, &weights)?;
        let is_conv = matches!(node.op, Op::Conv(_) | Op::ConvTranspose(_));
        let rule = self.composite.rule(&node.name, is_conv, self.first == Some(id));
        let layer = LinearLayer {
            map: &NodeMap { node, inputs, x, weight },
            weight: &weights,
            bias: behind.shift.as_ref(),
            takes: self.composite.bias,
            stabilizer: self.composite.stabilizer,
        };
        let found = layer.propagate(rule, &input, r)?;
        Ok(Shares {
            to: vec![(x, found.relevance)],
            bias: found.bias.iter().sum(),
            stabilizer: found.stabilizer.iter().sum(),
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
