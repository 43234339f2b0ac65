//! Files of tensors with a description, in the safetensors format: models and checkpoints.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor, Var};
use foresee_files::write_atomic;
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::tensor::is_finite;

/// The only metadata key: safetensors writes several in no fixed order.
const KEY: &str = "foresee";

/// Headers of Foresee's files are far smaller.
const LONGEST_HEADER: u64 = 8 << 20;

/// The most characters of a reason that are shown: it can quote the file.
const LONGEST_REASON: usize = 1000;

/// Writes tensors and a description. The file appears only when it is complete.
pub(crate) fn write<T: Serialize>(
    path: &Path,
    tensors: Vec<(String, Tensor)>,
    description: &T,
) -> Result<()> {
    write_atomic(path, &encode(tensors, description)?).map_err(Error::Write)
}

/// The bytes of such a file.
pub(crate) fn encode<T: Serialize>(
    tensors: Vec<(String, Tensor)>,
    description: &T,
) -> Result<Vec<u8>> {
    let description = serde_json::to_string(description).map_err(io::Error::other);
    let metadata = HashMap::from([(KEY.to_owned(), description.map_err(Error::Write)?)]);
    safetensors::serialize(tensors, Some(metadata)).map_err(|e| Error::Write(io::Error::other(e)))
}

/// The header and the description of a file of [`write()`]. Its tensors are not read yet.
pub(crate) struct Contents<T> {
    path: PathBuf,
    file: File,
    header: Metadata,
    /// The description.
    pub card: T,
}

impl<T: DeserializeOwned> Contents<T> {
    /// Opens a file and checks its header against its length.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |reason: String| wrong(path, &reason);
        let mut file = File::open(path).map_err(|e| failed(e.to_string()))?;
        let file_length = file.metadata().map_err(|e| failed(e.to_string()))?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length)
            .map_err(|_| failed("is not a safetensors file (it is too short)".into()))?;
        let header_length = u64::from_le_bytes(length);
        let rest = file_length.saturating_sub(8);
        if header_length > rest.min(LONGEST_HEADER) {
            return Err(failed(format!(
                "is not a safetensors file of Foresee (a header of {header_length} bytes in a \
                 file of {file_length})"
            )));
        }
        let mut text = vec![0; header_length as usize];
        file.read_exact(&mut text).map_err(|e| failed(e.to_string()))?;
        let header: Metadata = serde_json::from_slice(&text)
            .map_err(|e| failed(format!("is not a safetensors file ({e})")))?;
        let tensors_length = rest - header_length;
        let claimed_length = header.data_len();
        if claimed_length as u64 != tensors_length {
            return Err(failed(format!(
                "is damaged: its header claims {claimed_length} bytes of tensors, but \
                 {tensors_length} follow; make or download it again"
            )));
        }
        let description = header.metadata().as_ref().and_then(|m| m.get(KEY)).ok_or_else(|| {
            failed(format!(
                "is a safetensors file, but not Foresee's: its metadata has no key `{KEY}`. A \
                 model that went through PyTorch keeps it by `save_file(tensors, path, \
                 metadata=safe_open(original, \"pt\").metadata())`"
            ))
        })?;
        let card = serde_json::from_str(description)
            .map_err(|e| failed(format!("its metadata cannot be read: {e}")))?;
        Ok(Self { path: path.into(), file, header, card })
    }

    /// Checks that the file has a tensor of `f32` in this shape. [`open`](Self::open) has checked
    /// that the file is long enough for it.
    pub fn check_tensor(&self, name: &str, shape: &[usize]) -> Result<()> {
        let bad = |reason: String| {
            Err(Error::Tensor { path: self.path.clone(), tensor: name.to_owned(), reason })
        };
        let Some(info) = self.header.info(name) else {
            let prefix = ["module.", "_orig_mod."]
                .into_iter()
                .find(|prefix| self.header.info(&format!("{prefix}{name}")).is_some());
            return bad(prefix.map_or("is missing".into(), |prefix| {
                format!("is missing, but `{prefix}{name}` is there: take `{prefix}` off all names")
            }));
        };
        if info.shape != shape {
            return bad(format!("has shape {:?}, expected {shape:?}", info.shape));
        }
        if info.dtype != Dtype::F32 {
            return bad(format!(
                "is of type {:?}, expected F32: save it as float32 (`tensor.float()`)",
                info.dtype
            ));
        }
        Ok(())
    }

    /// Reads all tensors, which must be the `expected` ones and no others.
    pub fn tensors<'a>(
        mut self,
        expected: impl IntoIterator<Item = (String, &'a Var)>,
        device: &Device,
    ) -> Result<HashMap<String, Tensor>> {
        let mut names = HashSet::new();
        for (name, var) in expected {
            self.check_tensor(&name, var.dims())?;
            names.insert(name);
        }
        let failed = |reason: String| wrong(&self.path, &reason);
        let others = self
            .header
            .offset_keys()
            .into_iter()
            .find(|name| !names.contains(name) && !is_batch_count(name));
        if let Some(other) = others {
            return Err(failed(format!(
                "holds a tensor `{other}`, which its network does not have"
            )));
        }
        let mut bytes = vec![];
        self.file
            .rewind()
            .and_then(|()| self.file.read_to_end(&mut bytes))
            .map_err(|e| failed(e.to_string()))?;
        let mut tensors = candle_core::safetensors::load_buffer(&bytes, device)
            .map_err(|e| failed(format!("is damaged: {e}")))?;
        tensors.retain(|name, _| names.contains(name));
        Ok(tensors)
    }
}

/// Sets all variables to the values of a file's tensors.
pub(crate) fn set_tensors(
    variables: Vec<(String, &Var)>,
    path: &Path,
    tensors: &HashMap<String, Tensor>,
) -> Result<()> {
    for (name, var) in variables {
        let wrong = |reason: &str| Error::Tensor {
            path: path.into(),
            tensor: name.clone(),
            reason: reason.into(),
        };
        let tensor = tensors.get(&name).ok_or_else(|| wrong("is missing"))?;
        if !is_finite(tensor)? {
            return Err(wrong("holds values that are not finite"));
        }
        if name.ends_with("running_var") && tensor.min_all()?.to_scalar::<f32>()? < 0. {
            return Err(wrong("holds negative variances"));
        }
        var.set(tensor)?;
    }
    Ok(())
}

/// PyTorch counts the batches of each batch norm, which nothing uses.
fn is_batch_count(name: &str) -> bool {
    name.ends_with(".num_batches_tracked")
}

/// The error of a file that cannot be used. Control characters, which a terminal would obey, are
/// replaced in the reason.
fn wrong(path: &Path, reason: &str) -> Error {
    let reason = reason
        .chars()
        .take(LONGEST_REASON)
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .collect();
    Error::File { path: path.into(), reason }
}
