//! Softmax.

use candle_core::{D, Tensor};

use super::Forward;
use super::arguments::{axis as axis_of, check_float};
use crate::op::Softmax;

/// eˣ over the sum of eˣ along a dimension, or along all dimensions from it on; or the logarithm of
/// that.
pub(super) fn softmax(x: &Tensor, softmax: &Softmax) -> Forward<Tensor> {
    check_float("x", x)?;
    let axis = axis_of(softmax.axis as i64, x.rank())?;
    if x.elem_count() == 0 {
        return Ok(x.clone());
    }
    if softmax.flattens {
        let rows: usize = x.dims()[..axis].iter().product();
        let rows = x.reshape((rows, x.elem_count() / rows))?;
        return Ok(along_last(&rows, softmax.logarithm)?.reshape(x.shape())?);
    }
    let last = x.rank() - 1;
    match axis == last {
        true => along_last(x, softmax.logarithm),
        false => {
            let x = x.transpose(axis, last)?.contiguous()?;
            Ok(along_last(&x, softmax.logarithm)?.transpose(axis, last)?)
        }
    }
}

fn along_last(x: &Tensor, logarithm: bool) -> Forward<Tensor> {
    if !logarithm {
        return Ok(foresee_kernels::softmax_last_dim(x)?);
    }
    // The result does not depend on the maximum: it needs no gradient.
    let below = x.broadcast_sub(&x.detach().max_keepdim(D::Minus1)?)?;
    Ok(below.broadcast_sub(&below.exp()?.sum_keepdim(D::Minus1)?.log()?)?)
}
