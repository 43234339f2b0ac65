//! Convolutions and matrix products.

use super::super::attributes::{Convert, invalid, unsupported};
use super::super::call::Call;
use crate::op::{ConvTranspose, Gemm, Op, Padding, Window};

pub(super) fn conv(call: &mut Call) -> Convert<()> {
    let dimensions = dimensions(call)?;
    let window = window(call, dimensions)?;
    call.emit(Op::Conv(window))
}

pub(super) fn conv_transpose(call: &mut Call) -> Convert<()> {
    let dimensions = dimensions(call)?;
    let window = window(call, dimensions)?;
    let output_padding = per_dimension(call, "output_padding", 0, 0, dimensions)?;
    let output_shape = call.attributes.sizes("output_shape", 1)?;
    if output_shape.as_ref().is_some_and(|shape| shape.len() != dimensions) {
        return invalid(format!("output_shape needs {dimensions} sizes"));
    }
    call.emit(Op::ConvTranspose(ConvTranspose { window, output_padding, output_shape }))
}

pub(super) fn gemm(call: &mut Call) -> Convert<()> {
    let attributes = &call.attributes;
    // Before opset 7, whether c may be smaller; c is broadcast wherever it fits.
    attributes.skip(if call.opset() < 7 { &["broadcast"] } else { &[] });
    let gemm = Gemm {
        alpha: attributes.float("alpha", 1.)?,
        beta: attributes.float("beta", 1.)?,
        transpose_a: attributes.flag("transA", false)?,
        transpose_b: attributes.flag("transB", false)?,
    };
    call.emit(Op::Gemm(gemm))
}

/// The number of spatial dimensions: from the kernel's shape, else from what else is given.
fn dimensions(call: &Call) -> Convert<usize> {
    let attributes = &call.attributes;
    let kernel = attributes.sizes("kernel_shape", 1)?;
    let weight = call.constant(1);
    if let (Some(kernel), Some(weight)) = (&kernel, &weight)
        && weight.dims().get(2..) != Some(kernel.as_slice())
    {
        let shape = weight.dims();
        return invalid(format!("kernel_shape is {kernel:?}, the weight's shape {shape:?}"));
    }
    let settings = ["strides", "dilations"].map(|name| attributes.ints(name));
    let [strides, dilations] = settings;
    let given = kernel.map(|kernel| kernel.len());
    let given = given.or(strides?.map(<[i64]>::len)).or(dilations?.map(<[i64]>::len));
    let rank = |index| call.rank(call.input(index)?);
    let ranks = rank(1).or(rank(0)).map(|rank| rank.saturating_sub(2));
    match given.or(ranks) {
        Some(dimensions) => spatial(dimensions),
        None => unsupported("without kernel_shape, where the weight's shape is not known"),
    }
}

/// Refuses more spatial dimensions than convolutions and pools have here.
pub(super) fn spatial(dimensions: usize) -> Convert<usize> {
    match dimensions {
        1..=3 => Ok(dimensions),
        _ => unsupported(format!("{dimensions} spatial dimensions (one to three are)")),
    }
}

/// The attribute's number for each dimension.
fn per_dimension(
    call: &Call,
    name: &str,
    default: usize,
    least: i64,
    dimensions: usize,
) -> Convert<Vec<usize>> {
    let values = call.attributes.sizes(name, least)?;
    let values = values.unwrap_or_else(|| vec![default; dimensions]);
    if values.len() == dimensions {
        return Ok(values);
    }
    invalid(format!("{name} = {values:?}, but there are {dimensions} spatial dimensions"))
}

/// Where windows are, from the attributes that convolutions and pools share.
pub(super) fn window(call: &Call, dimensions: usize) -> Convert<Window> {
    Ok(Window {
        stride: per_dimension(call, "strides", 1, 1, dimensions)?,
        padding: padding(call, dimensions)?,
        dilation: per_dimension(call, "dilations", 1, 1, dimensions)?,
        groups: call.attributes.size("group")?.unwrap_or(1),
    })
}

fn padding(call: &Call, dimensions: usize) -> Convert<Padding> {
    let attributes = &call.attributes;
    let pads = attributes.sizes("pads", 0)?;
    let auto = attributes.text("auto_pad", "NOTSET")?;
    let same = match auto {
        "NOTSET" | "" => None,
        "VALID" => Some(Padding::Explicit(vec![(0, 0); dimensions])),
        "SAME_UPPER" => Some(Padding::SameUpper),
        "SAME_LOWER" => Some(Padding::SameLower),
        other => return invalid(format!("auto_pad = `{other}`")),
    };
    match (same, pads) {
        (Some(_), Some(pads)) if pads.iter().any(|pad| *pad > 0) => {
            invalid(format!("both auto_pad = {auto} and pads = {pads:?} are given"))
        }
        (Some(same), _) => Ok(same),
        (None, None) => Ok(Padding::Explicit(vec![(0, 0); dimensions])),
        (None, Some(pads)) if pads.len() == 2 * dimensions => {
            let (before, after) = pads.split_at(dimensions);
            Ok(Padding::Explicit(before.iter().copied().zip(after.iter().copied()).collect()))
        }
        (None, Some(pads)) => {
            invalid(format!("pads = {pads:?}, but there are {dimensions} spatial dimensions"))
        }
    }
}
