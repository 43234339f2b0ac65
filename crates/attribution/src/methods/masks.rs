//! The paper's own attention masks as an attribution.

use candle_core::Tensor;

use super::cam::cam;
use crate::error::{Error, Result};
use crate::tensors::{check_float, check_like};

/// How the masks of all channels become one map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MaskWeights {
    /// mean_c M_c: where the attribute looks, whatever it then does with it.
    Mean,
    /// Σ_c w_c·M_c with the readout's weights: for (above 0) and against.
    Readout,
    /// Σ_c w_c·M_c·z_c: what each pixel adds to the logit. The mean over the pixels is f(x) without
    /// the readout's bias.
    #[default]
    Contribution,
}

/// One attribute's masks M [B, C, H, W] over features z [B, C, H, W] that are read out by w `[C]`,
/// as a map [B, H, W].
///
/// # Errors
/// If the shapes do not fit each other.
pub fn mask_map(
    masks: &Tensor,
    features: &Tensor,
    readout: &Tensor,
    weights: MaskWeights,
) -> Result<Tensor> {
    if masks.dims() != features.dims() || masks.rank() != 4 {
        let expected = format!("{:?}, the features' shape [B, C, H, W],", features.dims());
        return Err(Error::shape("the masks", masks.dims(), expected));
    }
    check_float("the masks", masks)?;
    check_like("the features", features, masks)?;
    match weights {
        MaskWeights::Mean => Ok(masks.mean(1)?),
        MaskWeights::Readout => cam(masks, readout),
        MaskWeights::Contribution => cam(&(masks * features)?, readout),
    }
}
