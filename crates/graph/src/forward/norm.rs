//! Norms.

use candle_core::Tensor;
use foresee_kernels::{Moments, PoolAxis, avg_pool2d_windows};

use super::arguments::{self, Common, broadcast_to, check_float, impossible};
use super::elementwise::binary;
use super::known_gradient::with_gradients;
use super::{Forward, Inputs};
use crate::dims::broadcast;
use crate::error::OpError;
use crate::op::Binary;

/// weight·(x - mean)/√(variance + ε) + bias of each channel: x [B, C, ...], the others `[C]`.
pub(super) fn batch_norm(inputs: &Inputs, epsilon: f64) -> Forward<Tensor> {
    let names = ["x", "weight", "bias", "mean", "variance"];
    let (x, [weight, bias, mean, variance]) = channelwise(inputs, names)?;
    let scale = (weight / (variance + epsilon)?.sqrt()?)?;
    let shift = (bias - (mean * &scale)?)?;
    if scale.track_op() || shift.track_op() {
        return scale_and_shift(&x, &scale, &shift);
    }
    let y = scale_and_shift(&x.detach(), &scale, &shift)?;
    with_gradients([&x, &scale, &shift], y, |[_, scale, _], g, _| {
        binary(g, &along_channels(scale, g.rank())?, Binary::Mul)
    })
}

/// The same in training mode: with the mean and the variance of the batch, which are given back. A
/// ReLU can follow.
pub(super) fn batch_norm_training(
    inputs: &Inputs,
    epsilon: f64,
    relu: bool,
) -> Forward<(Tensor, Moments)> {
    let names = ["x", "weight", "bias", "mean", "variance"];
    let (x, [weight, bias, _, _]) = channelwise(inputs, names)?;
    let count = x.elem_count() / x.dims()[1].max(1);
    if count < 2 {
        let expected = "a training needs at least two, of more images or of larger ones";
        return Err(impossible("the number of values of a channel", count, expected));
    }
    Ok(match relu {
        true => foresee_kernels::batch_norm_relu(&x, &weight, &bias, epsilon)?,
        false => foresee_kernels::batch_norm(&x, &weight, &bias, epsilon)?,
    })
}

/// weight·(x - mean)/√(variance + ε) + bias over the dimensions from `axis` on, with a weight and a
/// bias that can be broadcast to them.
pub(super) fn layer_norm(inputs: &Inputs, axis: isize, epsilon: f64) -> Forward<Tensor> {
    let given: Vec<&Tensor> = inputs.all().collect();
    given.iter().try_for_each(|x| check_float("an input", x))?;
    let common = Common::of("an input", &given)?;
    let x = common.convert(inputs.need(0)?)?;
    let axis = arguments::axis(axis as i64, x.rank())?;
    let sizes = &x.dims()[axis..];
    let of_sizes = |what, given: &Tensor| -> Forward<Tensor> {
        if broadcast(given.dims(), sizes).as_deref() != Some(sizes) {
            let expected = format!("a shape that can be broadcast to {sizes:?}");
            return Err(OpError::Shape { what, got: given.dims().to_vec(), expected });
        }
        Ok(broadcast_to(&common.convert(given)?, sizes)?)
    };
    let weight = of_sizes("weight", inputs.need(1)?)?;
    let bias = match inputs.get(2) {
        Some(bias) => of_sizes("bias", bias)?,
        None => weight.detach().zeros_like()?,
    };
    match x.elem_count() {
        0 => Ok(x),
        _ => Ok(foresee_kernels::layer_norm(&x, &weight, &bias, epsilon)?),
    }
}

/// weight·(x - mean)/√(variance + ε) + bias, with the mean and variance of each image's groups of
/// channels: x [B, C, ...], weight and bias `[C]`.
pub(super) fn group_norm(inputs: &Inputs, groups: usize, epsilon: f64) -> Forward<Tensor> {
    let (x, [weight, bias]) = channelwise(inputs, ["x", "weight", "bias"])?;
    let channels = x.dims()[1];
    if groups == 0 || channels % groups != 0 {
        let expected = format!("a divisor of the {channels} channels");
        return Err(impossible("groups", groups, expected));
    }
    if x.elem_count() == 0 {
        return Ok(x);
    }
    let batch = x.dims()[0];
    let wide = x.reshape((batch, groups, x.elem_count() / (batch * groups)))?;
    let centred = wide.broadcast_sub(&wide.mean_keepdim(2)?)?;
    let deviation = (centred.sqr()?.mean_keepdim(2)? + epsilon)?.sqrt()?;
    let normal = centred.broadcast_div(&deviation)?.reshape(x.shape())?;
    scale_and_shift(&normal, &weight, &bias)
}

/// weight·(x - mean)/√(variance + ε) + bias, with the mean and variance of each image's channels:
/// x [B, C, ...], weight and bias `[C]`.
pub(super) fn instance_norm(inputs: &Inputs, epsilon: f64) -> Forward<Tensor> {
    let channels = inputs.need(0)?.dims().get(1).copied().unwrap_or(0);
    group_norm(inputs, channels.max(1), epsilon)
}

/// x/(k + α/n·Σ x²)^β, where the sum is over n neighbouring channels, of which (n - 1)/2, rounded
/// down, are before: x [B, C, ...].
pub(super) fn local_response(x: &Tensor, size: usize, parameters: [f64; 3]) -> Forward<Tensor> {
    let [alpha, beta, k] = parameters;
    check_float("x", x)?;
    let &[batch, channels, ..] = x.dims() else { return Err(too_few_dimensions(x)) };
    super::window::each("the size", &[size], 1)?;
    if x.elem_count() == 0 {
        return Ok(x.clone());
    }
    let pixels = x.elem_count() / (batch * channels);
    let padding = ((size - 1) / 2, size / 2);
    let along = PoolAxis { kernel: size, stride: 1, dilation: 1, padding, outputs: channels };
    let none = PoolAxis { kernel: 1, stride: 1, dilation: 1, padding: (0, 0), outputs: pixels };
    let squares = x.sqr()?.reshape((batch, 1, channels, pixels))?;
    let mean = avg_pool2d_windows(&squares, [along, none], true)?.reshape(x.shape())?;
    Ok((x * mean.affine(alpha, k)?.powf(-beta)?)?)
}

/// x [B, C, ...] and N tensors `[C]`, of one type and on one device.
fn channelwise<const M: usize, const N: usize>(
    inputs: &Inputs,
    names: [&'static str; M],
) -> Forward<(Tensor, [Tensor; N])> {
    let given = (0..M).map(|i| inputs.need(i)).collect::<Forward<Vec<_>>>()?;
    given.iter().zip(names).try_for_each(|(x, name)| check_float(name, x))?;
    let common = Common::of("an input", &given)?;
    let x = common.convert(given[0])?;
    let &[_, channels, ..] = x.dims() else { return Err(too_few_dimensions(&x)) };
    let mut converted = Vec::with_capacity(N);
    for (parameter, what) in given.iter().zip(names).skip(1) {
        if parameter.dims() != [channels] {
            let expected = format!("[{channels}], a number for each channel");
            return Err(OpError::Shape { what, got: parameter.dims().to_vec(), expected });
        }
        converted.push(common.convert(parameter)?);
    }
    let count = converted.len();
    let converted = converted.try_into();
    Ok((x, converted.map_err(|_| impossible("the number of inputs", count, "others"))?))
}

fn too_few_dimensions(x: &Tensor) -> OpError {
    OpError::Shape { what: "x", got: x.dims().to_vec(), expected: "[B, C, ...]".into() }
}

/// scale·x + shift of each channel, in the order in which x lies in memory.
fn scale_and_shift(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Forward<Tensor> {
    let scaled = binary(x, &along_channels(scale, x.rank())?, Binary::Mul)?;
    binary(&scaled, &along_channels(shift, x.rank())?, Binary::Add)
}

/// `[C]` as [1, C, 1, ...].
fn along_channels(x: &Tensor, rank: usize) -> candle_core::Result<Tensor> {
    let mut shape = vec![1; rank];
    shape[1] = x.elem_count();
    x.reshape(shape)
}
