//! Convolutions of one to three spatial dimensions.

mod planes;
mod spread;
mod transposed;

use candle_core::Tensor;
use foresee_kernels::{ConvOptions, convolution};

use self::spread::{spread, surroundings, turned, zeros};
use super::arguments::{Common, check_float, check_size, impossible};
use super::window::{self, Axis};
use super::{Forward, Inputs};
use crate::error::OpError;
use crate::op::{ConvTranspose, Window};

/// y[b, o] = bias[o] + Σ_i,t weight[o, i, t]·x[b, i] shifted by tap t, over the channels i of o's
/// group: x [B, I, ...], weight [O, I/groups, ...], bias `[O]`.
pub(super) fn conv(inputs: &Inputs, window: &Window) -> Forward<Tensor> {
    let groups = window.groups;
    let (x, weight) = operands(inputs, groups)?;
    let (outputs, channels) = (weight.dims()[0], x.dims()[1]);
    if weight.dims()[1].checked_mul(groups) != Some(channels) || outputs % groups != 0 {
        let expected = format!(
            "a multiple of {groups} outputs and, times {groups}, {channels} inputs, for as many \
             groups"
        );
        return Err(OpError::Shape { what: "weight", got: weight.dims().to_vec(), expected });
    }
    let axes = window::axes(window, &x.dims()[2..], &weight.dims()[2..], false)?;
    let sizes: Vec<usize> = axes.iter().map(|axis| axis.outputs).collect();
    check_size(&[&[x.dims()[0], outputs], &sizes[..]].concat())?;
    let bias = bias(inputs, outputs, &x)?;
    let bias = bias.as_ref();
    match axes[..] {
        [columns] => {
            let (x, weight) = (x.unsqueeze(2)?, weight.unsqueeze(2)?);
            Ok(convolve(&x, &weight, bias, [Axis::NONE, columns], groups)?.squeeze(2)?)
        }
        [rows, columns] => convolve(&x, &weight, bias, [rows, columns], groups),
        [depth, rows, columns] => {
            add_bias(planes::conv(&x, &weight, depth, [rows, columns], groups)?, bias)
        }
        _ => Err(wrong_dimensions(&x)),
    }
}

/// The transposed convolution: the gradient of the input of a convolution with this window, from
/// the gradient x of its output. x [B, I, ...], weight [I, O/groups, ...], bias `[O]`.
pub(super) fn conv_transpose(inputs: &Inputs, settings: &ConvTranspose) -> Forward<Tensor> {
    let groups = settings.window.groups;
    let (x, weight) = operands(inputs, groups)?;
    let channels = x.dims()[1];
    if weight.dims()[0] != channels || channels % groups != 0 {
        let expected = format!("{channels} inputs, a multiple of {groups} groups");
        return Err(OpError::Shape { what: "weight", got: weight.dims().to_vec(), expected });
    }
    let axes = transposed::axes(settings, &x.dims()[2..], &weight.dims()[2..])?;
    let outputs = weight.dims()[1].saturating_mul(groups);
    let sizes: Vec<usize> = axes.iter().map(|axis| axis.size).collect();
    check_size(&[&[x.dims()[0], outputs], &sizes[..]].concat())?;
    let bias = bias(inputs, outputs, &x)?;
    let bias = bias.as_ref();
    match axes[..] {
        [columns] => {
            let (x, weight) = (x.unsqueeze(2)?, weight.unsqueeze(2)?);
            let axes = [Axis::NONE, columns];
            Ok(convolve_transposed(&x, &weight, bias, axes, groups)?.squeeze(2)?)
        }
        [rows, columns] => convolve_transposed(&x, &weight, bias, [rows, columns], groups),
        [depth, rows, columns] => {
            add_bias(planes::conv_transpose(&x, &weight, depth, [rows, columns], groups)?, bias)
        }
        _ => Err(wrong_dimensions(&x)),
    }
}

/// x and the weight, of one type and on one device.
fn operands(inputs: &Inputs, groups: usize) -> Forward<(Tensor, Tensor)> {
    let (x, weight) = (inputs.need(0)?, inputs.need(1)?);
    check_float("x", x)?;
    check_float("weight", weight)?;
    if x.rank() < 3 {
        return Err(wrong_dimensions(x));
    }
    if weight.rank() != x.rank() {
        let expected = format!("as many dimensions as x, {}", x.rank());
        return Err(OpError::Shape { what: "weight", got: weight.dims().to_vec(), expected });
    }
    if groups == 0 {
        return Err(impossible("groups", groups, "there is at least one"));
    }
    let common = Common::of("weight", &[x, weight])?;
    Ok((common.convert(x)?, common.convert(weight)?))
}

/// The bias `[O]`, of the type of x.
fn bias(inputs: &Inputs, outputs: usize, x: &Tensor) -> Forward<Option<Tensor>> {
    let Some(bias) = inputs.get(2) else { return Ok(None) };
    check_float("bias", bias)?;
    if bias.dims() != [outputs] {
        let expected = format!("[{outputs}]");
        return Err(OpError::Shape { what: "bias", got: bias.dims().to_vec(), expected });
    }
    Ok(Some(bias.to_dtype(x.dtype())?.to_device(x.device())?))
}

/// x [B, I, H, W], weight [O, I/groups, h, w], bias `[O]`.
fn convolve(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    [rows, columns]: [Axis; 2],
    groups: usize,
) -> Forward<Tensor> {
    let (batch, channels, _, _) = x.dims4()?;
    check_size(&[batch, channels, rows.padded(), columns.padded()])?;
    if x.elem_count() == 0 || weight.elem_count() == 0 {
        let shape = (batch, weight.dims()[0], rows.outputs, columns.outputs);
        return add_bias(zeros(shape, x)?, bias);
    }
    let options = ConvOptions {
        stride: (rows.stride, columns.stride),
        padding: [rows.before, rows.after, columns.before, columns.after],
        dilation: (rows.dilation, columns.dilation),
        groups,
    };
    Ok(convolution(x, weight, bias, &options)?)
}

/// x [B, I, H, W], weight [I, O/groups, h, w], bias `[O]`: x is spread by the strides and convolved
/// with the weight turned by 180°.
fn convolve_transposed(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    [rows, columns]: [Axis; 2],
    groups: usize,
) -> Forward<Tensor> {
    if x.elem_count() == 0 || weight.elem_count() == 0 {
        let shape = (x.dims()[0], weight.dims()[1] * groups, rows.size, columns.size);
        return add_bias(zeros(shape, x)?, bias);
    }
    let x = surroundings(&spread(x, 2, rows.stride)?, 2, rows)?;
    let x = surroundings(&spread(&x, 3, columns.stride)?, 3, columns)?;
    let dilation = (rows.dilation, columns.dilation);
    let options = ConvOptions { dilation, groups, ..ConvOptions::default() };
    Ok(convolution(&x, &turned(weight, groups)?, bias, &options)?)
}

fn add_bias(y: Tensor, bias: Option<&Tensor>) -> Forward<Tensor> {
    let Some(bias) = bias else { return Ok(y) };
    let mut shape = vec![1; y.rank()];
    shape[1] = bias.elem_count();
    Ok(y.broadcast_add(&bias.reshape(shape)?)?)
}

fn wrong_dimensions(x: &Tensor) -> OpError {
    let expected = "[B, C, ...] with one to three spatial dimensions".into();
    OpError::Shape { what: "x", got: x.dims().to_vec(), expected }
}
