//! Softmax with a gradient: `candle_nn::ops::softmax_last_dim` passes none.

use candle_core::{D, Tensor};

use crate::error::{Result, floats};
use crate::layer_norm::widened;

/// exp(x_i)/Σ_j exp(x_j) over the last dimension.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_kernels::softmax_last_dim;
///
/// // exp is 1 and 3.
/// let x = Tensor::new(&[[0f64, 3f64.ln()]], &Device::Cpu)?;
/// let y = softmax_last_dim(&x)?.to_vec2::<f64>()?;
/// assert!((y[0][0] - 0.25).abs() < 1e-12 && (y[0][1] - 0.75).abs() < 1e-12);
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
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
