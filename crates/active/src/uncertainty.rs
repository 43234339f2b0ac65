//! Uncertainty sampling (Lewis & Gale, 1994): the items that the model is least sure of.
//!
//! For one yes/no output with probability p, all three scores are largest at p = 1/2 and fall to
//! both sides alike, so that they choose the same items. Over many outputs:
//!
//! * the margin of one output is 1 - 2·min(p, 1 - p), which is linear in its least confidence. So
//!   under [`Combination::Mean`] and [`Combination::Max`] least confidence and margin still choose
//!   the same items;
//! * entropy differs under [`Combination::Mean`]: it is not linear in the other two;
//! * under [`Combination::Joint`] all three differ.

use crate::combine::{Combination, largest, mean};

/// max(p, 1 - p), the probability of the likelier answer.
fn confidence(p: f32) -> f64 {
    let p = f64::from(p);
    p.max(1. - p)
}

/// 1 - max(p, 1 - p) of each output (Lewis & Gale, 1994). Under [`Combination::Joint`] it is
/// -Σ ln max(p, 1 - p), which ranks items as 1 - Π max(p, 1 - p) does.
///
/// ```
/// use foresee_active::{Combination, least_confidence};
///
/// let p = [0.75, 0.5];
/// assert_eq!(least_confidence(&p, Combination::Mean), 0.375);
/// assert_eq!(least_confidence(&p, Combination::Max), 0.5);
/// assert_eq!(least_confidence(&p, Combination::Joint), -(0.375f64).ln());
/// ```
pub fn least_confidence(probabilities: &[f32], combination: Combination) -> f64 {
    let each = || probabilities.iter().map(|&p| 1. - confidence(p));
    match combination {
        Combination::Mean => mean(each()),
        Combination::Max => largest(each()),
        Combination::Joint => minus_log_confidence(probabilities),
    }
}

/// -Σ ln max(p, 1 - p).
fn minus_log_confidence(probabilities: &[f32]) -> f64 {
    -probabilities.iter().map(|&p| confidence(p).ln()).sum::<f64>()
}

/// The smaller the difference between the two likeliest answers, the higher the score (Scheffer,
/// Decomain & Wrobel, 2001): -|2p - 1| of each output. Under [`Combination::Joint`] the second
/// likeliest of the 2^K classes flips the least certain output, so that the difference is
/// Π max(p, 1 - p) · (1 - r) with r the largest min(p, 1 - p) / max(p, 1 - p); the score is minus
/// its logarithm.
///
/// ```
/// use foresee_active::{Combination, margin};
///
/// let p = [0.75, 0.5];
/// assert_eq!(margin(&p, Combination::Mean), -0.25);
/// assert_eq!(margin(&p, Combination::Max), 0.);
/// // The likeliest classes have 0.9·0.6 and 0.9·0.4.
/// let joint = margin(&[0.9, 0.6], Combination::Joint);
/// assert!((joint + (0.54f64 - 0.36).ln()).abs() < 1e-6);
/// ```
pub fn margin(probabilities: &[f32], combination: Combination) -> f64 {
    let each = || probabilities.iter().map(|&p| 1. - 2. * confidence(p));
    match combination {
        Combination::Mean => mean(each()),
        Combination::Max => largest(each()),
        Combination::Joint => {
            let odds = probabilities.iter().map(|&p| (1. - confidence(p)) / confidence(p));
            minus_log_confidence(probabilities) - (1. - largest(odds)).ln()
        }
    }
}

/// -p ln p - (1 - p) ln(1 - p) of each output (Shannon; Settles, 2009, section 3.1). Under
/// [`Combination::Joint`] it is the sum: the entropy of independent outputs together. It ranks as
/// the mean does.
///
/// ```
/// use foresee_active::{Combination, entropy};
///
/// let ln2 = 2f64.ln();
/// assert!((entropy(&[0.5, 1.], Combination::Mean) - ln2 / 2.).abs() < 1e-12);
/// assert!((entropy(&[0.5, 1.], Combination::Max) - ln2).abs() < 1e-12);
/// assert!((entropy(&[0.5, 0.5], Combination::Joint) - 2. * ln2).abs() < 1e-12);
/// ```
pub fn entropy(probabilities: &[f32], combination: Combination) -> f64 {
    let each = || probabilities.iter().map(|&p| binary_entropy(f64::from(p)));
    match combination {
        Combination::Mean => mean(each()),
        Combination::Max => largest(each()),
        Combination::Joint => each().sum(),
    }
}

/// The entropy of a yes with this probability, in nats.
pub(crate) fn binary_entropy(p: f64) -> f64 {
    let part = |p: f64| if p > 0. { -p * p.ln() } else { 0. };
    part(p) + part(1. - p)
}
