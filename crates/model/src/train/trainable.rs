//! What a network must be able to do so that it can be trained.

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::shared_batch::SharedBatch;
use crate::config::TrainConfig;
use crate::error::{Error, Result};
use crate::loss::Loss;

/// A network that a [`Trainer`](crate::Trainer) can train: [`Network`](crate::Network), or any
/// other with named variables and a loss.
///
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use foresee_model::{
///     Batch, Loss, Pass, Result, TrainConfig, Trainable, Trainer, bce_with_logits,
/// };
///
/// /// A logit that no image changes.
/// struct Constant(Var);
///
/// impl Trainable for Constant {
///     type Config = ();
///     type State = ();
///
///     fn config(&self) -> &() {
///         &()
///     }
///
///     fn tensors(&self) -> Vec<(String, &Var)> {
///         vec![("logit".into(), &self.0)]
///     }
///
///     fn trainable(&self) -> Vec<(String, &Var)> {
///         self.tensors()
///     }
///
///     fn deep_copy(&self) -> Result<Self> {
///         Ok(Self(Var::from_tensor(&self.0.copy()?)?))
///     }
///
///     fn start(&self, _: &TrainConfig) -> Result<()> {
///         Ok(())
///     }
///
///     fn pass(&self, _: &mut (), batch: &Batch, _: &TrainConfig, _: usize) -> Result<Pass> {
///         let logits = self.0.broadcast_as(batch.labels.shape())?;
///         let loss = Loss::of_classification(bce_with_logits(&logits, batch.labels)?)?;
///         Pass::of_loss(logits, loss)
///     }
///
///     fn first_not_finite(&self, _: &Batch) -> Result<String> {
///         Ok("the loss".into())
///     }
/// }
///
/// let settings = TrainConfig { epochs: 100, learning_rate: 0.1, ..Default::default() };
/// let logit = Constant(Var::new(&[[0f32]], &Device::Cpu)?);
/// let mut trainer = Trainer::new(logit, settings, 1)?;
/// let images = Tensor::new(&[[0f32]; 4], &Device::Cpu)?;
/// let labels = Tensor::new(&[[1f32], [1.], [1.], [0.]], &Device::Cpu)?;
/// while !trainer.is_done() {
///     trainer.step(&images, &labels)?;
/// }
/// // Three of four are positive: ln 3.
/// let logit = trainer.trained().0.flatten_all()?.to_vec1::<f32>()?[0];
/// assert!((logit - 3f32.ln()).abs() < 0.1, "{logit}");
/// # Ok::<(), foresee_model::Error>(())
/// ```
pub trait Trainable: Sized {
    /// The architecture, which a checkpoint records. A training goes on only from a checkpoint of
    /// an equal one.
    type Config: Serialize + DeserializeOwned + PartialEq;
    /// What a training keeps of the network besides its tensors; `()` if it keeps nothing.
    type State;

    /// The architecture.
    fn config(&self) -> &Self::Config;

    /// All tensors by name, running moments among them: those that a checkpoint holds and that the
    /// moving average follows. The names of running variances end with `running_var`.
    fn tensors(&self) -> Vec<(String, &Var)>;

    /// The tensors that training changes by gradient, by name.
    fn trainable(&self) -> Vec<(String, &Var)>;

    /// The same network in memory of its own.
    ///
    /// # Errors
    /// If candle fails.
    fn deep_copy(&self) -> Result<Self>;

    /// What is kept at the start of a training.
    ///
    /// # Errors
    /// If candle fails.
    fn start(&self, config: &TrainConfig) -> Result<Self::State>;

    /// The state's tensors by the names that they have in checkpoints.
    fn state_tensors(_state: &Self::State) -> Vec<(String, &Var)> {
        vec![]
    }

    /// Brings the rest of the state into line after [`state_tensors`](Self::state_tensors) were set
    /// to a checkpoint's.
    ///
    /// # Errors
    /// If the tensors are no state of this network.
    fn restore(&self, _state: &mut Self::State) -> Result<()> {
        Ok(())
    }

    /// For each attribute the channels that it has masks for, if a checkpoint must say so.
    fn rows(&self) -> Option<Vec<Vec<usize>>> {
        None
    }

    /// The forward and the backward pass of a step, from 0. It updates running moments, but no
    /// other tensor. What it draws at random depends on the network and the step's number only, so
    /// that a training that goes on from a checkpoint draws the same.
    ///
    /// # Errors
    /// If the batch does not fit the network.
    fn pass(
        &self,
        state: &mut Self::State,
        batch: &Batch,
        config: &TrainConfig,
        step: usize,
    ) -> Result<Pass>;

    /// Brings the weights back to what the architecture allows, after a step moved them.
    ///
    /// # Errors
    /// If candle fails.
    fn constrain(&self) -> Result<()> {
        Ok(())
    }

    /// Whether there is a [`pass_of_ranks`](Self::pass_of_ranks).
    fn can_be_shared(&self) -> bool {
        false
    }

    /// [`pass`](Self::pass) on a batch that ranks share; `batch` are this rank's images. A network
    /// that does not support this refuses it.
    ///
    /// # Errors
    /// As [`pass`](Self::pass), or if a rank has failed.
    fn pass_of_ranks(
        &self,
        _state: &mut Self::State,
        _batch: &Batch,
        _shared: &SharedBatch,
        _config: &TrainConfig,
        _step: usize,
    ) -> Result<SharedPass> {
        Err(Error::NotShared)
    }

    /// Which tensor of a step is the first, in the order of the computation, with a value that is
    /// not finite, for an error's message. It is called after a loss that is not finite.
    ///
    /// # Errors
    /// If the batch does not fit the network.
    fn first_not_finite(&self, batch: &Batch) -> Result<String>;
}

/// The images of a step.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// [B, 3, H, W], normalised.
    pub images: &'a Tensor,
    /// [B, K], 0 or 1.
    pub labels: &'a Tensor,
    /// How many times each image counts in the classification's part of the loss; `None`: once.
    pub weights: Option<&'a [f32]>,
}

/// What a pass computes.
#[derive(Debug)]
pub struct Pass {
    /// Logits [B, K]: those above 0 say yes.
    pub logits: Tensor,
    /// The loss and its parts.
    pub loss: Loss,
    /// The mean of all masks, a scalar.
    pub mask_mean: Tensor,
    /// The gradients of the loss.
    pub gradients: GradStore,
    /// How many rows are awake, if the pass looked ([`TrainConfig::sleep`]).
    pub awake: Option<usize>,
}

/// What a shared pass computes, of the whole batch.
#[derive(Debug)]
pub struct SharedPass {
    /// L of Eq. 10.
    pub loss: f32,
    /// L_b of Eq. 8.
    pub classification: f32,
    /// λ‖M‖₁.
    pub sparsity: f32,
    /// Share of the labels that were predicted correctly.
    pub accuracy: f32,
    /// The mean of all masks.
    pub mask_mean: f32,
    /// The gradients of the loss.
    pub gradients: GradStore,
    /// How many rows are awake, if the pass looked ([`TrainConfig::sleep`]).
    pub awake: Option<usize>,
}

impl Pass {
    /// The pass of a network without masks: gradients are those of the loss, and the mean of the
    /// masks is 0.
    ///
    /// # Errors
    /// If candle fails.
    pub fn of_loss(logits: Tensor, loss: Loss) -> Result<Self> {
        let mask_mean = loss.total.detach().zeros_like()?;
        let gradients = loss.total.backward()?;
        Ok(Self { logits, loss, mask_mean, gradients, awake: None })
    }
}
