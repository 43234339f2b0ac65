//! Mean and variance of each channel over a batch, for batch normalisation.

use candle_core::{D, Device, Tensor};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::dispatch::kernel_takes;
use crate::error::{Result, floats, shape};
use crate::isa::Instructions;
use crate::layout::{to_channels_first, to_channels_last};
use crate::storage::with_slices;

/// Pixels of a block, which a thread takes at a time. Sums within a block are in `f32`.
pub(crate) const ROWS: usize = 256;

/// Mean and variance of each channel over a batch.
#[derive(Debug, Clone)]
pub struct Moments {
    /// Mean over images and pixels, `[C]`.
    pub mean: Tensor,
    /// Biased variance over images and pixels (the sum of squares divided by n), `[C]`.
    pub variance: Tensor,
    /// The number n = B·H·W of values of a channel.
    pub count: usize,
}

impl Moments {
    /// The moments of all parts of a batch together, merged in their order (Chan, Golub & LeVeque,
    /// 1983), in the CPU's memory.
    ///
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use foresee_kernels::{Moments, channel_moments};
    ///
    /// let of = |values: &[f32]| {
    ///     channel_moments(&Tensor::from_slice(values, (1, 1, 1, values.len()), &Device::Cpu)?)
    /// };
    /// let all = Moments::merge(&[of(&[1., 3.])?, of(&[8.])?])?;
    /// assert_eq!(all.mean.to_vec1::<f32>()?, [4.]);
    /// // (9 + 1 + 16)/3
    /// assert!((all.variance.to_vec1::<f32>()?[0] - 26. / 3.).abs() < 1e-6);
    /// assert_eq!(all.count, 3);
    /// # Ok::<(), foresee_kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no part, or tensors are not `f32`.
    pub fn merge(parts: &[Self]) -> Result<Self> {
        let Some(first) = parts.first() else {
            let none = Tensor::zeros(0, candle_core::DType::F32, &Device::Cpu)?;
            return Err(shape("Moments::merge", "parts", "one at least", &none));
        };
        let c = first.mean.elem_count();
        let mut count = 0f64;
        let mut mean = vec![0f64; c];
        let mut squares = vec![0f64; c];
        for part in parts {
            let (means, variances) = (part.mean.to_vec1::<f32>()?, part.variance.to_vec1::<f32>()?);
            let n = part.count as f64;
            let all = count + n;
            for (j, (of_mean, of_variance)) in means.into_iter().zip(variances).enumerate() {
                let apart = f64::from(of_mean) - mean[j];
                squares[j] += n * f64::from(of_variance) + apart * apart * count * n / all;
                mean[j] += apart * n / all;
            }
            count = all;
        }
        let single = |values: Vec<f64>| -> candle_core::Result<Tensor> {
            let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
            Tensor::from_vec(values, c, &Device::Cpu)
        };
        let variance = single(squares.into_iter().map(|square| square / count).collect())?;
        Ok(Self { mean: single(mean)?, variance, count: count as usize })
    }
}

/// The moments of each channel of x [B, C, H, W]. Blocks of pixels are summed in `f32`, the blocks'
/// sums in `f64`. Not differentiable: [`norm_leaky_relu`](crate::norm_leaky_relu) counts the
/// gradient through the moments itself.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_kernels::channel_moments;
///
/// // Two channels of two pixels.
/// let x = Tensor::new(&[[[[1f32, 3.]], [[5., 5.]]]], &Device::Cpu)?;
/// let moments = channel_moments(&x)?;
/// assert_eq!(moments.mean.to_vec1::<f32>()?, [2., 5.]);
/// assert_eq!(moments.variance.to_vec1::<f32>()?, [1., 0.]);
/// assert_eq!(moments.count, 2);
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
///
/// # Errors
/// If x is not of four dimensions, is empty, or holds integers.
pub fn channel_moments(x: &Tensor) -> Result<Moments> {
    let &[b, c, h, w] = x.dims() else {
        return Err(shape("channel_moments", "x", "[B, C, H, W]", x));
    };
    let count = b * h * w;
    if count == 0 || c == 0 {
        let expected = "at least one channel, and one value in each";
        return Err(shape("channel_moments", "x", expected, x));
    }
    floats("channel_moments", &[x])?;
    if !kernel_takes(&[x]) {
        let rows = x.detach().transpose(0, 1)?.flatten_from(1)?.contiguous()?;
        let mean = rows.mean_keepdim(D::Minus1)?;
        let variance = rows.broadcast_sub(&mean)?.sqr()?.mean(D::Minus1)?;
        return Ok(Moments { mean: mean.squeeze(1)?, variance, count });
    }
    by_kernel(&to_channels_last(x)?)
}

/// [`channel_moments`] of x [B, H, W, C].
///
/// # Errors
/// As [`channel_moments`].
pub fn channel_moments_channels_last(x: &Tensor) -> Result<Moments> {
    match kernel_takes(&[x]) && x.rank() == 4 && x.elem_count() > 0 {
        true => by_kernel(&x.contiguous()?),
        false => channel_moments(&to_channels_first(x)?),
    }
}

/// The moments of contiguous x [B, H, W, C].
fn by_kernel(x: &Tensor) -> Result<Moments> {
    let (b, h, w, c) = x.dims4()?;
    let count = b * h * w;
    #[cfg(feature = "cuda")]
    if crate::cuda::ops::takes(&[x]) {
        let [mean, variance] = crate::cuda::ops::norm::channel_moments(x)?;
        return Ok(Moments { mean, variance, count });
    }
    let (mean, variance) = with_slices([x], |[x]| moments(x, c, Instructions::current()))?;
    Ok(Moments {
        mean: Tensor::from_vec(mean, c, &Device::Cpu)?,
        variance: Tensor::from_vec(variance, c, &Device::Cpu)?,
        count,
    })
}

/// Mean and variance of each of the c columns of x [N, C]: by blocks of rows, which are then merged
/// (Chan, Golub & LeVeque, 1983).
fn moments(x: &[f32], c: usize, instructions: Instructions) -> (Vec<f32>, Vec<f32>) {
    let blocks: Vec<BlockMoments> =
        x.par_chunks(ROWS * c).map(|x| instructions.dispatch(Deviations { x, c })).collect();
    let mut count = 0f64;
    let mut mean = vec![0f64; c];
    let mut squares = vec![0f64; c];
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
    // Rounding can make a variance slightly negative. NaN stays NaN.
    let variance = |squares: f64| match squares / count {
        v if v < 0. => 0.,
        v => v as f32,
    };
    (mean.iter().map(|&m| m as f32).collect(), squares.into_iter().map(variance).collect())
}

/// The moments of a block of rows: a rounded mean, and the sums of the deviations from it and of
/// their squares.
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
        let mut mean = vec![0f32; c];
        let mut rest = vec![0f32; c];
        let mut squares = vec![0f32; c];
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
