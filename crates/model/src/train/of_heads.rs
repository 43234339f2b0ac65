//! The heads in training: their answers, the loss, and its gradients.

use candle_core::{DType, Tensor};
use foresee_kernels::channels_last::PooledWithGradients;

use super::sleep::Sleep;
use super::trainable::Batch;
use crate::config::TrainConfig;
use crate::error::Result;
use crate::heads::Heads;
use crate::loss::{Loss, LossGradient, LossOfPart};
use crate::network::Output;

/// The loss of some images of a batch of `images`.
pub(super) fn loss_of_part<'a>(
    batch: &Batch<'a>,
    images: usize,
    config: &TrainConfig,
) -> LossOfPart<'a> {
    let Batch { labels, weights, .. } = *batch;
    let TrainConfig { lambda, sparsity, .. } = *config;
    LossOfPart { labels, weights, images, lambda, sparsity }
}

/// What the heads come to in training.
pub(super) struct OfHeads {
    pub output: Output,
    pub loss: Loss,
    /// A scalar whose gradients are those of the loss.
    pub with_gradients: Tensor,
}

impl OfHeads {
    /// On features z [B, H, W, C].
    pub fn new(
        heads: &Heads,
        sleep: Option<&Sleep>,
        z: &Tensor,
        loss: &LossOfPart,
    ) -> Result<Self> {
        let (_, h, w, _) = z.dims4()?;
        let heads = heads.unfrozen();
        let heads = match sleep {
            Some(sleep) => sleep.waking(&heads),
            None => heads,
        };
        let fused = pool_with_gradients(&heads, sleep, z, loss)?;
        let (pooled, of_heads) = match fused {
            Some(PooledWithGradients { pooled, gradients }) => (pooled, Some(gradients)),
            None => (heads.pool_channels_last(z)?, None),
        };
        let pooled = match sleep {
            Some(sleep) => sleep.complete(pooled)?,
            None => pooled,
        };
        let output = Output::new(&heads, pooled, h * w)?;
        let loss = loss.of(&output)?;
        let with_gradients = match of_heads {
            Some(of_heads) => (&loss.total + of_heads)?,
            None => loss.total.clone(),
        };
        Ok(Self { output, loss, with_gradients })
    }
}

/// The heads' means together with the gradients of the loss, if one operation computes both.
pub(super) fn pool_with_gradients(
    heads: &Heads,
    sleep: Option<&Sleep>,
    z: &Tensor,
    loss: &LossOfPart,
) -> Result<Option<PooledWithGradients>> {
    let labels = loss.labels;
    let (b, h, w, _) = z.dims4()?;
    let readout = &heads.readout_weight;
    let are_labels = labels.dtype() == DType::F32 && labels.dims() == [b, readout.dim(0)?];
    if !are_labels || !z.device().is_cpu() {
        return Ok(None);
    }
    // Sleeping rows add constants to the logits.
    let offsets = match sleep {
        Some(sleep) => heads.read_out(&sleep.features().unsqueeze(0)?)?.squeeze(0)?,
        None => heads.readout_bias.as_detached_tensor(),
    };
    heads.pool_with_loss(z, &LossGradient::new(readout, &offsets, loss, h * w)?)
}
