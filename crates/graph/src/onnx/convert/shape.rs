//! Shapes, and parts of tensors.

use super::super::attributes::{Convert, Fault, invalid, unsupported};
use super::super::call::Call;
use crate::op::{Op, PadMode, Split};

pub(super) fn concat(call: &mut Call) -> Convert<()> {
    let axis = call.attributes.axis("axis")?;
    let axis = axis.ok_or_else(|| Fault::Invalid("it has no axis".into()))?;
    call.emit(Op::Concat { axis })
}

pub(super) fn split(call: &mut Call) -> Convert<()> {
    let attributes = &call.attributes;
    let axis = attributes.axis("axis")?.unwrap_or(0);
    let parts = call.node.outputs.len();
    let sizes = if call.opset() < 13 { attributes.sizes("split", 0)? } else { None };
    if sizes.as_ref().is_some_and(|sizes| sizes.len() != parts) {
        return invalid(format!("split = {sizes:?}, but there are {parts} outputs"));
    }
    let given = if call.opset() >= 18 { attributes.size("num_outputs")? } else { None };
    if given.is_some_and(|given| given != parts) {
        return invalid(format!("num_outputs = {given:?}, but there are {parts} outputs"));
    }
    call.emit_all(Op::Split(Split { axis, sizes, parts }))
}

/// Before opset 10, all but the tensor are attributes.
pub(super) fn slice(call: &mut Call) -> Convert<()> {
    let missing = |what: &str| Fault::Invalid(format!("it has no {what}"));
    let x = call.need(0)?;
    let starts = call.moved("starts", 1, 10)?.ok_or_else(|| missing("starts"))?;
    let ends = call.moved("ends", 2, 10)?.ok_or_else(|| missing("ends"))?;
    let axes = call.moved("axes", 3, 10)?;
    let inputs = vec![Some(x), Some(starts), Some(ends), axes, call.input(4)];
    call.emit_with(Op::Slice, trimmed(inputs))
}

/// Before opset 11, pads and value are attributes.
pub(super) fn pad(call: &mut Call) -> Convert<()> {
    let mode = match call.attributes.text("mode", "constant")? {
        "constant" => PadMode::Constant,
        "reflect" => PadMode::Reflect,
        "edge" => PadMode::Edge,
        "wrap" => return unsupported("mode = wrap"),
        other => return invalid(format!("mode = `{other}`")),
    };
    let x = call.need(0)?;
    let pads = call.moved("pads", 1, 11)?;
    let pads = pads.ok_or_else(|| Fault::Invalid("it has no pads".into()))?;
    let value = if call.opset() >= 11 {
        call.input(2)
    } else {
        let value = call.attributes.float("value", 0.)?;
        if value == 0. { None } else { Some(call.number("value", value)?) }
    };
    let inputs = vec![Some(x), Some(pads), value, call.input(3)];
    call.emit_with(Op::Pad(mode), trimmed(inputs))
}

pub(super) fn reshape(call: &mut Call) -> Convert<()> {
    let allow_zero = call.opset() >= 14 && call.attributes.flag("allowzero", false)?;
    call.emit(Op::Reshape { allow_zero })
}

pub(super) fn flatten(call: &mut Call) -> Convert<()> {
    let axis = call.attributes.axis("axis")?.unwrap_or(1);
    call.emit(Op::Flatten { axis })
}

pub(super) fn transpose(call: &mut Call) -> Convert<()> {
    let order = call.attributes.sizes("perm", 0)?;
    if let Some(order) = &order {
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if sorted.iter().enumerate().any(|(place, axis)| place != *axis) {
            return invalid(format!("perm = {order:?} is no order of dimensions"));
        }
    }
    call.emit(Op::Transpose { order })
}

/// Before opset 13, the axes are an attribute.
pub(super) fn squeeze(call: &mut Call) -> Convert<()> {
    let axes = call.moved("axes", 1, 13)?;
    let inputs = vec![Some(call.need(0)?), axes];
    call.emit_with(Op::Squeeze, trimmed(inputs))
}

/// Before opset 13, the axes are an attribute.
pub(super) fn unsqueeze(call: &mut Call) -> Convert<()> {
    let axes = call.moved("axes", 1, 13)?;
    let axes = axes.ok_or_else(|| Fault::Invalid("it has no axes".into()))?;
    let inputs = vec![Some(call.need(0)?), Some(axes)];
    call.emit_with(Op::Unsqueeze, inputs)
}

pub(super) fn gather_nd(call: &mut Call) -> Convert<()> {
    match call.attributes.int("batch_dims")? {
        None | Some(0) => call.emit(Op::GatherNd),
        Some(other) => unsupported(format!("batch_dims = {other}")),
    }
}

pub(super) fn scatter_nd(call: &mut Call) -> Convert<()> {
    match call.attributes.text("reduction", "none")? {
        "none" => call.emit(Op::ScatterNd),
        other => unsupported(format!("reduction = {other}")),
    }
}

pub(super) fn gather(call: &mut Call) -> Convert<()> {
    let axis = call.attributes.axis("axis")?.unwrap_or(0);
    call.emit(Op::Gather { axis })
}

pub(super) fn depth_to_space(call: &mut Call) -> Convert<()> {
    let block = block(call)?;
    let channel_first = call.opset() >= 11 && channel_first(call)?;
    call.emit(Op::DepthToSpace { block, channel_first })
}

pub(super) fn space_to_depth(call: &mut Call) -> Convert<()> {
    let block = block(call)?;
    if call.opset() >= 28 && channel_first(call)? {
        return unsupported("mode = CRD");
    }
    call.emit(Op::SpaceToDepth { block })
}

fn block(call: &Call) -> Convert<usize> {
    let block = call.attributes.size("blocksize")?;
    block.ok_or_else(|| Fault::Invalid("it has no blocksize".into()))
}

fn channel_first(call: &Call) -> Convert<bool> {
    match call.attributes.text("mode", "DCR")? {
        "DCR" => Ok(false),
        "CRD" => Ok(true),
        other => invalid(format!("mode = `{other}`")),
    }
}

pub(super) fn shape(call: &mut Call) -> Convert<()> {
    let (start, end) = if call.opset() >= 15 {
        (call.attributes.int("start")?, call.attributes.int("end")?)
    } else {
        (None, None)
    };
    // Beyond the first or the last dimension, these mean all of them.
    let bound = |value: i64| value.clamp(-64, 64) as isize;
    let (start, end) = (start.map_or(0, bound), end.map(bound));
    call.emit(Op::Shape { start, end })
}

/// Inputs without those that are left out at the end.
pub(super) fn trimmed<T>(mut inputs: Vec<Option<T>>) -> Vec<Option<T>> {
    while inputs.last().is_some_and(Option::is_none) {
        inputs.pop();
    }
    inputs
}
