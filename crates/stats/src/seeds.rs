//! Means over trainings from several seeds, with their intervals.

use crate::bootstrap::crossed_interval;
use crate::error::{Error, Result};
use crate::interval::{Interval, LEVEL};
use crate::student::student_interval;
use crate::summary::mean;

/// Resamples of a bootstrap, and permutations of a test, in the study of the paper's claims.
pub const RESAMPLES: usize = 2000;

/// Mean of one value per seed, with [`student_interval`] at [`LEVEL`]. This is the interval for
/// statistics whose images cannot be drawn anew. With fewer than two seeds the ends are NaN.
pub fn mean_over_seeds(seeds: &[f64]) -> Interval {
    student_interval(seeds, LEVEL).unwrap_or(Interval::point(mean(seeds)))
}

/// A mean over seeds and images.
#[derive(Debug, Clone, PartialEq)]
pub struct SeedMeans {
    /// The mean over all seeds and images.
    pub interval: Interval,
    /// The mean over images of each seed.
    pub seeds: Vec<f64>,
}

/// Mean of `values` `[seed][image]`, with [`crossed_interval`] of [`RESAMPLES`] resamples, whose
/// own seed is 0.
///
/// # Errors
/// If there are no seeds or no images, the numbers of images differ, or a mean is not finite.
pub fn mean_over_seeds_and_images(values: &[Vec<f64>], level: f64) -> Result<SeedMeans> {
    let images = values.first().map_or(0, Vec::len);
    if values.iter().any(|of_seed| of_seed.len() != images) {
        return Err(Error::DifferentImages);
    }
    let interval =
        crossed_interval([values.len(), images], RESAMPLES, level, 0, |seeds, drawn| {
            seeds.iter().map(|&s| drawn.iter().map(|&i| values[s][i]).sum::<f64>()).sum::<f64>()
                / (seeds.len() * drawn.len()) as f64
        })?;
    Ok(SeedMeans { interval, seeds: values.iter().map(|of_seed| mean(of_seed)).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Student's t for 2 degrees of freedom and 95 %, over √3.
    const HALF_WIDTH: f64 = 2.484_138;

    #[test]
    fn three_seeds_by_hand() {
        let interval = mean_over_seeds(&[1., 2., 3.]);
        assert_eq!((interval.estimate, interval.level), (2., LEVEL));
        assert!((interval.high - 2. - HALF_WIDTH).abs() < 1e-5, "{interval:?}");
        assert!((2. - interval.low - HALF_WIDTH).abs() < 1e-5, "{interval:?}");
    }

    #[test]
    fn one_seed_has_no_interval() {
        let interval = mean_over_seeds(&[4.]);
        assert!(interval.estimate == 4. && interval.low.is_nan() && interval.high.is_nan());
        assert!(mean_over_seeds(&[]).estimate.is_nan());
    }

    #[test]
    fn images_that_do_not_differ_leave_students_interval() {
        let values = [vec![1.; 4], vec![2.; 4], vec![3.; 4]];
        let found = mean_over_seeds_and_images(&values, LEVEL).unwrap();
        assert_eq!((found.interval.estimate, &found.seeds[..]), (2., &[1., 2., 3.][..]));
        assert!((found.interval.high - 2. - HALF_WIDTH).abs() < 1e-5, "{found:?}");
    }

    #[test]
    fn seeds_that_do_not_differ_leave_the_bootstrap() {
        // The mean of two images drawn from 0 and 1 is 0, 0.5 or 1, each extreme in a quarter.
        let found = mean_over_seeds_and_images(&[vec![0., 1.], vec![0., 1.]], LEVEL).unwrap();
        let Interval { estimate, low, high, .. } = found.interval;
        assert_eq!((estimate, low, high), (0.5, 0., 1.));
        assert_eq!(found.seeds, [0.5, 0.5]);
    }

    #[test]
    fn different_images_are_refused() {
        let values = [vec![1., 2.], vec![1.]];
        assert_eq!(mean_over_seeds_and_images(&values, LEVEL), Err(Error::DifferentImages));
        assert!(mean_over_seeds_and_images(&[], LEVEL).is_err());
    }
}
