//! Eq. 8 and Eq. 10.

use candle_core::{Result as CandleResult, Tensor};

use crate::config::Sparsity;
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

/// Binary cross entropy with logits (Eq. 8), summed over the attributes and averaged over the
/// batch. For logits x and labels y, both [B, K], each element contributes
/// max(x, 0) - x·y + log(1 + exp(-|x|)), which is finite for every finite x.
///
/// # Errors
/// If the shapes differ.
pub fn bce_with_logits(logits: &Tensor, labels: &Tensor) -> CandleResult<Tensor> {
    let linear = (logits.relu()? - (logits * labels)?)?;
    let log = (logits.abs()?.neg()?.exp()? + 1.)?.log()?;
    (linear + log)?.sum_all()? / logits.dim(0)? as f64
}

/// The loss of a batch (Eq. 10): [`bce_with_logits`] plus λ‖M‖₁. Masks are positive, so ‖M‖₁ is
/// their sum.
///
/// # Errors
/// If labels are not [B, K].
pub fn loss(output: &Output, labels: &Tensor, lambda: f64, sparsity: Sparsity) -> Result<Loss> {
    let classification = bce_with_logits(&output.logits, labels)?;
    let norm = match sparsity {
        Sparsity::Sum => {
            let images = output.logits.dim(0)? as f64;
            (output.mask_means.sum_all()? * (output.pixels as f64 / images))?
        }
        Sparsity::Mean => output.mask_means.mean_all()?,
    };
    let sparsity = (norm * lambda)?;
    Ok(Loss { total: (&classification + &sparsity)?, classification, sparsity })
}
