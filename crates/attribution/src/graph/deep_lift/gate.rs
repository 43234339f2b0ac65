//! The paper's masks times the signal.

use candle_core::Tensor;
use foresee_graph::Node;
use foresee_kernels::Rows;

use super::ratios::{mean, number, ratio};
use super::{Pass, no_rule};
use crate::error::Result;
use crate::graph::masks::{mask_convolution, masks};
use crate::graph::one_node::{self, Taped};
use crate::precision::epsilon;

impl Pass<'_> {
    /// The multiplier m of M ⊗ z: ½(M + M')·Δz goes through the signal and ½(z + z')·ΔM through
    /// the masks, and ΔM through the sigmoid by rescale.
    pub(super) fn gate(&self, node: &Node, rows: &Rows, m: &Tensor) -> Result<Tensor> {
        let (z, z0) = self.both(node, 0)?;
        let inputs = self.at_x.inputs(node)?;
        let [_, Some(weight), Some(bias)] = &inputs[..] else { return Err(no_rule(node)) };
        let (open, open0) = (masks(&z, weight, bias, rows)?, masks(&z0, weight, bias, rows)?);
        let (mean_mask, mean_signal) = (mean(&open, &open0)?, mean(&z, &z0)?.unsqueeze(1)?);
        let op = mask_convolution(weight)?;
        let change = [Some((&z - z0)?), Some(weight.clone()), None];
        let logits = one_node::apply_op(&op, &change)?.reshape(open.shape())?;
        let derivative = (&mean_mask * (1. - &mean_mask)?)?;
        // Rounding makes a quotient of small differences worse than the derivative between them.
        let least = number(epsilon(z.dtype()).cbrt(), &z)?;
        let slope = ratio(&(open - open0)?, &logits, &derivative, &least)?;
        let through_signal = (m * &mean_mask)?.sum(1)?;
        let in_logits = (m.broadcast_mul(&mean_signal)? * slope)?;
        let (b, k, c, h, w) = in_logits.dims5()?;
        let in_logits = in_logits.reshape((b, k * c, h, w))?;
        let convolution = Node { op, ..node.clone() };
        let through_masks = Taped::new(&convolution, &[Some(z), Some(weight.clone()), None], &[0])?
            .back(&[Some(in_logits)])?
            .swap_remove(0);
        Ok((through_signal + through_masks)?)
    }
}
