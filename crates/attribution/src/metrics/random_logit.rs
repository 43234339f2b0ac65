//! The random-logit check (Sixt, Granz & Landgraf, 2020).

use candle_core::Tensor;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::randomisation::rank_correlation;
use super::structural_similarity::structural_similarity;
use crate::error::{Error, Result, check};
use crate::tensors::{check_input, check_rows};

/// How similar the explanations of two outputs are for one input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogitSimilarity {
    /// The other output.
    pub other: usize,
    /// [`structural_similarity`]; `None` where both explanations are one same constant.
    pub ssim: Option<f64>,
    /// [`rank_correlation`]; `None` where an explanation does not vary.
    pub rank_correlation: Option<f64>,
}

/// The random-logit check: explains output number `output` of a model with `outputs` outputs for
/// inputs x, and, for each of them, another output that is drawn; compares the two explanations.
/// Both measures are in [-1, 1]. Lower is better: an explanation that is similar whatever it
/// explains does not say why this output is as it is.
///
/// `explain` makes maps [B, H, W], or rows [B, D], of an output's number and inputs, such as `|k,
/// x| per_pixel(&layers.gradient(x, k)?, Reduce::Sum)`. Quantus flattens the maps before SSIM; see
/// [`structural_similarity`].
///
/// # Errors
/// If there is no such output, or no other, a map has a side below 7, an explanation is not finite,
/// or `explain` fails.
pub fn random_logit(
    explain: impl Fn(usize, &Tensor) -> Result<Tensor>,
    x: &Tensor,
    output: usize,
    outputs: usize,
    seed: u64,
) -> Result<Vec<LogitSimilarity>> {
    check(outputs >= 2, "outputs", outputs, "a number from 2")?;
    check(output < outputs, "output", output, "a number below that of all outputs")?;
    random_logit_with_others(explain, x, output, |input| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(input as u64);
        let drawn = rng.random_range(0..outputs - 1);
        // The outputs without the one that is explained.
        if drawn < output { drawn } else { drawn + 1 }
    })
}

/// [`random_logit`] with given other outputs: one for the number of each input.
///
/// # Errors
/// As for [`random_logit`], and if the other output is the same.
pub fn random_logit_with_others(
    explain: impl Fn(usize, &Tensor) -> Result<Tensor>,
    x: &Tensor,
    output: usize,
    other: impl Fn(usize) -> usize,
) -> Result<Vec<LogitSimilarity>> {
    check_input(x)?;
    (0..x.dim(0)?)
        .map(|input| {
            let other = other(input);
            check(other != output, "other output", other, "one that is not explained already")?;
            // Both alone, so that methods with random numbers draw the same ones.
            let x = x.narrow(0, input, 1)?;
            let own = explain(output, &x)?;
            check_rows(&own, 1)?;
            let explained = explain(other, &x)?;
            let ssim = only(structural_similarity(&own, &explained)?)?;
            let rank_correlation = only(rank_correlation(&own, &explained)?)?;
            Ok(LogitSimilarity { other, ssim, rank_correlation })
        })
        .collect()
}

/// The result of a batch of one.
fn only(found: Vec<Option<f64>>) -> Result<Option<f64>> {
    found.first().copied().ok_or(Error::Degenerate("an explanation without values"))
}
