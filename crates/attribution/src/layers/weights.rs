//! Where [`Layers::load`](crate::Layers::load) finds its tensors.

use std::collections::HashMap;
use std::path::Path;

use candle_core::pickle::PthTensors;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;

use crate::error::{Error, Result};

/// Tensors by the names of a PyTorch state dict, such as `features.0.weight` or `bn1.running_mean`:
/// from a file ([`from_safetensors`](Self::from_safetensors), [`from_pth`](Self::from_pth)), a
/// `HashMap<String, Tensor>`, or a candle_nn `VarBuilder` (both by `Weights::from`).
///
/// A `VarBuilder` does not list its names, so that with it nothing is said of tensors that no layer
/// uses.
#[derive(Clone)]
pub struct Weights<'a> {
    source: Source<'a>,
}

#[derive(Clone)]
enum Source<'a> {
    Tensors(HashMap<String, Tensor>),
    VarBuilder(VarBuilder<'a>),
}

impl From<HashMap<String, Tensor>> for Weights<'static> {
    fn from(tensors: HashMap<String, Tensor>) -> Self {
        Self { source: Source::Tensors(tensors) }
    }
}

impl<'a> From<VarBuilder<'a>> for Weights<'a> {
    fn from(builder: VarBuilder<'a>) -> Self {
        Self { source: Source::VarBuilder(builder) }
    }
}

impl std::fmt::Debug for Weights<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Weights").field("names", &self.names()).finish()
    }
}

impl Weights<'static> {
    /// All tensors of a safetensors file, as PyTorch's `safetensors.torch.save_file` writes it.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn from_safetensors(path: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let path = path.as_ref();
        let tensors = candle_core::safetensors::load(path, device)
            .map_err(|error| unreadable(path, error.to_string()))?;
        Ok(tensors.into())
    }

    /// All tensors of a file that PyTorch's `torch.save(model.state_dict(), path)` wrote (`.pth`,
    /// `.pt`); `key` is the state dict's name if the file holds a dictionary with other things
    /// beside it, such as `Some("state_dict")`. No code in the file is run.
    ///
    /// Floating-point tensors and those of `uint8` and `int64` are read. candle leaves out tensors
    /// of other types, and names them on the standard error stream.
    ///
    /// # Errors
    /// If the file cannot be read, or has no tensors: it was written by PyTorch before 1.6 (without
    /// zip), it is a whole pickled model, or the state dict has another key. Also if a tensor is
    /// neither contiguous nor transposed.
    pub fn from_pth(path: impl AsRef<Path>, key: Option<&str>, device: &Device) -> Result<Self> {
        const ADVICE: &str = "Save `model.state_dict()` alone, or as safetensors";
        let path = path.as_ref();
        let failed = |error: candle_core::Error| unreadable(path, format!("{error}. {ADVICE}"));
        let file = PthTensors::new(path, key).map_err(failed)?;
        if file.tensor_infos().is_empty() {
            let reason = match key {
                None => {
                    "it has no tensors at its top. Give the key of the state dict, or".to_owned()
                }
                Some(key) => format!("it has no tensors under {key:?}. Give another key, or"),
            };
            return Err(unreadable(path, format!("{reason} save `model.state_dict()` alone")));
        }
        let mut tensors = HashMap::new();
        for name in file.tensor_infos().keys() {
            if let Some(tensor) = file.get(name).map_err(failed)? {
                tensors.insert(name.clone(), tensor.to_device(device)?);
            }
        }
        Ok(tensors.into())
    }
}

fn unreadable(path: &Path, reason: String) -> Error {
    Error::WeightsFile { path: path.into(), reason }
}

impl Weights<'_> {
    /// The tensors whose names begin with `prefix` and a dot, by the rest of their names, as
    /// `VarBuilder::pp`: `pp("module")` of weights that `nn.DataParallel` saved.
    #[must_use]
    pub fn pp(&self, prefix: &str) -> Self {
        let source = match &self.source {
            Source::Tensors(tensors) => {
                let rest = |name: &str| {
                    name.strip_prefix(prefix)?.strip_prefix('.').map(ToOwned::to_owned)
                };
                let below = tensors.iter().filter_map(|(name, t)| Some((rest(name)?, t.clone())));
                Source::Tensors(below.collect())
            }
            Source::VarBuilder(builder) => Source::VarBuilder(builder.pp(prefix)),
        };
        Self { source }
    }

    /// With numbers of this type, such as [`DType::F32`] of weights that were saved in half
    /// precision. Integers stay.
    ///
    /// # Errors
    /// If candle cannot convert them.
    pub fn to_dtype(&self, dtype: DType) -> Result<Self> {
        let source = match &self.source {
            Source::Tensors(tensors) => {
                let converted = |(name, t): (&String, &Tensor)| -> Result<(String, Tensor)> {
                    let t = if t.dtype().is_float() { t.to_dtype(dtype)? } else { t.clone() };
                    Ok((name.clone(), t))
                };
                Source::Tensors(tensors.iter().map(converted).collect::<Result<_>>()?)
            }
            Source::VarBuilder(builder) => Source::VarBuilder(builder.to_dtype(dtype)),
        };
        Ok(Self { source })
    }

    /// All names in order; none of a `VarBuilder`.
    pub fn names(&self) -> Vec<String> {
        match &self.source {
            Source::Tensors(tensors) => {
                let mut names: Vec<String> = tensors.keys().cloned().collect();
                names.sort();
                names
            }
            Source::VarBuilder(_) => vec![],
        }
    }

    pub(crate) fn get(&self, name: &str) -> Result<Option<Tensor>> {
        match &self.source {
            Source::Tensors(tensors) => Ok(tensors.get(name).cloned()),
            Source::VarBuilder(builder) if builder.contains_tensor(name) => {
                Ok(Some(builder.get_unchecked_dtype(name, builder.dtype())?))
            }
            Source::VarBuilder(_) => Ok(None),
        }
    }

    /// Up to three names with the least edit distance from this one.
    pub(crate) fn nearest(&self, name: &str) -> Vec<String> {
        let mut names = self.names();
        names.sort_by_cached_key(|other| edit_distance(name, other));
        names.truncate(3);
        names
    }
}

/// Levenshtein's: insertions, deletions and replacements of a character.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        row[0] = left;
        for (cell, to) in row[1..].iter_mut().zip(&b) {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = *cell;
            left = replaced.min(left + 1).min(diagonal + 1);
            *cell = left;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::edit_distance;

    #[test]
    fn edit_distances() {
        for (a, b, distance) in
            [("", "abc", 3), ("kitten", "sitting", 3), ("conv1", "conv1", 0), ("flaw", "lawn", 2)]
        {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
        }
    }
}
