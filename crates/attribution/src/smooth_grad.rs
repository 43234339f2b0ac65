//! SmoothGrad (Smilkov et al., 2017): the average of an attribution over noisy copies of the input.

use candle_core::Tensor;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::error::{Result, check};
use crate::target::numbers;

/// What is taken over the noisy copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Statistic {
    /// The mean (SmoothGrad).
    #[default]
    Mean,
    /// The mean of squares (SmoothGrad², Hooker et al., 2019).
    MeanSquare,
    /// The variance, with divisor n (VarGrad, Adebayo et al., 2018).
    Variance,
}

/// The standard deviation of the noise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Deviation {
    /// In the input's units.
    Absolute(f64),
    /// As a share of max(x) - min(x) of each input.
    OfRange(f64),
}

/// Options of [`smooth_grad`].
#[derive(Debug, Clone, PartialEq)]
pub struct SmoothGrad {
    /// Noisy copies of each input, from 1. Default 50.
    pub samples: usize,
    /// From 0. Default 0.15 of the range, as in the paper.
    pub deviation: Deviation,
    /// Default the mean.
    pub statistic: Statistic,
    /// Decides the noise together with the input's place in the batch. Default 0.
    pub seed: u64,
}

impl Default for SmoothGrad {
    fn default() -> Self {
        Self {
            samples: 50,
            deviation: Deviation::OfRange(0.15),
            statistic: Statistic::Mean,
            seed: 0,
        }
    }
}

/// SmoothGrad of any attribution `explain`, such as `|x| target.gradient(x)`, of x's shape.
///
/// # Errors
/// If an option is outside its range, or `explain` fails.
pub fn smooth_grad(
    explain: impl Fn(&Tensor) -> Result<Tensor>,
    x: &Tensor,
    options: &SmoothGrad,
) -> Result<Tensor> {
    check(options.samples >= 1, "samples", options.samples, "a number from 1")?;
    let (Deviation::Absolute(level) | Deviation::OfRange(level)) = options.deviation;
    check(level >= 0. && level.is_finite(), "deviation", level, "a number from 0")?;
    let deviations: Vec<f64> = match options.deviation {
        Deviation::Absolute(level) => vec![level; x.dim(0)?],
        Deviation::OfRange(level) => {
            let flat = x.flatten_from(1)?;
            let (low, high) = (numbers(&flat.min(1)?)?, numbers(&flat.max(1)?)?);
            low.iter().zip(high).map(|(low, high)| level * (high - low)).collect()
        }
    };
    let noise = (0..options.samples)
        .map(|sample| gaussian(x, options.seed, sample, |input| deviations[input]));
    smooth_grad_under(explain, x, noise, options.statistic)
}

/// The same under given noise: each item has x's shape and is added to it.
///
/// # Errors
/// If there is no noise, it does not fit x, or `explain` fails.
pub fn smooth_grad_under(
    explain: impl Fn(&Tensor) -> Result<Tensor>,
    x: &Tensor,
    noise: impl IntoIterator<Item = Result<Tensor>>,
    statistic: Statistic,
) -> Result<Tensor> {
    let (mut sum, mut squares, mut n) = (x.zeros_like()?, x.zeros_like()?, 0);
    for noise in noise {
        let attribution = explain(&(x + noise?)?)?;
        match statistic {
            Statistic::Mean => sum = (sum + attribution)?,
            Statistic::MeanSquare => squares = (squares + attribution.sqr()?)?,
            // Welford's update: the mean and the sum of squares about it.
            Statistic::Variance => {
                let away = (&attribution - &sum)?;
                sum = (sum + (&away / (n + 1) as f64)?)?;
                squares = (squares + (away * (attribution - &sum)?)?)?;
            }
        }
        n += 1;
    }
    check(n >= 1, "samples", n, "a number from 1")?;
    Ok((if statistic == Statistic::Mean { sum } else { squares } / n as f64)?)
}

/// Noise of x's shape, decided by the seed, the sample's number and the input's place in the batch.
pub(crate) fn gaussian(
    x: &Tensor,
    seed: u64,
    sample: usize,
    deviation: impl Fn(usize) -> f64,
) -> Result<Tensor> {
    let inputs = x.dim(0)?;
    let size = x.elem_count() / inputs.max(1);
    let mut values = Vec::with_capacity(x.elem_count());
    for input in 0..inputs {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream((input as u64) << 32 | sample as u64);
        let deviation = deviation(input);
        values.extend(
            (0..size).map(|_| deviation * Distribution::<f64>::sample(&StandardNormal, &mut rng)),
        );
    }
    Ok(Tensor::from_vec(values, x.shape(), x.device())?.to_dtype(x.dtype())?)
}
