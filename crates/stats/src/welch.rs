//! Whether two lists of values have the same mean.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::error::{Error, Result};
use crate::rounding::is_rounding;
use crate::summary::{mean, standard_deviation};

/// The two-sided p-value of Welch's t-test: how often two samples of equal expectation, normal and
/// independent, have means as far apart as `a` and `b`. The spread of the two may differ.
///
/// t = (ā - b̄)/√(s_a²/n_a + s_b²/n_b), with the degrees of freedom of Welch and Satterthwaite.
///
/// ```
/// use foresee_stats::welch_test;
///
/// // s² = 2 of both, so t = -3/√2 with 2 degrees of freedom: p = 1 - |t|/√(2 + t²) = 1 - 3/√13.
/// let p = welch_test(&[0., 2.], &[3., 5.])?;
/// assert!((p - (1. - 3. / 13f64.sqrt())).abs() < 1e-9);
/// # Ok::<(), foresee_stats::Error>(())
/// ```
///
/// # Errors
/// If one has fewer than two values, a value is not finite, or neither varies but for
/// rounding.
pub fn welch_test(a: &[f64], b: &[f64]) -> Result<f64> {
    if a.len() < 2 || b.len() < 2 {
        return Err(Error::Empty("Welch's test"));
    }
    // Of a mean, squared, and the degrees of freedom that it is known by.
    let error = |values: &[f64]| {
        let n = values.len() as f64;
        let variance = standard_deviation(values).powi(2);
        let squares = values.iter().map(|v| v * v).sum();
        let is_constant = is_rounding(variance * (n - 1.), squares);
        (if is_constant { 0. } else { variance / n }, n - 1.)
    };
    let ((of_a, df_a), (of_b, df_b)) = (error(a), error(b));
    let variance = of_a + of_b;
    if !variance.is_finite() {
        return Err(Error::NotFinite("Welch's test"));
    }
    if variance == 0. {
        return Err(Error::Degenerate(
            "Welch's test has no p-value: neither of the two lists of values varies",
        ));
    }
    let t = (mean(a) - mean(b)) / variance.sqrt();
    // In shares, whose squares are not 0 where those of small variances are.
    let (of_a, of_b) = (of_a / variance, of_b / variance);
    let freedom = 1. / (of_a.powi(2) / df_a + of_b.powi(2) / df_b);
    let student = StudentsT::new(0., 1., freedom).map_err(|_| Error::NotFinite("Welch's test"))?;
    Ok((2. * student.cdf(-t.abs())).min(1.))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_degrees_of_freedom_by_hand() {
        // s² = 2 of both, t = -3/√2 with 2 degrees of freedom: p = 1 - |t|/√(2 + t²) = 1 - 3/√13.
        let p = welch_test(&[0., 2.], &[3., 5.]).unwrap();
        assert!((p - (1. - 3. / 13f64.sqrt())).abs() < 1e-9, "{p}");
        let equal = welch_test(&[0., 2.], &[1., 1.]).unwrap();
        assert!((equal - 1.).abs() < 1e-9, "{equal}");
    }

    /// `scipy.stats.ttest_ind([1, 2, 3], [2, 4, 6], equal_var=False)` of SciPy 1.17: 50/17 degrees
    /// of freedom.
    #[test]
    fn unequal_spreads_agree_with_scipy() {
        let p = welch_test(&[1., 2., 3.], &[2., 4., 6.]).unwrap();
        assert!((p - 0.220_880_840_494_095_93).abs() < 1e-9, "{p}");
        let small = |values: [f64; 3]| values.map(|v| v * 1e-120);
        let p_small = welch_test(&small([1., 2., 3.]), &small([2., 4., 6.])).unwrap();
        assert!((p_small - p).abs() < 1e-9, "{p_small}");
    }

    #[test]
    fn impossible_tests_are_refused() {
        assert!(matches!(welch_test(&[1.], &[1., 2.]), Err(Error::Empty(_))));
        assert!(matches!(welch_test(&[1., f64::NAN], &[1., 2.]), Err(Error::NotFinite(_))));
        assert!(matches!(welch_test(&[1., 1.], &[2., 2.]), Err(Error::Degenerate(_))));
    }
}
