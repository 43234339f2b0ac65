//! Softmax with a gradient: `candle_nn::ops::softmax_last_dim` passes none.

use candle_core::{D, Tensor};

use crate::error::{Result, floats};

/// exp(x_i)/Σ_j exp(x_j) over the last dimension.
///
/// # Errors
/// If x has no dimension or no fraction.
pub fn softmax_last_dim(x: &Tensor) -> Result<Tensor> {
    floats("softmax_last_dim", &[x])?;
    // The result does not depend on the maximum: it needs no gradient.
    let largest = x.detach().max_keepdim(D::Minus1)?;
    let exponentials = x.broadcast_sub(&largest)?.exp()?;
    Ok(exponentials.broadcast_div(&exponentials.sum_keepdim(D::Minus1)?)?)
}
