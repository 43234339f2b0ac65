//! Intervals by resampling.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};
use crate::interval::{Interval, LEVEL, check_level};
use crate::student::half_width;

/// Percentile bootstrap (Efron, 1979) of a statistic of `n` exchangeable items, such as test
/// images. `statistic` is given n indices: for the estimate all of them, for each of the
/// `resamples` n that are drawn with replacement. The interval holds the middle `level` (such as
/// 0.95) of the resampled values. Equal seeds draw equal samples. Of a single item the spread is
/// not known, and the interval has no ends ([`Interval::point`]).
///
/// ```
/// use foresee_stats::bootstrap;
///
/// // 80 of 100 images are classified correctly.
/// let is_correct: Vec<f64> = (0..100).map(|i| if i < 80 { 1. } else { 0. }).collect();
/// let found = bootstrap(100, 1000, 0.95, 7, |drawn| {
///     drawn.iter().map(|&i| is_correct[i]).sum::<f64>() / drawn.len() as f64
/// })?;
/// assert_eq!(found.estimate, 0.8);
/// // The standard error is √(0.8·0.2/100) = 0.04, and 1.96 of them are 0.08.
/// assert!((found.low - 0.72).abs() < 0.025 && (found.high - 0.88).abs() < 0.025);
/// # Ok::<(), foresee_stats::Error>(())
/// ```
///
/// # Errors
/// If there are no items or no resamples, a value of the statistic is not finite, or the level is
/// no share.
pub fn bootstrap(
    n: usize,
    resamples: usize,
    level: f64,
    seed: u64,
    statistic: impl Fn(&[usize]) -> f64,
) -> Result<Interval> {
    check_level(level)?;
    if n == 0 || resamples == 0 {
        return Err(Error::Empty("bootstrap"));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn: Vec<usize> = (0..n).collect();
    let estimate = statistic(&drawn);
    if n == 1 && estimate.is_finite() {
        return Ok(Interval { level, ..Interval::point(estimate) });
    }
    let mut values: Vec<f64> = (0..resamples)
        .map(|_| {
            drawn.iter_mut().for_each(|i| *i = rng.random_range(0..n));
            statistic(&drawn)
        })
        .collect();
    if !estimate.is_finite() || values.iter().any(|v| !v.is_finite()) {
        return Err(Error::NotFinite("bootstrap"));
    }
    values.sort_by(f64::total_cmp);
    let quantile =
        |share: f64| values[((share * (resamples - 1) as f64).round() as usize).min(resamples - 1)];
    let (low, high) = (quantile((1. - level) / 2.), quantile((1. + level) / 2.));
    Ok(Interval { estimate, low, high, level })
}

/// Interval of a statistic that varies with two crossed factors: a few replicates and many items,
/// where every replicate meets every item, such as trainings from three seeds that are judged on
/// the same images. `counts` are the numbers of both, and `statistic` is given indices of both.
///
/// The interval reaches √(a² + b²) to each side of the estimate. a comes from the bootstrap of the
/// items with all replicates. b = t·s/√n comes from the statistic of each of the n replicates
/// alone: s is its standard deviation, and t Student's quantile for n - 1 degrees of freedom. (The
/// pigeonhole bootstrap, which draws the replicates anew as well, cannot reach beyond the outermost
/// replicate: with three of them its interval of 95 % covers the truth in 77 % of all cases.) With
/// a single replicate the interval is the bootstrap's alone, and says nothing of other replicates;
/// with a single item it has no ends.
///
/// ```
/// use foresee_stats::crossed_interval;
///
/// // The accuracies of three trainings on four images: only the trainings differ.
/// let values = [[0.80; 4], [0.82; 4], [0.84; 4]];
/// let found = crossed_interval([3, 4], 100, 0.95, 0, |seeds, images| {
///     seeds.iter().map(|&s| images.iter().map(|&i| values[s][i]).sum::<f64>()).sum::<f64>()
///         / (seeds.len() * images.len()) as f64
/// })?;
/// assert!((found.estimate - 0.82).abs() < 1e-12);
/// // s = 0.02, and t for 2 degrees of freedom is 4.303: t·s/√3 = 0.0497.
/// assert!((found.high - 0.82 - 0.0497).abs() < 1e-4);
/// # Ok::<(), foresee_stats::Error>(())
/// ```
///
/// # Errors
/// If there are no replicates, no items or no resamples, a value of the statistic is not finite, or
/// the level is no share.
pub fn crossed_interval(
    counts: [usize; 2],
    resamples: usize,
    level: f64,
    seed: u64,
    statistic: impl Fn(&[usize], &[usize]) -> f64,
) -> Result<Interval> {
    let [replicates, items] = counts.map(|n| (0..n).collect::<Vec<_>>());
    if replicates.is_empty() {
        return Err(Error::Empty("bootstrap"));
    }
    let by_items =
        bootstrap(items.len(), resamples, level, seed, |drawn| statistic(&replicates, drawn))?;
    if replicates.len() == 1 || items.len() == 1 {
        return Ok(by_items);
    }
    let each: Vec<f64> = replicates.iter().map(|&one| statistic(&[one], &items)).collect();
    let by_replicates = half_width(&each, level)?;
    let Interval { estimate, low, high, .. } = by_items;
    Ok(Interval {
        estimate,
        low: estimate - (estimate - low).max(0.).hypot(by_replicates),
        high: estimate + (high - estimate).max(0.).hypot(by_replicates),
        level,
    })
}

/// The interval of the middle 95 % ([`LEVEL`]) of the finite resampled values of a statistic, up to
/// `highest`, the most that it can be. Samples with repetitions are noisier than the full sample,
/// which biases some statistics: the interval is shifted by as much as the median of the values
/// lies off the estimate. It has no ends if most values are not defined.
///
/// ```
/// use foresee_stats::interval_of_resamples;
///
/// let values = (0..=1000).map(f64::from).collect();
/// // The median is 500, the estimate 490: everything is shifted by 10.
/// let found = interval_of_resamples(490., values, f64::INFINITY);
/// assert_eq!((found.low, found.high), (15., 965.));
/// ```
pub fn interval_of_resamples(estimate: f64, resampled: Vec<f64>, highest: f64) -> Interval {
    let drawn = resampled.len();
    let mut values: Vec<f64> = resampled.into_iter().filter(|v| v.is_finite()).collect();
    // Of few samples that are defined the spread is not known.
    if values.len() < 2 || 2 * values.len() < drawn || !estimate.is_finite() {
        return Interval::point(estimate);
    }
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[(share * (values.len() - 1) as f64).round() as usize];
    let bias = at(0.5) - estimate;
    Interval {
        estimate,
        low: at((1. - LEVEL) / 2.) - bias,
        high: (at((1. + LEVEL) / 2.) - bias).min(highest.max(estimate)),
        level: LEVEL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_hold_the_mean_as_often_as_they_say() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut held = 0;
        for trial in 0..200 {
            let sample: Vec<f64> = (0..60)
                .map(|_| (0..12).map(|_| rng.random_range(-0.5..0.5)).sum::<f64>())
                .collect();
            let mean = |drawn: &[usize]| {
                drawn.iter().map(|&i| sample[i]).sum::<f64>() / drawn.len() as f64
            };
            let interval = bootstrap(60, 400, 0.9, trial, mean).unwrap();
            assert!(interval.low <= interval.estimate && interval.estimate <= interval.high);
            held += usize::from(interval.low <= 0. && 0. <= interval.high);
        }
        assert!((165..=195).contains(&held), "{held} of 200");
        assert!(bootstrap(0, 10, 0.9, 0, |_| 0.).is_err());
        for level in [95., 1., 0., f64::NAN] {
            let refused = bootstrap(3, 10, level, 0, |_| 0.);
            assert!(matches!(refused, Err(Error::Parameter { .. })), "{level}");
        }
        let one = bootstrap(1, 10, 0.9, 0, |_| 2.).unwrap();
        assert!(one.estimate == 2. && one.low.is_nan() && one.high.is_nan());
        assert!(!one.excludes_zero());
        let crossed = crossed_interval([3, 1], 10, 0.9, 0, |seeds, _| seeds[0] as f64).unwrap();
        assert!(crossed.low.is_nan() && crossed.high.is_nan());
        assert!(bootstrap(3, 10, 0.9, 0, |_| f64::NAN).is_err());
    }

    /// Three trainings on the same images, of which either the trainings or the images differ more.
    #[test]
    fn crossed_intervals_hold_as_often_as_they_say_whatever_differs_more() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for (of_seeds, of_images) in [(1., 1.), (1., 0.1), (0.05, 1.)] {
            let mut held = 0;
            for trial in 0..200 {
                let mut normal =
                    |scale: f64| scale * (0..12).map(|_| rng.random_range(-0.5..0.5)).sum::<f64>();
                let seeds: Vec<f64> = (0..3).map(|_| normal(of_seeds)).collect();
                let images: Vec<f64> = (0..40).map(|_| normal(of_images)).collect();
                let values: Vec<Vec<f64>> = seeds
                    .iter()
                    .map(|s| images.iter().map(|i| s + i + normal(of_images)).collect())
                    .collect();
                let mean = |replicates: &[usize], items: &[usize]| {
                    replicates
                        .iter()
                        .map(|&s| items.iter().map(|&i| values[s][i]).sum::<f64>())
                        .sum::<f64>()
                        / (replicates.len() * items.len()) as f64
                };
                let interval = crossed_interval([3, 40], 200, 0.9, trial, mean).unwrap();
                held += usize::from(interval.low <= 0. && 0. <= interval.high);
            }
            assert!((168..=200).contains(&held), "{held} of 200 with {of_seeds} and {of_images}");
        }
        assert!(crossed_interval([0, 3], 10, 0.9, 0, |_, _| 0.).is_err());
    }
}
