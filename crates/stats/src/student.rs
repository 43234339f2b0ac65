//! Student's interval of the mean of a few values.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::error::{Error, Result};
use crate::interval::{Interval, check_level};
use crate::summary::mean;

/// Mean of n values with Student's interval: mean ± t·s/√n, where s is their standard deviation and
/// t the quantile of Student's distribution with n - 1 degrees of freedom at (1 + `level`)/2.
///
/// ```
/// use foresee_stats::student_interval;
///
/// // s = 1, and t for 2 degrees of freedom and 95 % is 4.3027: half the width is 4.3027/√3.
/// let found = student_interval(&[1., 2., 3.], 0.95)?;
/// assert!(found.estimate == 2. && (found.high - 2. - 2.4841).abs() < 1e-3);
/// # Ok::<(), foresee_stats::Error>(())
/// ```
///
/// # Errors
/// If there are fewer than two values, one is not finite, or the level is no share.
pub fn student_interval(values: &[f64], level: f64) -> Result<Interval> {
    let half = half_width(values, level)?;
    let estimate = mean(values);
    Ok(Interval { estimate, low: estimate - half, high: estimate + half, level })
}

/// t·s/√n, half the width of Student's interval.
pub(crate) fn half_width(values: &[f64], level: f64) -> Result<f64> {
    check_level(level)?;
    let n = values.len() as f64;
    let student = StudentsT::new(0., 1., n - 1.).map_err(|_| Error::Empty("Student's interval"))?;
    let mean = mean(values);
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.);
    if !variance.is_finite() {
        return Err(Error::NotFinite("Student's interval"));
    }
    Ok(student.inverse_cdf((1. + level) / 2.) * (variance / n).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_values_by_hand() {
        // s = 1, and t for 2 degrees of freedom and 95 % is 4.3027: half the width is 4.3027/√3.
        let interval = student_interval(&[-1., 0., 1.], 0.95).unwrap();
        assert!(interval.estimate == 0. && interval.level == 0.95);
        assert!((interval.high - 2.48414).abs() < 1e-4, "{interval:?}");
        assert_eq!(interval.low, -interval.high);
    }

    #[test]
    fn one_value_has_no_interval() {
        assert!(matches!(student_interval(&[1.], 0.95), Err(Error::Empty(_))));
        assert!(matches!(student_interval(&[], 0.95), Err(Error::Empty(_))));
        assert!(matches!(student_interval(&[1., f64::NAN], 0.95), Err(Error::NotFinite(_))));
        assert!(matches!(student_interval(&[1., 2.], 95.), Err(Error::Parameter { .. })));
    }
}
