//! Batch normalisation in training mode of feature maps that lie in memory channel by channel, as
//! [`convolution`](crate::convolution()) gives them. Those of the paper's network lie pixel by
//! pixel, and are normalised together with its leaky ReLU ([`norm`](crate::norm)).

use candle_core::{CpuStorage, CustomOp3, Device, Layout, Shape, Tensor};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::dispatch::cpu_kernel_takes;
use crate::error::{Result, floats, shape};
use crate::isa::Instructions;
use crate::moments::Moments;
use crate::storage::{slice, with_slices};

const NAME: &str = "batch_norm";
/// Sums that are added up side by side.
const LANES: usize = 16;

/// γ·(x - mean)/√(variance + ε) + β of each channel of x [B, C, ...], with the mean and the biased
/// variance of the batch itself, which are given back too (without a gradient); γ and β are `[C]`.
/// Differentiable in x, γ and β; the gradient of x includes the way through the moments.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use foresee_kernels::batch_norm;
///
/// // One channel of two images of one pixel. The mean is 2 and the variance 1.
/// let x = Tensor::new(&[[1f32], [3.]], &Device::Cpu)?;
/// let gamma = Tensor::new(&[2f32], &Device::Cpu)?;
/// let beta = Tensor::new(&[5f32], &Device::Cpu)?;
/// let (y, moments) = batch_norm(&x, &gamma, &beta, 0.)?;
/// assert_eq!(y.to_vec2::<f32>()?, [[3.], [7.]]);
/// assert_eq!(moments.mean.to_vec1::<f32>()?, [2.]);
/// assert_eq!((moments.variance.to_vec1::<f32>()?, moments.count), (vec![1.], 2));
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit each other, or x is empty or holds integers.
pub fn batch_norm(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
) -> Result<(Tensor, Moments)> {
    apply(x, gamma, beta, epsilon, false)
}

/// [`batch_norm`] and max(y, 0) of its result y, with a gradient of 0 at 0: one pass over the data
/// less, and y need not be kept.
///
/// # Errors
/// As [`batch_norm`].
pub fn batch_norm_relu(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
) -> Result<(Tensor, Moments)> {
    apply(x, gamma, beta, epsilon, true)
}

fn apply(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
    relu: bool,
) -> Result<(Tensor, Moments)> {
    let &[images, channels, ..] = x.dims() else {
        return Err(shape(NAME, "x", "[B, C, ...]", x));
    };
    if x.elem_count() == 0 {
        return Err(shape(NAME, "x", "at least one channel, and one value in each", x));
    }
    for (name, tensor) in [("gamma", gamma), ("beta", beta)] {
        if tensor.dims() != [channels] {
            return Err(shape(NAME, name, format!("[{channels}]"), tensor));
        }
    }
    floats(NAME, &[x, gamma, beta])?;
    if !cpu_kernel_takes(&[x, gamma, beta]) {
        return compose(x, gamma, beta, epsilon, relu);
    }
    let x = x.contiguous()?;
    let instructions = Instructions::current();
    let (mean, variance) = with_slices([&x], |[x]| moments(x, images, channels, instructions))?;
    let inverse = |&v: &f64| (1. / (v + epsilon).sqrt()) as f32;
    let single = |values: &[f64]| values.iter().map(|&v| v as f32).collect::<Vec<_>>();
    let op = BatchNorm {
        images,
        mean: single(&mean),
        inverse: variance.iter().map(inverse).collect(),
        relu,
        instructions,
    };
    let moments = Moments {
        mean: Tensor::new(single(&mean), &Device::Cpu)?,
        variance: Tensor::new(single(&variance), &Device::Cpu)?,
        count: x.elem_count() / channels,
    };
    Ok((x.apply_op3(&gamma.contiguous()?, &beta.contiguous()?, op)?, moments))
}

/// The same of candle's operations, for any type and device.
fn compose(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
    relu: bool,
) -> Result<(Tensor, Moments)> {
    let (images, channels) = (x.dims()[0], x.dims()[1]);
    let wide = x.reshape((images, channels, x.elem_count() / (images * channels)))?;
    let along = |v: &Tensor| v.reshape((1, channels, 1));
    let mean = wide.mean_keepdim((0, 2))?;
    let centred = wide.broadcast_sub(&mean)?;
    let variance = centred.sqr()?.mean_keepdim((0, 2))?;
    let normal = centred.broadcast_div(&(&variance + epsilon)?.sqrt()?)?;
    let mut y = normal.broadcast_mul(&along(gamma)?)?.broadcast_add(&along(beta)?)?;
    if relu {
        y = y.le(0f64)?.where_cond(&y.detach().zeros_like()?, &y)?;
    }
    let moments = Moments {
        mean: mean.detach().flatten_all()?,
        variance: variance.detach().flatten_all()?,
        count: x.elem_count() / channels,
    };
    Ok((y.reshape(x.shape())?, moments))
}

/// Mean and biased variance of each channel of x [B, C, pixels].
fn moments(
    x: &[f32],
    images: usize,
    channels: usize,
    instructions: Instructions,
) -> (Vec<f64>, Vec<f64>) {
    let pixels = x.len() / (images * channels);
    let count = (images * pixels) as f64;
    let of_channel = |c: usize| {
        let planes = || (0..images).map(|b| plane(x, b * channels + c, pixels));
        let sum = |centre: f32, squared: bool| -> f64 {
            planes().map(|x| instructions.dispatch(Deviations { x, centre, squared })).sum()
        };
        let mean = sum(0., false) / count;
        // Of deviations from the rounded mean; the rest is taken off again.
        let rest = mean - f64::from(mean as f32);
        (mean, (sum(mean as f32, true) / count - rest * rest).max(0.))
    };
    (0..channels).into_par_iter().map(of_channel).unzip()
}

/// The values of one channel of one image.
fn plane(values: &[f32], index: usize, pixels: usize) -> &[f32] {
    &values[index * pixels..][..pixels]
}

/// x [B, C, ...], γ and β `[C]` → [B, C, ...], contiguous.
struct BatchNorm {
    images: usize,
    mean: Vec<f32>,
    /// 1/√(variance + ε)
    inverse: Vec<f32>,
    /// Whether a ReLU follows.
    relu: bool,
    instructions: Instructions,
}

impl BatchNorm {
    fn channels(&self) -> usize {
        self.mean.len()
    }

    /// Values of one channel of one image, of so many of all.
    fn pixels(&self, values: usize) -> usize {
        values / (self.images * self.channels())
    }

    /// The normalisation of a channel as a line, before the ReLU.
    fn line(&self, c: usize, gamma: &[f32], beta: &[f32]) -> Line {
        let scale = gamma[c] * self.inverse[c];
        Line { scale, shift: beta[c] - self.mean[c] * scale }
    }

    fn forward(&self, x: &[f32], gamma: &[f32], beta: &[f32]) -> Vec<f32> {
        let pixels = self.pixels(x.len());
        let mut y = vec![0f32; x.len()];
        y.par_chunks_mut(pixels).zip(x.par_chunks(pixels)).enumerate().for_each(|(at, (y, x))| {
            let line = self.line(at % self.channels(), gamma, beta);
            self.instructions.dispatch(Forward { x, y, line, relu: self.relu });
        });
        y
    }

    /// The gradients of γ and β: Σ g·x̂ and Σ g of each channel, with g that of before the ReLU.
    fn sums(&self, x: &[f32], gamma: &[f32], beta: &[f32], g: &[f32]) -> (Vec<f64>, Vec<f64>) {
        let pixels = self.pixels(x.len());
        let of_channel = |c: usize| {
            let line = self.relu.then(|| self.line(c, gamma, beta));
            let at = (0..self.images).map(|b| b * self.channels() + c);
            let sums = at.map(|at| {
                let (x, g) = (plane(x, at, pixels), plane(g, at, pixels));
                self.instructions.dispatch(GradientSums { x, g, line, centre: self.mean[c] })
            });
            let (of_gamma, of_beta) = sums.fold((0., 0.), |(a, b), (x, y)| (a + x, b + y));
            (of_gamma * f64::from(self.inverse[c]), of_beta)
        };
        (0..self.channels()).into_par_iter().map(of_channel).unzip()
    }

    /// The gradient of x: γ/√(variance + ε)·(g - Σg/n - x̂·Σ(g·x̂)/n) for n values of a channel.
    fn input_gradient(
        &self,
        x: &[f32],
        gamma: &[f32],
        beta: &[f32],
        g: &[f32],
        (of_gamma, of_beta): (&[f64], &[f64]),
    ) -> Vec<f32> {
        let pixels = self.pixels(x.len());
        let count = (self.images * pixels) as f64;
        let mut dx = vec![0f32; x.len()];
        let planes = x.par_chunks(pixels).zip(g.par_chunks(pixels));
        dx.par_chunks_mut(pixels).zip(planes).enumerate().for_each(|(at, (dx, (x, g)))| {
            let c = at % self.channels();
            let scale = f64::from(gamma[c]) * f64::from(self.inverse[c]);
            let by_x = -scale * f64::from(self.inverse[c]) * of_gamma[c] / count;
            let constant = -scale * of_beta[c] / count - by_x * f64::from(self.mean[c]);
            let line = self.relu.then(|| self.line(c, gamma, beta));
            let factors = [scale as f32, by_x as f32, constant as f32];
            self.instructions.dispatch(InputGradient { x, g, dx, line, factors });
        });
        dx
    }
}

impl CustomOp3 for BatchNorm {
    fn name(&self) -> &'static str {
        NAME
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
        let y = self.forward(slice(x, xl)?, slice(gamma, gl)?, slice(beta, bl)?);
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
            with_slices([x, gamma, beta, g], |[of_x, of_gamma, of_beta, g]| {
                let (dgamma, dbeta) = self.sums(of_x, of_gamma, of_beta, g);
                let sums = (&dgamma[..], &dbeta[..]);
                let dx = || self.input_gradient(of_x, of_gamma, of_beta, g, sums);
                (x.track_op().then(dx), dgamma, dbeta)
            })?;
        let dx = dx.map(|dx| Tensor::from_vec(dx, x.shape(), &Device::Cpu)).transpose()?;
        let vector = |of: &Tensor, values: Vec<f64>| {
            let single = || values.iter().map(|&v| v as f32).collect::<Vec<_>>();
            of.track_op().then(|| Tensor::new(single(), &Device::Cpu)).transpose()
        };
        Ok((dx, vector(gamma, dgamma)?, vector(beta, dbeta)?))
    }
}

/// y = x·scale + shift.
#[derive(Debug, Clone, Copy)]
struct Line {
    scale: f32,
    shift: f32,
}

impl Line {
    #[inline(always)]
    fn at(self, x: f32) -> f32 {
        x * self.scale + self.shift
    }

    /// g where the line is above 0 at x, else 0: the gradient of before the ReLU.
    #[inline(always)]
    fn open(self, x: f32, g: f32) -> f32 {
        if self.at(x) > 0. { g } else { 0. }
    }
}

struct Forward<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
    line: Line,
    relu: bool,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { x, y, line, relu } = self;
        let values = y.iter_mut().zip(x);
        match relu {
            false => values.for_each(|(y, &x)| *y = line.at(x)),
            // What is NaN stays NaN.
            true => values.for_each(|(y, &x)| {
                let v = line.at(x);
                *y = if v <= 0. { 0. } else { v };
            }),
        }
    }
}

/// dx = g·factors[0] + x·factors[1] + factors[2], with g that of before the ReLU, which has a line.
struct InputGradient<'a> {
    x: &'a [f32],
    g: &'a [f32],
    dx: &'a mut [f32],
    line: Option<Line>,
    factors: [f32; 3],
}

impl WithSimd for InputGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { x, g, dx, line, factors: [of_g, of_x, constant] } = self;
        let values = dx.iter_mut().zip(x.iter().zip(g));
        let at = |x: f32, g: f32| g * of_g + x * of_x + constant;
        match line {
            None => values.for_each(|(dx, (&x, &g))| *dx = at(x, g)),
            Some(line) => values.for_each(|(dx, (&x, &g))| *dx = at(x, line.open(x, g))),
        }
    }
}

/// Σ (x - centre), or of its squares.
struct Deviations<'a> {
    x: &'a [f32],
    centre: f32,
    squared: bool,
}

impl WithSimd for Deviations<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let Self { x, centre, squared } = self;
        let power = |x: f32| {
            let apart = f64::from(x - centre);
            if squared { apart * apart } else { apart }
        };
        let mut sums = [0f64; LANES];
        let (chunks, rest) = x.as_chunks::<LANES>();
        for x in chunks {
            sums.iter_mut().zip(x).for_each(|(sum, &x)| *sum += power(x));
        }
        sums.iter_mut().zip(rest).for_each(|(sum, &x)| *sum += power(x));
        sums.iter().sum()
    }
}

/// Σ g·(x - centre) and Σ g, with g that of before the ReLU, which has a line.
struct GradientSums<'a> {
    x: &'a [f32],
    g: &'a [f32],
    line: Option<Line>,
    centre: f32,
}

impl WithSimd for GradientSums<'_> {
    type Output = (f64, f64);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> (f64, f64) {
        let Self { x, g, line, centre } = self;
        match line {
            None => sums(x, g, centre, |_, g| g),
            Some(line) => sums(x, g, centre, |x, g| line.open(x, g)),
        }
    }
}

#[inline(always)]
fn sums(x: &[f32], g: &[f32], centre: f32, open: impl Fn(f32, f32) -> f32) -> (f64, f64) {
    let mut products = [0f64; LANES];
    let mut sums = [0f64; LANES];
    let (xs, x_rest) = x.as_chunks::<LANES>();
    let (gs, g_rest) = g.as_chunks::<LANES>();
    for (x, g) in xs.iter().zip(gs) {
        for lane in 0..LANES {
            let g = f64::from(open(x[lane], g[lane]));
            products[lane] += g * f64::from(x[lane] - centre);
            sums[lane] += g;
        }
    }
    for (lane, (&x, &g)) in x_rest.iter().zip(g_rest).enumerate() {
        let g = f64::from(open(x, g));
        products[lane] += g * f64::from(x - centre);
        sums[lane] += g;
    }
    (products.iter().sum(), sums.iter().sum())
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Var};

    use super::*;

    type AnyResult<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

    /// y, the mean, the variance, and the gradients of x, γ and β of Σ y·weights.
    fn all(
        norm: impl Fn(&Tensor, &Tensor, &Tensor) -> Result<(Tensor, Moments)>,
        tensors: [&Tensor; 4],
        dtype: DType,
    ) -> AnyResult<Vec<Vec<f64>>> {
        let of = |t: &Tensor| Var::from_tensor(&t.to_dtype(dtype)?);
        let [x, gamma, beta] = [of(tensors[0])?, of(tensors[1])?, of(tensors[2])?];
        let (y, moments) = norm(&x, &gamma, &beta)?;
        let gradients = (&y * tensors[3].to_dtype(dtype)?)?.sum_all()?.backward()?;
        let mut found = vec![y, moments.mean, moments.variance];
        for var in [&x, &gamma, &beta] {
            found.push(gradients.get(var).ok_or("no gradient")?.clone());
        }
        let values = |t: Tensor| t.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
        Ok(found.into_iter().map(values).collect::<candle_core::Result<_>>()?)
    }

    #[test]
    fn the_kernel_is_the_composition() -> AnyResult {
        for shape in [vec![3, 5, 4, 9], vec![2, 3, 1, 1], vec![7, 4], vec![1, 2, 33]] {
            let x = (Tensor::randn(0f32, 2., &shape[..], &Device::Cpu)? + 3.)?;
            let weights = Tensor::randn(0f32, 1., &shape[..], &Device::Cpu)?;
            let vector = || Tensor::randn(0f32, 1., shape[1], &Device::Cpu);
            let (gamma, beta) = (vector()?, vector()?);
            let tensors = [&x, &gamma, &beta, &weights];
            for norm in [batch_norm, batch_norm_relu] {
                let kernel = all(|x, g, b| norm(x, g, b, 0.1), tensors, DType::F32)?;
                let wide = all(|x, g, b| norm(x, g, b, 0.1), tensors, DType::F64)?;
                for (kernel, wide) in kernel.iter().zip(&wide) {
                    assert_eq!(kernel.len(), wide.len());
                    for (a, b) in kernel.iter().zip(wide) {
                        let off = (a - b).abs() / b.abs().max(1.);
                        assert!(off < 2e-5, "{a} and {b} of {shape:?}");
                    }
                }
            }
        }
        Ok(())
    }

    #[test]
    fn a_relu_follows() -> AnyResult {
        // The mean is 2, and the variance 2/3 with ε is 1: -1, 0, 1, of which the last is open.
        let x = Var::new(&[[1f32], [2.], [3.]], &Device::Cpu)?;
        let gamma = Var::new(&[2f32], &Device::Cpu)?;
        let beta = Var::new(&[0f32], &Device::Cpu)?;
        let (y, _) = batch_norm_relu(&x, &gamma, &beta, 1. / 3.)?;
        assert_eq!(y.to_vec2::<f32>()?, [[0.], [0.], [2.]]);
        let gradients = y.sum_all()?.backward()?;
        let of = |var: &Var| gradients.get(var).map(|g| g.to_vec1::<f32>()).transpose();
        assert_eq!(of(&beta)?, Some(vec![1.]));
        assert_eq!(of(&gamma)?, Some(vec![1.]));
        // What is not a number does not become 0.
        let nan = Tensor::new(&[[f32::NAN], [1.]], &Device::Cpu)?;
        let (y, _) = batch_norm_relu(&nan, &gamma, &beta, 0.)?;
        assert!(y.flatten_all()?.to_vec1::<f32>()?.iter().all(|v| v.is_nan()));
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_refused() -> AnyResult {
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu);
        let (x, three) = (zeros(&[2, 3, 4])?, zeros(&[3])?);
        assert!(batch_norm(&x, &three, &three, 0.1).is_ok());
        assert!(batch_norm(&x, &three, &zeros(&[2])?, 0.1).is_err());
        assert!(batch_norm(&zeros(&[3])?, &three, &three, 0.1).is_err());
        assert!(batch_norm(&zeros(&[0, 3, 4])?, &three, &three, 0.1).is_err());
        assert!(batch_norm(&x.to_dtype(DType::U8)?, &three, &three, 0.1).is_err());
        Ok(())
    }
}
