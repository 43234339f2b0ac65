//! Reductions and softmax.

use super::super::attributes::{Convert, unsupported};
use super::super::call::Call;
use crate::op::{ArgExtreme, Op, Reduce, Reduction, Softmax};

/// From opset `since` on, the axes are an input.
pub(super) fn reduce(call: &mut Call, kind: Reduction, since: i64) -> Convert<()> {
    let attributes = &call.attributes;
    let keep_dims = attributes.flag("keepdims", true)?;
    let (axes, empty_is_nothing) = if call.opset() >= since {
        (None, attributes.flag("noop_with_empty_axes", false)?)
    } else {
        (attributes.axes("axes")?.filter(|axes| !axes.is_empty()), false)
    };
    call.emit(Op::Reduce(Reduce { kind, axes, keep_dims, empty_is_nothing }))
}

pub(super) fn arg_extreme(call: &mut Call, greatest: bool) -> Convert<()> {
    let attributes = &call.attributes;
    if call.opset() >= 12 && attributes.flag("select_last_index", false)? {
        return unsupported("select_last_index = 1");
    }
    let axis = attributes.axis("axis")?.unwrap_or(0);
    let keep_dims = attributes.flag("keepdims", true)?;
    call.emit(Op::ArgExtreme(ArgExtreme { greatest, axis, keep_dims }))
}

pub(super) fn softmax(call: &mut Call, logarithm: bool) -> Convert<()> {
    let flattens = call.opset() < 13;
    let axis = call.attributes.axis("axis")?.unwrap_or(if flattens { 1 } else { -1 });
    call.emit(Op::Softmax(Softmax { axis, flattens, logarithm }))
}
