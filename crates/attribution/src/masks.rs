//! The paper's own attention masks as an attribution.

use candle_core::Tensor;

use crate::cam::cam;
use crate::error::{Error, Result, shape};
use crate::layers::{Layer, Layers, masks, run};
use crate::target::in_chunks;

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
        return shape(
            "the masks",
            masks.dims(),
            format!("{:?}, the features' shape [B, C, H, W],", features.dims()),
        );
    }
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
        let (narrow, _) = self.only(target)?;
        let [before @ .., gate, pool, last] = &narrow.steps[..] else {
            return Err(no_masks(self.steps.last().map_or("", |s| &s.name)));
        };
        let (
            Layer::Gate { weight, bias },
            Layer::GlobalAveragePool,
            Layer::Readout { weight: readout, .. },
        ) = (&gate.layer, &pool.layer, &last.layer)
        else {
            return Err(no_masks(&last.name));
        };
        if readout.dims()[0] != 1 {
            return Err(Error::Target { target, shape: vec![x.dim(0)?, readout.dims()[0]] });
        }
        in_chunks(x, self.batch, |x| {
            let z = run(before, x)?;
            mask_map(&masks(&z, weight, bias)?.squeeze(1)?, &z, &readout.get(0)?, weights)
        })
    }
}

fn no_masks(layer: &str) -> Error {
    let reason = "the model must end with `gate`, `global_average_pool` and `readout`".into();
    Error::Layer { method: "the map of masks", layer: layer.into(), reason }
}
