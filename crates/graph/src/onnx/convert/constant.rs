//! Constants, casts, and what does nothing once a network is trained.

use candle_core::DType;

use super::super::attributes::{Convert, Fault, TRAINING, invalid, unsupported};
use super::super::call::Call;
use super::super::elements::Element;
use crate::op::{Op, Scalar};

/// A constant becomes a weight.
pub(super) fn constant(call: &mut Call) -> Convert<()> {
    let attributes = &call.attributes;
    let tensors = &mut call.reader.tensors;
    let tensor = if let Some(message) = attributes.tensor("value")? {
        tensors.read(call.node.label(), message)?
    } else if let Some(value) = attributes.int("value_int")? {
        tensors.ints(&[value], &[])?
    } else if let Some(values) = attributes.ints("value_ints")? {
        tensors.ints(values, &[values.len()])?
    } else if let Some(values) = attributes.floats("value_floats")? {
        let values: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
        tensors.floats(&values, &[values.len()])?
    } else if let Some(value) = attributes.number("value_float")? {
        tensors.floats(&[value], &[])?
    } else {
        return unsupported("a constant that is neither a tensor nor numbers");
    };
    let [name] = call.node.outputs.as_slice() else {
        return invalid(format!("it has {} outputs, not one", call.node.outputs.len()));
    };
    if !call.inputs.is_empty() {
        return invalid("it has inputs");
    }
    if !name.is_empty() {
        call.reader.weight(name, tensor)?;
    }
    Ok(())
}

pub(super) fn constant_of_shape(call: &mut Call) -> Convert<()> {
    let Some(message) = call.attributes.tensor("value")? else {
        return call.emit(Op::ConstantOfShape(Scalar::Float(0.)));
    };
    let tensor = call.reader.tensors.read(call.node.label(), message)?;
    if tensor.elem_count() != 1 {
        return invalid(format!("its value has {} elements, not one", tensor.elem_count()));
    }
    let value = tensor.flatten_all().map_err(candle)?;
    let value = match value.dtype() {
        DType::I64 => Scalar::Int(value.to_vec1::<i64>().map_err(candle)?[0]),
        DType::U8 => Scalar::Bool(value.to_vec1::<u8>().map_err(candle)?[0] != 0),
        _ => {
            let value = value.to_dtype(DType::F64).and_then(|value| value.to_vec1::<f64>());
            Scalar::Float(value.map_err(candle)?[0])
        }
    };
    call.emit(Op::ConstantOfShape(value))
}

fn candle(error: candle_core::Error) -> Fault {
    Fault::Onnx(error.into())
}

pub(super) fn range(call: &mut Call) -> Convert<()> {
    // The type to compute in.
    call.attributes.skip(&["stash_type"]);
    call.emit(Op::Range)
}

pub(super) fn cast(call: &mut Call) -> Convert<()> {
    // How types are rounded that are not supported.
    call.attributes.skip(&["saturate", "round_mode"]);
    let to = call.attributes.int("to")?;
    let to = to.ok_or_else(|| Fault::Invalid("it has no type to cast to".into()))?;
    match Element::new(to) {
        Ok(element) => call.emit(Op::Cast(element.kind())),
        Err(what) => unsupported(format!("casts to {what}")),
    }
}

pub(super) fn cast_like(call: &mut Call) -> Convert<()> {
    call.attributes.skip(&["saturate", "round_mode"]);
    let (x, like) = (call.need(0)?, call.need(1)?);
    match call.known(like).kind {
        Some(kind) => call.emit_with(Op::Cast(kind), vec![Some(x)]),
        None => unsupported("casts to a type that is not known before the network runs"),
    }
}

/// Dropout hands its input on. Its mask, if it is needed, is all true.
pub(super) fn dropout(call: &mut Call) -> Convert<()> {
    call.attributes.skip(&["ratio", "seed"]);
    // Before opset 7, a dropout that does not say that it is for tests is one in training.
    if call.opset() < 7 && !call.attributes.flag("is_test", false)? {
        return unsupported(TRAINING);
    }
    if let Some(training) = call.input(2) {
        let training = call.known(training).constant;
        let training = training.and_then(|training| training.flatten_all().ok()?.to_vec1().ok());
        if training.as_deref() != Some(&[0u8]) {
            return unsupported(TRAINING);
        }
    }
    let x = call.need(0)?;
    if call.unused_from(1).is_err() {
        if call.opset() < 10 {
            return unsupported("its mask is needed");
        }
        let shape = call.extra("shape", Op::Shape { start: 0, end: None }, vec![Some(x)])?;
        let mask = Op::ConstantOfShape(Scalar::Bool(true));
        call.emit_other(1, mask, vec![Some(shape)])?;
    }
    call.emit_first(Op::Identity, vec![Some(x)])
}
