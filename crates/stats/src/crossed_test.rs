//! A test of a mean that varies with images and with seeds.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use crate::summary::mean;

/// The smallest p-value that is told: quantiles further out are not exact.
const SMALLEST: f64 = 1e-12;

/// Two-sided p-value of an estimate with errors of two kinds, as [`crossed_interval`] adds them: p
/// at which √((z·a)² + (t·b)²) is |estimate|, where a is the standard error over images, with
/// quantile z of the normal distribution, and b that over seeds, with quantile t of Student's for
/// so many degrees of freedom. It is 1e-12 at least. Without degrees of freedom b does not count.
///
/// ```
/// use foresee_stats::crossed_test;
///
/// // Without seeds, 1.96 standard errors are 5 %.
/// assert!((crossed_test(1.96, 1., 0., 0.) - 0.05).abs() < 1e-4);
/// // Without images, Student's t for 2 degrees of freedom: p = 1 - |t|/√(2 + t²).
/// assert!((crossed_test(3., 0., 1., 2.) - (1. - 3. / 11f64.sqrt())).abs() < 1e-6);
/// ```
///
/// [`crossed_interval`]: crate::crossed_interval
pub fn crossed_test(estimate: f64, images: f64, seeds: f64, freedom: f64) -> f64 {
    let is_unknown = [estimate, images, seeds].iter().any(|value| value.is_nan());
    let (Ok(normal), false) = (Normal::new(0., 1.), is_unknown) else { return f64::NAN };
    if estimate == 0. {
        return 1.;
    }
    let student = StudentsT::new(0., 1., freedom).ok();
    let reach = |p: f64| {
        let of_images = images * normal.inverse_cdf(p / 2.);
        let of_seeds = student.as_ref().map_or(0., |t| seeds * t.inverse_cdf(p / 2.));
        of_images.hypot(of_seeds)
    };
    // The reach falls as p grows. In logarithms, so that small p-values are exact too.
    let (mut low, mut high) = (SMALLEST.ln(), 0.);
    for _ in 0..60 {
        let middle = (low + high) / 2.;
        if reach(f64::exp(middle)) > estimate.abs() { low = middle } else { high = middle }
    }
    if reach(SMALLEST) <= estimate.abs() { SMALLEST } else { high.exp() }
}

/// Standard deviation of values in several groups about the mean of their group, where it is taken
/// to be the same in all, and its degrees of freedom: √(Σ (v - mean)²/f) with f = Σ (n - 1). NaN
/// without degrees of freedom.
///
/// ```
/// use foresee_stats::pooled_deviation;
///
/// // Squares 2 and 8 about 1 and 12, with a degree of freedom each.
/// assert_eq!(pooled_deviation(&[vec![0., 2.], vec![10., 14.]]), (5f64.sqrt(), 2.));
/// ```
pub fn pooled_deviation(groups: &[Vec<f64>]) -> (f64, f64) {
    let (mut squares, mut freedom) = (0., 0.);
    for group in groups.iter().filter(|group| group.len() > 1) {
        let mean = mean(group);
        squares += group.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
        freedom += (group.len() - 1) as f64;
    }
    ((squares / freedom).sqrt(), freedom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crossed_interval;

    #[test]
    fn far_tails_are_exact() {
        // Two degrees of freedom have a closed form: 1 - p = t/√(2 + t²).
        for t in [0.1f64, 1., 10., 100., 1000.] {
            let p = 2. / ((2. + t * t).sqrt() * ((2. + t * t).sqrt() + t));
            let found = crossed_test(t, 0., 1., 2.);
            assert!((found / p - 1.).abs() < 1e-3, "{t}: {found} and {p}");
        }
        // 5 standard errors: 5.733e-7 (the five σ of physics).
        assert!((crossed_test(-5., 1., 0., 0.) / 5.733e-7 - 1.).abs() < 1e-3);
        assert_eq!(crossed_test(50., 1., 0., 0.), SMALLEST);
        assert_eq!(crossed_test(0., 0., 0., 2.), 1.);
        assert_eq!(crossed_test(0., 1., 1., 2.), 1.);
        assert!(crossed_test(f64::NAN, 1., 1., 2.).is_nan());
        assert!(crossed_test(1., f64::NAN, 1., 2.).is_nan());
    }

    /// Where the interval of some level ends at 0, p is what the level leaves.
    #[test]
    fn it_is_the_test_of_the_crossed_interval() {
        let (seeds, images) = ([0.5, 0.9, 1.3], [0.2, -0.2, 0.1, -0.1]);
        let mean = |s: &[usize], i: &[usize]| {
            s.iter().map(|&s| seeds[s]).sum::<f64>() / s.len() as f64
                + i.iter().map(|&i| images[i]).sum::<f64>() / i.len() as f64
        };
        let found = crossed_interval([3, 4], 20_000, 0.95, 0, mean).expect("an interval");
        let of_images = (images.iter().map(|v| v * v).sum::<f64>() / 4. / 4.).sqrt();
        let of_seeds = 0.4 / 3f64.sqrt();
        let p = crossed_test(found.high - found.estimate, of_images, of_seeds, 2.);
        assert!((p - 0.05).abs() < 2e-3, "{p}");
    }

    #[test]
    fn groups_of_one_tell_nothing() {
        assert_eq!(pooled_deviation(&[vec![1.], vec![0., 2.]]), (2f64.sqrt(), 1.));
        assert!(pooled_deviation(&[vec![1.]]).0.is_nan());
    }
}
