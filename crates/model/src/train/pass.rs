//! The forward and the backward pass of a step.

use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor};
use foresee_kernels::channels_last::PooledWithGradients;

use super::Trainer;
use super::sleep::Sleep;
use crate::config::TrainConfig;
use crate::error::Result;
use crate::heads::Heads;
use crate::loss::{Loss, LossGradient, weighted_loss};
use crate::network::Output;

/// What a pass computes.
pub(super) struct Pass {
    pub output: Output,
    pub loss: Loss,
    pub gradients: GradStore,
    /// How many rows are awake, if it looked.
    pub awake: Option<usize>,
}

impl Trainer {
    /// The pass on images [B, 3, H, W] and labels [B, K], with a weight for each image if they
    /// differ.
    pub(super) fn pass(
        &mut self,
        images: &Tensor,
        labels: &Tensor,
        weights: Option<&[f32]>,
    ) -> Result<Pass> {
        let z = self.network.extractor().forward_train_channels_last(images)?;
        let (_, h, w, _) = z.dims4()?;
        let awake = self.look(&z)?;
        let heads = self.network.heads().unfrozen();
        let heads = match &self.sleep {
            Some(sleep) => sleep.waking(&heads),
            None => heads,
        };
        let (pooled, of_heads) = match self.pool_with_gradients(&heads, &z, labels, weights)? {
            Some(PooledWithGradients { pooled, gradients }) => (pooled, Some(gradients)),
            None => (heads.pool_channels_last(&z)?, None),
        };
        let pooled = match &self.sleep {
            Some(sleep) => sleep.complete(pooled)?,
            None => pooled,
        };
        let output = Output::new(&heads, pooled, h * w)?;
        let TrainConfig { lambda, sparsity, .. } = self.config;
        let loss = weighted_loss(&output, labels, weights, lambda, sparsity)?;
        let gradients = match of_heads {
            Some(of_heads) => (&loss.total + of_heads)?.backward()?,
            None => loss.total.backward()?,
        };
        Ok(Pass { output, loss, gradients, awake })
    }

    /// Looks at sleeping rows where a step does so, on features z [B, H, W, C].
    fn look(&mut self, z: &Tensor) -> Result<Option<usize>> {
        match &mut self.sleep {
            Some(sleep) if Sleep::looks(self.position.step) => {
                sleep.look(self.network.heads(), &z.detach().permute((0, 3, 1, 2))?)?;
                Ok(Some(sleep.rows().count()))
            }
            _ => Ok(None),
        }
    }

    /// The heads' means together with the gradients of the loss, if one operation computes both.
    fn pool_with_gradients(
        &self,
        heads: &Heads,
        z: &Tensor,
        labels: &Tensor,
        weights: Option<&[f32]>,
    ) -> Result<Option<PooledWithGradients>> {
        let (b, h, w, _) = z.dims4()?;
        let readout = &heads.readout_weight;
        let are_labels = labels.dtype() == DType::F32 && labels.dims() == [b, readout.dim(0)?];
        if !are_labels || !z.device().is_cpu() {
            return Ok(None);
        }
        // Sleeping rows add constants to the logits.
        let offsets = match &self.sleep {
            Some(sleep) => heads.read_out(&sleep.features().unsqueeze(0)?)?.squeeze(0)?,
            None => heads.readout_bias.as_detached_tensor(),
        };
        let norm = (self.config.lambda, self.config.sparsity);
        let gradient = LossGradient::new(readout, &offsets, labels, h * w, norm)?;
        heads.pool_with_loss(z, &gradient.with_weights(weights))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::config::{NetworkConfig, Readout, Sparsity};
    use crate::network::Network;

    /// Random images of this size, and labels that alternate.
    fn batch(b: usize, k: usize, size: usize) -> (Tensor, Tensor) {
        let images = Tensor::randn(0f32, 1., (b, 3, size, size), &Device::Cpu).unwrap();
        let labels: Vec<f32> = (0..b * k).map(|i| (i % 2) as f32).collect();
        (images, Tensor::from_vec(labels, (b, k), &Device::Cpu).unwrap())
    }

    /// The pass as the operations one by one make it, with what sleeps now.
    fn one_by_one(
        trainer: &Trainer,
        images: &Tensor,
        labels: &Tensor,
        weights: Option<&[f32]>,
    ) -> Result<(Loss, GradStore)> {
        let z = trainer.network.extractor().forward_train_channels_last(images)?;
        let heads = trainer.network.heads();
        let pooled = match &trainer.sleep {
            Some(sleep) => sleep.complete(sleep.waking(heads).pool_channels_last(&z)?)?,
            None => heads.pool_channels_last(&z)?,
        };
        let output = Output::new(heads, pooled, z.dim(1)? * z.dim(2)?)?;
        let TrainConfig { lambda, sparsity, .. } = trainer.config;
        let loss = weighted_loss(&output, labels, weights, lambda, sparsity)?;
        let gradients = loss.total.backward()?;
        Ok((loss, gradients))
    }

    fn distance(a: &Tensor, b: &Tensor) -> f32 {
        let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let (a, b) = (values(a), values(b));
        let most = b.iter().fold(1e-2f32, |most, v| most.max(v.abs()));
        let off = a.iter().zip(&b).map(|(a, b)| (a - b).abs() / most);
        off.fold(0., |most: f32, v| if v > most || v.is_nan() { v } else { most })
    }

    /// Loss and all gradients of the pass against those of the operations one by one.
    fn check(network: NetworkConfig, config: TrainConfig, size: usize) {
        check_weighted(network.clone(), config.clone(), size, None);
        check_weighted(network, config, size, Some(&[0.5, 2., 0.25]));
    }

    fn check_weighted(
        network: NetworkConfig,
        config: TrainConfig,
        size: usize,
        weights: Option<&[f32]>,
    ) {
        let (images, labels) = batch(3, network.attributes, size);
        let network = Network::new(network, 7, &Device::Cpu).unwrap();
        // Some masks are shut.
        let heads = network.heads();
        let shift: Vec<f32> =
            (0..heads.mask_bias.elem_count()).map(|i| if i % 3 == 0 { -30. } else { 0. }).collect();
        let shift = Tensor::from_vec(shift, heads.mask_bias.dims(), &Device::Cpu).unwrap();
        heads.mask_bias.set(&(heads.mask_bias.as_tensor() + shift).unwrap()).unwrap();
        let mut trainer = Trainer::new(network, config, 1).unwrap();
        // Rows that were shut at two looks sleep.
        for _ in 0..2 {
            trainer.pass(&images, &labels, weights).unwrap();
        }
        let pass = trainer.pass(&images, &labels, weights).unwrap();
        let (loss, gradients) = one_by_one(&trainer, &images, &labels, weights).unwrap();
        assert!(distance(&pass.loss.total, &loss.total) < 1e-5);
        for (name, var) in trainer.network.trainable() {
            let of = |store: &GradStore, var: &Var| store.get(var).expect("a gradient").clone();
            let off = distance(&of(&pass.gradients, var), &of(&gradients, var));
            assert!(off < 2e-4, "the gradient of {name} is off by {off}");
        }
        let asleep = pass.awake.map(|awake| trainer.network.heads().rows().count() - awake);
        assert_eq!(asleep.is_some_and(|asleep| asleep > 0), trainer.sleep.is_some());
    }

    #[test]
    fn the_fused_pass_has_the_gradients_of_the_operations_one_by_one() {
        let small = NetworkConfig { attributes: 5, channels: 12, ..Default::default() };
        for sparsity in [Sparsity::Sum, Sparsity::Mean] {
            for sleep in [0., 0.01] {
                // λ as large as to matter.
                let lambda = if sparsity == Sparsity::Sum { 1e-3 } else { 1. };
                let config = TrainConfig { sparsity, lambda, sleep, ..Default::default() };
                check(small.clone(), config, 13);
            }
        }
        let mean = NetworkConfig { readout: Readout::Mean, ..small.clone() };
        check(mean, TrainConfig::default(), 9);
        let plain = NetworkConfig { attention: false, ..small.clone() };
        check(plain, TrainConfig::default(), 9);
        let wide = NetworkConfig { mask_kernel: 3, ..small };
        check(wide, TrainConfig::default(), 9);
    }

    /// Whether the two were really two ways.
    #[test]
    fn images_of_32_pixels_take_the_fused_way() {
        let config = NetworkConfig { attributes: 2, channels: 4, ..Default::default() };
        let network = Network::new(config, 7, &Device::Cpu).unwrap();
        let trainer = Trainer::new(network, TrainConfig::default(), 1).unwrap();
        let is_fused = |size: usize, labels: &Tensor| {
            let z = Tensor::zeros((1, size, size, 4), DType::F32, &Device::Cpu).unwrap();
            let heads = trainer.network.heads().unfrozen();
            trainer.pool_with_gradients(&heads, &z, labels, None).unwrap().is_some()
        };
        let labels = Tensor::zeros((1, 2), DType::F32, &Device::Cpu).unwrap();
        assert!(is_fused(32, &labels) && !is_fused(128, &labels));
        assert!(!is_fused(32, &labels.to_dtype(DType::F64).unwrap()));
        assert!(!is_fused(32, &labels.t().unwrap()));
    }
}
