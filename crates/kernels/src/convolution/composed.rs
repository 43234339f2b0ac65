//! A convolution as a composition of candle's operations, for every device and type: candle's own
//! has no gradient for some strides, and one stride, padding and dilation for both axes.

use candle_core::{Device, Tensor};

use super::axis::Axis;
use super::{ConvOptions, NAME};
use crate::error::{Result, shape};

/// Values of a padded or unfolded batch, at most.
const MOST: usize = 1 << 31;

/// Shapes as in [`convolution`](super::convolution), whose axes these are.
pub(super) fn convolution(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: &ConvOptions,
    [rows, columns]: [Axis; 2],
) -> Result<Tensor> {
    let (images, inputs, ..) = x.dims4()?;
    let (outputs, ..) = weight.dims4()?;
    check_memory(x, options, rows, columns)?;
    let [top, bottom, left, right] = options.padding;
    let x = x.contiguous()?.pad_with_zeros(2, top, bottom)?.pad_with_zeros(3, left, right)?;
    let (_, _, height, width) = x.dims4()?;
    let read = read(rows, columns, width, x.device())?;
    let (groups, pixels) = (options.groups, rows.outputs * columns.outputs);
    let terms = inputs / groups * rows.kernel * columns.kernel;
    let terms_first = x
        .reshape((images, inputs, height * width))?
        .index_select(&read, 2)?
        .reshape((images, groups, terms, pixels))?
        .permute((1, 2, 0, 3))?
        .contiguous()?
        .reshape((groups, terms, images * pixels))?;
    let weight = weight.contiguous()?.reshape((groups, outputs / groups, terms))?;
    let y = weight
        .matmul(&terms_first)?
        .reshape((outputs, images, rows.outputs, columns.outputs))?
        .transpose(0, 1)?
        .contiguous()?;
    match bias {
        Some(bias) => Ok(y.broadcast_add(&bias.reshape((1, outputs, 1, 1))?)?),
        None => Ok(y),
    }
}

/// Refuses what would need much more memory than x and the result.
fn check_memory(x: &Tensor, options: &ConvOptions, rows: Axis, columns: Axis) -> Result<()> {
    let (images, inputs, height, width) = x.dims4()?;
    let [top, bottom, left, right] = options.padding.map(|pad| pad as u128);
    let padded = (height as u128 + top + bottom) * (width as u128 + left + right);
    let pixels = rows.outputs as u128 * columns.outputs as u128;
    let unfolded = pixels * (rows.kernel as u128 * columns.kernel as u128);
    let values = padded.max(unfolded).saturating_mul((images.max(1) * inputs) as u128);
    match values <= MOST as u128 {
        true => Ok(()),
        false => {
            let expected = format!("at most {MOST} values with its padding, and for all taps");
            Err(shape(NAME, "x", expected, x))
        }
    }
}

/// The pixel of the padded image that each tap reads for each output.
fn read(rows: Axis, columns: Axis, width: usize, device: &Device) -> candle_core::Result<Tensor> {
    let mut read = Vec::new();
    for (ky, kx) in (0..rows.kernel).flat_map(|ky| (0..columns.kernel).map(move |kx| (ky, kx))) {
        for y in 0..rows.outputs {
            let row = (y * rows.stride + ky * rows.dilation) * width + kx * columns.dilation;
            read.extend((0..columns.outputs).map(|x| (row + x * columns.stride) as i64));
        }
    }
    let length = read.len();
    Tensor::from_vec(read, length, &Device::Cpu)?.to_device(device)
}
