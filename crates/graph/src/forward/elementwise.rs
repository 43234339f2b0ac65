//! Functions of elements.
//!
//! Numbers with a fraction of two types meet in the wider one: an integer that is cast becomes
//! `f32`, whatever the type of the weights, and takes theirs when it is computed with one. Tensors
//! on the CPU, such as those that come from shapes, go to the GPU of the tensor they meet.

mod binary;
mod functions;
mod fused;
mod integer;
mod order;
mod power;
mod unary;

use candle_core::{DType, Tensor};

pub(super) use binary::{binary, extreme};
pub(super) use fused::Real;
pub(super) use order::memory_order;
pub(super) use unary::{magnitude, unary};

use super::arguments::{
    Common, broadcast_sizes, broadcast_to, impossible, kind, number, wrong_type,
};
use super::{Forward, Inputs};
use crate::op::{Binary, Kind, Variadic};

/// min(max(x, low), high), with PyTorch's gradient for constants: that of x where low < x <
/// high.
pub(super) fn clip(x: &Tensor, low: Option<&Tensor>, high: Option<&Tensor>) -> Forward<Tensor> {
    if kind(x) != Kind::Float {
        return integer::clip(x, low, high);
    }
    let bounds = (constant(low, f64::NEG_INFINITY)?, constant(high, f64::INFINITY)?);
    order::in_memory_order(x, |x| match bounds {
        (Some(low), Some(high)) if fused::takes(x) => fused::apply(x, functions::Clip(low, high)),
        _ => clip_by_tensors(x, low, high),
    })
}

/// A bound that gets no gradient; `absent` if there is none.
fn constant(bound: Option<&Tensor>, absent: f64) -> Forward<Option<f64>> {
    match bound {
        Some(bound) if bound.track_op() => Ok(None),
        Some(bound) => number("a bound", bound).map(Some),
        None => Ok(Some(absent)),
    }
}

fn clip_by_tensors(x: &Tensor, low: Option<&Tensor>, high: Option<&Tensor>) -> Forward<Tensor> {
    let all: Vec<&Tensor> = [Some(x), low, high].into_iter().flatten().collect();
    let common = Common::of("a bound", &all)?;
    let mut y = common.convert(x)?;
    let bound = |bound: &Tensor| match bound.elem_count() {
        1 => Ok(common.convert(bound)?.reshape(())?.broadcast_as(x.shape())?),
        _ => Err(impossible("a bound", format!("{:?}", bound.dims()), "one number is needed")),
    };
    if let Some(low) = low {
        let low = bound(low)?;
        y = y.le(&low)?.where_cond(&low, &y)?;
    }
    if let Some(high) = high {
        let high = bound(high)?;
        y = y.ge(&high)?.where_cond(&high, &y)?;
    }
    Ok(y)
}

/// a where the condition is not 0, else b.
pub(super) fn choose(condition: &Tensor, a: &Tensor, b: &Tensor) -> Forward<Tensor> {
    if kind(condition) == Kind::Float {
        return Err(wrong_type("the conditions", condition, "booleans"));
    }
    let sizes = broadcast_sizes(&[condition, a, b])?;
    let common = Common::of("the choices", &[a, b])?;
    let (a, b) = (common.convert(a)?, common.convert(b)?);
    let condition = broadcast_to(&condition.to_device(a.device())?, &sizes)?;
    Ok(condition.where_cond(&broadcast_to(&a, &sizes)?, &broadcast_to(&b, &sizes)?)?)
}

/// The sum, mean, maximum or minimum of all inputs. Where several are the greatest or the least,
/// they share the gradient.
pub(super) fn variadic(inputs: &Inputs, variadic: Variadic) -> Forward<Tensor> {
    let all: Vec<&Tensor> = inputs.all().collect();
    broadcast_sizes(&all)?;
    let common = Common::of("the inputs", &all)?;
    let mut left = all.iter();
    let first = left.next().map(|x| common.convert(x));
    let first = first.unwrap_or_else(|| Err(impossible("the inputs", "none", "one is needed")))?;
    left.try_fold(first, |so_far, x| match variadic {
        Variadic::Sum | Variadic::Mean => binary(&so_far, x, Binary::Add),
        Variadic::Max => extreme(&so_far, x, true),
        Variadic::Min => extreme(&so_far, x, false),
    })
    .and_then(|result| match (variadic, kind(&result)) {
        (Variadic::Mean, Kind::Float) => Ok((result / all.len() as f64)?),
        (Variadic::Mean, _) => Err(wrong_type("the inputs", &result, "numbers with a fraction")),
        _ => Ok(result),
    })
}

/// x with numbers of another kind: fractions are cut off, every number but 0 is 1 as a boolean.
/// Integers and booleans become `f32`; numbers with a fraction stay of their type.
pub(super) fn cast(x: &Tensor, to: Kind) -> Forward<Tensor> {
    match (kind(x), to) {
        (Kind::Float, Kind::Float) | (Kind::Bool, Kind::Bool) => Ok(x.clone()),
        (_, Kind::Float) => Ok(x.to_dtype(DType::F32)?),
        (_, Kind::Int) => Ok(x.to_dtype(DType::I64)?),
        (_, Kind::Bool) => Ok(x.ne(0f64)?),
    }
}
