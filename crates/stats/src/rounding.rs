//! What is a difference, and what is rounding?

/// A sum of squares up to this share of another is rounding: sizes of 1e-12, far above the 1e-16 of
/// one operation and far below a difference that anybody measured.
const SHARE: f64 = 1e-24;

/// Whether differences are so small beside the values that they come from rounding: Σ d² ≤ 1e-24·Σ
/// v², for `differences` Σ d² and `values` Σ v². Take for d the deviations of values from their
/// mean, and the question is whether they are constant; take the residuals of a fit, and it is
/// whether the fit is exact. The unit does not count. Zeros are rounding; NaN and infinite
/// differences are not.
///
/// ```
/// use foresee_stats::is_rounding;
///
/// // 0.1 + 0.2 and 0.3 differ in the last digit: their deviations from their mean are 2.8e-17.
/// let deviation = ((0.1 + 0.2) - 0.3) / 2.;
/// assert!(deviation != 0. && is_rounding(2. * deviation * deviation, 2. * 0.3 * 0.3));
/// // 1 and 2 deviate from 1.5 by 0.5.
/// assert!(!is_rounding(0.25 + 0.25, 1. + 4.));
/// ```
pub fn is_rounding(differences: f64, values: f64) -> bool {
    differences.is_finite() && differences <= SHARE * values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_values_in_any_unit() {
        for unit in [1e-9f64, 1., 1e9] {
            let squared = unit * unit;
            assert!(is_rounding(0.9e-24 * squared, squared), "{unit}");
            assert!(!is_rounding(1.1e-24 * squared, squared), "{unit}");
        }
        assert!(is_rounding(0., 0.) && is_rounding(0., 1.));
        assert!(!is_rounding(f64::MIN_POSITIVE, 0.));
        assert!(!is_rounding(f64::NAN, 1.) && !is_rounding(f64::INFINITY, f64::INFINITY));
    }
}
