//! The paper's own attention masks as an attribution.

use candle_core::Tensor;

use super::cam::cam;
use crate::error::{Error, Result};
use crate::layers::{Layer, Layers, forward_all, masks};
use crate::tensors::{check_float, check_like, in_batches};

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

impl Layers {
    /// [`mask_map`] of output `target` for a model that ends with [`gate`](Self::gate), global
    /// average pooling and [`readout`](Self::readout).
    ///
    /// # Errors
    /// If the model ends in another way, there is no such output, or x does not fit.
    pub fn mask_map(&self, x: &Tensor, target: usize, weights: MaskWeights) -> Result<Tensor> {
        let (narrow, _) = self.with_one_output(target)?;
        let [before @ .., gate, pool, last] = &narrow.sequence[..] else {
            return Err(no_masks(self.sequence.last().map_or("", |named| &named.name)));
        };
        let (
            Layer::Gate { weight, bias, rows },
            Layer::GlobalAveragePool,
            Layer::Readout { weight: readout, .. },
        ) = (&gate.layer, &pool.layer, &last.layer)
        else {
            return Err(no_masks(&last.name));
        };
        if readout.dims()[0] != 1 {
            return Err(Error::Target { target, shape: vec![x.dim(0)?, readout.dims()[0]] });
        }
        in_batches(x, self.batch, |x| {
            let z = forward_all(before, x)?;
            mask_map(&masks(&z, weight, bias, rows)?.squeeze(1)?, &z, &readout.get(0)?, weights)
        })
    }
}

fn no_masks(layer: &str) -> Error {
    let reason = "the model must end with `gate`, `global_average_pool` and `readout`".into();
    Error::Layer { method: "the map of masks", layer: layer.into(), reason }
}
