//! Multipliers of single operations: quotients of differences.

use candle_core::Tensor;
use foresee_graph::Node;

use super::Pass;
use crate::error::Result;
use crate::graph::lrp::unbroadcast;
use crate::graph::one_node::back;
use crate::methods::difference_ratio;

/// of/by, or `limit` where `by` is nothing.
pub(super) fn ratio(of: &Tensor, by: &Tensor, limit: &Tensor) -> Result<Tensor> {
    difference_ratio(of, by, limit)
}

/// (a + b)/2.
pub(super) fn mean(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Ok(((a + b)? * 0.5)?)
}

impl Pass<'_> {
    /// m·Δy/Δx of a function of each element, or m times its derivative where x does not differ.
    pub(super) fn rescale(&self, node: &Node, place: usize, m: &Tensor) -> Result<Tensor> {
        let (x, x0) = self.both(node, place)?;
        let change = self.output_change(node)?;
        let ones = Some(change.ones_like()?);
        let derivative = back(node, &self.at_x.inputs(node)?, &[place], &[ones])?.swap_remove(0);
        let by = (&x - x0)?;
        if by.dims() == change.dims() {
            return Ok((m * ratio(&change, &by, &derivative)?)?);
        }
        // x was broadcast to a constant's shape.
        let (by, wide) =
            (by.broadcast_as(change.shape())?, derivative.broadcast_as(change.shape())?);
        let copies = change.elem_count() as f64 / derivative.elem_count() as f64;
        unbroadcast(&(m * ratio(&change, &by, &(wide / copies)?)?)?, &x)
    }

    /// A maximum: with y = max of x's window, y' = max of the baseline's and t = max(y, y'), the
    /// maximum of x's window gets t - y', and that of the baseline's y - t.
    pub(super) fn maximum(&self, node: &Node, m: &Tensor) -> Result<Tensor> {
        let (x, x0) = self.both(node, 0)?;
        let id = node.outputs[0];
        let (y, y0) = (self.at_x.get(id)?, self.at_baseline.get(id)?);
        let top = y.maximum(y0)?;
        let (inputs, inputs0) = (self.at_x.inputs(node)?, self.at_baseline.inputs(node)?);
        let to = |inputs: &[Option<Tensor>], g: Tensor| -> Result<Tensor> {
            Ok(back(node, inputs, &[0], &[Some(g)])?.swap_remove(0))
        };
        let from_x = to(&inputs, (m * (&top - y0)?)?)?;
        let from_baseline = to(&inputs0, (m * (y - &top)?)?)?;
        ratio(&(from_x + from_baseline)?, &(x - x0)?, &to(&inputs, m.clone())?)
    }

    /// a/b: a product of a and 1/b.
    pub(super) fn quotient(&self, node: &Node, m: &Tensor) -> Result<Vec<(usize, Tensor)>> {
        let ((a, a0), (b, b0)) = (self.both(node, 0)?, self.both(node, 1)?);
        let (q, q0) = (b.recip()?, b0.recip()?);
        let of_a = m.broadcast_mul(&mean(&q, &q0)?)?;
        let slope = ratio(&(&q - q0)?, &(&b - b0)?, &q.sqr()?.neg()?)?;
        let of_b = m.broadcast_mul(&mean(&a, &a0)?)?.broadcast_mul(&slope)?;
        Ok(vec![(0, unbroadcast(&of_a, &a)?), (1, unbroadcast(&of_b, &b)?)])
    }
}
