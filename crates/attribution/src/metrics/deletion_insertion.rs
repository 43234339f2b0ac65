//! Deletion and insertion curves (Petsiuk et al., 2018).

use candle_core::Tensor;

use super::curve::{Curve, curves, ranks};
use crate::baseline::baseline_like;
use crate::error::{Result, check};
use crate::target::Target;

/// Replaces entries of x by the baseline, those of the greatest attribution first, and follows f: a
/// good attribution brings it down early (a small area). The attribution is of x's shape, or [B, H,
/// W] for pixels with all channels. `baseline` as in
/// [`integrated_gradients`](crate::integrated_gradients()). The model decides whether f is a logit
/// or a probability.
///
/// Equal entries are replaced in a pseudo-random order that is the same for every input and
/// attribution of a size: maps after a ReLU are 0 nearly everywhere, and row by row the score would
/// depend on where the pixels lie.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::{Target, deletion};
///
/// // f(x) = 3·x₀ + x₁.
/// let weights = Tensor::new(&[[3f64], [1.]], &Device::Cpu)?;
/// let target = Target::new(|x: &Tensor| x.matmul(&weights), 0);
/// let x = Tensor::new(&[[1f64, 1.]], &Device::Cpu)?;
/// let right = Tensor::new(&[[3f64, 1.]], &Device::Cpu)?;
/// let curves = deletion(&target, &x, &right, None, 2)?;
/// assert_eq!(curves[0].values, [4., 1., 0.]);
/// assert_eq!(curves[0].area(), 1.5);
/// // An attribution that takes x₁ for greater brings f down later.
/// let wrong = Tensor::new(&[[1f64, 3.]], &Device::Cpu)?;
/// assert_eq!(deletion(&target, &x, &wrong, None, 2)?[0].area(), 2.5);
/// # Ok::<(), foresee_attribution::Error>(())
/// ```
///
/// # Errors
/// If there are no steps, the shapes do not fit, the attribution has a value that is not finite, or
/// the model fails.
pub fn deletion<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    attribution: &Tensor,
    baseline: Option<&Tensor>,
    steps: usize,
) -> Result<Vec<Curve>> {
    let x = &x.detach().contiguous()?;
    let baseline = baseline_like(x, baseline)?;
    let ranks = ranks(x, attribution)?;
    curves(target, x, &baseline, &ranks, &counts(&ranks, steps)?)
}

/// The opposite of [`deletion`]: puts the entries of x into the baseline, those of the greatest
/// attribution first; a good attribution brings f up early (a large area).
///
/// # Errors
/// As for [`deletion`].
pub fn insertion<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    attribution: &Tensor,
    baseline: Option<&Tensor>,
    steps: usize,
) -> Result<Vec<Curve>> {
    let x = &x.detach().contiguous()?;
    let baseline = baseline_like(x, baseline)?;
    let ranks = ranks(x, attribution)?;
    curves(target, &baseline, x, &ranks, &counts(&ranks, steps)?)
}

/// How many entries are replaced at each of the steps from none to all.
pub(super) fn counts(ranks: &Tensor, steps: usize) -> Result<Vec<f64>> {
    check(steps >= 1, "steps", steps, "a number from 1")?;
    let entries = ranks.elem_count() / ranks.dim(0)?.max(1);
    Ok((0..=steps).map(|step| (step as f64 / steps as f64 * entries as f64).round()).collect())
}
