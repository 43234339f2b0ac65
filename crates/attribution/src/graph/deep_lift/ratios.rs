//! Multipliers of single operations: quotients of differences, which stay right where rounding
//! would make them wrong.

use candle_core::{DType, Tensor};
use foresee_graph::{Binary, Node, Op, Unary};

use super::Pass;
use crate::error::Result;
use crate::graph::lrp::unbroadcast;
use crate::graph::one_node::back;
use crate::graph::self_gated::SelfGated;
use crate::graph::trace::Trace;
use crate::precision::epsilon;

/// Below it a difference counts as none, as in Captum.
const NONE: f64 = 1e-10;
/// The same of a maximum's input, whose quotient has no bound.
const NONE_OF_MAXIMUM: f64 = 1e-7;

/// of/by, or `limit` where the size of `by` is below `least`, a number or one for each element.
pub(super) fn ratio(of: &Tensor, by: &Tensor, limit: &Tensor, least: &Tensor) -> Result<Tensor> {
    Ok(by.abs()?.broadcast_lt(least)?.where_cond(limit, &(of / by)?)?)
}

pub(super) fn number(value: f64, like: &Tensor) -> Result<Tensor> {
    Ok(Tensor::new(value, like.device())?.to_dtype(like.dtype())?)
}

/// Below it a difference of x counts as none.
pub(super) fn none(x: &Tensor) -> Result<Tensor> {
    number(NONE, x)
}

/// (a + b)/2.
pub(super) fn mean(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Ok(((a + b)? * 0.5)?)
}

/// (e - e')/d of e = exp(x), with d = x - x'. Where d is small, √(e·e')·(1 + d²/24 + d⁴/1920), the
/// series of √(e·e')·sinh(d/2)/(d/2).
pub(super) fn exponential_slope(e: &Tensor, e0: &Tensor, d: &Tensor) -> Result<Tensor> {
    let square = d.sqr()?;
    let series = ((&square * square.affine(1. / 1920., 1. / 24.)?)? + 1.)?;
    let limit = ((e.sqrt()? * e0.sqrt()?)? * series)?;
    let least = if d.dtype() == DType::F64 { 1e-2 } else { 1e-1 };
    ratio(&(e - e0)?, d, &limit, &number(least, d)?)
}

/// How a function of one element rounds.
enum Rounding {
    /// It is linear in pieces: its quotients are as exact as its argument's difference.
    Exact,
    /// It varies with its argument itself.
    Absolute,
    /// It varies with its argument's size, as a root does.
    Relative,
}

fn rounding(op: &Op) -> Rounding {
    match op {
        Op::Unary(
            Unary::Relu
            | Unary::LeakyRelu(_)
            | Unary::ThresholdedRelu(_)
            | Unary::Abs
            | Unary::Neg
            | Unary::Sign
            | Unary::Floor
            | Unary::Ceil
            | Unary::Round,
        )
        | Op::Clip
        | Op::Binary(Binary::PRelu)
        | Op::Variadic(_) => Rounding::Exact,
        Op::Unary(Unary::Sqrt | Unary::Log | Unary::Reciprocal)
        | Op::Binary(Binary::Pow | Binary::Div) => Rounding::Relative,
        _ => Rounding::Absolute,
    }
}

impl Pass<'_> {
    /// m·Δy/Δx of a function of each element, or m times its derivative where x hardly differs.
    pub(super) fn rescale(&self, node: &Node, place: usize, m: &Tensor) -> Result<Tensor> {
        let (x, x0) = self.both(node, place)?;
        let change = self.output_change(node)?;
        let slope = |inputs: &[Option<Tensor>]| -> Result<Tensor> {
            let ones = [Some(change.ones_like()?)];
            Ok(back(node, inputs, &[place], &ones)?.swap_remove(0))
        };
        let at_x = slope(&self.at_x.inputs(node)?)?;
        let (derivative, least) = match rounding(&node.op) {
            Rounding::Exact => (at_x, none(&x)?),
            Rounding::Absolute => {
                let derivative = mean(&at_x, &slope(&self.at_baseline.inputs(node)?)?)?;
                (derivative, number(epsilon(x.dtype()).cbrt(), &x)?)
            }
            Rounding::Relative => {
                let derivative = mean(&at_x, &slope(&self.at_baseline.inputs(node)?)?)?;
                (derivative, (x.abs()?.maximum(&x0.abs()?)? * epsilon(x.dtype()).cbrt())?)
            }
        };
        let by = (&x - x0)?;
        if by.dims() == change.dims() {
            return Ok((m * ratio(&change, &by, &derivative, &least)?)?);
        }
        // x was broadcast to a constant's shape.
        let copies = change.elem_count() as f64 / derivative.elem_count() as f64;
        let wide = |t: Tensor| t.broadcast_as(change.shape())?.contiguous();
        let (by, least, derivative) = (wide(by)?, wide(least)?, wide((derivative / copies)?)?);
        unbroadcast(&(m * ratio(&change, &by, &derivative, &least)?)?, &x)
    }

    /// Through x·s(x), as a function of each element.
    pub(super) fn self_gated(&self, node: &Node, of: &SelfGated, m: &Tensor) -> Result<Tensor> {
        let model = self.at_x.model;
        let (x, x0) = self.both(node, of.place)?;
        // s(x) + x·s'(x)
        let derivative = |trace: &Trace, x: &Tensor| -> Result<Tensor> {
            let Some(s) = node.input(1 - of.place) else { return Ok(x.zeros_like()?) };
            let s = trace.get(s)?;
            let mut slope = s.ones_like()?;
            for &id in of.gate.iter().rev() {
                let inner = model.node(id);
                let places = trace.active_places(inner);
                slope = back(inner, &trace.inputs(inner)?, &places, &[Some(slope)])?.swap_remove(0);
            }
            Ok((s + (x * slope)?)?)
        };
        let slope = mean(&derivative(&self.at_x, &x)?, &derivative(&self.at_baseline, &x0)?)?;
        let least = number(epsilon(x.dtype()).cbrt(), &x)?;
        Ok((m * ratio(&self.output_change(node)?, &(x - x0)?, &slope, &least)?)?)
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
        let least = number(epsilon(x.dtype()).sqrt().max(NONE_OF_MAXIMUM), &x)?;
        ratio(&(from_x + from_baseline)?, &(x - x0)?, &to(&inputs, m.clone())?, &least)
    }

    /// a/b: a product of a and 1/b.
    pub(super) fn quotient(&self, node: &Node, m: &Tensor) -> Result<Vec<(usize, Tensor)>> {
        let ((a, a0), (b, b0)) = (self.both(node, 0)?, self.both(node, 1)?);
        let (q, q0) = (b.recip()?, b0.recip()?);
        let of_a = m.broadcast_mul(&mean(&q, &q0)?)?;
        // (1/b - 1/b')/(b - b') = -1/(b·b')
        let slope = (q * q0)?.neg()?;
        let of_b = m.broadcast_mul(&mean(&a, &a0)?)?.broadcast_mul(&slope)?;
        Ok(vec![(0, unbroadcast(&of_a, &a)?), (1, unbroadcast(&of_b, &b)?)])
    }
}
