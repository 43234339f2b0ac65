//! The paper's network in training: the forward and the backward pass of a step.

use candle_core::{Tensor, Var};

use super::of_heads::{OfHeads, loss_of_part};
use super::perturb::Perturbation;
use super::shared;
use super::shared_batch::SharedBatch;
use super::state::State;
use super::trainable::{Batch, Pass, SharedPass, Trainable};
use crate::config::{NetworkConfig, Readout, TrainConfig};
use crate::error::Result;
use crate::loss::check_labels;
use crate::network::Network;

impl Trainable for Network {
    type Config = NetworkConfig;
    type State = State;

    fn config(&self) -> &NetworkConfig {
        self.config()
    }

    fn tensors(&self) -> Vec<(String, &Var)> {
        self.tensors()
    }

    fn trainable(&self) -> Vec<(String, &Var)> {
        self.trainable()
    }

    fn deep_copy(&self) -> Result<Self> {
        self.deep_copy()
    }

    fn start(&self, config: &TrainConfig) -> Result<State> {
        State::new(self, config)
    }

    fn state_tensors(state: &State) -> Vec<(String, &Var)> {
        state.tensors()
    }

    fn restore(&self, state: &mut State) -> Result<()> {
        state.restore(self)
    }

    fn constrain(&self) -> Result<()> {
        if self.config().readout == Readout::Positive {
            let weight = &self.heads().readout_weight;
            weight.set(&weight.as_detached_tensor().relu()?)?;
        }
        Ok(())
    }

    fn rows(&self) -> Option<Vec<Vec<usize>>> {
        let rows = self.heads().rows();
        (!rows.is_all()).then(|| rows.kept().to_vec())
    }

    fn pass(
        &self,
        state: &mut State,
        batch: &Batch,
        config: &TrainConfig,
        step: usize,
    ) -> Result<Pass> {
        check_labels(batch.labels, step)?;
        let images = batch.images.dim(0)?;
        let channels = self.config().channels;
        let perturbation =
            Perturbation::draw(config, state.source(), step, 0..images, batch.images, channels)?;
        let noisy = perturbation.images(batch.images)?;
        let z = self.extractor().forward_train_channels_last(&noisy)?;
        let whole = |_: &[usize], mut parts: Vec<Tensor>| Ok(parts.swap_remove(0));
        let awake = state.look(self, &[&z], step, images, whole)?;
        let loss = loss_of_part(batch, images, config);
        let sleep = state.sleep.as_ref();
        let of_heads = OfHeads::new(self.heads(), sleep, &z, &perturbation, &loss)?
            .decorrelated(&z, config.decorrelate)?;
        let gradients = of_heads.with_gradients.backward()?;
        let OfHeads { output, loss, .. } = of_heads;
        let mask_mean = output.mask_means.mean_all()?;
        Ok(Pass { logits: output.logits, loss, mask_mean, gradients, awake })
    }

    fn can_be_shared(&self) -> bool {
        true
    }

    fn pass_of_ranks(
        &self,
        state: &mut State,
        batch: &Batch,
        shares: &SharedBatch,
        config: &TrainConfig,
        step: usize,
    ) -> Result<SharedPass> {
        check_labels(batch.labels, step)?;
        shared::pass(self, state, batch, shares, config, step)
    }

    fn first_not_finite(&self, batch: &Batch) -> Result<String> {
        self.first_not_finite(batch.images, batch.labels)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::backprop::GradStore;
    use candle_core::{DType, Device};

    use super::*;
    use crate::config::{Readout, Sparsity};
    use crate::loss::Loss;
    use crate::network::Output;
    use crate::train::Trainer;
    use crate::train::decorrelation::mean_squared_correlation;
    use crate::train::of_heads::pool_with_gradients;
    use crate::train::variation::total_variation;

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
        let channels = trainer.network.config().channels;
        let (config, source) = (&trainer.config, trainer.state.source());
        let perturbation = Perturbation::draw(config, source, 0, 0..3, images, channels)?;
        let images = &perturbation.images(images)?;
        let full = trainer.network.extractor().forward_train_channels_last(images)?;
        let z = perturbation.features(&full)?;
        let heads = trainer.network.heads();
        let mut pooled = heads.pool_channels_last(&z)?;
        if let Some(sleep) = &trainer.state.sleep {
            let waking = sleep.complete(sleep.waking(heads).pool_channels_last(&z)?)?;
            // No mask sleeps on images of which channels are left out.
            let (all, _) = perturbation.by_channels(3);
            let sleeps = (0..3).map(|image| f32::from(u8::from(all.contains(&image))));
            let sleeps = Tensor::from_iter(sleeps, &Device::Cpu)?.reshape((3, 1, 1))?;
            let either = |a: &Tensor, b: &Tensor| {
                a.broadcast_mul(&sleeps)? + b.broadcast_mul(&(1. - &sleeps)?)?
            };
            pooled.features = either(&waking.features, &pooled.features)?;
            pooled.masks = either(&waking.masks, &pooled.masks)?;
        }
        pooled.features = perturbation.means(&pooled.features)?;
        pooled.features = perturbation.under_curves(&pooled.features, &z)?;
        let output = Output::new(heads, pooled, z.dim(1)? * z.dim(2)?)?;
        let batch = Batch { images, labels, weights };
        let mut loss = loss_of_part(&batch, labels.dim(0)?, config).of(&output)?;
        let cost = (mean_squared_correlation(&full)? * config.decorrelate)?;
        let attribute = perturbation.one_of(heads.readout_weight.dim(0)?);
        let (all, some_left_out) = perturbation.by_channels(3);
        let waking = match &trainer.state.sleep {
            Some(sleep) => sleep.waking(heads),
            None => heads.clone(),
        };
        loss.total = (loss.total + cost)?;
        for (images, heads) in [(all, &waking), (some_left_out, heads)] {
            if images.is_empty() {
                continue;
            }
            let of_group = z.index_select(&Tensor::new(&images[..], z.device())?, 0)?;
            let share = config.variation * images.len() as f64 / 3.;
            let variation = total_variation(heads, &of_group, attribute)?;
            loss.total = (loss.total + (variation * share)?)?;
        }
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
        let network = Network::new(network, 9, &Device::Cpu).unwrap();
        // Some masks are shut, by as little as lets them sleep.
        let heads = network.heads();
        let shift: Vec<f32> =
            (0..heads.mask_bias.elem_count()).map(|i| if i % 3 == 0 { -7. } else { 0. }).collect();
        let shift = Tensor::from_vec(shift, heads.mask_bias.dims(), &Device::Cpu).unwrap();
        heads.mask_bias.set(&(heads.mask_bias.as_tensor() + shift).unwrap()).unwrap();
        let mut trainer = Trainer::new(network, config, 1).unwrap();
        // Rows that were shut at two looks sleep.
        for _ in 0..2 {
            trainer.pass(&images, &labels, weights).unwrap();
        }
        let pass = trainer.pass(&images, &labels, weights).unwrap();
        let Trainer { network: of, config, state, .. } = &trainer;
        if config.drop > 0. || config.drop_correlated > 0. {
            let channels = of.config().channels;
            let draw = Perturbation::draw(config, state.source(), 0, 0..3, &images, channels);
            let (all, some_left_out) = draw.unwrap().by_channels(3);
            assert!(!all.is_empty() && !some_left_out.is_empty(), "one group of images");
        }
        let (loss, gradients) = one_by_one(&trainer, &images, &labels, weights).unwrap();
        assert!(distance(&pass.loss.total, &loss.total) < 1e-5);
        for (name, var) in trainer.network.trainable() {
            let of = |store: &GradStore, var: &Var| store.get(var).expect("a gradient").clone();
            let off = distance(&of(&pass.gradients, var), &of(&gradients, var));
            assert!(off < 2e-4, "the gradient of {name} is off by {off}");
        }
        let asleep = pass.awake.map(|awake| trainer.network.heads().rows().count() - awake);
        assert_eq!(asleep.is_some_and(|asleep| asleep > 0), trainer.state.sleep.is_some());
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
        for sparsity in [Sparsity::Batch, Sparsity::Pixels, Sparsity::Group] {
            for (budget, sleep) in [(0., 0.), (0.2, 0.), (0.2, 0.01), (0.7, 0.)] {
                let (lambda, group) = (1e-2, sparsity == Sparsity::Group);
                let budget = if group { 0. } else { budget };
                let config = TrainConfig { sparsity, lambda, budget, sleep, ..Default::default() };
                check(small.clone(), config, 13);
            }
        }
        for sleep in [0., 0.01] {
            let of = |config: TrainConfig| check(small.clone(), config, 13);
            let usual = TrainConfig { sleep, ..Default::default() };
            of(TrainConfig { drop: 0.9, ..usual.clone() });
            of(TrainConfig { drop_correlated: 0.9, ..usual.clone() });
            of(TrainConfig { noise: 0.3, curve: 0.8, ..usual.clone() });
            of(TrainConfig { noise: 0.3, curve: 0.8, noise_detach: 0.7, ..usual.clone() });
            of(TrainConfig { drop: 0.9, curve: 0.8, decorrelate: 3., ..usual.clone() });
            of(TrainConfig { drop: 0.9, variation: 30., ..usual });
        }
        let mean = NetworkConfig { readout: Readout::Mean, ..small.clone() };
        check(mean, TrainConfig::default(), 9);
        for readout in [Readout::Sum, Readout::Signs] {
            check(NetworkConfig { readout, ..small.clone() }, TrainConfig::default(), 9);
        }
        let plain = NetworkConfig { attention: false, ..small.clone() };
        check(plain, TrainConfig::default(), 9);
        let wide = NetworkConfig { mask_kernel: 3, ..small };
        check(wide, TrainConfig::default(), 9);
    }

    /// Features of images with noise count for the heads as any. For the extractor it is as if
    /// these images cost nothing.
    #[test]
    fn images_with_noise_train_the_heads_alone_if_they_are_detached() {
        let small = NetworkConfig { attributes: 2, channels: 4, ..Default::default() };
        let (images, labels) = batch(6, 2, 9);
        let gradients = |noise_detach: f64, weights: Option<&[f32]>| {
            let network = Network::new(small.clone(), 9, &Device::Cpu).unwrap();
            let config = TrainConfig { noise: 0.3, noise_detach, lambda: 0., ..Default::default() };
            let mut trainer = Trainer::new(network, config, 1).unwrap();
            let store = trainer.pass(&images, &labels, weights).unwrap().gradients;
            let of = |(name, var): (String, &Var)| (name, store.get(var).unwrap().clone());
            let found: Vec<(String, Tensor)> =
                trainer.network.trainable().into_iter().map(of).collect();
            let source = trainer.state.source();
            let drawn = Perturbation::draw(&trainer.config, source, 0, 0..6, &images, 4).unwrap();
            let noise = (drawn.images(&images).unwrap() - &images).unwrap();
            let noise = noise.abs().unwrap().flatten_from(1).unwrap().sum(1).unwrap();
            let noise = noise.to_vec1::<f32>().unwrap();
            (found, noise.into_iter().map(|sum| f32::from(u8::from(sum == 0.))).collect())
        };
        let (detached, clean): (_, Vec<f32>) = gradients(1., None);
        assert!(clean.contains(&0.) && clean.contains(&1.), "{clean:?}");
        let (whole, _) = gradients(0., None);
        let (of_clean, _) = gradients(0., Some(&clean));
        for ((name, found), ((_, whole), (_, of_clean))) in
            detached.iter().zip(whole.iter().zip(&of_clean))
        {
            let in_heads = name.starts_with("heads.");
            let (expected, other) = if in_heads { (whole, of_clean) } else { (of_clean, whole) };
            assert!(distance(found, expected) < 1e-4, "{name}");
            // A convolution's bias does nothing before a batch norm.
            let does_nothing = name.ends_with("conv.bias");
            assert!(does_nothing || distance(found, other) > 1e-3, "{name}");
        }
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
            let batch = Batch { images: &z, labels, weights: None };
            let loss = loss_of_part(&batch, 1, &trainer.config);
            let config = TrainConfig::default();
            let source = trainer.state.source();
            let perturbation = Perturbation::draw(&config, source, 0, 0..1, &z, 4).unwrap();
            pool_with_gradients(&heads, None, &z, &perturbation, &loss).unwrap().is_some()
        };
        let labels = Tensor::zeros((1, 2), DType::F32, &Device::Cpu).unwrap();
        assert!(is_fused(32, &labels) && !is_fused(128, &labels));
        assert!(!is_fused(32, &labels.to_dtype(DType::F64).unwrap()));
        assert!(!is_fused(32, &labels.t().unwrap()));
    }
}
