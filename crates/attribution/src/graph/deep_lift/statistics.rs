//! Multipliers through what computes sums or means of its own: softmax and norms.

use candle_core::{D, Tensor};
use foresee_graph::{Node, Op};

use super::ratios::{exponential_slope, mean};
use super::{Pass, no_rule};
use crate::error::Result;

impl Pass<'_> {
    /// Softmax as eˣ times the reciprocal of its sum.
    pub(super) fn softmax(&self, node: &Node, axis: isize, m: &Tensor) -> Result<Tensor> {
        let (x, x0) = self.both(node, 0)?;
        let axis = from_front(axis, x.rank());
        // The same power of e in both leaves the quotients as they are.
        let top = x.maximum(&x0)?.max_keepdim(axis)?;
        let power = |x: &Tensor| x.broadcast_sub(&top)?.exp();
        let (e, e0) = (power(&x)?, power(&x0)?);
        let (q, q0) = (e.sum_keepdim(axis)?.recip()?, e0.sum_keepdim(axis)?.recip()?);
        let direct = m.broadcast_mul(&mean(&q, &q0)?)?;
        let of_q = (m * mean(&e, &e0)?)?.sum_keepdim(axis)?;
        // (1/s - 1/s')/(s - s') = -1/(s·s')
        let slope = (&q * &q0)?.neg()?;
        let of_e = direct.broadcast_add(&(of_q * slope)?)?;
        Ok((of_e * exponential_slope(&e, &e0, &(x - x0)?)?)?)
    }

    /// A norm as what is centred times the reciprocal of its deviation.
    pub(super) fn norm(&self, node: &Node, m: &Tensor) -> Result<Tensor> {
        let (x, x0) = self.both(node, 0)?;
        let (dims, rank) = (x.dims(), x.rank());
        let (rows, epsilon, by_channel) = match node.op {
            Op::LayerNorm { axis, epsilon } => {
                let rows: usize = dims[..from_front(axis, rank)].iter().product();
                (rows, epsilon, false)
            }
            Op::GroupNorm { groups, epsilon } => (dims[0] * groups, epsilon, true),
            Op::InstanceNorm { epsilon } => (dims[0] * dims[1], epsilon, true),
            _ => return Err(no_rule(node)),
        };
        let m = match self.at_x.inputs(node)?.get(1) {
            Some(Some(weight)) if by_channel => {
                let mut shape = vec![1; rank - 1];
                shape[0] = weight.elem_count();
                m.broadcast_mul(&weight.reshape(shape)?)?
            }
            Some(Some(weight)) => m.broadcast_mul(weight)?,
            _ => m.clone(),
        };
        let flat = |t: &Tensor| t.contiguous()?.reshape((rows, ()));
        let (m, x, x0) = (flat(&m)?, flat(&x)?, flat(&x0)?);
        let centre = |t: &Tensor| t.broadcast_sub(&t.mean_keepdim(D::Minus1)?);
        let (c, c0) = (centre(&x)?, centre(&x0)?);
        let variance = |c: &Tensor| c.sqr()?.mean_keepdim(D::Minus1)? + epsilon;
        let (v, v0) = (variance(&c)?, variance(&c0)?);
        let (q, q0) = (v.sqrt()?.recip()?, v0.sqrt()?.recip()?);
        let direct = m.broadcast_mul(&mean(&q, &q0)?)?;
        let of_q = (&m * mean(&c, &c0)?)?.sum_keepdim(D::Minus1)?;
        // With q = v^-½: (q - q')/(v - v') = -(q·q')²/(q + q')
        let slope = ((&q * &q0)?.sqr()? / (q + q0)?)?.neg()?;
        let of_v = (of_q * slope)?;
        // Of a mean of squares: (c² - c'²)/n = (c + c')·Δc/n.
        let each = (1. / x.dim(D::Minus1)? as f64) * 2.;
        let of_c = (direct + (mean(&c, &c0)? * each)?.broadcast_mul(&of_v)?)?;
        Ok(centre(&of_c)?.reshape(dims)?)
    }
}

fn from_front(axis: isize, rank: usize) -> usize {
    if axis < 0 { (rank as isize + axis).max(0) as usize } else { axis as usize }
}
