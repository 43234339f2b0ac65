//! Expected gradients (Erion et al., 2021): integrated gradients over many baselines.

use candle_core::Tensor;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::gradient_shap::{check_draws, count_references};
use crate::error::{Result, check};
use crate::target::Target;
use crate::tensors::{check_finite, column};

/// Options of [`expected_gradients`].
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedGradients {
    /// Points for each input, from 1. Default 200, as in shap's `GradientExplainer`.
    pub samples: usize,
    /// Decides references and points together with the input's position in the batch. Default 0.
    pub seed: u64,
}

impl Default for ExpectedGradients {
    fn default() -> Self {
        Self { samples: 200, seed: 0 }
    }
}

/// Expected gradients (Erion et al., 2021), of x's shape: E[(x - x') ⊗ ∂f(x' + α(x - x'))/∂x] with
/// x' drawn from the references [R, ...] and α uniformly from [0, 1]. The expectation adds up to
/// f(x) less the mean of f over the references; the mean over `samples` draws is an estimate of it,
/// as in shap's `GradientExplainer`.
///
/// # Errors
/// If an option is outside its range, the references do not fit x, or as for [`Target::gradient`].
pub fn expected_gradients<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    references: &Tensor,
    options: &ExpectedGradients,
) -> Result<Tensor> {
    check(options.samples >= 1, "samples", options.samples, "a number from 1")?;
    let count = count_references(x, references)?;
    let draws = |input: usize| {
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        rng.set_stream(input as u64);
        (0..options.samples)
            .map(|_| (rng.random_range(0..count), rng.random::<f64>()))
            .collect::<Vec<_>>()
    };
    expected_gradients_with_draws(target, x, references, draws)
}

/// [`expected_gradients`] with given draws: for the number of an input, the number of a reference
/// and α for each of its points.
///
/// # Errors
/// As for [`expected_gradients`], and if an input has no draw, or one is of no reference or not
/// between 0 and 1.
pub fn expected_gradients_with_draws<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    references: &Tensor,
    draws: impl Fn(usize) -> Vec<(usize, f64)>,
) -> Result<Tensor> {
    target.check_gradient(x, "the input")?;
    let count = count_references(x, references)?;
    let x = &x.detach().contiguous()?;
    let references = references.detach().contiguous()?;
    let points = points(x.dim(0)?, count, draws)?;
    let mut mean = x.zeros_like()?;
    for points in points.chunks(target.batch_size()) {
        let numbers = |of: fn(&Point) -> usize| {
            Tensor::from_iter(points.iter().map(|point| of(point) as u32), x.device())
        };
        let values = |of: fn(&Point) -> f64| column(points.iter().map(of).collect(), x);
        let inputs = numbers(|point| point.input)?;
        let from = references.index_select(&numbers(|point| point.reference)?, 0)?;
        let difference = (x.index_select(&inputs, 0)? - &from)?;
        let between = (from + difference.broadcast_mul(&values(|point| point.alpha)?)?)?;
        let gradient = target.unchecked_gradient(&between, "the input")?;
        let share = (difference * gradient)?.broadcast_mul(&values(|point| point.weight)?)?;
        mean = mean.index_add(&inputs, &share.contiguous()?, 0)?;
    }
    check_finite(mean, || "the attribution".into())
}

/// A point at which the gradient is taken.
struct Point {
    input: usize,
    reference: usize,
    alpha: f64,
    /// 1 over the number of the input's points.
    weight: f64,
}

fn points(
    inputs: usize,
    references: usize,
    draws: impl Fn(usize) -> Vec<(usize, f64)>,
) -> Result<Vec<Point>> {
    let mut points = vec![];
    for input in 0..inputs {
        let draws = draws(input);
        check(!draws.is_empty(), "draws", draws.len(), "at least one for each input")?;
        check_draws(draws.iter().map(|(reference, alpha)| (reference, alpha)), references)?;
        let weight = 1. / draws.len() as f64;
        points.extend(draws.into_iter().map(|(reference, alpha)| Point {
            input,
            reference,
            alpha,
            weight,
        }));
    }
    Ok(points)
}
