//! The heads in training: their answers, the loss, and its gradients.

use candle_core::{DType, Tensor};
use foresee_kernels::channels_last::PooledWithGradients;

use super::decorrelation::mean_squared_correlation;
use super::perturb::Perturbation;
use super::sleep::Sleep;
use super::trainable::Batch;
use super::variation::total_variation;
use crate::config::TrainConfig;
use crate::error::Result;
use crate::heads::Heads;
use crate::loss::{Constants, Loss, LossGradient, LossOfPart};
use crate::network::Output;
use crate::penalty::MaskPenalty;

/// The loss of some images of a batch of `images`.
pub(super) fn loss_of_part<'a>(
    batch: &Batch<'a>,
    images: usize,
    config: &TrainConfig,
) -> LossOfPart<'a> {
    let Batch { labels, weights, .. } = *batch;
    LossOfPart { labels, weights, images, penalty: MaskPenalty::new(config) }
}

/// What the heads come to in training.
pub(super) struct OfHeads {
    pub output: Output,
    pub loss: Loss,
    /// A scalar whose gradients are those of the loss.
    pub with_gradients: Tensor,
}

impl OfHeads {
    /// On features z [B, H, W, C]. Masks sleep on images with all channels only: one that is shut
    /// there may open where channels are left out.
    pub fn new(
        heads: &Heads,
        sleep: Option<&Sleep>,
        z: &Tensor,
        perturbation: &Perturbation,
        loss: &LossOfPart,
    ) -> Result<Self> {
        let heads = &heads.unfrozen();
        let (all, some_left_out) = perturbation.by_channels(z.dim(0)?);
        let any_sleeps = sleep.is_some_and(|sleep| sleep.rows() != heads.rows());
        if !any_sleeps || some_left_out.is_empty() {
            return Self::of_group(heads, sleep, z, perturbation, loss);
        }
        if all.is_empty() {
            return Self::of_group(heads, None, z, perturbation, loss);
        }
        let of = |images: &[u32], sleep: Option<&Sleep>| -> Result<Self> {
            let indices = Tensor::new(images, z.device())?;
            let labels = loss.labels.index_select(&indices, 0)?;
            let weights: Option<Vec<f32>> =
                loss.weights.map(|all| images.iter().map(|&image| all[image as usize]).collect());
            let loss = LossOfPart { labels: &labels, weights: weights.as_deref(), ..*loss };
            let z = z.index_select(&indices, 0)?;
            Self::of_group(heads, sleep, &z, &perturbation.of(images)?, &loss)
        };
        let groups = (of(&all, sleep)?, of(&some_left_out, None)?);
        Self::in_order(groups, &[all, some_left_out].concat())
    }

    /// Puts two groups of images together in the order of the batch, in which they have these
    /// numbers, those of the first group first.
    fn in_order((first, second): (Self, Self), numbers: &[u32]) -> Result<Self> {
        let mut places: Vec<u32> = (0..numbers.len() as u32).collect();
        places.sort_by_key(|&place| numbers[place as usize]);
        let joined = |a: &Tensor, b: &Tensor| -> Result<Tensor> {
            Ok(Tensor::cat(&[a, b], 0)?.index_select(&Tensor::new(&places[..], a.device())?, 0)?)
        };
        Ok(Self {
            output: Output {
                logits: joined(&first.output.logits, &second.output.logits)?,
                mask_means: joined(&first.output.mask_means, &second.output.mask_means)?,
                pixels: first.output.pixels,
            },
            loss: Loss {
                total: (first.loss.total + second.loss.total)?,
                classification: (first.loss.classification + second.loss.classification)?,
                sparsity: (first.loss.sparsity + second.loss.sparsity)?,
            },
            with_gradients: (first.with_gradients + second.with_gradients)?,
        })
    }

    /// With the same rows on all images.
    fn of_group(
        heads: &Heads,
        sleep: Option<&Sleep>,
        z: &Tensor,
        perturbation: &Perturbation,
        loss: &LossOfPart,
    ) -> Result<Self> {
        let (_, h, w, _) = z.dims4()?;
        let z = &perturbation.features(z)?;
        let heads = match sleep {
            Some(sleep) => sleep.waking(heads),
            None => heads.clone(),
        };
        let fused = pool_with_gradients(&heads, sleep, z, perturbation, loss)?;
        let (pooled, of_heads) = match fused {
            Some(PooledWithGradients { pooled, gradients }) => (pooled, Some(gradients)),
            None => (heads.pool_channels_last(z)?, None),
        };
        let mut pooled = match sleep {
            Some(sleep) => sleep.complete(pooled)?,
            None => pooled,
        };
        pooled.features = perturbation.under_curves(&perturbation.means(&pooled.features)?, z)?;
        let output = Output::new(&heads, pooled, h * w)?;
        let variation = loss.penalty.variation * z.dim(0)? as f64 / loss.images as f64;
        let loss = loss.of(&output)?;
        let with_gradients = match of_heads {
            Some(of_heads) => (&loss.total + of_heads)?,
            None => loss.total.clone(),
        };
        let all = Self { output, loss, with_gradients };
        all.with_variation(&heads, z, perturbation, variation)
    }

    /// With what unsmooth masks cost ([`TrainConfig::variation`]), by those of one attribute.
    fn with_variation(
        mut self,
        heads: &Heads,
        z: &Tensor,
        perturbation: &Perturbation,
        cost: f64,
    ) -> Result<Self> {
        if cost > 0. {
            let attribute = perturbation.one_of(heads.readout_weight.dim(0)?);
            self.add((total_variation(heads, z, attribute)? * cost)?)?;
        }
        Ok(self)
    }

    /// Adds a cost, a scalar, to the loss; it is reported with the sparsity.
    fn add(&mut self, cost: Tensor) -> Result<()> {
        self.loss.total = (&self.loss.total + &cost)?;
        self.loss.sparsity = (&self.loss.sparsity + &cost)?;
        self.with_gradients = (&self.with_gradients + cost)?;
        Ok(())
    }

    /// With a share of what correlated channels cost ([`TrainConfig::decorrelate`]), for the
    /// features before anything is done to them.
    pub fn decorrelated(mut self, z: &Tensor, cost: f64) -> Result<Self> {
        if cost > 0. {
            self.add((mean_squared_correlation(z)? * cost)?)?;
        }
        Ok(self)
    }
}

/// The heads' means together with the gradients of the loss, if one operation computes both.
pub(super) fn pool_with_gradients(
    heads: &Heads,
    sleep: Option<&Sleep>,
    z: &Tensor,
    perturbation: &Perturbation,
    loss: &LossOfPart,
) -> Result<Option<PooledWithGradients>> {
    let labels = loss.labels;
    let (b, h, w, _) = z.dims4()?;
    let readout = heads.readout_weight.as_detached_tensor();
    let are_labels = labels.dtype() == DType::F32 && labels.dims() == [b, readout.dim(0)?];
    if !are_labels || !z.device().is_cpu() {
        return Ok(None);
    }
    // Sleeping rows add constants to the logits, and curves means of the features.
    let features = match sleep {
        Some(sleep) => sleep.features(),
        None => readout.zeros_like()?,
    };
    let features = perturbation.means(&features.unsqueeze(0)?)?;
    let features = perturbation.under_curves(&features, &z.detach())?;
    let bias = heads.readout_bias.as_detached_tensor();
    let offsets = features.broadcast_mul(&readout)?.sum(2)?.broadcast_add(&bias)?;
    let constants = Constants {
        offsets: &offsets.broadcast_as(labels.shape())?,
        slopes: perturbation.slopes(b),
        asleep: sleep.map_or(Ok(vec![]), |sleep| sleep.masks().sum(1)?.to_vec1())?,
    };
    heads.pool_with_loss(z, &LossGradient::new(&readout, constants, loss, h * w)?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::config::{NetworkConfig, TrainConfig};
    use crate::network::Network;
    use crate::train::perturb::Source;

    /// Of channel 0 the mask is sigmoid(5 - 20·z₁): shut, unless channel 1 is left out. Of channel
    /// 1 it is 1/2.
    fn heads() -> Result<Heads> {
        let config = NetworkConfig { attributes: 1, channels: 2, ..Default::default() };
        let heads = Network::new(config, 3, &Device::Cpu)?.heads().clone();
        let rows = Tensor::new(&[[0f32, -20.], [0., 0.]], &Device::Cpu)?;
        heads.mask_weight.set(&rows.reshape((2, 2, 1, 1))?)?;
        heads.mask_bias.set(&Tensor::new(&[5f32, 0.], &Device::Cpu)?)?;
        heads.readout_weight.set(&heads.readout_weight.ones_like()?)?;
        heads.readout_bias.set(&heads.readout_bias.zeros_like()?)?;
        Ok(heads)
    }

    /// Of two images, the second loses channel 1.
    fn perturbation(config: &TrainConfig) -> Result<Perturbation> {
        let images = Tensor::zeros((2, 3, 4, 4), DType::F32, &Device::Cpu)?;
        let source = |key| Source { key, order: Some(&[1, 0]) };
        for key in 0..100 {
            let found = Perturbation::draw(config, source(key), 0, 0..2, &images, 2)?;
            if found.by_channels(2) == (vec![0], vec![1]) {
                return Ok(found);
            }
        }
        unreachable!("every fourth draw is so");
    }

    #[test]
    fn a_mask_that_sleeps_on_whole_images_opens_where_channels_are_left_out() -> Result<()> {
        let (heads, config) =
            (heads()?, TrainConfig { drop_correlated: 0.5, lambda: 0., ..Default::default() });
        let z = Tensor::ones((2, 4, 4, 2), DType::F32, &Device::Cpu)?;
        let mut sleep = Sleep::new(&heads, 0.01)?;
        for _ in 0..2 {
            let seen = sleep.look(&heads, &z.permute((0, 3, 1, 2))?)?;
            sleep.settle(&heads, &seen, 2)?;
        }
        assert_eq!(sleep.rows().kept(), [[1]]);
        let labels = Tensor::ones((2, 1), DType::F32, &Device::Cpu)?;
        let batch = Batch { images: &z, labels: &labels, weights: None };
        let loss = loss_of_part(&batch, 2, &config);
        let perturbation = perturbation(&config)?;
        let found = OfHeads::new(&heads, Some(&sleep), &z, &perturbation, &loss)?;
        // The first image has 1/2 of channel 1, the second sigmoid(5) of channel 0.
        let expected = [0.5, 1. / (1. + (-5f32).exp())];
        let logits = found.output.logits.flatten_all()?.to_vec1::<f32>()?;
        for (logit, expected) in logits.iter().zip(expected) {
            assert!((logit - expected).abs() < 1e-3, "{logits:?}");
        }
        // The gradient of the bias is that of the second image: (p - 1)/2·M·(1 - M).
        let gradients = found.with_gradients.backward()?;
        let of_bias = gradients.get(&heads.mask_bias).expect("a gradient").to_vec1::<f32>()?;
        let (mask, p) = (expected[1], 1. / (1. + (-expected[1]).exp()));
        let by_hand = (p - 1.) / 2. * mask * (1. - mask);
        assert!((of_bias[0] - by_hand).abs() < 1e-5, "{} {by_hand}", of_bias[0]);
        Ok(())
    }
}
