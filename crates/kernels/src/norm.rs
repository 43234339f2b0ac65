//! Batch normalisation and leaky ReLU (Table 1) in one operation.

use candle_core::{CpuStorage, CustomOp3, D, Device, Layout, Shape, Tensor};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::error::{Result, shape};
use crate::heads::{slice, with_slice};
use crate::{fused, reference};

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

/// The moments of each channel of x [B, C, H, W], in two passes, with sums in f32 lanes within a plane of pixels and in f64 beyond. Not differentiable by itself: [`norm_leaky_relu`] accounts for it.
///
/// # Errors
/// If x is not of four dimensions or is empty.
pub fn channel_moments(x: &Tensor) -> Result<Moments> {
    let &[b, c, h, w] = x.dims() else {
        return Err(shape("channel_moments", "x", "[B, C, H, W]", x));
    };
    let count = b * h * w;
    if count == 0 {
        return Err(shape("channel_moments", "x", "at least one value a channel", x));
    }
    if !fused(&[x]) {
        let rows = x.detach().transpose(0, 1)?.flatten_from(1)?.contiguous()?;
        let mean = rows.mean_keepdim(D::Minus1)?;
        let variance = rows.broadcast_sub(&mean)?.sqr()?.mean(D::Minus1)?;
        return Ok(Moments { mean: mean.squeeze(1)?, variance, count });
    }
    let planes = Planes { channels: c, pixels: h * w };
    let (mean, variance): (Vec<f32>, Vec<f32>) = with_slice(x, |x| {
        let arch = Arch::new();
        (0..c)
            .into_par_iter()
            .map(|channel| {
                let sum = |shift: f64, square: bool| -> f64 {
                    planes.of(x, channel).map(|plane| arch.dispatch(Deviations { plane, shift: shift as f32, square })).sum()
                };
                let mean = (sum(0., false) / count as f64) as f32;
                // What is left of the sum corrects the rounding of the mean.
                let rest = sum(f64::from(mean), false) / count as f64;
                let variance = sum(f64::from(mean), true) / count as f64 - rest * rest;
                (mean, variance.max(0.) as f32)
            })
            .unzip()
    })?;
    Ok(Moments { mean: Tensor::from_vec(mean, c, &Device::Cpu)?, variance: Tensor::from_vec(variance, c, &Device::Cpu)?, count })
}

/// Training mode: leaky_relu(γ·(x - mean)/√(variance + ε) + β, slope), where `moments` are those of x itself, so that the gradient of x
/// includes the way through them. x [B, C, H, W], γ and β `[C]`.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn norm_leaky_relu(x: &Tensor, moments: &Moments, gamma: &Tensor, beta: &Tensor, epsilon: f64, slope: f32) -> Result<Tensor> {
    apply(x, moments, gamma, beta, epsilon, slope, true)
}

/// Evaluation mode: the same with moments that are constants, such as running statistics.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn scale_shift_leaky_relu(x: &Tensor, moments: &Moments, gamma: &Tensor, beta: &Tensor, epsilon: f64, slope: f32) -> Result<Tensor> {
    apply(x, moments, gamma, beta, epsilon, slope, false)
}

fn apply(x: &Tensor, moments: &Moments, gamma: &Tensor, beta: &Tensor, epsilon: f64, slope: f32, own: bool) -> Result<Tensor> {
    let &[_, c, h, w] = x.dims() else {
        return Err(shape("norm_leaky_relu", "x", "[B, C, H, W]", x));
    };
    for (name, tensor) in [("mean", &moments.mean), ("variance", &moments.variance), ("gamma", gamma), ("beta", beta)] {
        if tensor.dims() != [c] {
            return Err(shape("norm_leaky_relu", name, format!("[{c}]"), tensor));
        }
    }
    if !fused(&[x, gamma, beta, &moments.mean, &moments.variance]) {
        return reference::norm_leaky_relu(x, (!own).then_some(moments), gamma, beta, epsilon, slope);
    }
    let mean = moments.mean.to_vec1::<f32>()?;
    let inverse = moments.variance.to_vec1::<f32>()?.iter().map(|&v| (1. / (f64::from(v) + epsilon).sqrt()) as f32).collect();
    let op = NormLeakyRelu { planes: Planes { channels: c, pixels: h * w }, mean, inverse, slope, own };
    Ok(x.contiguous()?.apply_op3(&gamma.contiguous()?, &beta.contiguous()?, op)?)
}

/// Where the planes of a channel lie in [B, C, H·W].
#[derive(Clone, Copy)]
struct Planes {
    channels: usize,
    pixels: usize,
}

impl Planes {
    fn of<'a>(&self, x: &'a [f32], channel: usize) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        x.chunks_exact(self.pixels).skip(channel).step_by(self.channels)
    }
}

struct NormLeakyRelu {
    planes: Planes,
    mean: Vec<f32>,
    inverse: Vec<f32>,
    slope: f32,
    /// The moments are functions of x.
    own: bool,
}

impl NormLeakyRelu {
    /// y = x·scale + shift before the leaky ReLU.
    fn line(&self, channel: usize, gamma: &[f32], beta: &[f32]) -> (f32, f32) {
        let scale = gamma[channel] * self.inverse[channel];
        (scale, beta[channel] - self.mean[channel] * scale)
    }

    fn backward(&self, x: &[f32], gamma: &[f32], beta: &[f32], g: &[f32]) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let arch = Arch::new();
        let count = (x.len() / self.planes.channels) as f64;
        let sums: Vec<(f64, f64)> = (0..self.planes.channels)
            .into_par_iter()
            .map(|channel| {
                let (scale, shift) = self.line(channel, gamma, beta);
                let (mean, inverse) = (self.mean[channel], self.inverse[channel]);
                let planes = self.planes.of(x, channel).zip(self.planes.of(g, channel));
                planes.fold((0., 0.), |(s, t), (x, g)| {
                    let (a, b) = arch.dispatch(GradientSums { x, g, scale, shift, mean, inverse, slope: self.slope });
                    (s + a, t + b)
                })
            })
            .collect();
        let mut dx = vec![0f32; x.len()];
        dx.par_chunks_mut(self.planes.pixels).enumerate().for_each(|(i, dx)| {
            let (channel, at) = (i % self.planes.channels, i * self.planes.pixels);
            let (scale, shift) = self.line(channel, gamma, beta);
            let (by_x, constant) = match self.own {
                true => {
                    let by_x = -f64::from(scale) * f64::from(self.inverse[channel]) * sums[channel].1 / count;
                    (by_x as f32, (-f64::from(scale) * sums[channel].0 / count - by_x * f64::from(self.mean[channel])) as f32)
                }
                false => (0., 0.),
            };
            let (x, g) = (&x[at..at + dx.len()], &g[at..at + dx.len()]);
            arch.dispatch(InputGradient { x, g, dx, scale, shift, by_x, constant, slope: self.slope });
        });
        (dx, sums.iter().map(|s| s.1 as f32).collect(), sums.iter().map(|s| s.0 as f32).collect())
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
        let (x, gamma, beta) = (slice(x, xl)?, slice(gamma, gl)?, slice(beta, bl)?);
        let mut y = vec![0f32; x.len()];
        let arch = Arch::new();
        y.par_chunks_mut(self.planes.pixels.max(1)).zip(x.par_chunks(self.planes.pixels.max(1))).enumerate().for_each(|(i, (y, x))| {
            let (scale, shift) = self.line(i % self.planes.channels, gamma, beta);
            arch.dispatch(Apply { x, y, scale, shift, slope: self.slope });
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
        let (dx, dgamma, dbeta) =
            with_slice(x, |x| with_slice(gamma, |ga| with_slice(beta, |be| with_slice(g, |g| self.backward(x, ga, be, g)))))????;
        let cpu = &Device::Cpu;
        Ok((
            Some(Tensor::from_vec(dx, x.shape(), cpu)?),
            Some(Tensor::from_vec(dgamma, gamma.shape(), cpu)?),
            Some(Tensor::from_vec(dbeta, beta.shape(), cpu)?),
        ))
    }
}

const LANES: usize = 16;

/// Adds up in 16 lanes, and lanes and tail in f64: planes are short enough for f32 lanes to hold their share.
#[inline(always)]
fn lane_sum(n: usize, mut value: impl FnMut(usize) -> f32) -> f64 {
    let mut lanes = [0f32; LANES];
    let whole = n - n % LANES;
    let mut start = 0;
    while start < whole {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += value(start + lane);
        }
        start += LANES;
    }
    let tail: f64 = (whole..n).map(|i| f64::from(value(i))).sum();
    lanes.iter().map(|&v| f64::from(v)).sum::<f64>() + tail
}

/// Σ (x - shift) or Σ (x - shift)².
struct Deviations<'a> {
    plane: &'a [f32],
    shift: f32,
    square: bool,
}

impl WithSimd for Deviations<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let (x, shift) = (self.plane, self.shift);
        match self.square {
            true => lane_sum(x.len(), |i| (x[i] - shift) * (x[i] - shift)),
            false => lane_sum(x.len(), |i| x[i] - shift),
        }
    }
}

struct Apply<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
    scale: f32,
    shift: f32,
    slope: f32,
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (y, &x) in self.y.iter_mut().zip(self.x) {
            let v = x * self.scale + self.shift;
            *y = if v < 0. { v * self.slope } else { v };
        }
    }
}

/// (Σ g', Σ g'·x̂), with g' the gradient before the leaky ReLU and x̂ the normalised x.
struct GradientSums<'a> {
    x: &'a [f32],
    g: &'a [f32],
    scale: f32,
    shift: f32,
    mean: f32,
    inverse: f32,
    slope: f32,
}

impl WithSimd for GradientSums<'_> {
    type Output = (f64, f64);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> (f64, f64) {
        let (x, g) = (self.x, &self.g[..self.x.len()]);
        let before = |i: usize| {
            if x[i] * self.scale + self.shift < 0. { g[i] * self.slope } else { g[i] }
        };
        (lane_sum(x.len(), before), lane_sum(x.len(), |i| before(i) * ((x[i] - self.mean) * self.inverse)))
    }
}

/// dx = g'·scale + x·by_x + constant.
struct InputGradient<'a> {
    x: &'a [f32],
    g: &'a [f32],
    dx: &'a mut [f32],
    scale: f32,
    shift: f32,
    by_x: f32,
    constant: f32,
    slope: f32,
}

impl WithSimd for InputGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for ((dx, &x), &g) in self.dx.iter_mut().zip(self.x).zip(self.g) {
            let g = if x * self.scale + self.shift < 0. { g * self.slope } else { g };
            *dx = g * self.scale + x * self.by_x + self.constant;
        }
    }
}
