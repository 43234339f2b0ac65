//! Training, from the start or from a checkpoint.

use std::path::Path;

use candle_core::{DType, Result as CandleResult, Tensor, Var};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::{NetworkConfig, TrainConfig};
use crate::error::{Error, Result};
use crate::file;
use crate::loss::loss;
use crate::network::Network;
use crate::ops;
use crate::optimizer::{AdamW, AdamWConfig};
use crate::schedule::one_cycle;

/// How far training is. Together with the seed it decides everything still to come: every random
/// draw of an epoch is made from the seed and the epoch's number, so that there is no other
/// generator state to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Position {
    /// The epoch under way, from 0.
    pub epoch: usize,
    /// Batches of it that are done.
    pub batch: usize,
    /// Steps made in all.
    pub step: usize,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// L of Eq. 10.
    pub loss: f32,
    /// L_b of Eq. 8.
    pub classification: f32,
    /// λ‖M‖₁.
    pub sparsity: f32,
    /// Share of the batch's labels predicted rightly before the step.
    pub accuracy: f32,
    /// Mean of all masks.
    pub mask_mean: f32,
    /// Learning rate of the step.
    pub learning_rate: f64,
}

/// A network in training.
pub struct Trainer {
    network: Network,
    /// The moving average, if there is one.
    average: Option<Network>,
    optimizer: AdamW,
    config: TrainConfig,
    batches: usize,
    position: Position,
}

/// Before the names of the moving average's tensors in a checkpoint.
const AVERAGE: &str = "average.";

/// What a checkpoint says besides its tensors.
#[derive(Clone, Serialize, Deserialize)]
struct CheckpointCard {
    network: NetworkConfig,
    train: TrainConfig,
    batches: usize,
    position: Position,
    /// Of all tensors: safetensors itself would not notice a changed bit.
    sha256: String,
}

/// SHA-256 of names and values, in the order of the names.
fn digest<'a>(tensors: impl Iterator<Item = (&'a String, &'a Tensor)>) -> Result<String> {
    let mut sorted: Vec<_> = tensors.collect();
    sorted.sort_by_key(|(name, _)| *name);
    let mut hash = Sha256::new();
    for (name, tensor) in sorted {
        hash.update(name);
        tensor
            .flatten_all()?
            .to_vec1::<f32>()?
            .iter()
            .for_each(|value| hash.update(value.to_le_bytes()));
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Trainer {
    /// Starts to train a network, `batches` a pass over the data.
    ///
    /// # Errors
    /// If the configuration is impossible.
    pub fn new(network: Network, config: TrainConfig, batches: usize) -> Result<Self> {
        config.check()?;
        let optimizer = AdamW::new(
            network.trainable(),
            AdamWConfig { weight_decay: config.weight_decay, ..Default::default() },
        )?;
        let average = (config.average > 0.).then(|| network.copied()).transpose()?;
        Ok(Self { network, average, optimizer, config, batches, position: Position::default() })
    }

    /// The network as it is now.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// What training has come to: the moving average of the weights if there is one, else
    /// [`network`](Self::network).
    pub fn trained(&self) -> &Network {
        self.average.as_ref().unwrap_or(&self.network)
    }

    /// How far training is.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Steps of the whole training.
    pub fn steps(&self) -> usize {
        self.config.epochs * self.batches
    }

    /// Whether all epochs are done.
    pub fn is_done(&self) -> bool {
        self.position.epoch >= self.config.epochs
    }

    /// One step on images [B, 3, H, W] and labels [B, K].
    ///
    /// # Errors
    /// [`Error::NotFinite`] if the loss or a gradient is not; the weights then stay as they were
    /// (running moments may not).
    pub fn step(&mut self, images: &Tensor, labels: &Tensor) -> Result<StepReport> {
        let output = self.network.forward_train(images)?;
        let loss = loss(&output, labels, &self.config.loss)?;
        let gradients = loss.total.backward()?;
        let trainable = self.network.trainable();
        let right =
            output.logits.gt(0f64)?.eq(&labels.gt(0.5f64)?)?.to_dtype(DType::F32)?.mean_all()?;
        // Everything is read at once: a GPU stands still whenever it is waited for.
        let mut scalars = vec![
            loss.total,
            loss.classification,
            loss.sparsity,
            right,
            output.mask_means.mean_all()?,
        ];
        // A gradient's sum of g·0 is NaN if one of its values is not finite.
        let zeros = trainable
            .iter()
            .filter_map(|(_, var)| gradients.get(var))
            .map(|g| (g.detach() * 0.)?.sum_all());
        scalars.extend(zeros.collect::<CandleResult<Vec<_>>>()?);
        let read = Tensor::stack(&scalars.iter().map(Tensor::detach).collect::<Vec<_>>(), 0)?
            .to_vec1::<f32>()?;
        let (&[total, classification, sparsity, accuracy, mask_mean], zeros) =
            read.split_first_chunk().expect("five scalars and more");
        if !total.is_finite() {
            return Err(self.not_finite(self.network.first_not_finite(images, labels)?, total));
        }
        let names =
            trainable.iter().filter(|(_, var)| gradients.get(var).is_some()).map(|(name, _)| name);
        if let Some((name, _)) = names.zip(zeros).find(|(_, zero)| **zero != 0.) {
            return Err(self.not_finite(format!("the gradient of {name}"), total));
        }
        let learning_rate = one_cycle(
            self.position.step,
            self.steps(),
            self.config.learning_rate,
            self.config.warmup,
        );
        self.optimizer.step(&gradients, learning_rate)?;
        self.position.step += 1;
        self.follow()?;
        self.position.batch += 1;
        if self.position.batch == self.batches {
            self.position = Position { epoch: self.position.epoch + 1, batch: 0, ..self.position };
        }
        Ok(StepReport { loss: total, classification, sparsity, accuracy, mask_mean, learning_rate })
    }

    fn not_finite(&self, tensor: String, loss: f32) -> Error {
        Error::NotFinite { step: self.position.step, tensor, loss }
    }

    /// The average follows the weights. At the start it forgets faster, so that the initial weights
    /// have no part in it for long.
    fn follow(&self) -> Result<()> {
        let Some(average) = &self.average else { return Ok(()) };
        let step = self.position.step as f64;
        let decay = self.config.average.min((1. + step) / (10. + step));
        for ((_, average), (_, value)) in average.tensors().into_iter().zip(self.network.tensors())
        {
            ops::moving_average(average, &value.as_detached_tensor(), decay)?;
        }
        Ok(())
    }

    /// Writes weights, running moments, optimizer state and position. The file appears only when it
    /// is complete.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save_checkpoint(&self, path: &Path) -> Result<()> {
        let weights =
            self.network.tensors().into_iter().map(|(name, var)| (name, var.as_detached_tensor()));
        let average = self
            .average
            .iter()
            .flat_map(Network::tensors)
            .map(|(name, var)| (format!("{AVERAGE}{name}"), var.as_detached_tensor()));
        let tensors: Vec<_> = weights.chain(average).chain(self.optimizer.state()).collect();
        let card = CheckpointCard {
            network: self.network.config().clone(),
            train: self.config.clone(),
            batches: self.batches,
            position: self.position,
            sha256: digest(tensors.iter().map(|(name, tensor)| (name, tensor)))?,
        };
        file::write(path, tensors, &card)
    }

    /// Goes on from a checkpoint, which must have been made with the same configuration.
    ///
    /// # Errors
    /// If the file cannot be read or belongs to another configuration; the trainer then stays as it
    /// was, as far as its position tells.
    pub fn resume(&mut self, path: &Path) -> Result<()> {
        let file = file::Contents::<CheckpointCard>::open(path)?;
        let CheckpointCard { position: Position { epoch, batch, step }, batches, .. } = file.card;
        let card = file.card.clone();
        if card.network != *self.network.config()
            || card.train != self.config
            || card.batches != self.batches
        {
            return Err(Error::File {
                path: path.into(),
                reason: "is a checkpoint of another configuration or data set".into(),
            });
        }
        if batch >= batches
            || epoch > card.train.epochs
            || epoch.checked_mul(batches).and_then(|n| n.checked_add(batch)) != Some(step)
        {
            let reason = format!(
                "tells an impossible position: step {step} in batch {batch} of {batches}, epoch {epoch}"
            );
            return Err(Error::File { path: path.into(), reason });
        }
        let average = self
            .average
            .iter()
            .flat_map(Network::tensors)
            .map(|(name, var)| (format!("{AVERAGE}{name}"), var));
        let state = self
            .network
            .trainable()
            .into_iter()
            .flat_map(|(name, var)| AdamW::names(&name).map(|name| (name, var)));
        let expected: Vec<(String, &Var)> =
            self.network.tensors().into_iter().chain(average).chain(state).collect();
        let tensors = file.tensors(expected, self.network.tensors()[0].1.device())?;
        if digest(tensors.iter())? != card.sha256 {
            return Err(Error::File {
                path: path.into(),
                reason: "is damaged: its checksum is another".into(),
            });
        }
        self.network.set_tensors(path, &tensors)?;
        self.optimizer.restore(card.position.step, &tensors).map_err(|tensor| Error::Tensor {
            path: path.into(),
            tensor,
            reason: "is missing or of another shape".into(),
        })?;
        if let Some(average) = &self.average {
            let own = tensors
                .iter()
                .filter_map(|(name, tensor)| {
                    Some((name.strip_prefix(AVERAGE)?.to_owned(), tensor.clone()))
                })
                .collect();
            average.set_tensors(path, &own)?;
        }
        self.position = card.position;
        Ok(())
    }
}
