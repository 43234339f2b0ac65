use crate::combine::{Combination, largest, mean};
use crate::product::dot;

/// Expected gradient length (Settles & Craven, 2008): how far a label is expected to move the
/// weights of the last layer.
///
/// The logit of output k is w_k·x + b_k, and the loss is the binary cross entropy. Its gradient
/// with respect to w_k is (p_k - y_k) x. y_k is 1 with probability p_k, so the expected length is
/// p_k (1 - p_k) ‖x‖ + (1 - p_k) p_k ‖x‖ = 2 p_k (1 - p_k) ‖x‖: no gradient has to be computed.
///
/// This is combined over the outputs by mean or maximum. The length of all outputs' gradients
/// together, E ‖p - y‖ ‖x‖, has no closed form: it is a sum over 2^K labels. Under
/// [`Combination::Joint`] the score is the root of its expected square, √(Σ p (1 - p)) ‖x‖, which
/// is never less (Jensen).
///
/// ```
/// use foresee_active::{Combination, expected_gradient};
///
/// // ‖x‖ = 5. Outputs of 1/2 and 1: 2·0.5·0.5·5 and 0.
/// let length = expected_gradient(&[0.5, 1.], &[3., 4.], Combination::Mean);
/// assert!((length - 1.25).abs() < 1e-12);
/// let joint = expected_gradient(&[0.5, 1.], &[3., 4.], Combination::Joint);
/// assert!((joint - 2.5).abs() < 1e-12);
/// ```
pub fn expected_gradient(probabilities: &[f32], features: &[f32], combination: Combination) -> f64 {
    let variances = || probabilities.iter().map(|&p| f64::from(p) * (1. - f64::from(p)));
    let of_outputs = match combination {
        Combination::Mean => 2. * mean(variances()),
        Combination::Max => 2. * largest(variances()),
        Combination::Joint => variances().sum::<f64>().sqrt(),
    };
    of_outputs * dot(features, features).sqrt()
}
