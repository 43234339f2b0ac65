//! Tensor operations that the layers are made of, and their gradients.

use candle_core::{D, DType, Error, Tensor};
use foresee_kernels::{Precision, Rows, reference};

/// How a convolution steps over its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2d {
    /// Default 1.
    pub stride: usize,
    /// Zeros on each side. Default 0.
    pub padding: usize,
    /// Default 1.
    pub dilation: usize,
}

impl Default for Conv2d {
    fn default() -> Self {
        Self { stride: 1, padding: 0, dilation: 1 }
    }
}

/// A convolution by the kernels where they have it: candle's own computes the weights' gradient,
/// too, and both slowly.
pub(crate) fn convolve(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: &Conv2d,
) -> candle_core::Result<Tensor> {
    let Conv2d { stride, padding, dilation } = *options;
    if keeps_size(weight, options) && x.dtype() == DType::F32 {
        let none = Tensor::zeros(weight.dim(0)?, weight.dtype(), weight.device())?;
        let y = foresee_kernels::conv2d(x, weight, bias.unwrap_or(&none), dilation, Precision::F32)
            .map_err(candle_core::Error::wrap)?;
        return y.contiguous();
    }
    let y = x.contiguous()?.conv2d(weight, padding, stride, dilation, 1)?;
    match bias {
        None => Ok(y),
        Some(bias) => y.broadcast_add(&bias.reshape((1, (), 1, 1))?),
    }
}

/// Whether a convolution gives images of the size of its input: one that the kernels have.
pub(crate) fn keeps_size(weight: &Tensor, options: &Conv2d) -> bool {
    let Conv2d { stride, padding, dilation } = *options;
    match *weight.dims() {
        [_, _, n, m] => stride == 1 && n == m && n % 2 == 1 && padding == n / 2 * dilation,
        _ => false,
    }
}

/// A convolution's gradient in its input x, for the gradient s in its output. With stride 1 it is a
/// convolution with flipped weights, by the kernels where they have it.
pub(crate) fn convolve_transposed(
    s: &Tensor,
    weight: &Tensor,
    options: &Conv2d,
    x: &Tensor,
) -> candle_core::Result<Tensor> {
    let Conv2d { stride, padding, dilation } = *options;
    let (_, _, n, m) = weight.dims4()?;
    let s = s.contiguous()?;
    if stride == 1 && n == m && dilation * (n - 1) >= padding {
        let flipped = weight.transpose(0, 1)?.contiguous()?.flip(&[2, 3])?;
        let padding = dilation * (n - 1) - padding;
        return convolve(&s, &flipped, None, &Conv2d { stride, padding, dilation });
    }
    // Rows and columns that the steps do not reach get 0; they differ in number between height and
    // width, and candle takes one number.
    let (h, w) = (x.dim(2)?, x.dim(3)?);
    let full = s.conv_transpose2d(weight, 0, 0, stride, dilation)?;
    let crop = |t: Tensor, dim: usize, size: usize| -> candle_core::Result<Tensor> {
        let rest = (size + padding).saturating_sub(t.dim(dim)?);
        t.pad_with_zeros(dim, 0, rest)?.narrow(dim, padding, size)
    };
    crop(crop(full, 2, h)?, 3, w)?.contiguous()
}

/// sigmoid(conv_k(z)), [B, K, C, H, W], for weights [K·C, C, n, n]; 0 where a row is not kept.
pub(crate) fn masks(
    z: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    rows: &Rows,
) -> candle_core::Result<Tensor> {
    let (k, c) = (rows.attributes(), rows.channels());
    let (b, _, h, w) = z.dims4()?;
    let padding = weight.dim(2)? / 2;
    let logits = convolve(z, weight, Some(bias), &Conv2d { padding, ..Conv2d::default() })?;
    reference::masks_of_logits(&logits.reshape((b, k, c, h, w))?, rows).map_err(Error::wrap)
}

/// The s×s windows of a pool as a last dimension: [B, C, H, W] → [B, C, H/s, W/s, s·s].
pub(crate) fn pool_windows(x: &Tensor, s: usize) -> candle_core::Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    let (h, w) = (h / s, w / s);
    x.narrow(2, 0, h * s)?
        .narrow(3, 0, w * s)?
        .reshape((b, c, h, s, w, s))?
        .permute((0, 1, 2, 4, 3, 5))?
        .reshape((b, c, h, w, s * s))
}

/// The value of each s×s window at all its pixels, 0 at pixels of none: [B, C, H/s, W/s] → x's
/// shape.
pub(crate) fn unpool(values: &Tensor, s: usize, x: &Tensor) -> candle_core::Result<Tensor> {
    let (b, c, h, w) = values.dims4()?;
    let full = values.reshape((b, c, h, 1, w, 1))?.broadcast_as((b, c, h, s, w, s))?.reshape((
        b,
        c,
        h * s,
        w * s,
    ))?;
    full.pad_with_zeros(2, 0, x.dim(2)? - h * s)?.pad_with_zeros(3, 0, x.dim(3)? - w * s)
}

/// The gradient of a maximum over each s×s window: 1 at the maximum, 1/n at each of n equal ones.
pub(crate) fn max_pool_gradient(x: &Tensor, s: usize) -> candle_core::Result<Tensor> {
    let windows = pool_windows(x, s)?;
    let is_max = windows.broadcast_eq(&windows.max_keepdim(D::Minus1)?)?.to_dtype(x.dtype())?;
    let maxima = unpool(&windows.max(D::Minus1)?, s, x)?;
    let n = unpool(&is_max.sum(D::Minus1)?, s, x)?;
    x.eq(&maxima)?.to_dtype(x.dtype())? / n.maximum(1f64)?
}
