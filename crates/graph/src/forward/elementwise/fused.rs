//! Functions of elements in one pass over the values, and their gradients in another, for `f32` and
//! `f64` on the CPU. Other tensors take the compositions of `unary`.

use std::ops::{Add, Div, Mul, Neg, Sub};

use candle_core::cpu_backend::{binary_map_vec_par, unary_map_vec_par};
use candle_core::{CpuStorage, CustomOp1, CustomOp2, DType, Error, Layout, Result, Shape, Tensor};

use crate::forward::Forward;

/// Whether these kernels take a tensor.
pub(super) fn takes(x: &Tensor) -> bool {
    x.device().is_cpu() && matches!(x.dtype(), DType::F32 | DType::F64)
}

/// A function of each element of x, with its gradient.
pub(super) fn apply(x: &Tensor, function: impl Pointwise) -> Forward<Tensor> {
    Ok(x.apply_op1(Value(function))?)
}

/// A function of a number.
pub(super) trait Pointwise: Copy + Send + Sync + 'static {
    /// Its value at x.
    fn value<T: Real>(self, x: T) -> T;
    /// Its derivative at x; where there is none, PyTorch's.
    fn slope<T: Real>(self, x: T) -> T;
}

/// `f32` or `f64`.
pub(in crate::forward) trait Real:
    Copy
    + Send
    + Sync
    + PartialOrd
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
{
    fn of(value: f64) -> Self;
    fn abs(self) -> Self;
    fn exp(self) -> Self;
    fn erf(self) -> Self;
    fn sqrt(self) -> Self;
    fn asin(self) -> Self;
    fn acos(self) -> Self;
    fn atan(self) -> Self;
}

macro_rules! real {
    ($type:ident, $erf:path) => {
        impl Real for $type {
            fn of(value: f64) -> Self {
                value as $type
            }
            fn abs(self) -> Self {
                self.abs()
            }
            fn exp(self) -> Self {
                self.exp()
            }
            fn erf(self) -> Self {
                $erf(self)
            }
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            fn asin(self) -> Self {
                self.asin()
            }
            fn acos(self) -> Self {
                self.acos()
            }
            fn atan(self) -> Self {
                self.atan()
            }
        }
    };
}

real!(f32, candle_core::cpu::erf::erf_f32);
real!(f64, candle_core::cpu::erf::erf_f64);

/// x ↦ f(x).
struct Value<F>(F);

impl<F: Pointwise> CustomOp1 for Value<F> {
    fn name(&self) -> &'static str {
        "pointwise"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        fn map<T: Real>(x: &[T], layout: &Layout, f: impl Fn(T) -> T + Sync) -> Vec<T> {
            unary_map_vec_par(x, layout, &f, |x, y| {
                y.iter_mut().zip(x).for_each(|(y, &x)| *y = f(x));
            })
        }
        let y = match x {
            CpuStorage::F32(x) => CpuStorage::F32(map(x, layout, |x| self.0.value(x))),
            CpuStorage::F64(x) => CpuStorage::F64(map(x, layout, |x| self.0.value(x))),
            _ => return Err(Error::Msg("pointwise: f32 or f64 is needed".into())),
        };
        Ok((y, layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        x.apply_op2_no_bwd(gradient, &Slope(self.0)).map(Some)
    }
}

/// x, g ↦ f'(x)·g.
struct Slope<F>(F);

impl<F: Pointwise> CustomOp2 for Slope<F> {
    fn name(&self) -> &'static str {
        "pointwise_gradient"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        fn map<T: Real>(layouts: [&Layout; 2], x: &[T], g: &[T], slope: impl Pointwise) -> Vec<T> {
            let f = |x: T, g: T| slope.slope(x) * g;
            let vector = |x: &[T], g: &[T], y: &mut [T]| {
                y.iter_mut().zip(x.iter().zip(g)).for_each(|(y, (&x, &g))| *y = f(x, g));
            };
            let scalar = |g: T, x: &[T], y: &mut [T]| {
                y.iter_mut().zip(x).for_each(|(y, &x)| *y = f(x, g));
            };
            binary_map_vec_par(layouts[0], layouts[1], x, g, f, vector, scalar)
        }
        let layouts = [x_layout, gradient_layout];
        let y = match (x, gradient) {
            (CpuStorage::F32(x), CpuStorage::F32(g)) => CpuStorage::F32(map(layouts, x, g, self.0)),
            (CpuStorage::F64(x), CpuStorage::F64(g)) => CpuStorage::F64(map(layouts, x, g, self.0)),
            _ => return Err(Error::Msg("pointwise: two f32 or two f64 are needed".into())),
        };
        Ok((y, x_layout.shape().clone()))
    }
}
