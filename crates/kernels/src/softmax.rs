//! Softmax with a gradient: `candle_nn::ops::softmax_last_dim` passes none.

use candle_core::{D, Tensor};

use crate::error::{Result, floats};
use crate::layer_norm::widened;

/// exp(x_i)/Σ_j exp(x_j) over the last dimension.
///
/// # Errors
/// If x has no dimension or no fraction.
pub fn softmax_last_dim(x: &Tensor) -> Result<Tensor> {
    floats("softmax_last_dim", &[x])?;
    // The result does not depend on the maximum: it needs no gradient.
    let wide = widened(x)?;
    let largest = wide.detach().max_keepdim(D::Minus1)?;
    let exponentials = wide.broadcast_sub(&largest)?.exp()?;
    let shares = exponentials.broadcast_div(&exponentials.sum_keepdim(D::Minus1)?)?;
    Ok(shares.to_dtype(x.dtype())?)
}
