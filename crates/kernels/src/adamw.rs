//! A step of AdamW without temporary tensors.

use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Tensor, Var};
use rayon::prelude::*;

use crate::dispatch::cpu_kernel_takes;
use crate::error::{Result, floats, shape};
use crate::storage::{slice, slice_mut};

/// Values that a thread takes at a time.
const BLOCK: usize = 16_384;

/// The numbers of one step of AdamW (Loshchilov & Hutter, 2019), with PyTorch's names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Number of the step, from 1: corrects the moments' start at zero.
    pub number: usize,
}

/// One step of AdamW in place, on a parameter v (`value`) with its gradient g and its moments m
/// (`first`) and s (`second`), which are all of one shape:
///
/// m ← β₁m + (1-β₁)g, s ← β₂s + (1-β₂)g², v ← (1 - lr·wd)v - lr·m̂/(√ŝ + ε).
///
/// Clones of the moments share their storage and change with them. Tensors other than `f32` on the
/// CPU take candle's own operations.
///
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use foresee_kernels::{AdamWStep, adamw_step};
///
/// let value = Var::new(&[1f32], &Device::Cpu)?;
/// let gradient = Tensor::new(&[4f32], &Device::Cpu)?;
/// let mut first = Tensor::new(&[0f32], &Device::Cpu)?;
/// let mut second = Tensor::new(&[0f32], &Device::Cpu)?;
/// let step = AdamWStep {
///     learning_rate: 0.1,
///     beta1: 0.9,
///     beta2: 0.999,
///     epsilon: 1e-8,
///     weight_decay: 0.,
///     number: 1,
/// };
/// adamw_step(&value, &gradient, &mut first, &mut second, &step)?;
/// // The first step goes by the learning rate against the gradient, however large that is.
/// assert!((value.to_vec1::<f32>()?[0] - 0.9).abs() < 1e-5);
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
///
/// # Errors
/// If the shapes differ.
pub fn adamw_step(
    value: &Var,
    gradient: &Tensor,
    first: &mut Tensor,
    second: &mut Tensor,
    step: &AdamWStep,
) -> Result<()> {
    for (name, tensor) in [("gradient", gradient), ("first", &*first), ("second", &*second)] {
        if tensor.dims() != value.dims() {
            return Err(shape("adamw_step", name, format!("{:?}", value.dims()), tensor));
        }
    }
    floats("adamw_step", &[value, gradient])?;
    let AdamWStep { learning_rate, beta1, beta2, epsilon, weight_decay, number } = *step;
    let correct1 = 1. - beta1.powi(number as i32);
    let correct2 = 1. - beta2.powi(number as i32);
    let keep = 1. - learning_rate * weight_decay;
    if !cpu_kernel_takes(&[value, gradient, first, second]) {
        *first = ((&*first * beta1)? + (gradient * (1. - beta1))?)?;
        *second = ((&*second * beta2)? + (gradient.sqr()? * (1. - beta2))?)?;
        let direction = ((&*first / correct1)? / ((&*second / correct2)?.sqrt()? + epsilon)?)?;
        let decayed = (value.as_detached_tensor() * keep)?;
        return Ok(value.set(&(decayed - (direction * learning_rate)?)?)?);
    }
    let gradient = gradient.contiguous()?;
    first.inplace_op2(&gradient, &Average { decay: beta1, squared: false })?;
    second.inplace_op2(&gradient, &Average { decay: beta2, squared: true })?;
    let descend = Descend {
        keep: keep as f32,
        rate: (learning_rate / correct1) as f32,
        correct2: correct2 as f32,
        epsilon: epsilon as f32,
    };
    Ok(value.inplace_op3(first, second, &descend)?)
}

/// Exponential moving average in place: average ← decay·average + (1 - decay)·value. Tensors other
/// than `f32` on the CPU take candle's own operations.
///
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use foresee_kernels::moving_average;
///
/// let average = Var::new(&[1f32], &Device::Cpu)?;
/// moving_average(&average, &Tensor::new(&[3f32], &Device::Cpu)?, 0.75)?;
/// assert_eq!(average.to_vec1::<f32>()?, [1.5]);
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
///
/// # Errors
/// If the shapes differ.
pub fn moving_average(average: &Var, value: &Tensor, decay: f64) -> Result<()> {
    if value.dims() != average.dims() {
        return Err(shape("moving_average", "value", format!("{:?}", average.dims()), value));
    }
    floats("moving_average", &[average, value])?;
    if !cpu_kernel_takes(&[average, value]) {
        let decayed = (average.as_detached_tensor() * decay)?;
        return Ok(average.set(&(decayed + (value.detach() * (1. - decay))?)?)?);
    }
    Ok(average.inplace_op2(&value.contiguous()?, &Average { decay, squared: false })?)
}

/// m ← decay·m + (1 - decay)·g, or of g².
struct Average {
    decay: f64,
    squared: bool,
}

impl InplaceOp2 for Average {
    fn name(&self) -> &'static str {
        "moving-average"
    }

    fn cpu_fwd(
        &self,
        m: &mut CpuStorage,
        ml: &Layout,
        g: &CpuStorage,
        gl: &Layout,
    ) -> candle_core::Result<()> {
        // 1 - β₂ has few digits left in f32.
        let rest = (1. - self.decay) as f32;
        let decay = self.decay as f32;
        let blocks =
            slice_mut(m, ml)?.par_chunks_mut(BLOCK).zip(slice::<f32>(g, gl)?.par_chunks(BLOCK));
        match self.squared {
            true => blocks.for_each(|(m, g)| {
                m.iter_mut().zip(g).for_each(|(m, g)| *m = decay * *m + rest * g * g)
            }),
            false => blocks.for_each(|(m, g)| {
                m.iter_mut().zip(g).for_each(|(m, g)| *m = decay * *m + rest * g)
            }),
        }
        Ok(())
    }
}

/// v ← keep·v - rate·m / (√(s / correct2) + ε)
struct Descend {
    keep: f32,
    rate: f32,
    correct2: f32,
    epsilon: f32,
}

impl InplaceOp3 for Descend {
    fn name(&self) -> &'static str {
        "adamw-descend"
    }

    fn cpu_fwd(
        &self,
        v: &mut CpuStorage,
        vl: &Layout,
        m: &CpuStorage,
        ml: &Layout,
        s: &CpuStorage,
        sl: &Layout,
    ) -> candle_core::Result<()> {
        let Self { keep, rate, correct2, epsilon } = *self;
        let blocks = slice_mut(v, vl)?
            .par_chunks_mut(BLOCK)
            .zip(slice::<f32>(m, ml)?.par_chunks(BLOCK))
            .zip(slice::<f32>(s, sl)?.par_chunks(BLOCK));
        blocks.for_each(|((v, m), s)| {
            for ((v, m), s) in v.iter_mut().zip(m).zip(s) {
                *v = keep * *v - rate * m / ((s / correct2).sqrt() + epsilon);
            }
        });
        Ok(())
    }
}
