//! Convolutions over three spatial dimensions: for each tap of the first, one over the other two,
//! with depth and batch together. Compositions of differentiable operations.

use candle_core::Tensor;

use super::spread::{every, padded, spread, unpadded};
use super::{convolve, convolve_transposed};
use crate::forward::Forward;
use crate::forward::window::Axis;

/// x [B, I, D, H, W], weight [O, I/groups, d, h, w] → [B, O, D', H', W'].
pub(super) fn conv(
    x: &Tensor,
    weight: &Tensor,
    depth: Axis,
    [rows, columns]: [Axis; 2],
    groups: usize,
) -> Forward<Tensor> {
    let (batch, outputs) = (x.dims()[0], weight.dims()[0]);
    let shape = (batch, depth.outputs, outputs, rows.outputs, columns.outputs);
    let mut sum = Tensor::zeros(shape, x.dtype(), x.device())?;
    if x.elem_count() > 0 && weight.elem_count() > 0 {
        let x = padded(x, 2, depth)?;
        let stretch = (depth.outputs - 1) * depth.stride + 1;
        for tap in 0..depth.kernel {
            let x = x.narrow(2, tap * depth.dilation, stretch)?;
            let x = planes(&every(&x, 2, depth.stride, depth.outputs)?)?;
            let y = convolve(&x, &plane(weight, tap)?, None, [rows, columns], groups)?;
            sum = (sum + y.reshape(shape)?)?;
        }
    }
    Ok(sum.transpose(1, 2)?)
}

/// x [B, I, D, H, W], weight [I, O/groups, d, h, w] → [B, O, D', H', W'].
pub(super) fn conv_transpose(
    x: &Tensor,
    weight: &Tensor,
    depth: Axis,
    [rows, columns]: [Axis; 2],
    groups: usize,
) -> Forward<Tensor> {
    let (batch, outputs) = (x.dims()[0], weight.dims()[1] * groups);
    let shape = (batch, outputs, depth.covered(), rows.size, columns.size);
    super::check_size(&[shape.0, shape.1, shape.2, shape.3, shape.4])?;
    let mut sum = Tensor::zeros(shape, x.dtype(), x.device())?;
    if x.elem_count() > 0 && weight.elem_count() > 0 {
        let x = planes(x)?;
        for tap in 0..depth.kernel {
            let y = convolve_transposed(&x, &plane(weight, tap)?, None, [rows, columns], groups)?;
            let y = y.reshape((batch, depth.outputs, outputs, rows.size, columns.size))?;
            let before = tap * depth.dilation;
            let after = depth.extent() - 1 - before;
            let y = spread(&y.transpose(1, 2)?.contiguous()?, 2, depth.stride)?;
            sum = (sum + y.pad_with_zeros(2, before, after)?)?;
        }
    }
    unpadded(&sum, 2, depth)
}

/// [B, I, D, H, W] → [B·D, I, H, W].
fn planes(x: &Tensor) -> Forward<Tensor> {
    let (b, i, d, h, w) = x.dims5()?;
    Ok(x.transpose(1, 2)?.contiguous()?.reshape((b * d, i, h, w))?)
}

/// The weights of one tap of the depth.
fn plane(weight: &Tensor, tap: usize) -> Forward<Tensor> {
    Ok(weight.narrow(2, tap, 1)?.squeeze(2)?.contiguous()?)
}
