//! The operations of this crate as plain compositions of candle operations. Tests compare the
//! kernels with them, and tensors on other devices or of other types use them. They store every
//! mask.

use candle_core::{D, Tensor};

use crate::curve::ToneCurve;
use crate::error::Result;
use crate::moments::Moments;
use crate::pooled::Pooled;
use crate::rows::Rows;

/// The masks sigmoid(conv(z) + b) of all attributes, [B, K, C, H, W], 0 for rows that are left out;
/// shapes as in [`crate::attention_heads`].
///
/// # Errors
/// If the shapes do not fit each other.
pub fn masks(z: &Tensor, weight: &Tensor, bias: &Tensor, rows: &Rows) -> Result<Tensor> {
    let (b, c, h, w) = z.dims4()?;
    let k = weight.dim(0)?.checked_div(c).unwrap_or(0);
    masks_of_logits(&conv2d(z, weight, bias, 1)?.reshape((b, k, c, h, w))?, rows)
}

/// The masks of logits [B, K, C, H, W]: their sigmoid, and 0 for rows that are left out, with a
/// gradient of 0, even if the logit is NaN.
///
/// # Errors
/// If the rows are of other numbers of attributes or channels.
pub fn masks_of_logits(logits: &Tensor, rows: &Rows) -> Result<Tensor> {
    let logits = match rows.is_all() {
        true => logits.clone(),
        false => {
            let shut = Tensor::new(f32::NEG_INFINITY, logits.device())?;
            kept_or(rows, logits, &shut.to_dtype(logits.dtype())?)?
        }
    };
    // Unlike candle_nn's, this sigmoid and its gradient are finite for every finite logit.
    let e = (logits.abs()?.neg()?).exp()?;
    let positive = logits.ge(0f64)?.to_dtype(logits.dtype())?;
    let numerator = ((&positive + ((1. - &positive)? * &e)?)?).contiguous()?;
    Ok((numerator / (e + 1.)?)?)
}

/// The values [B, K, C, ..] of kept rows, and `other`, which can be broadcast to them, for others.
fn kept_or(rows: &Rows, values: &Tensor, other: &Tensor) -> Result<Tensor> {
    let mut shape = vec![1; values.rank()];
    shape[1..3].copy_from_slice(&[rows.attributes(), rows.channels()]);
    let is_kept = rows.to_tensor(values.device())?.ne(0f64)?.reshape(shape)?;
    let other = other.broadcast_as(values.shape())?;
    Ok(is_kept.broadcast_as(values.shape())?.where_cond(values, &other)?)
}

/// [`crate::attention_heads_of_rows`] under a curve, which is differentiable if the curve is the
/// identity.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn attention_heads(
    z: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    rows: &Rows,
    curve: &dyn ToneCurve,
) -> Result<Pooled> {
    let mut masks = masks(z, weight, bias, rows)?;
    if !curve.is_identity() {
        masks = transform(&masks, curve)?;
    }
    let mut features = masks.broadcast_mul(&z.unsqueeze(1)?)?.flatten_from(3)?.mean(D::Minus1)?;
    let counted = not_zero(rows, curve)?;
    if !counted.is_all() {
        // 0 times a feature that is NaN is 0 here.
        let zero = features.zeros_like()?.detach();
        features = kept_or(&counted, &features, &zero)?;
    }
    Ok(Pooled { features, masks: masks.flatten_from(3)?.mean(D::Minus1)? })
}

/// The rows whose masks are not 0 whatever the features: those that are kept, and those that a
/// curve opens.
fn not_zero(rows: &Rows, curve: &dyn ToneCurve) -> Result<Rows> {
    let is_open = |k: usize, c: usize| {
        let mut mask = [0.];
        curve.apply(k, c, &mut mask);
        rows.has(k, c) || mask != [0.]
    };
    let of = |k: usize| (0..rows.channels()).filter(|&c| is_open(k, c)).collect();
    Rows::new(rows.channels(), (0..rows.attributes()).map(of).collect())
}

/// Masks [B, K, C, H, W] under a curve. Not differentiable.
fn transform(masks: &Tensor, curve: &dyn ToneCurve) -> Result<Tensor> {
    let (_, k, c, h, w) = masks.dims5()?;
    let mut values = masks.to_dtype(candle_core::DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    for (i, plane) in values.chunks_exact_mut(h * w).enumerate() {
        curve.apply(i / c % k, i % c, plane);
    }
    Ok(Tensor::from_vec(values, masks.shape(), masks.device())?.to_dtype(masks.dtype())?)
}

/// [`crate::conv2d`].
///
/// # Errors
/// If the shapes do not fit each other.
pub fn conv2d(x: &Tensor, weight: &Tensor, bias: &Tensor, dilation: usize) -> Result<Tensor> {
    let (outputs, _, n, _) = weight.dims4()?;
    let y = x.conv2d(weight, n / 2 * dilation, 1, dilation, 1)?;
    Ok(y.broadcast_add(&bias.reshape((1, outputs, 1, 1))?)?)
}

/// [`crate::norm_leaky_relu`] without `moments` (those of x are computed), and
/// [`crate::scale_shift_leaky_relu`] with them.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn norm_leaky_relu(
    x: &Tensor,
    moments: Option<&Moments>,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
    slope: f32,
) -> Result<Tensor> {
    let c = x.dim(1)?;
    let wide = |t: &Tensor| t.reshape((1, c, 1, 1));
    let (mean, variance) = match moments {
        Some(m) => (wide(&m.mean)?, wide(&m.variance)?),
        None => {
            let mean = x.mean_keepdim((0, 2, 3))?;
            let variance = x.broadcast_sub(&mean)?.sqr()?.mean_keepdim((0, 2, 3))?;
            (mean, variance)
        }
    };
    let normalised = x.broadcast_sub(&mean)?.broadcast_div(&(variance + epsilon)?.sqrt()?)?;
    let y = normalised.broadcast_mul(&wide(gamma)?)?.broadcast_add(&wide(beta)?)?;
    let negative = y.lt(0f64)?.to_dtype(y.dtype())?;
    Ok((&y * negative.affine(f64::from(slope) - 1., 1.)?)?)
}
