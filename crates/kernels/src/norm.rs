//! Batch normalisation and leaky ReLU (Table 1) in one operation.

use candle_core::{CpuStorage, CustomOp3, Device, Layout, Shape, Tensor};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::dispatch::{kernel_floats, kernel_takes};
use crate::error::{Result, floats, shape};
use crate::isa::Instructions;
use crate::layout::{to_channels_first, to_channels_last};
use crate::moments::{Moments, ROWS};
use crate::reference;
use crate::storage::{slice, with_slices};

/// Slope of the leaky ReLU for negative values: PyTorch's default, which Table 1 of the paper does
/// not change.
pub const LEAKY_RELU_SLOPE: f64 = 0.01;
/// ε of batch normalisation, which is added to the variance: PyTorch's default, which Table 1 of
/// the paper does not change.
pub const BATCH_NORM_EPSILON: f64 = 1e-5;

/// Batch norm in training mode, and leaky ReLU: leaky_relu(γ·(x - mean)/√(variance + ε) + β,
/// slope) for x [B, C, H, W] and γ and β `[C]`, where `moments` are those of x itself. The gradient
/// of x includes the way through them.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use foresee_kernels::{channel_moments, norm_leaky_relu};
///
/// let x = Tensor::new(&[[[[1f32, 3.]]]], &Device::Cpu)?;
/// let gamma = Tensor::ones(1, DType::F32, &Device::Cpu)?;
/// let beta = Tensor::zeros(1, DType::F32, &Device::Cpu)?;
/// // The mean is 2 and the variance 1: -1 and 1, of which the first is negative.
/// let y = norm_leaky_relu(&x, &channel_moments(&x)?, &gamma, &beta, 0., 0.25)?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [-0.25, 1.]);
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit each other.
pub fn norm_leaky_relu(
    x: &Tensor,
    moments: &Moments,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
    slope: f32,
) -> Result<Tensor> {
    apply(x, moments, gamma, beta, epsilon, slope, true)
}

/// Batch norm in evaluation mode, and leaky ReLU: as [`norm_leaky_relu`], with moments that are
/// constants, such as running statistics.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn scale_shift_leaky_relu(
    x: &Tensor,
    moments: &Moments,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
    slope: f32,
) -> Result<Tensor> {
    apply(x, moments, gamma, beta, epsilon, slope, false)
}

/// [`norm_leaky_relu`] of x [B, H, W, C] → [B, H, W, C].
///
/// # Errors
/// If the shapes do not fit each other.
pub fn norm_leaky_relu_channels_last(
    x: &Tensor,
    moments: &Moments,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
    slope: f32,
) -> Result<Tensor> {
    apply_channels_last(x, moments, gamma, beta, epsilon, slope, true)
}

/// [`scale_shift_leaky_relu`] of x [B, H, W, C] → [B, H, W, C].
///
/// # Errors
/// If the shapes do not fit each other.
pub fn scale_shift_leaky_relu_channels_last(
    x: &Tensor,
    moments: &Moments,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
    slope: f32,
) -> Result<Tensor> {
    apply_channels_last(x, moments, gamma, beta, epsilon, slope, false)
}

/// The parts of [`norm_leaky_relu`] besides x, for passes that are made by hand over parts of a
/// batch: `moments` are then those of the whole batch.
#[derive(Debug, Clone, Copy)]
pub struct NormOfBatch<'a> {
    /// Of the whole batch.
    pub moments: &'a Moments,
    /// γ, `[C]`.
    pub gamma: &'a Tensor,
    /// β, `[C]`.
    pub beta: &'a Tensor,
    /// ε.
    pub epsilon: f64,
    /// Of the leaky ReLU.
    pub slope: f32,
}

/// Sums over the pixels of a part of a batch, `[C]` each. Those of all parts add up to the
/// gradients of γ and β.
#[derive(Debug, Clone, PartialEq)]
pub struct NormSums {
    /// Σ g'·x̂ with the normalised x̂, and g' the gradient before the leaky ReLU.
    pub gamma: Vec<f64>,
    /// Σ g'.
    pub beta: Vec<f64>,
}

impl NormOfBatch<'_> {
    /// The sums of a part x [B, H, W, C], where g is the gradient of the result. Tensors are `f32`
    /// on the CPU, or on a CUDA device with the feature `cuda`.
    ///
    /// # Errors
    /// If the shapes do not fit each other, or tensors are others.
    pub fn sums(&self, x: &Tensor, g: &Tensor) -> Result<NormSums> {
        self.check(x, g)?;
        #[cfg(feature = "cuda")]
        if crate::cuda::ops::takes(&[x]) {
            let inputs = &self.inputs(x, g);
            let sums = crate::cuda::ops::norm::sums_of_part(inputs, self.epsilon, self.slope)?;
            let [gamma, beta] = sums;
            return Ok(NormSums { gamma, beta });
        }
        let op = NormLeakyRelu::new(self.moments, self.epsilon, self.slope, true)?;
        let [x, g] = [x.contiguous()?, g.contiguous()?];
        Ok(with_slices([&x, &g, self.gamma, self.beta], |[x, g, gamma, beta]| {
            let (gamma, beta) = op.sums(x, g, &op.lines(gamma, beta));
            NormSums { gamma, beta }
        })?)
    }

    /// The gradient of a part x, from the sums of the whole batch. It includes the way through the
    /// moments.
    ///
    /// # Errors
    /// As [`sums`](Self::sums).
    pub fn input_gradient(&self, x: &Tensor, g: &Tensor, sums: &NormSums) -> Result<Tensor> {
        self.check(x, g)?;
        #[cfg(feature = "cuda")]
        if crate::cuda::ops::takes(&[x]) {
            let (inputs, Self { epsilon, slope, .. }) = (&self.inputs(x, g), *self);
            let (sums, count) = ([&sums.gamma[..], &sums.beta], self.moments.count);
            let of_part = crate::cuda::ops::norm::gradient_of_part;
            return Ok(of_part(inputs, epsilon, slope, sums, count)?);
        }
        let op = NormLeakyRelu::new(self.moments, self.epsilon, self.slope, true)?;
        let [x, g] = [x.contiguous()?, g.contiguous()?];
        let values = with_slices([&x, &g, self.gamma, self.beta], |[x, g, gamma, beta]| {
            op.input_gradient(x, g, &op.lines(gamma, beta), sums, self.moments.count)
        })?;
        Ok(Tensor::from_vec(values, x.shape(), &Device::Cpu)?)
    }

    /// In the order of the launches.
    #[cfg(feature = "cuda")]
    fn inputs<'t>(&'t self, x: &'t Tensor, g: &'t Tensor) -> [&'t Tensor; 6] {
        [x, &self.moments.mean, &self.moments.variance, self.gamma, self.beta, g]
    }

    fn check(&self, x: &Tensor, g: &Tensor) -> Result<()> {
        let Self { moments, gamma, beta, .. } = *self;
        kernel_floats("norm_leaky_relu", &[x, g, gamma, beta, &moments.mean, &moments.variance])?;
        check(&to_channels_first(&x.detach())?, moments, gamma, beta)?;
        match g.dims() == x.dims() {
            true => Ok(()),
            false => Err(shape("norm_leaky_relu", "g", format!("{:?}", x.dims()), g)),
        }
    }
}

fn apply(
    x: &Tensor,
    moments: &Moments,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
    slope: f32,
    training: bool,
) -> Result<Tensor> {
    check(x, moments, gamma, beta)?;
    if !kernel_takes(&[x, gamma, beta, &moments.mean, &moments.variance]) {
        let constants = (!training).then_some(moments);
        return reference::norm_leaky_relu(x, constants, gamma, beta, epsilon, slope);
    }
    let x = to_channels_last(x)?;
    let y = apply_channels_last(&x, moments, gamma, beta, epsilon, slope, training)?;
    Ok(to_channels_first(&y)?)
}

fn apply_channels_last(
    x: &Tensor,
    moments: &Moments,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
    slope: f32,
    training: bool,
) -> Result<Tensor> {
    let tensors = [x, gamma, beta, &moments.mean, &moments.variance];
    if !kernel_takes(&tensors) || x.rank() != 4 {
        let x = to_channels_first(x)?;
        let y = apply(&x, moments, gamma, beta, epsilon, slope, training)?;
        return Ok(to_channels_last(&y)?);
    }
    check(&to_channels_first(&x.detach())?, moments, gamma, beta)?;
    #[cfg(feature = "cuda")]
    if crate::cuda::ops::takes(&tensors) {
        use crate::cuda::ops::{aligned, norm::NormLeakyRelu};
        let mean = aligned(&moments.mean.detach())?;
        let variance = aligned(&moments.variance.detach())?;
        let op = NormLeakyRelu { mean, variance, epsilon: epsilon as f32, slope, training };
        return Ok(aligned(x)?.apply_op3(&aligned(gamma)?, &aligned(beta)?, op)?);
    }
    let op = NormLeakyRelu::new(moments, epsilon, slope, training)?;
    Ok(x.contiguous()?.apply_op3(&gamma.contiguous()?, &beta.contiguous()?, op)?)
}

fn check(x: &Tensor, moments: &Moments, gamma: &Tensor, beta: &Tensor) -> Result<()> {
    let &[_, c, _, _] = x.dims() else {
        return Err(shape("norm_leaky_relu", "x", "[B, C, H, W]", x));
    };
    for (name, tensor) in
        [("mean", &moments.mean), ("variance", &moments.variance), ("gamma", gamma), ("beta", beta)]
    {
        if tensor.dims() != [c] {
            return Err(shape("norm_leaky_relu", name, format!("[{c}]"), tensor));
        }
    }
    if c == 0 {
        return Err(shape("norm_leaky_relu", "x", "at least one channel", x));
    }
    floats("norm_leaky_relu", &[x, gamma, beta])
}

struct NormLeakyRelu {
    mean: Vec<f32>,
    /// 1/√(variance + ε)
    inverse: Vec<f32>,
    slope: f32,
    /// Whether the moments are functions of x.
    training: bool,
    instructions: Instructions,
}

/// The normalisation as a line y = x·scale + shift for each channel, before the leaky ReLU.
struct Lines {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

/// The gradients of x [N, C], γ and β. Those of γ and β are 0 where neither they nor x's need the
/// sums over the pixels.
struct Gradients {
    x: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
}

impl NormLeakyRelu {
    fn new(moments: &Moments, epsilon: f64, slope: f32, training: bool) -> Result<Self> {
        let mean = moments.mean.to_vec1::<f32>()?;
        let inverse = moments
            .variance
            .to_vec1::<f32>()?
            .iter()
            .map(|&v| (1. / (f64::from(v) + epsilon).sqrt()) as f32)
            .collect();
        let instructions = Instructions::current();
        Ok(Self { mean, inverse, slope, training, instructions })
    }

    fn lines(&self, gamma: &[f32], beta: &[f32]) -> Lines {
        let scale: Vec<f32> = gamma.iter().zip(&self.inverse).map(|(g, i)| g * i).collect();
        let shift = beta.iter().zip(&self.mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        Lines { scale, shift }
    }

    fn backward(
        &self,
        x: &[f32],
        gamma: &[f32],
        beta: &[f32],
        g: &[f32],
        needs_weights: bool,
    ) -> Gradients {
        let c = gamma.len();
        let lines = self.lines(gamma, beta);
        let (gamma, beta) = match self.training || needs_weights {
            true => self.sums(x, g, &lines),
            false => (vec![0.; c], vec![0.; c]),
        };
        let sums = NormSums { gamma, beta };
        let x = self.input_gradient(x, g, &lines, &sums, x.len() / c);
        let single = |values: Vec<f64>| values.into_iter().map(|v| v as f32).collect();
        Gradients { x, gamma: single(sums.gamma), beta: single(sums.beta) }
    }

    /// The gradient of x, where the sums are over `count` pixels.
    fn input_gradient(
        &self,
        x: &[f32],
        g: &[f32],
        lines: &Lines,
        sums: &NormSums,
        count: usize,
    ) -> Vec<f32> {
        let c = lines.scale.len();
        let count = count as f64;
        // dx = g'·scale + x·by_x + constant
        let mut by_x = vec![0f32; c];
        let mut constant = vec![0f32; c];
        for j in (0..c).filter(|_| self.training) {
            let scale = f64::from(lines.scale[j]);
            let through_variance = -scale * f64::from(self.inverse[j]) * sums.gamma[j] / count;
            by_x[j] = through_variance as f32;
            constant[j] =
                (-scale * sums.beta[j] / count - through_variance * f64::from(self.mean[j])) as f32;
        }
        let mut dx = vec![0f32; x.len()];
        let blocks = x.par_chunks(ROWS * c).zip(g.par_chunks(ROWS * c));
        dx.par_chunks_mut(ROWS * c).zip(blocks).for_each(|(dx, (x, g))| {
            self.instructions.dispatch(InputGradient {
                x,
                g,
                dx,
                lines,
                by_x: &by_x,
                constant: &constant,
                slope: self.slope,
            });
        });
        dx
    }

    /// The gradients of γ and of β, `[C]` each: sums over the pixels by blocks, then over these.
    fn sums(&self, x: &[f32], g: &[f32], lines: &Lines) -> (Vec<f64>, Vec<f64>) {
        let c = lines.scale.len();
        let blocks: Vec<BlockSums> = x
            .par_chunks(ROWS * c)
            .zip(g.par_chunks(ROWS * c))
            .map(|(x, g)| {
                self.instructions.dispatch(GradientSums {
                    x,
                    g,
                    lines,
                    mean: &self.mean,
                    inverse: &self.inverse,
                    slope: self.slope,
                })
            })
            .collect();
        let total = |of: fn(&BlockSums) -> &[f32]| {
            let sum = |j: usize| blocks.iter().map(|block| f64::from(of(block)[j])).sum::<f64>();
            (0..c).map(sum).collect::<Vec<_>>()
        };
        (total(|block| &block.gamma), total(|block| &block.beta))
    }
}

impl CustomOp3 for NormLeakyRelu {
    fn name(&self) -> &'static str {
        "norm-leaky-relu"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        gamma: &CpuStorage,
        gl: &Layout,
        beta: &CpuStorage,
        bl: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let x = slice(x, xl)?;
        let lines = self.lines(slice(gamma, gl)?, slice(beta, bl)?);
        let mut y = vec![0f32; x.len()];
        let block = (ROWS * lines.scale.len()).max(1);
        y.par_chunks_mut(block).zip(x.par_chunks(block)).for_each(|(y, x)| {
            self.instructions.dispatch(Apply { x, y, lines: &lines, slope: self.slope });
        });
        Ok((CpuStorage::F32(y), xl.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        _out: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let needs_weights = gamma.track_op() || beta.track_op();
        let gradients = with_slices([x, gamma, beta, g], |[x, gamma, beta, g]| {
            self.backward(x, gamma, beta, g, needs_weights)
        })?;
        let tensor =
            |values: Vec<f32>, like: &Tensor| Tensor::from_vec(values, like.shape(), &Device::Cpu);
        let dx = tensor(gradients.x, x)?;
        if !needs_weights {
            return Ok((Some(dx), None, None));
        }
        let dgamma = tensor(gradients.gamma, gamma)?;
        let dbeta = tensor(gradients.beta, beta)?;
        Ok((Some(dx), Some(dgamma), Some(dbeta)))
    }
}

/// y = leaky_relu(x·scale + shift).
struct Apply<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
    lines: &'a Lines,
    slope: f32,
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Lines { scale, shift } = self.lines;
        let c = scale.len();
        for (y, x) in self.y.chunks_exact_mut(c).zip(self.x.chunks_exact(c)) {
            for (((y, x), scale), shift) in y.iter_mut().zip(x).zip(scale).zip(shift) {
                let v = x * scale + shift;
                *y = if v < 0. { v * self.slope } else { v };
            }
        }
    }
}

/// A block's part of the gradients of γ and β by channel: Σ g'·x̂ and Σ g', with g' the gradient
/// before the leaky ReLU and x̂ the normalised x.
struct BlockSums {
    gamma: Vec<f32>,
    beta: Vec<f32>,
}

struct GradientSums<'a> {
    x: &'a [f32],
    g: &'a [f32],
    lines: &'a Lines,
    mean: &'a [f32],
    inverse: &'a [f32],
    slope: f32,
}

impl WithSimd for GradientSums<'_> {
    type Output = BlockSums;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> BlockSums {
        let c = self.lines.scale.len();
        // Slices of a length that the compiler knows to be c need no check of their indices.
        let scale = &self.lines.scale[..c];
        let shift = &self.lines.shift[..c];
        let mean = &self.mean[..c];
        let mut beta = vec![0f32; c];
        let mut gamma = vec![0f32; c];
        for (x, g) in self.x.chunks_exact(c).zip(self.g.chunks_exact(c)) {
            for j in 0..c {
                let before = if x[j] * scale[j] + shift[j] < 0. { g[j] * self.slope } else { g[j] };
                beta[j] += before;
                gamma[j] += before * (x[j] - mean[j]);
            }
        }
        gamma.iter_mut().zip(self.inverse).for_each(|(sum, i)| *sum *= i);
        BlockSums { gamma, beta }
    }
}

/// dx = g'·scale + x·by_x + constant.
struct InputGradient<'a> {
    x: &'a [f32],
    g: &'a [f32],
    dx: &'a mut [f32],
    lines: &'a Lines,
    by_x: &'a [f32],
    constant: &'a [f32],
    slope: f32,
}

impl WithSimd for InputGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let c = self.lines.scale.len();
        let scale = &self.lines.scale[..c];
        let shift = &self.lines.shift[..c];
        let by_x = &self.by_x[..c];
        let constant = &self.constant[..c];
        let inputs = self.x.chunks_exact(c).zip(self.g.chunks_exact(c));
        for (dx, (x, g)) in self.dx.chunks_exact_mut(c).zip(inputs) {
            for j in 0..c {
                let g = if x[j] * scale[j] + shift[j] < 0. { g[j] * self.slope } else { g[j] };
                dx[j] = g * scale[j] + x[j] * by_x[j] + constant[j];
            }
        }
    }
}
