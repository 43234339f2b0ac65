//! Functions of one element. Where a function has no derivative, the gradient is PyTorch's: 0 for
//! ReLU, |x| and sign at 0.

use candle_core::{DType, Device, Tensor};

use super::{functions, fused, integer, order};
use crate::forward::Forward;
use crate::forward::arguments::{kind, wrong_type};
use crate::op::{Kind, Unary};

/// A function of each element.
pub(in crate::forward) fn unary(x: &Tensor, unary: Unary) -> Forward<Tensor> {
    match kind(x) {
        Kind::Float => order::in_memory_order(x, |x| match fused::takes(x) {
            true => on_cpu(x, unary),
            false => compose(x, unary),
        }),
        _ => integer::unary(x, unary),
    }
}

/// With one pass for the functions that networks call most.
fn on_cpu(x: &Tensor, unary: Unary) -> Forward<Tensor> {
    match unary {
        Unary::Relu => fused::apply(x, functions::Relu),
        Unary::LeakyRelu(alpha) => fused::apply(x, functions::LeakyRelu(alpha)),
        Unary::Gelu => fused::apply(x, functions::Gelu),
        Unary::Silu => fused::apply(x, functions::Silu),
        Unary::HardSwish => fused::apply(x, functions::HardSwish),
        Unary::HardSigmoid { alpha, beta } => fused::apply(x, functions::HardSigmoid(alpha, beta)),
        Unary::Sigmoid => fused::apply(x, functions::Sigmoid),
        Unary::Asin => fused::apply(x, functions::Asin),
        Unary::Acos => fused::apply(x, functions::Acos),
        Unary::Atan => fused::apply(x, functions::Atan),
        _ => compose(x, unary),
    }
}

/// As candle's operations, on every device.
fn compose(x: &Tensor, unary: Unary) -> Forward<Tensor> {
    let zero = || constant(x, 0.);
    Ok(match unary {
        Unary::Relu => x.le(0f64)?.where_cond(&zero()?, x)?,
        Unary::LeakyRelu(alpha) => x.gt(0f64)?.where_cond(x, &(x * alpha)?)?,
        Unary::Elu(alpha) => exponential(x, alpha, 1.)?,
        Unary::Celu(alpha) => exponential(x, alpha, alpha)?,
        Unary::Selu { alpha, gamma } => (exponential(x, alpha, 1.)? * gamma)?,
        Unary::ThresholdedRelu(alpha) => x.gt(alpha)?.where_cond(x, &zero()?)?,
        Unary::Gelu => {
            let root = std::f64::consts::FRAC_1_SQRT_2;
            (x * (x * root)?.erf()?.affine(0.5, 0.5)?)?
        }
        Unary::GeluTanh => {
            let factor = (2. / std::f64::consts::PI).sqrt();
            let inner = (x * x.sqr()?.affine(0.044715 * factor, factor)?)?;
            (x * inner.tanh()?.affine(0.5, 0.5)?)?
        }
        Unary::Silu => (x * sigmoid(x)?)?,
        Unary::Mish => (x * softplus(x)?.tanh()?)?,
        Unary::HardSwish => (x * hard_sigmoid(x, 1. / 6., 0.5)?)?,
        Unary::HardSigmoid { alpha, beta } => hard_sigmoid(x, alpha, beta)?,
        Unary::Sigmoid => sigmoid(x)?,
        Unary::Tanh => x.tanh()?,
        Unary::Softplus => softplus(x)?,
        Unary::Softsign => (x * (magnitude(x)? + 1.)?.recip()?)?,
        Unary::Shrink { lambda, bias } => {
            let above = x.gt(lambda)?.where_cond(&(x - bias)?, &zero()?)?;
            x.lt(-lambda)?.where_cond(&(x + bias)?, &above)?
        }
        Unary::Erf => x.erf()?,
        Unary::Exp => x.exp()?,
        Unary::Log => x.log()?,
        Unary::Sqrt => x.sqrt()?,
        Unary::Reciprocal => x.recip()?,
        Unary::Neg => x.neg()?,
        Unary::Abs => magnitude(x)?,
        Unary::Sign => x.detach().sign()?,
        Unary::Floor => x.detach().floor()?,
        Unary::Ceil => x.detach().ceil()?,
        Unary::Round => round(&x.detach())?,
        Unary::Sin => x.sin()?,
        Unary::Cos => x.cos()?,
        Unary::Tan => (x.sin()? / x.cos()?)?,
        Unary::Asin | Unary::Acos | Unary::Atan => through_cpu(x, unary)?,
        Unary::Not => return Err(wrong_type("the values", x, "booleans")),
    })
}

/// One number for each element of x.
fn constant(x: &Tensor, value: f64) -> Forward<Tensor> {
    Ok(Tensor::new(value, x.device())?.to_dtype(x.dtype())?.broadcast_as(x.shape())?)
}

/// |x|, with the gradient 0 at 0 (candle's is 1).
pub(in crate::forward) fn magnitude(x: &Tensor) -> Forward<Tensor> {
    Ok((x * x.detach().sign()?)?)
}

/// -|x|, with the gradient 1 at 0.
fn minus_magnitude(x: &Tensor) -> Forward<Tensor> {
    Ok(x.gt(0f64)?.where_cond(&x.neg()?, x)?)
}

/// x above 0, α·(e^(x/β) - 1) below. The exponential is not taken above 0, where it might be
/// infinite.
fn exponential(x: &Tensor, alpha: f64, beta: f64) -> Forward<Tensor> {
    let is_positive = x.gt(0f64)?;
    let negative = is_positive.where_cond(&constant(x, 0.)?, x)?;
    let below = ((negative / beta)?.exp()?.affine(alpha, -alpha))?;
    Ok(is_positive.where_cond(x, &below)?)
}

/// 1/(1 + e⁻ˣ), finite for every x, as is its gradient.
fn sigmoid(x: &Tensor) -> Forward<Tensor> {
    let e = minus_magnitude(x)?.exp()?;
    let numerator = x.gt(0f64)?.where_cond(&constant(x, 1.)?, &e)?;
    Ok((numerator / (e + 1.)?)?)
}

/// log(1 + eˣ) = max(x, 0) + log(1 + e^-|x|).
fn softplus(x: &Tensor) -> Forward<Tensor> {
    let positive = x.gt(0f64)?.where_cond(x, &constant(x, 0.)?)?;
    Ok((positive + (minus_magnitude(x)?.exp()? + 1.)?.log()?)?)
}

/// max(0, min(1, α·x + β)), with the gradient 0 at both ends.
fn hard_sigmoid(x: &Tensor, alpha: f64, beta: f64) -> Forward<Tensor> {
    let y = x.affine(alpha, beta)?;
    let above = y.le(0f64)?.where_cond(&constant(x, 0.)?, &y)?;
    Ok(above.ge(1f64)?.where_cond(&constant(x, 1.)?, &above)?)
}

/// The nearest integer; halves go to the even one.
fn round(x: &Tensor) -> Forward<Tensor> {
    let is_half = (x - x.floor()?)?.eq(0.5f64)?;
    let even = ((x / 2.)?.round()? * 2.)?;
    Ok(is_half.where_cond(&even, &x.round()?)?)
}

/// For functions that candle does not have.
fn through_cpu(x: &Tensor, unary: Unary) -> Forward<Tensor> {
    let on_cpu_as_f64 = x.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    let y = on_cpu(&on_cpu_as_f64, unary)?;
    Ok(y.to_dtype(x.dtype())?.to_device(x.device())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;

    /// Functions with one pass are their compositions, as are their gradients, also at 0.
    #[test]
    fn fused_functions_are_their_compositions() -> Forward<()> {
        let mut values: Vec<f64> = (-40..=40).map(|i| f64::from(i) / 5.).collect();
        values.extend([-1000., -3., 3., 1000.]);
        for unary in [
            Unary::Relu,
            Unary::LeakyRelu(0.1),
            Unary::Gelu,
            Unary::Silu,
            Unary::HardSwish,
            Unary::HardSigmoid { alpha: 0.25, beta: 0.5 },
            Unary::Sigmoid,
        ] {
            let [fused, composed] = [on_cpu, compose].map(|f| -> Forward<_> {
                let x = Var::from_vec(values.clone(), values.len(), &Device::Cpu)?;
                let y = f(x.as_tensor(), unary)?;
                let gradient = y.sum_all()?.backward()?.remove(&x).expect("x is a variable");
                Ok([y.to_vec1::<f64>()?, gradient.to_vec1()?])
            });
            let (fused, composed) = (fused?, composed?);
            for (a, b) in fused.iter().flatten().zip(composed.iter().flatten()) {
                assert!((a - b).abs() < 1e-12, "{unary:?}: {a} and {b}");
            }
        }
        Ok(())
    }

    #[test]
    fn half_precision_keeps_its_type() -> Forward<()> {
        let x = Tensor::new(&[0.5f32, -0.25], &Device::Cpu)?.to_dtype(DType::F16)?;
        for f in [Unary::Relu, Unary::Asin, Unary::Gelu, Unary::Round] {
            assert_eq!(unary(&x, f)?.dtype(), DType::F16);
        }
        Ok(())
    }
}
