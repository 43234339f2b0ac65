//! The one place where heavy operations are called: what stands behind them can be replaced here.
//! Inside of the extractor feature maps are [B, H, W, C].

use candle_core::{Tensor, Var};
pub use foresee_kernels::AdamWStep;
use foresee_kernels::{Moments, Pooled, Precision, ToneCurve, pixels};

use crate::error::Result;

/// Convolution of Table 1: 3×3, stride 1, padding = dilation. x [B, H, W, I] → [B, H, W, O].
///
/// # Errors
/// If the shapes do not fit each other.
pub fn dilated_conv(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    dilation: usize,
    precision: Precision,
) -> Result<Tensor> {
    Ok(pixels::conv2d(x, weight, bias, dilation, precision)?)
}

/// Batch norm and leaky ReLU of Table 1 in training mode, with the batch's moments. x [B, H, W, C].
///
/// # Errors
/// If the shapes do not fit each other.
pub fn norm_leaky_relu(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
    slope: f32,
) -> Result<(Tensor, Moments)> {
    let moments = pixels::channel_moments(x)?;
    Ok((pixels::norm_leaky_relu(x, &moments, gamma, beta, epsilon, slope)?, moments))
}

/// Batch norm and leaky ReLU of Table 1 in evaluation mode, with running moments. x [B, H, W, C].
///
/// # Errors
/// If the shapes do not fit each other.
pub fn running_norm_leaky_relu(
    x: &Tensor,
    moments: &Moments,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
    slope: f32,
) -> Result<Tensor> {
    Ok(pixels::scale_shift_leaky_relu(x, moments, gamma, beta, epsilon, slope)?)
}

/// Attention and pooling of all heads (Eq. 9), differentiable.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn attention(
    z: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    precision: Precision,
) -> Result<Pooled> {
    Ok(foresee_kernels::attention_heads(z, weight, bias, precision)?)
}

/// The same of z [B, H, W, C].
///
/// # Errors
/// If the shapes do not fit each other.
pub fn attention_of_pixels(
    z: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    precision: Precision,
) -> Result<Pooled> {
    Ok(pixels::attention_heads(z, weight, bias, precision)?)
}

/// Attention and pooling under several transformations of the masks (Eq. 13), which are computed
/// once.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn attention_under(
    z: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    curves: &[&dyn ToneCurve],
    precision: Precision,
) -> Result<Vec<Pooled>> {
    Ok(foresee_kernels::attention_heads_under(z, weight, bias, curves, precision)?)
}

/// The masks of chosen attributes, [B, A, C, H, W].
///
/// # Errors
/// If an attribute does not exist.
pub fn masks(z: &Tensor, weight: &Tensor, bias: &Tensor, attributes: &[usize]) -> Result<Tensor> {
    Ok(foresee_kernels::attention_masks(z, weight, bias, attributes)?)
}

/// average ← decay·average + (1 - decay)·value, in place.
///
/// # Errors
/// If the shapes differ.
pub fn moving_average(average: &Var, value: &Tensor, decay: f64) -> Result<()> {
    Ok(foresee_kernels::moving_average(average, value, decay)?)
}

/// Whether all values are finite.
///
/// # Errors
/// If candle fails.
pub fn is_finite(x: &Tensor) -> Result<bool> {
    // x·0 is NaN for what is not finite, and no sum of it overflows.
    Ok((x.detach() * 0.)?.sum_all()?.to_scalar::<f32>()? == 0.)
}

/// A step of AdamW, in place.
///
/// # Errors
/// If the shapes differ.
pub fn adamw_step(
    value: &Var,
    gradient: &Tensor,
    first: &mut Tensor,
    second: &mut Tensor,
    step: &AdamWStep,
) -> Result<()> {
    Ok(foresee_kernels::adamw_step(value, gradient, first, second, step)?)
}
