//! `model.safetensors` and checkpoints.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::NetworkConfig;
use crate::error::{Error, Result};
use crate::network::Network;

/// The one metadata key: safetensors writes several in no fixed order.
const KEY: &str = "foresee";

/// What a model file says about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// The architecture.
    pub network: NetworkConfig,
    /// Names of the K attributes, in the order of the logits.
    pub attributes: Vec<String>,
    /// Height and width of the images it was trained on.
    pub image_size: usize,
    /// Which part of a face they are: `square`, the largest centred square, or `whole`, all of it, squeezed.
    #[serde(default = "square", skip_serializing_if = "is_square")]
    pub crop: String,
    /// Subtracted from pixels in [0, 1], by colour channel.
    pub mean: [f32; 3],
    /// Then divided by.
    pub deviation: [f32; 3],
    /// Seed of the initial weights and of the training.
    pub seed: u64,
    /// What it was trained on, in words.
    pub trained_on: String,
    /// Channels of the network it was pruned from that it still has, in order; absent if it was not pruned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_channels: Option<Vec<usize>>,
}

fn square() -> String {
    "square".into()
}

fn is_square(crop: &str) -> bool {
    crop == "square"
}

impl Network {
    /// Writes the network with its card. The file appears only when it is complete.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path, card: &ModelCard) -> Result<()> {
        let tensors = self.tensors().into_iter().map(|(name, var)| (name, var.as_detached_tensor())).collect();
        write(path, tensors, card)
    }

    /// Reads a network and its card.
    ///
    /// # Errors
    /// If the file is no model of Foresee, or a tensor is missing, has another shape or type, or holds a value that is not finite.
    pub fn load(path: &Path, device: &Device) -> Result<(Self, ModelCard)> {
        let (tensors, card): (_, ModelCard) = read(path, device)?;
        if card.attributes.len() != card.network.attributes {
            let reason = format!("its card names {} attributes, but its network has {}", card.attributes.len(), card.network.attributes);
            return Err(Error::File { path: path.into(), reason });
        }
        if !(1..=8192).contains(&card.image_size) {
            let reason = format!("its card tells an image size of {}, expected 1 to 8192", card.image_size);
            return Err(Error::File { path: path.into(), reason });
        }
        if card.mean.iter().any(|m| !m.is_finite()) || card.deviation.iter().any(|d| !(*d > 0. && d.is_finite())) {
            let reason =
                format!("its card tells a normalisation by {:?} and {:?}, expected finite means and positive deviations", card.mean, card.deviation);
            return Err(Error::File { path: path.into(), reason });
        }
        let network = Self::new(card.network.clone(), card.seed, device)?;
        network.set_tensors(path, &tensors)?;
        Ok((network, card))
    }

    /// Takes the values of all its tensors from a file's.
    pub(crate) fn set_tensors(&self, path: &Path, tensors: &HashMap<String, Tensor>) -> Result<()> {
        for (name, var) in self.tensors() {
            let bad = |reason: String| Error::Tensor { path: path.into(), tensor: name.clone(), reason };
            let tensor = tensors.get(&name).ok_or_else(|| bad("is missing".into()))?;
            if tensor.dims() != var.dims() {
                return Err(bad(format!("has shape {:?}, expected {:?}", tensor.dims(), var.dims())));
            }
            if tensor.dtype() != DType::F32 {
                return Err(bad(format!("is of type {}, expected f32", tensor.dtype().as_str())));
            }
            if !tensor.sum_all()?.to_scalar::<f32>()?.is_finite() {
                return Err(bad("holds values that are not finite".into()));
            }
            var.set(tensor)?;
        }
        Ok(())
    }
}

/// Writes tensors and a description beside their final place, then renames.
pub(crate) fn write<T: Serialize>(path: &Path, tensors: Vec<(String, Tensor)>, description: &T) -> Result<()> {
    let failed = |reason: String| Error::Write { path: path.into(), reason };
    let description = serde_json::to_string(description).map_err(|e| failed(e.to_string()))?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let staging = builder.tempfile_in(folder).map_err(|e| failed(e.to_string()))?;
    let metadata = HashMap::from([(KEY.to_owned(), description)]);
    safetensors::serialize_to_file(tensors, Some(metadata), staging.path()).map_err(|e| failed(e.to_string()))?;
    staging.as_file().sync_all().map_err(|e| failed(e.to_string()))?;
    staging.persist(path).map_err(|e| failed(e.error.to_string()))?;
    Ok(())
}

/// Reads what [`write`] wrote.
pub(crate) fn read<T: DeserializeOwned>(path: &Path, device: &Device) -> Result<(HashMap<String, Tensor>, T)> {
    let failed = |reason: String| Error::File { path: path.into(), reason };
    let bytes = std::fs::read(path).map_err(|e| failed(e.to_string()))?;
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).map_err(|e| failed(format!("is not a safetensors file ({e})")))?;
    let description = metadata
        .metadata()
        .as_ref()
        .and_then(|m| m.get(KEY))
        .ok_or_else(|| failed(format!("is a safetensors file, but not Foresee's: its metadata has no key `{KEY}`")))?;
    let description = serde_json::from_str(description).map_err(|e| failed(format!("its metadata cannot be read: {e}")))?;
    let tensors = candle_core::safetensors::load_buffer(&bytes, device).map_err(|e| failed(format!("is damaged: {e}")))?;
    Ok((tensors, description))
}
