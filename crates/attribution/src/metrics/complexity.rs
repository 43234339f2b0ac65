//! Complexity (Bhatt, Weller & Moura, 2020).

use candle_core::Tensor;

use super::magnitudes::magnitudes;
use crate::error::Result;

/// Complexity: the entropy -Σ p_i·ln p_i of the shares p_i = |φ_i|/Σ|φ_j| that the entries of each
/// input's attribution [B, ...] have, in nats. 0 if one entry has everything, ln d if all d are
/// equal; lower is simpler, which is better for two explanations that are equally right. `None` for
/// an attribution that is 0 everywhere, which has no shares.
///
/// All entries count: for pixels, sum the channels first ([`per_pixel`](crate::per_pixel)). Quantus
/// takes the logarithm of p + 1e-12, and has no number for negative values unless it is told to
/// take absolute ones.
///
/// # Errors
/// If the attribution is no batch of at least one entry each, or has a value that is not finite.
pub fn complexity(attribution: &Tensor) -> Result<Vec<Option<f64>>> {
    Ok(magnitudes(attribution)?.into_iter().map(|values| Some(entropy(&values?))).collect())
}

fn entropy(values: &[f64]) -> f64 {
    let sum: f64 = values.iter().sum();
    let shares = values.iter().map(|v| v / sum).filter(|p| *p > 0.);
    // Not the negative sum: of a single share that would be -0.
    0. - shares.map(|p| p * p.ln()).sum::<f64>()
}
