//! Tensors that are held in other files, which lie in the network's folder or below it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{Read as _, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use candle_core::Tensor;

use super::elements::Element;
use super::protobuf_reader::Read;
use crate::onnx_error::OnnxError;

/// Where a tensor's bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    location: String,
    offset: u64,
    length: usize,
}

/// A file with tensors.
struct Open {
    file: File,
    length: u64,
    /// How many bytes tensors have taken of it.
    taken: u64,
}

/// Reads tensors' bytes. Tensors that are held at the same place share their memory; others must
/// not overlap, so that the memory needed is bounded by the files' sizes.
pub(super) struct External {
    folder: Option<PathBuf>,
    files: HashMap<PathBuf, Open>,
    tensors: HashMap<(Place, Element, Vec<usize>), Tensor>,
}

impl Place {
    pub(super) fn new(tensor: &str, entries: &[(&str, &str)], length: usize) -> Read<Self> {
        let entry =
            |key: &'static str| entries.iter().find(|entry| entry.0 == key).map(|entry| entry.1);
        let location = entry("location").unwrap_or("");
        let fault = |reason: String| external(tensor, location, reason);
        let number = |key, default: u64| {
            let Some(text) = entry(key) else { return Ok(default) };
            let number = text.parse();
            number.map_err(|_| fault(format!("{key} = `{text}` is no number of bytes")))
        };
        let (offset, given) = (number("offset", 0)?, number("length", length as u64)?);
        if given != length as u64 {
            return Err(fault(format!("its shape needs {length} bytes, not {given}")));
        }
        Ok(Self { location: location.into(), offset, length })
    }
}

impl External {
    /// Files that lie in this folder; none: no files.
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, files: HashMap::new(), tensors: HashMap::new() }
    }

    /// The tensor, if it was read before.
    pub(super) fn known(&self, place: &Place, as_: Element, dims: &[usize]) -> Option<Tensor> {
        self.tensors.get(&(place.clone(), as_, dims.to_vec())).cloned()
    }

    pub(super) fn keep(&mut self, place: Place, as_: Element, dims: Vec<usize>, tensor: Tensor) {
        self.tensors.insert((place, as_, dims), tensor);
    }

    pub(super) fn read(&mut self, tensor: &str, place: &Place) -> Read<Vec<u8>> {
        let fault = |reason: String| external(tensor, &place.location, reason);
        let path = inside(self.folder.as_deref(), &place.location).map_err(fault)?;
        let open = match self.files.entry(path) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(vacant) => {
                let open = Open::new(vacant.key()).map_err(|error| fault(error.to_string()))?;
                vacant.insert(open)
            }
        };
        open.read(place).map_err(fault)
    }
}

impl Open {
    fn new(path: &Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { file, length, taken: 0 })
    }

    fn read(&mut self, place: &Place) -> Result<Vec<u8>, String> {
        let Place { offset, length, .. } = place;
        let end = offset.checked_add(*length as u64).filter(|end| *end <= self.length);
        if end.is_none() {
            return Err(format!(
                "it needs {length} bytes from byte {offset} on, but the file has {} bytes: is it \
                 the file that was exported with the network, and complete?",
                self.length
            ));
        }
        self.taken = self.taken.saturating_add(*length as u64);
        if self.taken > self.length {
            return Err("tensors overlap in the file".into());
        }
        let mut bytes = vec![];
        let io = |error: std::io::Error| error.to_string();
        bytes.try_reserve_exact(*length).map_err(|_| format!("no memory for {length} bytes"))?;
        self.file.seek(SeekFrom::Start(*offset)).map_err(io)?;
        (&mut self.file).take(*length as u64).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() < *length {
            return Err("the file became shorter while it was read".into());
        }
        Ok(bytes)
    }
}

/// The path of a file in the folder, links followed.
fn inside(folder: Option<&Path>, location: &str) -> Result<PathBuf, String> {
    let folder = folder.ok_or(
        "the network was given as bytes, without a folder: set `folder` to that of the file",
    )?;
    let parts = Path::new(location).components();
    let mut plain = parts.map(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if location.is_empty() || !plain.all(|plain| plain) {
        return Err("files outside of the network's folder are not read".into());
    }
    let missing = |error: std::io::Error| {
        format!("{error}: it must lie beside the network's file, in {}", folder.display())
    };
    let root = folder.canonicalize().map_err(missing)?;
    let path = root.join(location).canonicalize().map_err(missing)?;
    if !path.starts_with(&root) {
        return Err("it is a link out of the network's folder; copy the file into it".into());
    }
    if !path.is_file() {
        return Err("it is no file".into());
    }
    Ok(path)
}

fn external(tensor: &str, location: &str, reason: String) -> OnnxError {
    OnnxError::External { name: tensor.into(), location: location.into(), reason }
}
