//! Tensors with zeros around and between their entries, along one dimension. All differentiable.

use candle_core::{Shape, Tensor};

use crate::forward::Forward;
use crate::forward::arguments::check_size;
use crate::forward::index::select;
use crate::forward::window::Axis;

/// What the windows along a dimension cover of x and its padding.
pub(super) fn padded(x: &Tensor, dimension: usize, axis: Axis) -> Forward<Tensor> {
    let inside = axis.covered().saturating_sub(axis.before).min(axis.size);
    if inside == 0 {
        return zeros(resized(x, dimension, axis.covered())?, x);
    }
    resized(x, dimension, axis.covered())?;
    let after = axis.covered() - axis.before - inside;
    Ok(x.narrow(dimension, 0, inside)?.pad_with_zeros(dimension, axis.before, after)?)
}

/// x from what the windows along a dimension cover of it and its padding; 0 where they do not.
pub(super) fn unpadded(covered: &Tensor, dimension: usize, axis: Axis) -> Forward<Tensor> {
    let inside = axis.covered().saturating_sub(axis.before).min(axis.size);
    let shape = resized(covered, dimension, axis.size)?;
    if inside == 0 {
        return zeros(shape, covered);
    }
    let inside_of = covered.narrow(dimension, axis.before, inside)?;
    Ok(inside_of.pad_with_zeros(dimension, 0, axis.size - inside)?)
}

/// What all outputs of a transposed convolution read along a dimension, of x spread by the stride
/// and zeros around it.
pub(super) fn surroundings(x: &Tensor, dimension: usize, axis: Axis) -> Forward<Tensor> {
    let shape = resized(x, dimension, axis.size.saturating_add(axis.extent() - 1))?;
    // The first and the last entry read, counted from the reach of a window before x.
    let (reach, size) = (axis.extent() - 1, x.dims()[dimension]);
    let (start, end) = (axis.before, axis.before + shape[dimension]);
    let (first, last) = (start.max(reach), end.min(reach + size));
    if first >= last {
        return zeros(shape, x);
    }
    let read = x.narrow(dimension, first - reach, last - first)?;
    Ok(read.pad_with_zeros(dimension, first - start, end - last)?)
}

/// x with `step - 1` zeros between two entries along a dimension.
pub(super) fn spread(x: &Tensor, dimension: usize, step: usize) -> Forward<Tensor> {
    let size = x.dims()[dimension];
    if step == 1 || size == 1 {
        return Ok(x.clone());
    }
    let spread = resized(x, dimension, size.saturating_mul(step))?;
    let x = x.unsqueeze(dimension + 1)?.pad_with_zeros(dimension + 1, 0, step - 1)?;
    Ok(x.reshape(spread)?.narrow(dimension, 0, (size - 1) * step + 1)?)
}

/// `count` entries of x along a dimension, `step` apart.
pub(super) fn every(x: &Tensor, dimension: usize, step: usize, count: usize) -> Forward<Tensor> {
    match step == 1 || count == 1 {
        true => Ok(x.narrow(dimension, 0, count)?),
        false => select(x, dimension, (0..count).map(|i| (i * step) as u32).collect()),
    }
}

/// The weight of the convolution that goes back: [O, I/groups, h, w] → [I, O/groups, h, w], turned
/// by 180°.
pub(super) fn turned(weight: &Tensor, groups: usize) -> candle_core::Result<Tensor> {
    let (o, i, h, w) = weight.dims4()?;
    weight
        .reshape((groups, o / groups, i, h, w))?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((groups * i, o / groups, h, w))?
        .flip(&[2, 3])
}

/// The shape of x with another size along a dimension.
fn resized(x: &Tensor, dimension: usize, size: usize) -> Forward<Vec<usize>> {
    let mut shape = x.dims().to_vec();
    shape[dimension] = size;
    check_size(&shape)?;
    Ok(shape)
}

pub(super) fn zeros(shape: impl Into<Shape>, like: &Tensor) -> Forward<Tensor> {
    Ok(Tensor::zeros(shape, like.dtype(), like.device())?)
}
