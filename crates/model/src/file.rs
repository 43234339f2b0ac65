//! `model.safetensors` and checkpoints.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor, Var};
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::NetworkConfig;
use crate::error::{Error, Result};
use crate::network::Network;
use crate::ops;

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
    /// Which part of a face they are: `square`, the largest centred square, or `whole`, all of it,
    /// squeezed.
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
    /// Channels of the network it was pruned from that it still has, in order; absent if it was not
    /// pruned.
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
        let tensors = self
            .tensors()
            .into_iter()
            .map(|(name, var)| (name, var.as_detached_tensor()))
            .collect();
        write(path, tensors, card)
    }

    /// Reads a network and its card.
    ///
    /// # Errors
    /// If the file is no model of Foresee, or a tensor is missing, has another shape or type, holds
    /// a value that is not finite, or is none of the network's. What the file says of itself is
    /// compared with its length before memory is taken for it.
    pub fn load(path: &Path, device: &Device) -> Result<(Self, ModelCard)> {
        let file = Contents::<ModelCard>::open(path)?;
        let card = file.card.clone();
        if card.attributes.len() != card.network.attributes {
            let reason = format!(
                "its card names {} attributes, but its network has {}",
                card.attributes.len(),
                card.network.attributes
            );
            return Err(Error::File { path: path.into(), reason });
        }
        if !(1..=8192).contains(&card.image_size) {
            let reason =
                format!("its card tells an image size of {}, expected 1 to 8192", card.image_size);
            return Err(Error::File { path: path.into(), reason });
        }
        if card.mean.iter().any(|m| !m.is_finite())
            || card.deviation.iter().any(|d| !(*d > 0. && d.is_finite()))
        {
            let reason = format!(
                "its card tells a normalisation by {:?} and {:?}, expected finite means and positive deviations",
                card.mean, card.deviation
            );
            return Err(Error::File { path: path.into(), reason });
        }
        // The masks' weights are nearly all of a network's memory.
        card.network.check()?;
        let NetworkConfig { attributes: k, channels: c, mask_kernel: n, .. } = card.network;
        file.holds("heads.mask.weight", &[k * c, c, n, n])?;
        let network = Self::new(card.network.clone(), card.seed, device)?;
        network.set_tensors(path, &file.tensors(network.tensors(), device)?)?;
        Ok((network, card))
    }

    /// Takes the values of all its tensors from a file's.
    pub(crate) fn set_tensors(&self, path: &Path, tensors: &HashMap<String, Tensor>) -> Result<()> {
        for (name, var) in self.tensors() {
            let bad =
                |reason: String| Error::Tensor { path: path.into(), tensor: name.clone(), reason };
            let tensor = tensors.get(&name).ok_or_else(|| bad("is missing".into()))?;
            if !ops::is_finite(tensor)? {
                return Err(bad("holds values that are not finite".into()));
            }
            if name.ends_with("running_var") && tensor.min_all()?.to_scalar::<f32>()? < 0. {
                return Err(bad("holds negative variances".into()));
            }
            var.set(tensor)?;
        }
        Ok(())
    }
}

/// Writes tensors and a description beside their final place, then renames.
pub(crate) fn write<T: Serialize>(
    path: &Path,
    tensors: Vec<(String, Tensor)>,
    description: &T,
) -> Result<()> {
    let failed = |reason: String| Error::Write { path: path.into(), reason };
    let description = serde_json::to_string(description).map_err(|e| failed(e.to_string()))?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut staging = builder.tempfile_in(folder).map_err(|e| failed(e.to_string()))?;
    let metadata = HashMap::from([(KEY.to_owned(), description)]);
    // Not `serialize_to_file`, which puts a file of its own, with other permissions, in the place
    // of the one that is synced here.
    let bytes =
        safetensors::serialize(tensors, Some(metadata)).map_err(|e| failed(e.to_string()))?;
    staging.write_all(&bytes).map_err(|e| failed(e.to_string()))?;
    staging.as_file().sync_all().map_err(|e| failed(e.to_string()))?;
    staging.persist(path).map_err(|e| failed(e.error.to_string()))?;
    // So that a power failure does not take the new name back. Not every file system can.
    #[cfg(unix)]
    let _ = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Headers of Foresee's files are far smaller.
const LONGEST_HEADER: u64 = 8 << 20;

/// What a file of [`write()`] says of itself; its tensors are not read yet.
pub(crate) struct Contents<T> {
    path: PathBuf,
    file: File,
    header: Metadata,
    /// The description.
    pub card: T,
}

impl<T: DeserializeOwned> Contents<T> {
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |reason: String| wrong(path, &reason);
        let mut file = File::open(path).map_err(|e| failed(e.to_string()))?;
        let whole = file.metadata().map_err(|e| failed(e.to_string()))?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length)
            .map_err(|_| failed("is not a safetensors file (it is too short)".into()))?;
        let header = u64::from_le_bytes(length);
        let rest = whole.saturating_sub(8);
        if header > rest.min(LONGEST_HEADER) {
            return Err(failed(format!(
                "is not a safetensors file of Foresee (a header of {header} bytes in a file of {whole})"
            )));
        }
        let mut text = vec![0; header as usize];
        file.read_exact(&mut text).map_err(|e| failed(e.to_string()))?;
        let metadata: Metadata = serde_json::from_slice(&text)
            .map_err(|e| failed(format!("is not a safetensors file ({e})")))?;
        let length = rest - header;
        let told = metadata.data_len();
        if told as u64 != length {
            return Err(failed(format!(
                "is damaged: its header tells {told} bytes of tensors, but {length} follow; make or download it again"
            )));
        }
        let description = metadata.metadata().as_ref().and_then(|m| m.get(KEY));
        let description = description.ok_or_else(|| {
            failed(format!(
                "is a safetensors file, but not Foresee's: its metadata has no key `{KEY}`"
            ))
        })?;
        let card = serde_json::from_str(description)
            .map_err(|e| failed(format!("its metadata cannot be read: {e}")))?;
        Ok(Self { path: path.into(), file, header: metadata, card })
    }

    /// Makes sure that a tensor of `f32` is there in this shape; [`open`](Self::open) has made sure
    /// that the file is long enough for it.
    pub fn holds(&self, name: &str, shape: &[usize]) -> Result<()> {
        let bad = |reason: String| {
            Err(Error::Tensor { path: self.path.clone(), tensor: name.to_owned(), reason })
        };
        let Some(info) = self.header.info(name) else { return bad("is missing".into()) };
        if info.shape != shape {
            return bad(format!("has shape {:?}, expected {shape:?}", info.shape));
        }
        if info.dtype != Dtype::F32 {
            return bad(format!("is of type {:?}, expected F32", info.dtype));
        }
        Ok(())
    }

    /// Reads all tensors, which are those that are expected and no other.
    pub fn tensors<'a>(
        mut self,
        expected: impl IntoIterator<Item = (String, &'a Var)>,
        device: &Device,
    ) -> Result<HashMap<String, Tensor>> {
        let mut names = HashSet::new();
        for (name, var) in expected {
            self.holds(&name, var.dims())?;
            names.insert(name);
        }
        if let Some(other) =
            self.header.offset_keys().into_iter().find(|name| !names.contains(name))
        {
            return Err(wrong(
                &self.path,
                &format!("holds a tensor `{other}`, which its network does not have"),
            ));
        }
        self.file.rewind().map_err(|e| wrong(&self.path, &e.to_string()))?;
        let mut bytes = vec![];
        self.file.read_to_end(&mut bytes).map_err(|e| wrong(&self.path, &e.to_string()))?;
        candle_core::safetensors::load_buffer(&bytes, device)
            .map_err(|e| wrong(&self.path, &format!("is damaged: {e}")))
    }
}

/// A reason can quote the file: no more than this of it is shown, and nothing that a terminal would
/// obey.
const LONGEST_REASON: usize = 1000;

fn wrong(path: &Path, reason: &str) -> Error {
    let reason = reason
        .chars()
        .take(LONGEST_REASON)
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .collect();
    Error::File { path: path.into(), reason }
}
