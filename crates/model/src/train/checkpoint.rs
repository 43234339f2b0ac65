//! Checkpoints of a training.

use std::path::Path;

use candle_core::{Tensor, Var};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Position, Trainable, Trainer};
use crate::config::TrainConfig;
use crate::error::{Error, Result};
use crate::file::{Contents, set_tensors, write};
use crate::optimizer::AdamW;

/// The prefix of the moving average's tensors.
const AVERAGE: &str = "average.";

/// The description of a checkpoint, with configurations of the network and of the training.
#[derive(Clone, Serialize, Deserialize)]
struct CheckpointCard<N, T> {
    network: N,
    /// For each attribute the channels that it has masks for; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rows: Option<Vec<Vec<usize>>>,
    train: T,
    batches: usize,
    position: Position,
    /// Of all tensors: safetensors itself would not notice a changed bit.
    sha256: String,
}

/// A card as it is read. Configurations are read as any JSON, so that those of other versions of
/// Foresee are refused as other configurations.
type UncheckedCard = CheckpointCard<Value, Value>;

impl<N: Trainable> Trainer<N> {
    /// Writes weights, running moments, optimizer state and position. The file appears only when it
    /// is complete.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use foresee_model::{Network, NetworkConfig, TrainConfig, Trainer};
    ///
    /// let start = || {
    ///     let config = NetworkConfig { attributes: 1, channels: 4, ..Default::default() };
    ///     Trainer::new(Network::new(config, 7, &Device::Cpu)?, TrainConfig::default(), 10)
    /// };
    /// let images = Tensor::randn(0f32, 1., (2, 3, 8, 8), &Device::Cpu)?;
    /// let labels = Tensor::ones((2, 1), DType::F32, &Device::Cpu)?;
    /// let mut trainer = start()?;
    /// trainer.step(&images, &labels)?;
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("checkpoint.safetensors");
    /// trainer.save_checkpoint(&path)?;
    ///
    /// let mut resumed = start()?;
    /// resumed.resume(&path)?;
    /// assert_eq!(resumed.position(), trainer.position());
    /// // It goes on as the first would have.
    /// assert_eq!(resumed.step(&images, &labels)?, trainer.step(&images, &labels)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Write`] if the file cannot be written.
    pub fn save_checkpoint(&self, path: &Path) -> Result<()> {
        let state = N::state_tensors(&self.state);
        let weights = self.network.tensors().into_iter().chain(self.average_tensors()).chain(state);
        let weights = weights.map(|(name, var)| (name, var.as_detached_tensor()));
        let tensors: Vec<_> = weights.chain(self.optimizer.state()).collect();
        let card = CheckpointCard {
            network: self.network.config(),
            rows: self.network.rows(),
            train: &self.config,
            batches: self.batches,
            position: self.position,
            sha256: digest(tensors.iter().map(|(name, tensor)| (name, tensor)))?,
        };
        write(path, tensors, &card)
    }

    /// Goes on from a checkpoint, which must have been made with the same configuration, and with
    /// the same rows of the heads.
    ///
    /// # Errors
    /// If the file cannot be read or belongs to another configuration. The trainer's position then
    /// stays as it was, but its weights can have changed.
    pub fn resume(&mut self, path: &Path) -> Result<()> {
        let refused = |reason: String| Error::File { path: path.into(), reason };
        let file = Contents::<UncheckedCard>::open(path)?;
        let CheckpointCard { position, sha256, .. } = file.card.clone();
        if !self.has_configuration_of(&file.card) {
            return Err(refused("is a checkpoint of another configuration or data set".into()));
        }
        self.check_position(position).map_err(refused)?;
        let device = self.network.tensors()[0].1.device().clone();
        let tensors = file.tensors(self.checkpoint_tensors(), &device)?;
        if digest(tensors.iter())? != sha256 {
            return Err(refused("is damaged: its checksum is another".into()));
        }
        set_tensors(self.network.tensors(), path, &tensors)?;
        self.optimizer.restore(position.step, &tensors).map_err(|tensor| Error::Tensor {
            path: path.into(),
            tensor,
            reason: "is missing or of another shape".into(),
        })?;
        if let Some(average) = &self.average {
            let without_prefix = |(name, tensor): (&String, &Tensor)| {
                Some((name.strip_prefix(AVERAGE)?.to_owned(), tensor.clone()))
            };
            let tensors = tensors.iter().filter_map(without_prefix).collect();
            set_tensors(average.tensors(), path, &tensors)?;
        }
        for (name, var) in N::state_tensors(&self.state) {
            // All names were found above.
            tensors.get(&name).map_or(Ok(()), |tensor| var.set(tensor))?;
        }
        self.network.restore(&mut self.state)?;
        self.position = position;
        Ok(())
    }

    fn has_configuration_of(&self, card: &UncheckedCard) -> bool {
        let network = serde_json::from_value::<N::Config>(card.network.clone());
        let train = serde_json::from_value::<TrainConfig>(card.train.clone());
        network.is_ok_and(|network| network == *self.network.config())
            && train.is_ok_and(|train| train == self.config)
            && card.rows == self.network.rows()
            && card.batches == self.batches
    }

    /// Checks that a training of this configuration can be at a position, or says why it cannot.
    fn check_position(&self, position: Position) -> std::result::Result<(), String> {
        let Position { epoch, batch, step } = position;
        let batches = self.batches;
        let expected_step = epoch.checked_mul(batches).and_then(|n| n.checked_add(batch));
        if batch < batches && epoch <= self.config.epochs && expected_step == Some(step) {
            return Ok(());
        }
        Err(format!(
            "has an impossible position: step {step} in batch {batch} of {batches}, epoch {epoch}"
        ))
    }

    /// The moving average's tensors, if there is one, by their names in a checkpoint.
    fn average_tensors(&self) -> impl Iterator<Item = (String, &Var)> {
        let tensors = self.average.iter().flat_map(N::tensors);
        tensors.map(|(name, var)| (format!("{AVERAGE}{name}"), var))
    }

    /// The names of all tensors of a checkpoint, each with a variable of its shape.
    fn checkpoint_tensors(&self) -> Vec<(String, &Var)> {
        let trainable = self.network.trainable().into_iter();
        let moments =
            trainable.flat_map(|(name, var)| AdamW::state_names(&name).map(|name| (name, var)));
        let weights = self.network.tensors().into_iter();
        let state = N::state_tensors(&self.state);
        weights.chain(self.average_tensors()).chain(moments).chain(state).collect()
    }
}

/// SHA-256 of names and values, in the order of the names.
fn digest<'a>(tensors: impl Iterator<Item = (&'a String, &'a Tensor)>) -> Result<String> {
    let mut sorted: Vec<_> = tensors.collect();
    sorted.sort_by_key(|(name, _)| *name);
    let mut hash = Sha256::new();
    for (name, tensor) in sorted {
        hash.update(name);
        for value in tensor.flatten_all()?.to_vec1::<f32>()? {
            hash.update(value.to_le_bytes());
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
