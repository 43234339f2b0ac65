//! Linear layers of a graph: nodes whose weights are constants.

use candle_core::Tensor;
use foresee_graph::{Node, Op};

use super::one_node::Taped;
use super::trace::Trace;
use crate::error::{Error, Result};

/// A node that is linear in one of its inputs and in its weights, without its bias.
pub(super) struct LinearNode<'a> {
    node: &'a Node,
    /// What the node reads; the bias is left out, or 0.
    inputs: Vec<Option<Tensor>>,
    /// Where it reads x and the weights.
    x: usize,
    weight: usize,
    pub bias: Option<Tensor>,
}

impl<'a> LinearNode<'a> {
    /// The node, if it is one.
    pub fn new(trace: &Trace, node: &'a Node) -> Result<Option<Self>> {
        let Some((x, weight)) = places(trace, node) else { return Ok(None) };
        let mut inputs = trace.inputs(node)?;
        let bias = match inputs.get_mut(2) {
            None => None,
            // The operation needs one.
            Some(Some(bias)) if matches!(node.op, Op::Readout) => {
                let zeros = bias.zeros_like()?;
                Some(std::mem::replace(bias, zeros))
            }
            Some(bias) => bias.take(),
        };
        Ok(Some(Self { node, inputs, x, weight, bias }))
    }

    /// The place at which it reads x.
    pub fn place(&self) -> usize {
        self.x
    }

    /// What it reads as x.
    pub fn x(&self) -> Option<&Tensor> {
        self.inputs[self.x].as_ref()
    }

    /// What it reads as x in another pass.
    pub fn x_of<'t>(&self, trace: &'t Trace) -> Result<&'t Tensor> {
        let missing = Error::Degenerate("a linear layer without an input");
        self.node.input(self.x).map_or(Err(missing), |id| trace.get(id))
    }

    /// Its weights.
    pub fn weights(&self) -> Option<&Tensor> {
        self.inputs[self.weight].as_ref()
    }

    fn inputs(&self, x: &Tensor, weights: &Tensor) -> Vec<Option<Tensor>> {
        let mut inputs = self.inputs.clone();
        inputs[self.x] = Some(x.clone());
        inputs[self.weight] = Some(weights.clone());
        inputs
    }

    /// W·x with these weights.
    pub fn apply(&self, x: &Tensor, weights: &Tensor) -> Result<Tensor> {
        Ok(self.node.run(&self.inputs(x, weights))?.swap_remove(0))
    }

    /// The same, with a way back to x.
    pub fn taped(&self, x: &Tensor, weights: &Tensor) -> Result<Taped> {
        Taped::new(self.node, &self.inputs(x, weights), &[self.x])
    }

    /// Wᵀ·s with these weights.
    pub fn transposed(&self, s: &Tensor, weights: &Tensor) -> Result<Tensor> {
        let x = self.inputs[self.x].clone().map_or_else(|| s.zeros_like(), Ok)?;
        Ok(self.taped(&x, weights)?.back(&[Some(s.clone())])?.swap_remove(0))
    }
}

/// Where a linear layer reads x and its weights.
pub(super) fn places(trace: &Trace, node: &Node) -> Option<(usize, usize)> {
    let bias_is_constant = !trace.has_active(node, 2);
    let places = match (&node.op, trace.active_places(node).first()?) {
        (Op::MatMul | Op::Gemm(_), &x @ (0 | 1)) => (x, 1 - x),
        (Op::Conv(_) | Op::ConvTranspose(_) | Op::Readout, 0) => (0, 1),
        _ => return None,
    };
    (bias_is_constant && !trace.has_active(node, places.1)).then_some(places)
}
