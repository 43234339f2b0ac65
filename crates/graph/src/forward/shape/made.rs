//! Tensors that are made of shapes and numbers, on the CPU.

use candle_core::{DType, Device, Tensor};

use crate::dims;
use crate::error::OpError;
use crate::forward::arguments::{
    Common, check_size, impossible, kind, number, sizes_of, wrong_type,
};
use crate::forward::{Forward, Inputs};
use crate::op::{Kind, Scalar};

/// The sizes of x from dimension `start` to `end`, exclusive; from the back if negative, and moved
/// to the nearest dimension where there is none.
pub(in crate::forward) fn sizes(x: &Tensor, start: isize, end: Option<isize>) -> Forward<Tensor> {
    let part = &x.dims()[dims::span(x.rank(), start, end)];
    let sizes: Vec<i64> = part.iter().map(|&size| size as i64).collect();
    let count = sizes.len();
    Ok(Tensor::from_vec(sizes, count, &Device::Cpu)?)
}

/// The number of x's elements.
pub(in crate::forward) fn size(x: &Tensor) -> Forward<Tensor> {
    Ok(Tensor::new(x.elem_count() as i64, &Device::Cpu)?)
}

/// A tensor of one number; with a fraction it is `f32`. It takes the memory of one number.
pub(in crate::forward) fn constant_of_shape(shape: &Tensor, value: Scalar) -> Forward<Tensor> {
    let sizes = sizes_of("the shape", shape)?;
    check_size(&sizes)?;
    let value = match value {
        Scalar::Float(value) => Tensor::new(value as f32, &Device::Cpu)?,
        Scalar::Int(value) => Tensor::new(value, &Device::Cpu)?,
        Scalar::Bool(value) => Tensor::new(u8::from(value), &Device::Cpu)?,
    };
    Ok(value.broadcast_as(sizes)?)
}

/// A range is no longer: it counts positions.
const MAX_RANGE: usize = 1 << 24;

/// start, start + step, .. before `limit`: `[N]`. A constant: it has no gradient.
pub(in crate::forward) fn range(inputs: &Inputs) -> Forward<Tensor> {
    let (start, limit, step) = (inputs.need(0)?, inputs.need(1)?, inputs.need(2)?);
    let common = Common::of("the numbers", &[start, limit, step])?;
    match kind(start) {
        Kind::Bool => Err(wrong_type("the numbers", start, "integers or fractions")),
        Kind::Int => {
            let [start, limit, step] = [start, limit, step].map(one_integer);
            let (start, limit, step) = (start?, limit?, step?);
            let distance = i128::from(limit) - i128::from(start);
            check_step(step == 0, step)?;
            let (distance, stride) = match step > 0 {
                true => (distance, i128::from(step)),
                false => (-distance, -i128::from(step)),
            };
            let count = if distance > 0 { (distance - 1) / stride + 1 } else { 0 };
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            check_count(count)?;
            let values: Vec<i64> =
                (0..count as i64).map(|i| start.wrapping_add(i.wrapping_mul(step))).collect();
            Ok(Tensor::from_vec(values, count, &Device::Cpu)?)
        }
        Kind::Float => {
            let [start, limit, step] = [start, limit, step].map(|x| number("a number", x));
            let (start, limit, step) = (start?, limit?, step?);
            check_step(step == 0. || !step.is_finite(), step)?;
            let count = ((limit - start) / step).ceil();
            // NaN is 0 here, and infinity the greatest integer.
            let count = if count > 0. { count as usize } else { 0 };
            check_count(count)?;
            let values: Vec<f64> = (0..count).map(|i| start + i as f64 * step).collect();
            let values = Tensor::from_vec(values, count, &Device::Cpu)?;
            let dtype = common.convert(inputs.need(0)?)?.dtype();
            Ok(values.to_dtype(dtype)?)
        }
    }
}

fn check_count(elements: usize) -> Forward<()> {
    match elements <= MAX_RANGE {
        true => Ok(()),
        false => Err(OpError::TooLarge { elements, limit: MAX_RANGE }),
    }
}

fn check_step(is_wrong: bool, step: impl ToString) -> Forward<()> {
    match is_wrong {
        true => Err(impossible("a step", step, "a number that is not 0 is needed")),
        false => Ok(()),
    }
}

fn one_integer(x: &Tensor) -> Forward<i64> {
    match x.elem_count() {
        1 => Ok(x.reshape(())?.to_dtype(DType::I64)?.to_scalar()?),
        _ => Err(impossible("a number", format!("{:?}", x.dims()), "one is needed")),
    }
}
