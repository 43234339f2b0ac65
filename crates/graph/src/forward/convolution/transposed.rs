//! The windows of transposed convolutions.

use super::super::arguments::{MAX_ELEMENTS, impossible};
use super::super::window::{self, Axis};
use crate::forward::Forward;
use crate::op::{ConvTranspose, Padding};

/// The windows of the convolution whose gradient it is: its outputs are the input here.
pub(super) fn axes(
    settings: &ConvTranspose,
    inputs: &[usize],
    kernel: &[usize],
) -> Forward<Vec<Axis>> {
    let ConvTranspose { window, output_padding, output_shape } = settings;
    window::check(window, kernel, inputs.len())?;
    if output_padding.len() != inputs.len() || output_padding.iter().any(|&n| n > MAX_ELEMENTS) {
        let value = format!("{output_padding:?}");
        let expected = format!("one number for each of {} dimensions", inputs.len());
        return Err(impossible("the output padding", value, expected));
    }
    if let Some(sizes) = output_shape {
        window::each("the output shape", sizes, inputs.len())?;
    }
    if inputs.contains(&0) {
        let expected = "there is at least one pixel";
        return Err(impossible("the spatial sizes", format!("{inputs:?}"), expected));
    }
    let axis = |i: usize| {
        let axis = Axis {
            outputs: inputs[i],
            kernel: kernel[i],
            stride: window.stride[i],
            dilation: window.dilation[i],
            ..Axis::NONE
        };
        let stretched = axis.covered().saturating_add(output_padding[i]);
        match (output_shape, &window.padding) {
            (Some(sizes), padding) => Ok(of_size(axis, stretched, sizes[i], padding)),
            (None, Padding::Explicit(pads)) => padded(axis, stretched, pads[i]),
            (None, padding) => {
                Ok(of_size(axis, stretched, inputs[i].saturating_mul(axis.stride), padding))
            }
        }
    };
    (0..inputs.len()).map(axis).collect()
}

/// The result is what the padding leaves.
fn padded(axis: Axis, stretched: usize, (before, after): (usize, usize)) -> Forward<Axis> {
    match stretched.checked_sub(before + after) {
        Some(size) if size > 0 => Ok(Axis { size, before, after, ..axis }),
        _ => {
            let value = format!("{before} and {after}");
            let expected = format!("the result has {stretched} pixels before padding is cut off");
            Err(impossible("the padding", value, expected))
        }
    }
}

/// The padding is what the result leaves. An odd pixel of it goes before, unless it is
/// [`Padding::SameUpper`]; a result that is larger than all windows ends with the bias.
fn of_size(axis: Axis, stretched: usize, size: usize, padding: &Padding) -> Axis {
    let total = stretched.saturating_sub(size);
    let (less, more) = (total / 2, total - total / 2);
    let (before, after) = match padding {
        Padding::SameUpper => (less, more),
        _ => (more, less),
    };
    Axis { size, before, after, ..axis }
}
