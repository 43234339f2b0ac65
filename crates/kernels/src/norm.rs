//! Batch normalisation and leaky ReLU (Table 1) in one operation.

use candle_core::{CpuStorage, CustomOp3, D, Device, Layout, Shape, Tensor};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::error::{Result, floats, shape};
use crate::heads::{slice, with_slice};
use crate::isa::Instructions;
use crate::layout::{channels_first, pixels_first};
use crate::{have_kernels, reference};

/// Pixels whose sums are in f32.
const ROWS: usize = 256;

/// Mean and variance of each channel over a batch.
#[derive(Debug, Clone)]
pub struct Moments {
    /// Mean over images and pixels, `[C]`.
    pub mean: Tensor,
    /// Variance over images and pixels (divided by their number n), `[C]`.
    pub variance: Tensor,
    /// The number n = B·H·W of values of a channel.
    pub count: usize,
}

/// The moments of each channel of x [B, C, H, W], with sums in f32 within some pixels and in f64
/// beyond. Not differentiable by itself: [`norm_leaky_relu`] accounts for it.
///
/// # Errors
/// If x is not of four dimensions or is empty.
pub fn channel_moments(x: &Tensor) -> Result<Moments> {
    let &[b, c, h, w] = x.dims() else {
        return Err(shape("channel_moments", "x", "[B, C, H, W]", x));
    };
    let count = b * h * w;
    if count == 0 || c == 0 {
        return Err(shape(
            "channel_moments",
            "x",
            "at least one channel, and one value in each",
            x,
        ));
    }
    floats("channel_moments", &[x])?;
    if !have_kernels(&[x]) {
        let rows = x.detach().transpose(0, 1)?.flatten_from(1)?.contiguous()?;
        let mean = rows.mean_keepdim(D::Minus1)?;
        let variance = rows.broadcast_sub(&mean)?.sqr()?.mean(D::Minus1)?;
        return Ok(Moments { mean: mean.squeeze(1)?, variance, count });
    }
    moments_of_pixels(&pixels_first(x)?)
}

/// [`channel_moments`] of x [B, H, W, C].
///
/// # Errors
/// As [`channel_moments`].
pub fn channel_moments_of_pixels(x: &Tensor) -> Result<Moments> {
    match have_kernels(&[x]) && x.rank() == 4 && x.elem_count() > 0 {
        true => moments_of_pixels(&x.contiguous()?),
        false => channel_moments(&channels_first(x)?),
    }
}

fn moments_of_pixels(x: &Tensor) -> Result<Moments> {
    #[cfg(feature = "cuda")]
    if crate::cuda::ops::takes(&[x]) {
        return Ok(crate::cuda::ops::norm::channel_moments(x)?);
    }
    let (b, h, w, c) = x.dims4()?;
    let (mean, variance) = with_slice(x, |x| moments(x, c, Instructions::current()))?;
    Ok(Moments {
        mean: Tensor::from_vec(mean, c, &Device::Cpu)?,
        variance: Tensor::from_vec(variance, c, &Device::Cpu)?,
        count: b * h * w,
    })
}

/// Training mode: leaky_relu(γ·(x - mean)/√(variance + ε) + β, slope), where `moments` are those of
/// x itself, so that the gradient of x includes the way through them. x [B, C, H, W], γ and β
/// `[C]`.
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

/// Evaluation mode: the same with moments that are constants, such as running statistics.
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
pub fn norm_leaky_relu_of_pixels(
    x: &Tensor,
    moments: &Moments,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
    slope: f32,
) -> Result<Tensor> {
    apply_to_pixels(x, moments, gamma, beta, epsilon, slope, true)
}

/// [`scale_shift_leaky_relu`] of x [B, H, W, C] → [B, H, W, C].
///
/// # Errors
/// If the shapes do not fit each other.
pub fn scale_shift_leaky_relu_of_pixels(
    x: &Tensor,
    moments: &Moments,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
    slope: f32,
) -> Result<Tensor> {
    apply_to_pixels(x, moments, gamma, beta, epsilon, slope, false)
}

fn apply(
    x: &Tensor,
    moments: &Moments,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
    slope: f32,
    own: bool,
) -> Result<Tensor> {
    check(x, moments, gamma, beta)?;
    let tensors = [x, gamma, beta, &moments.mean, &moments.variance];
    if !have_kernels(&tensors) {
        return reference::norm_leaky_relu(
            x,
            (!own).then_some(moments),
            gamma,
            beta,
            epsilon,
            slope,
        );
    }
    Ok(channels_first(&apply_to_pixels(
        &pixels_first(x)?,
        moments,
        gamma,
        beta,
        epsilon,
        slope,
        own,
    )?)?)
}

fn apply_to_pixels(
    x: &Tensor,
    moments: &Moments,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
    slope: f32,
    own: bool,
) -> Result<Tensor> {
    let tensors = [x, gamma, beta, &moments.mean, &moments.variance];
    if !have_kernels(&tensors) || x.rank() != 4 {
        return Ok(pixels_first(&apply(
            &channels_first(x)?,
            moments,
            gamma,
            beta,
            epsilon,
            slope,
            own,
        )?)?);
    }
    check(&channels_first(&x.detach())?, moments, gamma, beta)?;
    #[cfg(feature = "cuda")]
    if crate::cuda::ops::takes(&tensors) {
        use crate::cuda::ops::{aligned, norm::NormLeakyRelu};
        let (mean, variance) =
            (aligned(&moments.mean.detach())?, aligned(&moments.variance.detach())?);
        let op = NormLeakyRelu { mean, variance, epsilon: epsilon as f32, slope, own };
        return Ok(aligned(x)?.apply_op3(&aligned(gamma)?, &aligned(beta)?, op)?);
    }
    let mean = moments.mean.to_vec1::<f32>()?;
    let inverse = moments
        .variance
        .to_vec1::<f32>()?
        .iter()
        .map(|&v| (1. / (f64::from(v) + epsilon).sqrt()) as f32)
        .collect();
    let op = NormLeakyRelu { mean, inverse, slope, own, instructions: Instructions::current() };
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
    inverse: Vec<f32>,
    slope: f32,
    /// The moments are functions of x.
    own: bool,
    instructions: Instructions,
}

impl NormLeakyRelu {
    /// y = x·scale + shift before the leaky ReLU, by channel.
    fn lines(&self, gamma: &[f32], beta: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let scale: Vec<f32> = gamma.iter().zip(&self.inverse).map(|(g, i)| g * i).collect();
        let shift = beta.iter().zip(&self.mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        (scale, shift)
    }

    /// Gradients of x [N, C], γ and β; the latter are 0 where they are neither asked for nor needed
    /// for x.
    fn backward(
        &self,
        x: &[f32],
        gamma: &[f32],
        beta: &[f32],
        g: &[f32],
        of_weights: bool,
    ) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let c = gamma.len();
        let (scale, shift) = self.lines(gamma, beta);
        let (scale, shift, slope) = (&scale[..], &shift[..], self.slope);
        let sums: Vec<[Vec<f32>; 2]> = match self.own || of_weights {
            true => x
                .par_chunks(ROWS * c)
                .zip(g.par_chunks(ROWS * c))
                .map(|(x, g)| {
                    self.instructions.dispatch(GradientSums {
                        x,
                        g,
                        scale,
                        shift,
                        mean: &self.mean,
                        inverse: &self.inverse,
                        slope,
                    })
                })
                .collect(),
            false => vec![],
        };
        let total = |which: usize| {
            (0..c)
                .map(|j| sums.iter().map(|s| f64::from(s[which][j])).sum::<f64>())
                .collect::<Vec<_>>()
        };
        let (dbeta, dgamma) = (total(0), total(1));
        // dx = g'·scale + x·by_x + constant
        let count = (x.len() / c) as f64;
        let (mut by_x, mut constant) = (vec![0f32; c], vec![0f32; c]);
        for j in (0..c).filter(|_| self.own) {
            let through_variance =
                -f64::from(scale[j]) * f64::from(self.inverse[j]) * dgamma[j] / count;
            by_x[j] = through_variance as f32;
            constant[j] = (-f64::from(scale[j]) * dbeta[j] / count
                - through_variance * f64::from(self.mean[j])) as f32;
        }
        let mut dx = vec![0f32; x.len()];
        dx.par_chunks_mut(ROWS * c)
            .zip(x.par_chunks(ROWS * c))
            .zip(g.par_chunks(ROWS * c))
            .for_each(|((dx, x), g)| {
                self.instructions.dispatch(InputGradient {
                    x,
                    g,
                    dx,
                    scale,
                    shift,
                    by_x: &by_x,
                    constant: &constant,
                    slope,
                });
            });
        (dx, single(&dgamma), single(&dbeta))
    }
}

fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
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
        let (x, gamma, beta) = (slice(x, xl)?, slice(gamma, gl)?, slice(beta, bl)?);
        let (scale, shift) = self.lines(gamma, beta);
        let mut y = vec![0f32; x.len()];
        let block = (ROWS * gamma.len()).max(1);
        y.par_chunks_mut(block).zip(x.par_chunks(block)).for_each(|(y, x)| {
            self.instructions.dispatch(Apply {
                x,
                y,
                scale: &scale,
                shift: &shift,
                slope: self.slope,
            });
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
        let of_weights = gamma.track_op() || beta.track_op();
        let (dx, dgamma, dbeta) = with_slice(x, |x| {
            with_slice(gamma, |ga| {
                with_slice(beta, |be| with_slice(g, |g| self.backward(x, ga, be, g, of_weights)))
            })
        })????;
        let cpu = &Device::Cpu;
        let tensor = |of: Vec<f32>, like: &Tensor| {
            of_weights.then(|| Tensor::from_vec(of, like.shape(), cpu)).transpose()
        };
        Ok((
            Some(Tensor::from_vec(dx, x.shape(), cpu)?),
            tensor(dgamma, gamma)?,
            tensor(dbeta, beta)?,
        ))
    }
}

/// Mean and variance of each of the c columns of x [N, C]: by blocks of rows, which are then merged
/// (Chan, Golub & LeVeque, 1983).
fn moments(x: &[f32], c: usize, instructions: Instructions) -> (Vec<f32>, Vec<f32>) {
    let blocks: Vec<BlockMoments> =
        x.par_chunks(ROWS * c).map(|x| instructions.dispatch(Deviations { x, c })).collect();
    let (mut count, mut mean, mut squares) = (0f64, vec![0f64; c], vec![0f64; c]);
    for block in blocks {
        let all = count + block.rows;
        for j in 0..c {
            let apart = f64::from(block.mean[j]) + f64::from(block.rest[j]) / block.rows - mean[j];
            squares[j] += f64::from(block.squares[j])
                - f64::from(block.rest[j]).powi(2) / block.rows
                + apart * apart * count * block.rows / all;
            mean[j] += apart * block.rows / all;
        }
        count = all;
    }
    (
        single(&mean),
        squares.iter().map(|s| s / count).map(|v| if v < 0. { 0. } else { v } as f32).collect(),
    )
}

/// Of some rows: a rounded mean, and the sums of the deviations from it and of their squares.
struct BlockMoments {
    rows: f64,
    mean: Vec<f32>,
    rest: Vec<f32>,
    squares: Vec<f32>,
}

struct Deviations<'a> {
    x: &'a [f32],
    c: usize,
}

impl WithSimd for Deviations<'_> {
    type Output = BlockMoments;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> BlockMoments {
        let Self { x, c } = self;
        let rows = x.len() / c;
        let (mut mean, mut rest, mut squares) = (vec![0f32; c], vec![0f32; c], vec![0f32; c]);
        for x in x.chunks_exact(c) {
            mean.iter_mut().zip(x).for_each(|(m, x)| *m += x);
        }
        mean.iter_mut().for_each(|m| *m /= rows as f32);
        for x in x.chunks_exact(c) {
            for (((x, m), rest), squares) in x.iter().zip(&mean).zip(&mut rest).zip(&mut squares) {
                let d = x - m;
                *rest += d;
                *squares += d * d;
            }
        }
        BlockMoments { rows: rows as f64, mean, rest, squares }
    }
}

struct Apply<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    slope: f32,
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let c = self.scale.len();
        for (y, x) in self.y.chunks_exact_mut(c).zip(self.x.chunks_exact(c)) {
            for (((y, x), scale), shift) in y.iter_mut().zip(x).zip(self.scale).zip(self.shift) {
                let v = x * scale + shift;
                *y = if v < 0. { v * self.slope } else { v };
            }
        }
    }
}

/// (Σ g', Σ g'·x̂) by channel, with g' the gradient before the leaky ReLU and x̂ the normalised x.
struct GradientSums<'a> {
    x: &'a [f32],
    g: &'a [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    mean: &'a [f32],
    inverse: &'a [f32],
    slope: f32,
}

impl WithSimd for GradientSums<'_> {
    type Output = [Vec<f32>; 2];

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> [Vec<f32>; 2] {
        let c = self.scale.len();
        let (mut plain, mut weighted) = (vec![0f32; c], vec![0f32; c]);
        let (scale, shift, mean) = (&self.scale[..c], &self.shift[..c], &self.mean[..c]);
        for (x, g) in self.x.chunks_exact(c).zip(self.g.chunks_exact(c)) {
            for j in 0..c {
                let before = if x[j] * scale[j] + shift[j] < 0. { g[j] * self.slope } else { g[j] };
                plain[j] += before;
                weighted[j] += before * (x[j] - mean[j]);
            }
        }
        weighted.iter_mut().zip(self.inverse).for_each(|(w, i)| *w *= i);
        [plain, weighted]
    }
}

/// dx = g'·scale + x·by_x + constant.
struct InputGradient<'a> {
    x: &'a [f32],
    g: &'a [f32],
    dx: &'a mut [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    by_x: &'a [f32],
    constant: &'a [f32],
    slope: f32,
}

impl WithSimd for InputGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let c = self.scale.len();
        let (scale, shift, by_x, constant) =
            (&self.scale[..c], &self.shift[..c], &self.by_x[..c], &self.constant[..c]);
        for ((dx, x), g) in
            self.dx.chunks_exact_mut(c).zip(self.x.chunks_exact(c)).zip(self.g.chunks_exact(c))
        {
            for j in 0..c {
                let g = if x[j] * scale[j] + shift[j] < 0. { g[j] * self.slope } else { g[j] };
                dx[j] = g * scale[j] + x[j] * by_x[j] + constant[j];
            }
        }
    }
}
