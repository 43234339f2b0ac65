//! A residual connection and the ReLU behind it, each way in one pass.

use candle_core::{Device, Tensor};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::dispatch::cpu_floats;
use crate::error::{Result, shape};
use crate::isa::Instructions;
use crate::storage::with_slices;

/// Values that a thread takes at a time.
const CHUNK: usize = 16_384;

/// max(a + b, 0) for a and b of one shape, without a gradient: for those who follow gradients
/// themselves. Both are `f32` on the CPU. What is NaN stays NaN.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_kernels::{sum_relu, sum_relu_gradient};
///
/// let a = Tensor::new(&[1f32, 2., -3.], &Device::Cpu)?;
/// let b = Tensor::new(&[4f32, -2., 1.], &Device::Cpu)?;
/// let y = sum_relu(&a, &b)?;
/// assert_eq!(y.to_vec1::<f32>()?, [5., 0., 0.]);
/// // Of both; 0 at 0.
/// assert_eq!(sum_relu_gradient(&y, &b)?.to_vec1::<f32>()?, [4., 0., 0.]);
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
///
/// # Errors
/// If the shapes differ, or a tensor is not `f32` on the CPU.
pub fn sum_relu(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    each("sum_relu", a, b, |a, b| {
        let sum = a + b;
        if sum <= 0. { 0. } else { sum }
    })
}

/// The gradient of a and of b from that of y, the result of [`sum_relu`].
///
/// # Errors
/// As [`sum_relu`].
pub fn sum_relu_gradient(y: &Tensor, g: &Tensor) -> Result<Tensor> {
    each("sum_relu_gradient", y, g, |y, g| if y > 0. { g } else { 0. })
}

/// f of each pair of elements.
fn each(
    name: &'static str,
    a: &Tensor,
    b: &Tensor,
    f: impl Fn(f32, f32) -> f32 + Copy + Send + Sync,
) -> Result<Tensor> {
    cpu_floats(name, &[a, b])?;
    if a.dims() != b.dims() {
        return Err(shape(name, "both", format!("{:?}", a.dims()), b));
    }
    let instructions = Instructions::current();
    let y = with_slices([a, b], |[a, b]| {
        let mut y = vec![0f32; a.len()];
        let chunks = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK));
        y.par_chunks_mut(CHUNK)
            .zip(chunks)
            .for_each(|(y, (a, b))| instructions.dispatch(Each { a, b, y, f }));
        y
    })?;
    Ok(Tensor::from_vec(y, a.shape(), &Device::Cpu)?)
}

struct Each<'a, F> {
    a: &'a [f32],
    b: &'a [f32],
    y: &'a mut [f32],
    f: F,
}

impl<F: Fn(f32, f32) -> f32> WithSimd for Each<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { a, b, y, f } = self;
        y.iter_mut().zip(a.iter().zip(b)).for_each(|(y, (&a, &b))| *y = f(a, b));
    }
}
