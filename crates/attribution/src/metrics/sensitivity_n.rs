//! Sensitivity-n (Ancona et al., 2018).

use candle_core::Tensor;
use foresee_stats::{is_rounding, mean, pearson};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::curve::like_input;
use crate::baseline::baseline_like;
use crate::error::{Result, check};
use crate::precision::{ROUNDINGS, epsilon};
use crate::target::Target;
use crate::tensors::to_f64;

/// Subsets that a correlation needs: through two points there is always a line.
const LEAST_SUBSETS: usize = 3;

/// Options of [`sensitivity_n`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SensitivityN {
    /// Random subsets of each input, from 3. Default 100.
    pub subsets: usize,
    /// Decides the subsets together with the input's position in the batch. Default 0.
    pub seed: u64,
}

impl Default for SensitivityN {
    fn default() -> Self {
        Self { subsets: 100, seed: 0 }
    }
}

/// Sensitivity-n: Pearson's correlation, over random subsets S of n features, between the sum of
/// their attributions, Σ_{i∈S} φ_i, and the fall of f without them, f(x) - f(x with S at the
/// baseline). In [-1, 1]; higher is better, and 1 means that the attribution tells the falls up to
/// a factor and a constant. `None` where the sums or the falls are all equal, so that there is
/// nothing to correlate. The paper draws it for n from 1 to most of the features: one call for
/// each.
///
/// The attribution is of x's shape, and features are its entries, or [B, H, W], and features are
/// pixels with all channels. `baseline` as in
/// [`integrated_gradients`](crate::integrated_gradients()).
///
/// Quantus has something else under this name: it removes features in the order of the attribution,
/// compares the fall by all that are removed with the attribution of the last ones only, and
/// correlates over the images of a batch. Here the formula is the paper's.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::{SensitivityN, Target, sensitivity_n};
///
/// // f(x) = 3·x₀ - 2·x₁ + x₂ falls by exactly w_i·x_i without x_i.
/// let weights = Tensor::new(&[[3f64], [-2.], [1.]], &Device::Cpu)?;
/// let target = Target::new(|x: &Tensor| x.matmul(&weights), 0);
/// let x = Tensor::new(&[[1f64, 5., 2.]], &Device::Cpu)?;
/// let attribution = Tensor::new(&[[3f64, -10., 2.]], &Device::Cpu)?;
/// let found = sensitivity_n(&target, &x, &attribution, None, 2, &SensitivityN::default())?;
/// assert!(found[0].is_some_and(|correlation| (correlation - 1.).abs() < 1e-9));
/// # Ok::<(), foresee_attribution::Error>(())
/// ```
///
/// # Errors
/// If n is not from 1 to below the number of features, there are fewer than 3 subsets, the shapes
/// do not fit, the attribution has a value that is not finite, or the model fails.
pub fn sensitivity_n<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    attribution: &Tensor,
    baseline: Option<&Tensor>,
    n: usize,
    options: &SensitivityN,
) -> Result<Vec<Option<f64>>> {
    let features: usize = attribution.dims().iter().skip(1).product();
    check((1..features).contains(&n), "n", n, "a number from 1 to below the number of features")?;
    let subsets = |input: usize| random_subsets(features, n, options, input);
    sensitivity_n_with_subsets(target, x, attribution, baseline, subsets)
}

/// Subsets of n features for input number `input`.
fn random_subsets(
    features: usize,
    n: usize,
    options: &SensitivityN,
    input: usize,
) -> Vec<Vec<usize>> {
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    rng.set_stream(input as u64);
    let mut order: Vec<usize> = (0..features).collect();
    (0..options.subsets).map(|_| order.partial_shuffle(&mut rng, n).0.to_vec()).collect()
}

/// [`sensitivity_n`] with given subsets: for the number of an input, lists of n features each,
/// which are numbered row by row from 0.
///
/// # Errors
/// As for [`sensitivity_n`], and if the subsets differ in size, or name a feature twice or one that
/// does not exist.
pub fn sensitivity_n_with_subsets<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    attribution: &Tensor,
    baseline: Option<&Tensor>,
    subsets: impl Fn(usize) -> Vec<Vec<usize>>,
) -> Result<Vec<Option<f64>>> {
    let x = &x.detach().contiguous()?;
    let baseline = baseline_like(x, baseline)?;
    let attribution = like_input(x, attribution)?;
    let features = &attribution.dims()[1..];
    let size: usize = features.iter().product();
    let values = to_f64(&attribution)?;
    let at_x = target.numbers(x)?;
    at_x.into_iter()
        .enumerate()
        .map(|(input, at_x)| {
            let subsets = subsets(input);
            check_subsets(&subsets, size)?;
            let values = &values[input * size..(input + 1) * size];
            let sums: Vec<f64> =
                subsets.iter().map(|subset| subset.iter().map(|&i| values[i]).sum()).collect();
            let (x, baseline) = (x.narrow(0, input, 1)?, baseline.narrow(0, input, 1)?);
            let without = values_without(target, &x, &baseline, features, &subsets)?;
            Ok(correlation(&sums, at_x, &without, epsilon(x.dtype())))
        })
        .collect()
}

fn check_subsets(subsets: &[Vec<usize>], features: usize) -> Result<()> {
    let (count, n) = (subsets.len(), subsets.first().map_or(0, Vec::len));
    check(count >= LEAST_SUBSETS, "subsets", count, "a number from 3")?;
    let of_one_size = n > 0 && subsets.iter().all(|subset| subset.len() == n);
    check(of_one_size, "subsets", n, "all subsets of one size from 1")?;
    for subset in subsets {
        let mut seen = vec![false; features];
        let is_new =
            |&i: &usize| seen.get_mut(i).is_some_and(|seen| !std::mem::replace(seen, true));
        let all_new = subset.iter().all(is_new);
        check(all_new, "subset", format!("{subset:?}"), "features that exist, each once")?;
    }
    Ok(())
}

/// f of one input [1, ...] without each of the subsets, whose features become the baseline. The
/// features, of this shape, are broadcast to the input.
fn values_without<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    baseline: &Tensor,
    features: &[usize],
    subsets: &[Vec<usize>],
) -> Result<Vec<f64>> {
    let size: usize = features.iter().product();
    let mut values = Vec::with_capacity(subsets.len());
    for subsets in subsets.chunks(target.batch_size()) {
        let mut removed = vec![0u8; subsets.len() * size];
        for (removed, subset) in removed.chunks_mut(size).zip(subsets) {
            subset.iter().for_each(|&i| removed[i] = 1);
        }
        let rows = |dims: &[usize]| [&[subsets.len()][..], dims].concat();
        let all = rows(&x.dims()[1..]);
        let removed = Tensor::from_vec(removed, rows(features), x.device())?;
        let mixed = removed.broadcast_as(&all[..])?.where_cond(
            &baseline.broadcast_as(&all[..])?.contiguous()?,
            &x.broadcast_as(&all[..])?.contiguous()?,
        )?;
        values.extend(target.numbers(&mixed)?);
    }
    Ok(values)
}

/// Of the attributions' sums with the falls of f; `None` if one of them is constant but for
/// rounding, that of f in numbers with this epsilon.
fn correlation(sums: &[f64], at_x: f64, without: &[f64], epsilon: f64) -> Option<f64> {
    let squares = |values: &[f64]| -> (f64, f64) {
        let mean = mean(values);
        let deviations = values.iter().map(|v| (v - mean).powi(2)).sum();
        (deviations, values.iter().map(|v| v * v).sum())
    };
    let (deviations, size) = squares(sums);
    let (falls, values) = squares(without);
    if is_rounding(deviations, size) || falls <= (ROUNDINGS * epsilon).powi(2) * values {
        return None;
    }
    let falls: Vec<f64> = without.iter().map(|without| at_x - without).collect();
    Some(pearson(sums, &falls)).filter(|found| found.is_finite())
}
