//! Eq. 8 and Eq. 10.

use candle_core::{Result as CandleResult, Tensor};

use crate::config::{LossConfig, Sparsity};
use crate::error::Result;
use crate::network::Output;

/// Eq. 10 and its parts.
#[derive(Debug, Clone)]
pub struct Loss {
    /// L = L_b + λ‖M‖₁, a scalar.
    pub total: Tensor,
    /// L_b of Eq. 8.
    pub classification: Tensor,
    /// λ‖M‖₁.
    pub sparsity: Tensor,
}

/// Eq. 8: binary cross entropy summed over the attributes and averaged over the batch, from logits
/// x and labels y [B, K], as max(x, 0) - x·y + log(1 + exp(-|x|)), which is finite for every finite
/// x.
///
/// # Errors
/// If the shapes differ.
pub fn bce_with_logits(logits: &Tensor, labels: &Tensor) -> CandleResult<Tensor> {
    let each =
        ((logits.relu()? - (logits * labels)?)? + (logits.abs()?.neg()?.exp()? + 1.)?.log()?)?;
    each.sum_all()? / logits.dim(0)? as f64
}

/// Eq. 10 for a batch. Masks are positive, so ‖M‖₁ is their sum.
///
/// # Errors
/// If labels are not [B, K].
pub fn loss(output: &Output, labels: &Tensor, config: &LossConfig) -> Result<Loss> {
    let classification = bce_with_logits(&output.logits, labels)?;
    let norm = match config.sparsity {
        Sparsity::Sum => {
            (output.mask_means.sum_all()? * (output.pixels as f64 / output.logits.dim(0)? as f64))?
        }
        Sparsity::Mean => output.mask_means.mean_all()?,
    };
    let sparsity = (norm * config.lambda)?;
    Ok(Loss { total: (&classification + &sparsity)?, classification, sparsity })
}
