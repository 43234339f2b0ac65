//! Probabilities from logits.

/// 1 / (1 + e^-x): the probability of a yes, from its logit.
///
/// ```
/// use foresee_stats::sigmoid;
///
/// assert_eq!(sigmoid(0.), 0.5);
/// assert!((sigmoid(3f64.ln()) - 0.75).abs() < 1e-15);
/// ```
pub fn sigmoid(logit: f64) -> f64 {
    1. / (1. + (-logit).exp())
}

/// e^x_k / Σ_j e^x_j: the probability of each of some classes, from their logits.
///
/// ```
/// use foresee_stats::softmax;
///
/// let p = softmax(&[1000., 1000. + 3f64.ln()]);
/// assert!((p[0] - 0.25).abs() < 1e-12 && (p[1] - 0.75).abs() < 1e-12);
/// ```
pub fn softmax(logits: &[f64]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|logit| (logit - max).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}
