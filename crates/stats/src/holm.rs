//! Correction of p-values for many tests.

/// Holm's step-down correction (Holm, 1979): the corrected p-values, in the order of `p`. Rejecting
/// those that are at most α keeps the chance of a single false rejection at α, however the tests
/// depend on each other. Of m tests with p-values in ascending order, the i-th becomes the largest
/// of min(1, (m - j + 1)·p_j) over j ≤ i. A NaN is no test, and stays NaN.
///
/// ```
/// use foresee_stats::holm;
///
/// // In ascending order 4·0.005, 3·0.01, 2·0.03, and at last 0.04, which may not be smaller.
/// let found = holm(&[0.01, 0.04, 0.03, 0.005]);
/// let expected = [0.03, 0.06, 0.06, 0.02];
/// assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12));
/// ```
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).filter(|&i| !p[i].is_nan()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut corrected = vec![f64::NAN; p.len()];
    let mut highest = 0f64;
    for (at, &i) in order.iter().enumerate() {
        highest = highest.max((p[i] * (order.len() - at) as f64).min(1.));
        corrected[i] = highest;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R: `p.adjust(c(0.0001, 0.02, 0.8, 0.02, 0.011), "holm")`, worked by hand.
    #[test]
    fn five_tests_by_hand() {
        let found = holm(&[0.0001, 0.02, 0.8, 0.02, 0.011]);
        // 5·0.0001, 4·0.011 = 0.044, 3·0.02, then 2·0.02 raised to that, 0.8.
        let expected = [0.0005, 0.06, 0.8, 0.06, 0.044];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} and {expected}");
        }
    }

    #[test]
    fn what_is_no_test_does_not_count() {
        let found = holm(&[f64::NAN, 0.04, 0.9]);
        assert!(found[0].is_nan());
        assert_eq!(found[1..], [0.08, 0.9]);
        assert_eq!(holm(&[0.7, 0.6]), [1., 1.]);
        assert!(holm(&[]).is_empty());
    }
}
