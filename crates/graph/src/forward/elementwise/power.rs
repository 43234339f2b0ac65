//! Powers: candle's have NaN for the gradient of x⁰ at 0, and none for bases below 0 where the
//! exponent is a tensor.

use candle_core::cpu_backend::binary_map;
use candle_core::{CpuStorage, CustomOp2, DType, Device, Error, Layout, Result, Shape, Tensor};

use super::{integer, order};
use crate::forward::Forward;
use crate::forward::arguments::{Common, broadcast_to, kind, number, wrong_type};
use crate::op::{Binary, Kind};

/// aᵇ of tensors that are broadcast to `sizes`, of a's kind; bases below 0 have powers with integer
/// exponents, else NaN. The gradient is PyTorch's: b·a^(b-1) for a, and 0 where b is 0;
/// aᵇ·log a for b, and 0 where a is 0 and b is not below 0.
pub(super) fn power(a: &Tensor, b: &Tensor, sizes: &[usize]) -> Forward<Tensor> {
    match (kind(a), kind(b)) {
        (Kind::Bool, _) => Err(wrong_type("the base", a, "numbers")),
        (_, Kind::Bool) => Err(wrong_type("the exponent", b, "numbers")),
        (Kind::Int, Kind::Int) => integer::binary(a, b, sizes, Binary::Pow),
        (Kind::Int, Kind::Float) => {
            let powers = general(&a.to_dtype(DType::F64)?, &b.to_dtype(DType::F64)?, sizes)?;
            Ok(powers.to_dtype(DType::I64)?)
        }
        (Kind::Float, _) => {
            let b = match kind(b) {
                Kind::Int => b.to_dtype(a.dtype())?,
                _ => b.clone(),
            };
            let is_number = b.elem_count() == 1 && !b.track_op();
            if !is_number {
                return general(a, &b, sizes);
            }
            let exponent = number("the exponent", &b)?;
            order::in_memory_order(&broadcast_to(a, sizes)?, |a| with_constant(a, exponent))
        }
    }
}

/// aᵇ for one number b.
fn with_constant(a: &Tensor, b: f64) -> Forward<Tensor> {
    Ok(match b {
        0. => a.ones_like()?,
        0.5 => a.sqrt()?,
        1. => a.clone(),
        2. => a.sqr()?,
        3. => (a * a.sqr()?)?,
        -1. => a.recip()?,
        _ => a.powf(b)?,
    })
}

/// aᵇ of each pair of elements, computed on the CPU.
fn general(a: &Tensor, b: &Tensor, sizes: &[usize]) -> Forward<Tensor> {
    let common = Common::of("the inputs", &[a, b])?;
    let result = common.convert(a)?;
    let (dtype, device) = (result.dtype(), result.device().clone());
    let wide = match dtype {
        DType::F32 => DType::F32,
        _ => DType::F64,
    };
    let operand = |x: &Tensor| -> Result<Tensor> {
        broadcast_to(&x.to_device(&Device::Cpu)?.to_dtype(wide)?, sizes)
    };
    let powers = operand(a)?.apply_op2(&operand(b)?, Power)?;
    Ok(powers.to_dtype(dtype)?.to_device(&device)?)
}

/// aᵇ.
struct Power;

impl CustomOp2 for Power {
    fn name(&self) -> &'static str {
        "power"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let powers = match (a, b) {
            (CpuStorage::F32(a), CpuStorage::F32(b)) => {
                CpuStorage::F32(binary_map(a_layout, b_layout, a, b, f32::powf))
            }
            (CpuStorage::F64(a), CpuStorage::F64(b)) => {
                CpuStorage::F64(binary_map(a_layout, b_layout, a, b, f64::powf))
            }
            _ => return Err(Error::Msg("power: two f32 or two f64 are needed".into())),
        };
        Ok((powers, a_layout.shape().clone()))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        powers: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (a_tracked, b_tracked) = (a.track_op(), b.track_op());
        let (a, b) = (a.detach(), b.detach());
        let zero = gradient.zeros_like()?;
        let of_base = || -> Result<Tensor> {
            let slope = (a.apply_op2_no_bwd(&(&b - 1.)?, &Power)? * &b)?;
            b.eq(0f64)?.where_cond(&zero, &(slope * gradient)?)
        };
        let of_exponent = || -> Result<Tensor> {
            let is_flat = (a.eq(0f64)? * b.ge(0f64)?)?;
            is_flat.where_cond(&zero, &((powers.detach() * a.log()?)? * gradient)?)
        };
        Ok((a_tracked.then(of_base).transpose()?, b_tracked.then(of_exponent).transpose()?))
    }
}
