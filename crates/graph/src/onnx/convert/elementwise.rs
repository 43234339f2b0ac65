//! Functions of elements.

use super::super::attributes::{Convert, invalid, unsupported};
use super::super::call::Call;
use crate::dims;
use crate::graph::ValueId;
use crate::op::{Binary, Op, Unary};

/// The function of one input that an operation is, if it is one.
pub(super) fn unary(call: &Call, name: &str) -> Convert<Option<Unary>> {
    let attributes = &call.attributes;
    let alpha = |default| attributes.float("alpha", default);
    Ok(Some(match name {
        "Relu" => Unary::Relu,
        "LeakyRelu" => Unary::LeakyRelu(alpha(0.01)?),
        "Elu" => Unary::Elu(alpha(1.)?),
        "Celu" => Unary::Celu(alpha(1.)?),
        "Selu" => {
            Unary::Selu { alpha: alpha(1.673_263_2)?, gamma: attributes.float("gamma", 1.050_701)? }
        }
        "ThresholdedRelu" => Unary::ThresholdedRelu(alpha(1.)?),
        "Gelu" => match attributes.text("approximate", "none")? {
            "none" => Unary::Gelu,
            "tanh" => Unary::GeluTanh,
            other => return invalid(format!("approximate = `{other}`")),
        },
        "Mish" => Unary::Mish,
        "HardSwish" => Unary::HardSwish,
        "HardSigmoid" => {
            Unary::HardSigmoid { alpha: alpha(0.2)?, beta: attributes.float("beta", 0.5)? }
        }
        "Sigmoid" => Unary::Sigmoid,
        "Tanh" => Unary::Tanh,
        "Softplus" => Unary::Softplus,
        "Softsign" => Unary::Softsign,
        "Shrink" => Unary::Shrink {
            lambda: attributes.float("lambd", 0.5)?,
            bias: attributes.float("bias", 0.)?,
        },
        "Erf" => Unary::Erf,
        "Exp" => Unary::Exp,
        "Log" => Unary::Log,
        "Sqrt" => Unary::Sqrt,
        "Reciprocal" => Unary::Reciprocal,
        "Neg" => Unary::Neg,
        "Abs" => Unary::Abs,
        "Sign" => Unary::Sign,
        "Floor" => Unary::Floor,
        "Ceil" => Unary::Ceil,
        "Round" => Unary::Round,
        "Sin" => Unary::Sin,
        "Cos" => Unary::Cos,
        "Tan" => Unary::Tan,
        "Asin" => Unary::Asin,
        "Acos" => Unary::Acos,
        "Atan" => Unary::Atan,
        "Not" => Unary::Not,
        _ => return Ok(None),
    }))
}

/// x·sigmoid(α·x).
pub(super) fn swish(call: &mut Call) -> Convert<()> {
    let alpha = call.attributes.float("alpha", 1.)?;
    if alpha == 1. {
        return call.emit(Op::Unary(Unary::Silu));
    }
    let x = call.need(0)?;
    let alpha = call.number("alpha", alpha)?;
    let scaled = call.extra("scaled", Op::Binary(Binary::Mul), vec![Some(x), Some(alpha)])?;
    let gate = call.extra("sigmoid", Op::Unary(Unary::Sigmoid), vec![Some(scaled)])?;
    call.emit_with(Op::Binary(Binary::Mul), vec![Some(x), Some(gate)])
}

/// Before opset 7, b is broadcast only if `broadcast` says so, and can begin at a's `axis`.
pub(super) fn binary(call: &mut Call, binary: Binary) -> Convert<()> {
    if call.opset() >= 7 {
        return call.emit(Op::Binary(binary));
    }
    call.attributes.skip(&["broadcast"]);
    let Some(axis) = call.attributes.axis("axis")? else {
        return call.emit(Op::Binary(binary));
    };
    let (a, b) = (call.need(0)?, call.need(1)?);
    let (Some(rank), Some(own)) = (call.rank(a), call.rank(b)) else {
        return unsupported("broadcast from an axis on, of values whose rank is not known");
    };
    let after = dims::axis(axis as i64, rank).and_then(|axis| rank.checked_sub(axis + own));
    let Some(after) = after else { return invalid(format!("axis = {axis} is not possible")) };
    let b = dimensions_after(call, b, own, after)?;
    call.emit_with(Op::Binary(binary), vec![Some(a), Some(b)])
}

/// The value with so many dimensions of size 1 behind its own.
fn dimensions_after(call: &mut Call, b: ValueId, own: usize, after: usize) -> Convert<ValueId> {
    if after == 0 {
        return Ok(b);
    }
    let axes: Vec<i64> = (own..own + after).map(|axis| axis as i64).collect();
    let axes = call.integers("axes", &axes)?;
    call.extra("broadcast", Op::Unsqueeze, vec![Some(b), Some(axes)])
}

/// Before opset 7, the slopes are those of channels.
pub(super) fn prelu(call: &mut Call) -> Convert<()> {
    let (x, slope) = (call.need(0)?, call.need(1)?);
    let is_one = call.constant(1).is_some_and(|slope| slope.elem_count() == 1);
    if call.opset() >= 7 || call.rank(slope) != Some(1) || is_one {
        return call.emit(Op::Binary(Binary::PRelu));
    }
    let Some(rank) = call.rank(x) else {
        return unsupported("slopes of channels, of a value whose rank is not known");
    };
    let slope = dimensions_after(call, slope, 1, rank.saturating_sub(2))?;
    call.emit_with(Op::Binary(Binary::PRelu), vec![Some(x), Some(slope)])
}

pub(super) fn modulo(call: &mut Call) -> Convert<()> {
    if call.attributes.flag("fmod", false)? {
        return unsupported("fmod = 1");
    }
    call.emit(Op::Binary(Binary::Mod))
}

/// Before opset 11, the bounds are attributes.
pub(super) fn clip(call: &mut Call) -> Convert<()> {
    if call.opset() >= 11 {
        return call.emit(Op::Clip);
    }
    let bound = |call: &mut Call, name: &str, none: f32| {
        let value = call.attributes.float(name, none)?;
        let is_bound = value != f64::from(none);
        if is_bound { call.number(name, value).map(Some) } else { Ok(None) }
    };
    let low = bound(call, "min", f32::MIN)?;
    let high = bound(call, "max", f32::MAX)?;
    let inputs = vec![Some(call.need(0)?), low, high];
    call.emit_with(Op::Clip, inputs)
}
