//! Norms.

use super::super::attributes::{Convert, Fault, TRAINING, unsupported};
use super::super::call::Call;
use crate::op::Op;

const EPSILON: f32 = 1e-5;

pub(super) fn batch(call: &mut Call) -> Convert<()> {
    let attributes = &call.attributes;
    // How fast the running mean follows in training.
    attributes.skip(&["momentum"]);
    let epsilon = attributes.float("epsilon", EPSILON)?;
    let training = match call.opset() {
        ..7 => !attributes.flag("is_test", false)?,
        14.. => attributes.flag("training_mode", false)?,
        // With more outputs than one it is in training.
        _ => call.node.outputs.iter().skip(1).any(|name| !name.is_empty()),
    };
    if training {
        return unsupported(TRAINING);
    }
    if call.opset() < 9 && !attributes.flag("spatial", true)? {
        return unsupported("spatial = 0");
    }
    call.emit(Op::BatchNorm { epsilon })
}

pub(super) fn layer(call: &mut Call) -> Convert<()> {
    let attributes = &call.attributes;
    // The type to compute in.
    attributes.skip(&["stash_type"]);
    let axis = attributes.axis("axis")?.unwrap_or(-1);
    let epsilon = attributes.float("epsilon", EPSILON)?;
    call.emit(Op::LayerNorm { axis, epsilon })
}

pub(super) fn instance(call: &mut Call) -> Convert<()> {
    let epsilon = call.attributes.float("epsilon", EPSILON)?;
    call.emit(Op::InstanceNorm { epsilon })
}

pub(super) fn group(call: &mut Call) -> Convert<()> {
    let attributes = &call.attributes;
    attributes.skip(&["stash_type"]);
    let epsilon = attributes.float("epsilon", EPSILON)?;
    let groups = attributes.size("num_groups")?;
    let groups = groups.ok_or_else(|| Fault::Invalid("it has no num_groups".into()))?;
    if call.opset() >= 21 {
        return call.emit(Op::GroupNorm { groups, epsilon });
    }
    // Before opset 21, scale and bias are the groups', not the channels': x is normalized as an
    // image of one channel for each group.
    let (x, scale, bias) = (call.need(0)?, call.need(1)?, call.need(2)?);
    let shape = call.integers("groups", &[0, groups as i64, -1])?;
    let reshape = Op::Reshape { allow_zero: false };
    let grouped = call.extra("grouped", reshape.clone(), vec![Some(x), Some(shape)])?;
    let inputs = vec![Some(grouped), Some(scale), Some(bias)];
    let normalized = call.extra("normalized", Op::InstanceNorm { epsilon }, inputs)?;
    let shape = call.extra("shape", Op::Shape { start: 0, end: None }, vec![Some(x)])?;
    call.emit_with(reshape, vec![Some(normalized), Some(shape)])
}

pub(super) fn local_response(call: &mut Call) -> Convert<()> {
    let attributes = &call.attributes;
    let size = attributes.size("size")?;
    let norm = Op::LocalResponseNorm {
        size: size.ok_or_else(|| Fault::Invalid("it has no size".into()))?,
        alpha: attributes.float("alpha", 1e-4)?,
        beta: attributes.float("beta", 0.75)?,
        k: attributes.float("bias", 1.)?,
    };
    call.emit(norm)
}
