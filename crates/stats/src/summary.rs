//! Mean, range and standard error of a list of numbers.

use std::collections::BTreeMap;

/// The mean; NaN of no values.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The lowest and the highest value. NaN values are ignored; both are NaN if nothing else is there.
pub fn range(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::NAN, f64::NAN), |(low, high), &v| (v.min(low), v.max(high)))
}

/// A mean with its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanWithError {
    /// The mean of the finite values.
    pub mean: f64,
    /// Over clusters of values. `None` of a single cluster, whose spread is not known.
    pub standard_error: Option<f64>,
    /// n, the number of finite values.
    pub count: usize,
}

/// Mean of the values that are finite, with a standard error over clusters of values that belong
/// together, such as several attributes of one face: √(G/(G - 1)·Σ_g (Σ_{i in g} (v_i - mean))²)/n
/// for G clusters (Liang & Zeger, 1986, of a mean). Where each value is a cluster of its own, it is
/// s/√n, with the [`standard_deviation`] s. `None` if no value is finite; no error of a single
/// cluster.
///
/// ```
/// use foresee_stats::mean_and_clustered_error;
///
/// // Two faces with two attributes each: deviations from the mean 2 add up to -2 and 2.
/// let values = [(1., "a"), (1., "a"), (3., "b"), (3., "b")];
/// let found = mean_and_clustered_error(&values).unwrap();
/// assert_eq!((found.mean, found.count), (2., 4));
/// assert_eq!(found.standard_error, Some(1.));
/// assert_eq!(mean_and_clustered_error(&values[..2]).unwrap().standard_error, None);
/// ```
pub fn mean_and_clustered_error<K: Ord>(values: &[(f64, K)]) -> Option<MeanWithError> {
    let finite: Vec<&(f64, K)> = values.iter().filter(|(value, _)| value.is_finite()).collect();
    let count = finite.len();
    if count == 0 {
        return None;
    }
    let mean = mean(&finite.iter().map(|(value, _)| *value).collect::<Vec<_>>());
    let mut sums: BTreeMap<&K, f64> = BTreeMap::new();
    finite.iter().for_each(|(value, cluster)| *sums.entry(cluster).or_default() += value - mean);
    let clusters = sums.len() as f64;
    let squares: f64 = sums.values().map(|sum| sum * sum).sum();
    let error = (clusters / (clusters - 1.) * squares).sqrt() / count as f64;
    Some(MeanWithError { mean, standard_error: (sums.len() > 1).then_some(error), count })
}

/// √(Σ (v - mean)²/(n - 1)); NaN for fewer than two values.
pub fn standard_deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return f64::NAN;
    }
    let mean = mean(values);
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_ranges_by_hand() {
        assert_eq!(standard_deviation(&[1., 2., 6.]), 7f64.sqrt());
        assert!(standard_deviation(&[1.]).is_nan() && standard_deviation(&[]).is_nan());
        assert_eq!(mean(&[1., 2., 6.]), 3.);
        assert!(mean(&[]).is_nan());
        assert_eq!(range(&[2., -1., 6.]), (-1., 6.));
        assert_eq!(range(&[f64::NAN, 2.]), (2., 2.));
        assert!(range(&[]).0.is_nan() && range(&[]).1.is_nan());
    }

    #[test]
    fn clusters_of_one_have_the_usual_error_of_the_finite_values() {
        let of = |values: &[f64]| {
            let clusters: Vec<(f64, usize)> = values.iter().copied().zip(0..).collect();
            mean_and_clustered_error(&clusters)
        };
        // Deviations -2, 0, 2: s² = 8/2 = 4, so s/√3 = 2/√3.
        let found = of(&[1., f64::NAN, 3., 5.]).unwrap();
        assert_eq!((found.mean, found.count), (3., 3));
        assert!((found.standard_error.unwrap() - 2. / 3f64.sqrt()).abs() < 1e-15);
        let one = MeanWithError { mean: 4., standard_error: None, count: 1 };
        assert_eq!(of(&[4., f64::INFINITY]), Some(one));
        assert_eq!(of(&[f64::NAN]), None);
    }
}
