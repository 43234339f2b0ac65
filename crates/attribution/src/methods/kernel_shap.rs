//! Kernel SHAP (Lundberg & Lee, 2017): Shapley values by a weighted regression on coalitions.

use candle_core::Tensor;
use nalgebra::{DMatrix, DVector};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result, check};
use crate::segments::Segmented;
use crate::target::Target;

/// Options of [`kernel_shap`].
#[derive(Debug, Clone, PartialEq)]
pub struct KernelShap {
    /// Coalitions that are evaluated for each input, in pairs, from 2. If there are no more than
    /// these, each is evaluated once, and the result is exact. Default 2048, exact up to 11
    /// segments.
    pub samples: usize,
    /// Decides the coalitions together with the input's position in the batch. Default 0.
    pub seed: u64,
}

impl Default for KernelShap {
    fn default() -> Self {
        Self { samples: 2048, seed: 0 }
    }
}

impl KernelShap {
    /// Whether all coalitions of so many segments are evaluated: the result is then the Shapley
    /// values, otherwise an estimate.
    pub fn is_exact(&self, segments: usize) -> bool {
        // All segments together and none are known without a sample.
        segments < 63 && (1u64 << segments).saturating_sub(2) <= self.samples as u64
    }
}

/// Some of the segments of an input.
#[derive(Debug, Clone, PartialEq)]
pub struct Coalition {
    /// Which segments are kept: at least one, and not all.
    pub kept: Vec<bool>,
    /// Its weight in the regression, above 0.
    pub weight: f64,
}

/// Shapley values of a batch.
#[derive(Debug, Clone)]
pub struct KernelShapResult {
    /// The value of each entry's segment, of x's shape.
    pub attribution: Tensor,
    /// For each input the value of each segment. They add up to f(x) - f(baseline).
    pub values: Vec<Vec<f64>>,
}

/// Shapley values of the segments by Kernel SHAP (Lundberg & Lee, 2017). With v(S) = f(x with the
/// segments S kept and the others replaced by the baseline), the φ that minimise Σ_S π(S)·(v(S) -
/// v(∅) - Σ_{i∈S} φ_i)² with Σ_i φ_i = f(x) - f(baseline), π(S) = (M - 1)/(C(M, k)·k·(M - k)) for k
/// of M segments. `segments` as in [`lime`](crate::lime()), `baseline` as in
/// [`integrated_gradients`](crate::integrated_gradients()).
///
/// If there are more coalitions than samples, pairs of a coalition and its complement are drawn
/// with chances as π says, each then with the weight 1: an estimate. Captum's `KernelShap` draws
/// alike, without pairs; shap's `KernelExplainer` takes the smallest and largest coalitions first.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::{KernelShap, Target, kernel_shap};
///
/// // f(x) = x₀·x₁ + x₂: the first two share their product.
/// let model = |x: &Tensor| {
///     let column = |i| x.narrow(1, i, 1);
///     (column(0)? * column(1)?)? + column(2)?
/// };
/// let x = Tensor::new(&[[2f64, 3., 5.]], &Device::Cpu)?;
/// let segments = Tensor::new(&[0u32, 1, 2], &Device::Cpu)?;
/// let options = KernelShap::default();
/// assert!(options.is_exact(3));
/// let found = kernel_shap(&Target::new(model, 0), &x, &segments, None, &options)?;
/// let close = |(a, b): (&f64, f64)| (a - b).abs() < 1e-12;
/// assert!(found.values[0].iter().zip([3., 3., 5.]).all(close));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If an option is outside its range, segments or baseline do not fit x, a number between 0 and the
/// greatest is of no segment, there are too few coalitions for so many segments (drawn ones must be
/// at least 2·(M - 1)), or the model fails.
pub fn kernel_shap<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    segments: &Tensor,
    baseline: Option<&Tensor>,
    options: &KernelShap,
) -> Result<KernelShapResult> {
    check(options.samples >= 2, "samples", options.samples, "a number from 2")?;
    let segmented = Segmented::new(x, segments, baseline)?;
    let count = segmented.count;
    let coalitions = |input: usize| match options.is_exact(count) {
        true => all_coalitions(count),
        false => sampled_coalitions(options, count, input),
    };
    regressions(target, &segmented, coalitions)
}

/// [`kernel_shap`] with given coalitions for the number of an input.
///
/// # Errors
/// As for [`kernel_shap`], and if a coalition has another number of segments, keeps all or none, or
/// has a weight that is not above 0.
pub fn kernel_shap_with_coalitions<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    segments: &Tensor,
    baseline: Option<&Tensor>,
    coalitions: impl Fn(usize) -> Vec<Coalition>,
) -> Result<KernelShapResult> {
    regressions(target, &Segmented::new(x, segments, baseline)?, coalitions)
}

fn regressions<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    segmented: &Segmented,
    coalitions: impl Fn(usize) -> Vec<Coalition>,
) -> Result<KernelShapResult> {
    let mut values = Vec::with_capacity(segmented.inputs());
    for (input, (whole, none)) in segmented.ends(target)?.into_iter().enumerate() {
        let coalitions = coalitions(input);
        check_coalitions(&coalitions, segmented.count)?;
        let kept = coalitions.iter().map(|coalition| coalition.kept.clone());
        let gains: Vec<f64> =
            segmented.numbers(target, input, kept)?.into_iter().map(|value| value - none).collect();
        values.push(regression(&coalitions, &gains, whole - none, segmented.count)?);
    }
    Ok(KernelShapResult { attribution: segmented.spread(&values)?, values })
}

fn check_coalitions(coalitions: &[Coalition], count: usize) -> Result<()> {
    for Coalition { kept, weight } in coalitions {
        check(kept.len() == count, "coalitions", kept.len(), "a value for each segment")?;
        let size = kept.iter().filter(|kept| **kept).count();
        let some = size > 0 && size < count;
        check(some, "segments of a coalition", size, "at least one, but not all")?;
        check(*weight > 0. && weight.is_finite(), "weight", weight, "a number above 0")?;
    }
    Ok(())
}

/// How small the least pivot of the regression may be, relative to the greatest.
const LEAST_PIVOT: f64 = 1e-10;

/// φ from v(S) - v(∅) of coalitions S. The last φ is `total` less the others: Σ_{i∈S} φ_i = [last ∈
/// S]·total + Σ_{i<last} ([i ∈ S] - [last ∈ S])·φ_i.
fn regression(
    coalitions: &[Coalition],
    gains: &[f64],
    total: f64,
    count: usize,
) -> Result<Vec<f64>> {
    let last = count - 1;
    if last == 0 {
        return Ok(vec![total]);
    }
    let is_kept = |row: usize, segment: usize| f64::from(u8::from(coalitions[row].kept[segment]));
    let rows = DMatrix::from_fn(coalitions.len(), last, |i, j| is_kept(i, j) - is_kept(i, last));
    let weighted =
        DMatrix::from_fn(coalitions.len(), last, |i, j| coalitions[i].weight * rows[(i, j)]);
    let y = DVector::from_fn(coalitions.len(), |i, _| gains[i] - is_kept(i, last) * total);
    let transposed = weighted.transpose();
    let too_few = Error::Degenerate(
        "the coalitions do not decide the Shapley value of every segment: take more samples, or \
         fewer segments",
    );
    let Some(cholesky) = (&transposed * rows).cholesky() else {
        return Err(too_few);
    };
    let pivots: Vec<f64> = cholesky.l().diagonal().iter().map(|pivot| pivot * pivot).collect();
    let greatest = pivots.iter().copied().fold(0f64, f64::max);
    if pivots.iter().any(|pivot| *pivot < LEAST_PIVOT * greatest) {
        return Err(too_few);
    }
    let mut values: Vec<f64> = cholesky.solve(&(transposed * y)).iter().copied().collect();
    values.push(total - values.iter().sum::<f64>());
    Ok(values)
}

/// All coalitions but none and all of the segments, of the weight π.
fn all_coalitions(count: usize) -> Vec<Coalition> {
    let of_bits = |bits: u64| {
        let kept: Vec<bool> = (0..count).map(|segment| (bits >> segment) & 1 == 1).collect();
        Coalition { weight: weight(bits.count_ones() as usize, count), kept }
    };
    (1..(1u64 << count) - 1).map(of_bits).collect()
}

/// π of a coalition of k of M segments.
fn weight(k: usize, count: usize) -> f64 {
    let (k, m) = (k as f64, count as f64);
    let mut subsets = 1.;
    let mut i = 1.;
    while i <= k {
        subsets *= (m - k + i) / i;
        i += 1.;
    }
    (m - 1.) / (subsets * k * (m - k))
}

/// Coalitions drawn as π says, each followed by its complement.
fn sampled_coalitions(options: &KernelShap, count: usize, input: usize) -> Vec<Coalition> {
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    rng.set_stream(input as u64);
    // π of all coalitions of k segments together, summed up from 1.
    let mut total = 0.;
    let sizes: Vec<f64> = (1..count)
        .map(|k| {
            total += 1. / (k * (count - k)) as f64;
            total
        })
        .collect();
    let mut coalitions = Vec::new();
    let mut order: Vec<usize> = (0..count).collect();
    for _ in 0..options.samples / 2 {
        let at = rng.random_range(0f64..total);
        let k = 1 + sizes.partition_point(|sum| *sum <= at).min(count - 2);
        order.shuffle(&mut rng);
        let mut kept = vec![false; count];
        order[..k].iter().for_each(|&segment| kept[segment] = true);
        let complement = kept.iter().map(|kept| !kept).collect();
        coalitions.push(Coalition { kept, weight: 1. });
        coalitions.push(Coalition { kept: complement, weight: 1. });
    }
    coalitions
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Coalitions of k of five segments have chances in proportion to 1/(k·(5 - k)): within five
    /// standard deviations. Every segment is in half of them.
    #[test]
    fn coalitions_are_drawn_as_the_kernel_says() {
        let (samples, count) = (8000, 5);
        let options = KernelShap { samples, seed: 3 };
        let drawn = sampled_coalitions(&options, count, 1);
        assert_eq!(drawn.len(), samples);
        let sum = 2. * (1. / 4. + 1. / 6.);
        for (k, share) in [(1, 0.25), (2, 1. / 6.), (3, 1. / 6.), (4, 0.25)] {
            let p: f64 = share / sum;
            let of_size = |c: &&Coalition| c.kept.iter().filter(|kept| **kept).count() == k;
            let found = drawn.iter().filter(of_size).count() as f64;
            // Only pairs are independent, hence the 2.
            let five = 5. * (2. * samples as f64 * p * (1. - p)).sqrt();
            assert!((found - samples as f64 * p).abs() < five, "{k}: {found}");
        }
        for segment in 0..count {
            // One of each pair.
            assert_eq!(drawn.iter().filter(|c| c.kept[segment]).count(), samples / 2);
        }
        assert_ne!(drawn, sampled_coalitions(&options, count, 2));
    }

    #[test]
    fn weights_of_the_kernel() {
        // (4 - 1)/(4·1·3), (4 - 1)/(6·2·2).
        let close = |a: f64, b: f64| (a - b).abs() < 1e-15;
        assert!(close(weight(1, 4), 0.25) && close(weight(2, 4), 0.125));
        assert!(close(weight(3, 4), 0.25));
        assert_eq!(all_coalitions(4).len(), 14);
        assert!(all_coalitions(1).is_empty());
    }
}
