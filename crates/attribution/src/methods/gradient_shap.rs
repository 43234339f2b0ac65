//! Gradient SHAP: expected gradients of noisy copies, as in Captum.

use candle_core::Tensor;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::smooth_grad::{NoiseLevel, deviations};
use crate::error::{Error, Result, check};
use crate::noise::gaussian;
use crate::target::Target;
use crate::tensors::{check_finite, check_like, column, in_batches};

/// Options of [`gradient_shap`].
#[derive(Debug, Clone, PartialEq)]
pub struct GradientShap {
    /// Noisy copies of each input, from 1. Default 5, as in Captum.
    pub samples: usize,
    /// The standard deviation of the noise, from 0. Default 0, as in Captum.
    pub noise: NoiseLevel,
    /// Decides the noise, references and points together with the input's position in the batch.
    /// Default 0.
    pub seed: u64,
}

impl Default for GradientShap {
    fn default() -> Self {
        Self { samples: 5, noise: NoiseLevel::Absolute(0.), seed: 0 }
    }
}

/// What is drawn for one noisy copy of every input.
#[derive(Debug, Clone)]
pub struct GradientShapDraw {
    /// Added to x; of x's shape.
    pub noise: Tensor,
    /// For each input the number of a reference.
    pub references: Vec<usize>,
    /// For each input the place between reference (0) and noisy copy (1).
    pub alphas: Vec<f64>,
}

/// Gradient SHAP, of x's shape: the mean over noisy copies x̃ = x + noise of (x̃ - x') ⊗ ∂f(x' +
/// α(x̃ - x'))/∂x, with x' drawn from the references [R, ...] and α uniformly from [0, 1], as
/// Captum's `GradientShap`. It estimates SHAP values of a model that is linear near the inputs and
/// whose inputs are independent (Lundberg & Lee, 2017). Without noise it is the same estimate as
/// [`expected_gradients`](crate::expected_gradients()).
///
/// # Errors
/// If an option is outside its range, the references do not fit x, or as for [`Target::gradient`].
pub fn gradient_shap<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    references: &Tensor,
    options: &GradientShap,
) -> Result<Tensor> {
    check(options.samples >= 1, "samples", options.samples, "a number from 1")?;
    let deviations = deviations(x, options.noise)?;
    let count = count_references(x, references)?;
    let inputs = x.dim(0)?;
    let draw = |sample: usize| -> Result<GradientShapDraw> {
        let noise = gaussian(x, options.seed, sample, |input| deviations[input])?;
        let drawn = (0..inputs).map(|input| {
            let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
            // A stream that no noise has.
            rng.set_stream(u64::MAX - ((input as u64) << 32 | sample as u64));
            (rng.random_range(0..count), rng.random::<f64>())
        });
        let (references, alphas) = drawn.unzip();
        Ok(GradientShapDraw { noise, references, alphas })
    };
    gradient_shap_with_draws(target, x, references, (0..options.samples).map(draw))
}

/// [`gradient_shap`] with given draws.
///
/// # Errors
/// As for [`gradient_shap`], and if there is no draw or one does not fit x or the references.
pub fn gradient_shap_with_draws<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    references: &Tensor,
    draws: impl IntoIterator<Item = Result<GradientShapDraw>>,
) -> Result<Tensor> {
    target.check_gradient(x, "the input")?;
    let count = count_references(x, references)?;
    let x = &x.detach().contiguous()?;
    let references = references.detach().contiguous()?;
    let mut sum = x.zeros_like()?;
    let mut n = 0u32;
    for draw in draws {
        let draw = draw?;
        draw.check(x, count)?;
        let numbers = draw.references.iter().map(|&reference| reference as u32);
        let from = references.index_select(&Tensor::from_iter(numbers, x.device())?, 0)?;
        let difference = ((x + &draw.noise)? - &from)?;
        let points = (from + difference.broadcast_mul(&column(draw.alphas, x)?)?)?;
        let gradient = in_batches(&points, target.batch_size(), |points| {
            target.unchecked_gradient(points, "the input")
        })?;
        sum = (sum + (difference * gradient)?)?;
        n += 1;
    }
    check(n >= 1, "draws", n, "a number from 1")?;
    check_finite((sum / f64::from(n))?, || "the attribution".into())
}

impl GradientShapDraw {
    fn check(&self, x: &Tensor, references: usize) -> Result<()> {
        check_like("the noise", &self.noise, x)?;
        if self.noise.dims() != x.dims() {
            return Err(Error::shape("the noise", self.noise.dims(), format!("{:?}", x.dims())));
        }
        let inputs = x.dim(0)?;
        let counts = (self.references.len(), self.alphas.len());
        check(counts == (inputs, inputs), "draws", format!("{counts:?}"), "one for each input")?;
        check_draws(self.references.iter().zip(&self.alphas), references)
    }
}

/// Refuses numbers that are of no reference, and places that are not between 0 and 1.
pub(super) fn check_draws<'a>(
    draws: impl IntoIterator<Item = (&'a usize, &'a f64)>,
    references: usize,
) -> Result<()> {
    for (reference, alpha) in draws {
        check(*reference < references, "reference", reference, "the number of a reference")?;
        check((0. ..=1.).contains(alpha), "alpha", alpha, "a number from 0 to 1")?;
    }
    Ok(())
}

/// The number of references [R, ...] for inputs x [B, ...].
pub(super) fn count_references(x: &Tensor, references: &Tensor) -> Result<usize> {
    check_like("the references", references, x)?;
    match (references.dims(), x.dims()) {
        ([count, reference @ ..], [_, input @ ..]) if *count > 0 && reference == input => {
            Ok(*count)
        }
        _ => {
            let expected = format!("[R, ...] with R from 1, of inputs {:?},", x.dims());
            Err(Error::shape("the references", references.dims(), expected))
        }
    }
}
