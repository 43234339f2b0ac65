//! Standard deviation of a list.

use foresee_stats::mean;

/// With divisor n - 1.
pub(crate) fn standard_deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.)).sqrt()
}
