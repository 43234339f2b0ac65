//! Functions of two elements, which are broadcast to each other.

use candle_core::Tensor;

use super::{integer, order, power};
use crate::dims::inverse;
use crate::forward::Forward;
use crate::forward::arguments::{Common, broadcast_sizes, broadcast_to, kind, number, wrong_type};
use crate::op::{Binary, Kind};

/// A function of each pair of elements.
pub(in crate::forward) fn binary(a: &Tensor, b: &Tensor, op: Binary) -> Forward<Tensor> {
    let sizes = broadcast_sizes(&[a, b])?;
    if op == Binary::Pow {
        return power::power(a, b, &sizes);
    }
    let common = Common::of("the inputs", &[a, b])?;
    let (a, b) = (common.convert(a)?, common.convert(b)?);
    match op {
        Binary::Equal => return Ok(a.broadcast_eq(&b)?),
        Binary::Greater => return Ok(a.broadcast_gt(&b)?),
        Binary::GreaterOrEqual => return Ok(a.broadcast_ge(&b)?),
        Binary::Less => return Ok(a.broadcast_lt(&b)?),
        Binary::LessOrEqual => return Ok(a.broadcast_le(&b)?),
        Binary::And | Binary::Or | Binary::Xor => return logical(&a, &b, op),
        _ => {}
    }
    match kind(&a) {
        Kind::Float => aligned(&a, &b, &sizes, |a, b| arithmetic(a, b, op)),
        Kind::Int => integer::binary(&a, &b, &sizes, op),
        Kind::Bool => Err(wrong_type("the inputs", &a, "numbers")),
    }
}

/// The greater or the less of each pair of elements; NaN if one is NaN. Both get half of the
/// gradient where they are equal.
pub(in crate::forward) fn extreme(a: &Tensor, b: &Tensor, greater: bool) -> Forward<Tensor> {
    let sizes = broadcast_sizes(&[a, b])?;
    let common = Common::of("the inputs", &[a, b])?;
    let (a, b) = (common.convert(a)?, common.convert(b)?);
    match (kind(&a), greater) {
        (Kind::Float, _) => aligned(&a, &b, &sizes, |a, b| {
            let sizes = broadcast_sizes(&[a, b])?;
            let (a, b) = (broadcast_to(a, &sizes)?, broadcast_to(b, &sizes)?);
            let extreme = match greater {
                true => a.maximum(&b)?,
                false => a.minimum(&b)?,
            };
            Ok(b.ne(&b)?.where_cond(&b, &extreme)?)
        }),
        (Kind::Int, true) => integer::pairs(&a, &b, &sizes, i64::max),
        (Kind::Int, false) => integer::pairs(&a, &b, &sizes, i64::min),
        (Kind::Bool, _) => Err(wrong_type("the inputs", &a, "numbers")),
    }
}

/// f(a, b), with the dimensions of both in the order in which the one of the result's shape lies in
/// memory.
fn aligned(
    a: &Tensor,
    b: &Tensor,
    sizes: &[usize],
    f: impl FnOnce(&Tensor, &Tensor) -> Forward<Tensor>,
) -> Forward<Tensor> {
    let order = |x: &Tensor| match x.dims() == sizes {
        true => order::memory_order(x),
        false => None,
    };
    let Some(order) = order(a).or_else(|| order(b)) else { return f(a, b) };
    let permuted = |x: &Tensor| -> candle_core::Result<Tensor> {
        let mut x = x.clone();
        while x.rank() < order.len() {
            x = x.unsqueeze(0)?;
        }
        x.permute(&order[..])
    };
    Ok(f(&permuted(a)?, &permuted(b)?)?.permute(inverse(&order))?)
}

fn arithmetic(a: &Tensor, b: &Tensor, op: Binary) -> Forward<Tensor> {
    if let Some(result) = with_constant(a, b, op)? {
        return Ok(result);
    }
    Ok(match op {
        Binary::Add => a.broadcast_add(b)?,
        Binary::Sub => a.broadcast_sub(b)?,
        Binary::Mul => a.broadcast_mul(b)?,
        Binary::Div => a.broadcast_div(b)?,
        Binary::Mod => {
            let quotient = a.detach().broadcast_div(&b.detach())?.floor()?;
            a.broadcast_sub(&quotient.broadcast_mul(b)?)?
        }
        // Below 0 only: for x = ∞, 0·x is NaN.
        Binary::PRelu => {
            let sizes = broadcast_sizes(&[a, b])?;
            let (a, b) = (broadcast_to(a, &sizes)?, broadcast_to(b, &sizes)?);
            a.gt(0f64)?.where_cond(&a, &(&a * &b)?)?
        }
        _ => return Err(wrong_type("the inputs", a, "booleans")),
    })
}

/// Sums and products with one number that gets no gradient: candle would compute one.
fn with_constant(a: &Tensor, b: &Tensor, op: Binary) -> Forward<Option<Tensor>> {
    let constant = |x: &Tensor, other: &Tensor| {
        let is_number = x.elem_count() == 1 && x.rank() <= other.rank();
        is_number && !x.track_op() && other.track_op() && x.device().is_cpu()
    };
    Ok(match op {
        Binary::Add if constant(b, a) => Some(a.affine(1., number("b", b)?)?),
        Binary::Add if constant(a, b) => Some(b.affine(1., number("a", a)?)?),
        Binary::Sub if constant(b, a) => Some(a.affine(1., -number("b", b)?)?),
        Binary::Sub if constant(a, b) => Some(b.affine(-1., number("a", a)?)?),
        Binary::Mul if constant(b, a) => Some(a.affine(number("b", b)?, 0.)?),
        Binary::Mul if constant(a, b) => Some(b.affine(number("a", a)?, 0.)?),
        _ => None,
    })
}

/// Functions of booleans.
fn logical(a: &Tensor, b: &Tensor, op: Binary) -> Forward<Tensor> {
    if kind(a) != Kind::Bool {
        return Err(wrong_type("the inputs", a, "booleans"));
    }
    let (a, b) = (a.ne(0f64)?, b.ne(0f64)?);
    Ok(match op {
        Binary::And => a.broadcast_mul(&b)?,
        Binary::Or => a.broadcast_maximum(&b)?,
        _ => a.broadcast_ne(&b)?,
    })
}
