//! Training: one optimizer step at a time, from the start or from a checkpoint.

mod checkpoint;
mod decorrelation;
mod of_heads;
mod pass;
mod perturb;
mod shared;
mod shared_batch;
mod sleep;
mod state;
mod trainable;
mod variation;

use candle_core::backprop::GradStore;
use candle_core::{DType, Result as CandleResult, Tensor};
use foresee_kernels::moving_average;
use foresee_ranks::Alone;
use serde::{Deserialize, Serialize};

pub use self::shared_batch::SharedBatch;
pub use self::trainable::{Batch, Pass, SharedPass, Trainable};
use crate::config::TrainConfig;
use crate::error::{Error, Result};
use crate::heads::MASK_WEIGHT;
use crate::network::Network;
use crate::optimizer::{AdamW, AdamWConfig};
use crate::schedule::one_cycle;
use crate::tensor::is_finite;

/// The progress of a training. Together with the seed it decides all that follows: every random
/// draw of an epoch depends on the seed and the epoch's number only, so that there is no other
/// generator state to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Position {
    /// The current epoch, from 0.
    pub epoch: usize,
    /// Batches of this epoch that are done.
    pub batch: usize,
    /// Steps of all epochs that are done.
    pub step: usize,
}

/// The results of a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// L of Eq. 10.
    pub loss: f32,
    /// L_b of Eq. 8.
    pub classification: f32,
    /// λ‖M‖₁, or another network's second term ([`Loss::sparsity`](crate::Loss::sparsity)).
    pub sparsity: f32,
    /// Share of the batch's labels that were predicted correctly before the step.
    pub accuracy: f32,
    /// Mean of all masks, 0 for a network without masks.
    pub mask_mean: f32,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// At a look ([`TrainConfig::sleep`]): how many rows of the heads are awake until the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awake: Option<usize>,
}

/// Trains a network: the paper's, or any other that is [`Trainable`].
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use foresee_model::{Network, NetworkConfig, TrainConfig, Trainer};
///
/// let config = NetworkConfig { attributes: 1, channels: 4, ..Default::default() };
/// let network = Network::new(config, 7, &Device::Cpu)?;
/// // 2 epochs of 1 batch.
/// let settings = TrainConfig { epochs: 2, ..Default::default() };
/// let mut trainer = Trainer::new(network, settings, 1)?;
/// let images = Tensor::randn(0f32, 1., (2, 3, 8, 8), &Device::Cpu)?;
/// let labels = Tensor::ones((2, 1), DType::F32, &Device::Cpu)?;
/// while !trainer.is_done() {
///     let report = trainer.step(&images, &labels)?;
///     assert!(report.loss > 0.);
/// }
/// assert_eq!((trainer.position().epoch, trainer.position().step), (2, 2));
/// # Ok::<(), foresee_model::Error>(())
/// ```
pub struct Trainer<N: Trainable = Network> {
    network: N,
    /// The moving average, if there is one.
    average: Option<N>,
    optimizer: AdamW,
    /// What is kept of the network besides its tensors.
    state: N::State,
    config: TrainConfig,
    /// Batches of an epoch.
    batches: usize,
    position: Position,
}

impl<N: Trainable> Trainer<N> {
    /// Starts the training of a network with `batches` batches an epoch.
    ///
    /// # Errors
    /// If the configuration is impossible, or there are no batches.
    pub fn new(network: N, config: TrainConfig, batches: usize) -> Result<Self> {
        config.check()?;
        if batches == 0 {
            return Err(Error::Config {
                key: "batches",
                value: "0".into(),
                expected: "an epoch has at least 1; are there fewer images than a batch has?",
            });
        }
        let mut optimizer = AdamW::new(
            network.trainable(),
            AdamWConfig { weight_decay: config.weight_decay, ..Default::default() },
        )?;
        optimizer.decay_more(MASK_WEIGHT, config.mask_decay);
        let average = (config.average > 0.).then(|| network.deep_copy()).transpose()?;
        let state = network.start(&config)?;
        let position = Position::default();
        Ok(Self { network, average, optimizer, state, config, batches, position })
    }

    /// The network with its current weights.
    pub fn network(&self) -> &N {
        &self.network
    }

    /// The result of the training: the network with the moving average of its weights if there is
    /// one, otherwise [`network`](Self::network).
    pub fn trained(&self) -> &N {
        self.average.as_ref().unwrap_or(&self.network)
    }

    /// The progress of the training.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The number of steps of the whole training.
    pub fn steps(&self) -> usize {
        self.config.epochs * self.batches
    }

    /// Whether all epochs are done.
    pub fn is_done(&self) -> bool {
        self.position.epoch >= self.config.epochs
    }

    /// One step on images [B, 3, H, W] and labels [B, K] from 0 to 1, which
    /// [`micro_batch`](TrainConfig::micro_batch) may cut.
    ///
    /// # Errors
    /// [`Error::Label`] if a label of an attribute lies outside of 0 to 1, and
    /// [`Error::NotFinite`] if the loss or a gradient is not finite. The weights then stay as they
    /// were, but running moments, and at a look the rows that sleep, can have changed.
    pub fn step(&mut self, images: &Tensor, labels: &Tensor) -> Result<StepReport> {
        self.step_weighted(images, labels, None)
    }

    /// A [`step`](Self::step) in which image i counts `weights[i]` times in L_b of Eq. 8; `None`:
    /// each counts once. λ‖M‖₁ is not weighted. A mean weight of 1 keeps the balance of the two.
    ///
    /// # Errors
    /// As [`step`](Self::step), and if there is not one weight for each image.
    pub fn step_weighted(
        &mut self,
        images: &Tensor,
        labels: &Tensor,
        weights: Option<&[f32]>,
    ) -> Result<StepReport> {
        let batch = Batch { images, labels, weights };
        let micro_batch = self.config.micro_batch_on(images.device());
        if micro_batch > 0 && self.network.can_be_shared() {
            return self
                .shared_step(&batch, &SharedBatch::new(&Alone, images.dim(0)?, micro_batch));
        }
        let pass = self.pass(images, labels, weights)?;
        let values = self.read_back(&pass, labels)?;
        if !values.loss.is_finite() {
            let tensor = self.network.first_not_finite(&batch)?;
            return Err(self.not_finite(tensor, values.loss));
        }
        self.finish(&pass.gradients, values, pass.awake)
    }

    /// A [`step`](Self::step) on a batch that ranks share: each gives its own images, and all of
    /// them come to the same weights and the same report. Their bits depend on the size of a
    /// micro-batch, and not on the number of ranks.
    ///
    /// # Errors
    /// As [`step`](Self::step), if a rank has failed, or if the network cannot be shared.
    pub fn step_of_ranks(
        &mut self,
        images: &Tensor,
        labels: &Tensor,
        shared: &SharedBatch,
    ) -> Result<StepReport> {
        self.shared_step(&Batch { images, labels, weights: None }, shared)
    }

    fn shared_step(&mut self, batch: &Batch, shared: &SharedBatch) -> Result<StepReport> {
        let (config, step) = (&self.config, self.position.step);
        let pass = self.network.pass_of_ranks(&mut self.state, batch, shared, config, step)?;
        let SharedPass { loss, classification, sparsity, accuracy, mask_mean, .. } = pass;
        let broken_gradient = self.broken_gradient(&pass.gradients)?;
        let values =
            ReadBack { loss, classification, sparsity, accuracy, mask_mean, broken_gradient };
        if !loss.is_finite() {
            // What is not finite can be in another rank's images.
            let tensor = match shared.shares().ranks().size() {
                1 => self.network.first_not_finite(batch)?,
                _ => "the loss".into(),
            };
            return Err(self.not_finite(tensor, loss));
        }
        self.finish(&pass.gradients, values, pass.awake)
    }

    /// Moves the weights, if all gradients are finite, and the position.
    fn finish(
        &mut self,
        gradients: &GradStore,
        values: ReadBack,
        awake: Option<usize>,
    ) -> Result<StepReport> {
        if let Some(name) = values.broken_gradient {
            return Err(self.not_finite(format!("the gradient of {name}"), values.loss));
        }
        let TrainConfig { learning_rate, warmup, .. } = self.config;
        let learning_rate = one_cycle(self.position.step, self.steps(), learning_rate, warmup);
        self.optimizer.step(gradients, learning_rate)?;
        self.network.constrain()?;
        self.position.step += 1;
        self.update_average()?;
        self.position.batch += 1;
        if self.position.batch == self.batches {
            self.position = Position { epoch: self.position.epoch + 1, batch: 0, ..self.position };
        }
        let ReadBack { loss, classification, sparsity, accuracy, mask_mean, .. } = values;
        Ok(StepReport { loss, classification, sparsity, accuracy, mask_mean, learning_rate, awake })
    }

    /// The forward and the backward pass of the next step.
    fn pass(&mut self, images: &Tensor, labels: &Tensor, weights: Option<&[f32]>) -> Result<Pass> {
        let batch = Batch { images, labels, weights };
        self.network.pass(&mut self.state, &batch, &self.config, self.position.step)
    }

    /// Reads all values of a step from the device at once: a GPU idles whenever it is waited for.
    fn read_back(&self, pass: &Pass, labels: &Tensor) -> Result<ReadBack> {
        let Pass { logits, loss, mask_mean, gradients, .. } = pass;
        let correct = logits.gt(0f64)?.eq(&labels.gt(0.5f64)?)?;
        let accuracy = correct.to_dtype(DType::F32)?.mean_all()?;
        let parts = [&loss.total, &loss.classification, &loss.sparsity, &accuracy, mask_mean];
        let mut scalars = parts.map(Tensor::clone).to_vec();
        // The sum of g·0 is NaN if a value of the gradient g is not finite.
        let trainable = self.network.trainable();
        let with_gradients = trainable
            .iter()
            .filter_map(|(name, var)| Some((name, gradients.get(var)?)))
            .collect::<Vec<_>>();
        let zeros = with_gradients.iter().map(|(_, g)| (g.detach() * 0.)?.sum_all());
        scalars.extend(zeros.collect::<CandleResult<Vec<_>>>()?);
        let detached: Vec<Tensor> = scalars.iter().map(Tensor::detach).collect();
        let values = Tensor::stack(&detached, 0)?.to_vec1::<f32>()?;
        let (&[loss, classification, sparsity, accuracy, mask_mean], zeros) =
            values.split_first_chunk().expect("five scalars and more");
        let broken = with_gradients.iter().zip(zeros).find(|(_, zero)| **zero != 0.);
        let broken_gradient = broken.map(|((name, _), _)| (*name).clone());
        Ok(ReadBack { loss, classification, sparsity, accuracy, mask_mean, broken_gradient })
    }

    /// The first tensor whose gradient has a value that is not finite.
    fn broken_gradient(&self, gradients: &GradStore) -> Result<Option<String>> {
        for (name, var) in self.network.trainable() {
            if let Some(gradient) = gradients.get(var)
                && !is_finite(gradient)?
            {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    fn not_finite(&self, tensor: String, loss: f32) -> Error {
        Error::NotFinite { step: self.position.step, tensor, loss }
    }

    /// Moves the average towards the weights. Its decay is smaller at the start, so that it soon
    /// forgets the initial weights.
    fn update_average(&self) -> Result<()> {
        let Some(average) = &self.average else { return Ok(()) };
        let step = self.position.step as f64;
        let decay = self.config.average.min((1. + step) / (10. + step));
        let pairs = average.tensors().into_iter().zip(self.network.tensors());
        for ((_, average), (_, value)) in pairs {
            moving_average(average, &value.as_detached_tensor(), decay)?;
        }
        Ok(())
    }
}

/// The values of a step that are read from the device.
struct ReadBack {
    loss: f32,
    classification: f32,
    sparsity: f32,
    accuracy: f32,
    mask_mean: f32,
    /// The first tensor whose gradient has a value that is not finite.
    broken_gradient: Option<String>,
}
