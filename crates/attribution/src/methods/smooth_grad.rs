//! SmoothGrad (Smilkov et al., 2017): the average of an attribution over noisy copies of the input.

use candle_core::Tensor;

use crate::error::{Error, Result, check};
use crate::noise::gaussian;
use crate::tensors::{check_input, check_like, to_f64};

/// What is computed from the attributions of the noisy copies.
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
pub enum NoiseLevel {
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
    pub noise: NoiseLevel,
    /// Default the mean.
    pub statistic: Statistic,
    /// Decides the noise together with the input's position in the batch. Default 0.
    pub seed: u64,
}

impl Default for SmoothGrad {
    fn default() -> Self {
        Self { samples: 50, noise: NoiseLevel::OfRange(0.15), statistic: Statistic::Mean, seed: 0 }
    }
}

/// SmoothGrad of any attribution `explain`, such as `|x| target.gradient(x)`, of x's shape.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::{SmoothGrad, Target, smooth_grad};
///
/// // The gradient of f(x) = 3·x₀ - 2·x₁ is the same at every noisy copy.
/// let weights = Tensor::new(&[[3f64], [-2.]], &Device::Cpu)?;
/// let target = Target::new(|x: &Tensor| x.matmul(&weights), 0);
/// let x = Tensor::new(&[[1f64, 5.]], &Device::Cpu)?;
/// let found = smooth_grad(|x| target.gradient(x), &x, &SmoothGrad::default())?.to_vec2::<f64>()?;
/// assert!((found[0][0] - 3.).abs() < 1e-9 && (found[0][1] + 2.).abs() < 1e-9);
/// # Ok::<(), foresee_attribution::Error>(())
/// ```
///
/// # Errors
/// If an option is outside its range, or `explain` fails.
pub fn smooth_grad(
    explain: impl Fn(&Tensor) -> Result<Tensor>,
    x: &Tensor,
    options: &SmoothGrad,
) -> Result<Tensor> {
    check_input(x)?;
    check(options.samples >= 1, "samples", options.samples, "a number from 1")?;
    let deviations = deviations(x, options.noise)?;
    let noise = (0..options.samples)
        .map(|sample| gaussian(x, options.seed, sample, |input| deviations[input]));
    smooth_grad_with_noise(explain, x, noise, options.statistic)
}

/// The standard deviation of the noise of each input.
pub(crate) fn deviations(x: &Tensor, noise: NoiseLevel) -> Result<Vec<f64>> {
    check_input(x)?;
    let (NoiseLevel::Absolute(level) | NoiseLevel::OfRange(level)) = noise;
    check(level >= 0. && level.is_finite(), "noise", level, "a number from 0")?;
    Ok(match noise {
        NoiseLevel::Absolute(level) => vec![level; x.dim(0)?],
        NoiseLevel::OfRange(level) => {
            let flat = x.flatten_from(1)?;
            let low = to_f64(&flat.min(1)?)?;
            let high = to_f64(&flat.max(1)?)?;
            low.iter().zip(high).map(|(low, high)| level * (high - low)).collect()
        }
    })
}

/// [`smooth_grad`] with given noise: each item has x's shape and is added to it.
///
/// # Errors
/// If there is no noise, it does not fit x, or `explain` fails.
pub fn smooth_grad_with_noise(
    explain: impl Fn(&Tensor) -> Result<Tensor>,
    x: &Tensor,
    noise: impl IntoIterator<Item = Result<Tensor>>,
    statistic: Statistic,
) -> Result<Tensor> {
    check_input(x)?;
    let mut sum = x.zeros_like()?;
    let mut squares = x.zeros_like()?;
    let mut n = 0;
    for noise in noise {
        let noise = noise?;
        check_like("the noise", &noise, x)?;
        let attribution = explain(&(x + noise)?)?;
        if attribution.dims() != x.dims() {
            let expected = format!("{:?}, the input's shape,", x.dims());
            return Err(Error::shape("the attribution", attribution.dims(), expected));
        }
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
