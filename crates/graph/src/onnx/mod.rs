//! Networks from ONNX files, and as ONNX files.

mod attributes;
mod call;
mod convert;
mod elements;
mod external;
mod files;
mod functions;
mod parse;
mod proto;
mod protobuf_reader;
mod protobuf_writer;
mod read;
mod reader;
mod sort;
mod tensors;
mod write;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device};

pub use crate::onnx_error::{OnnxError, Unsupported};

use crate::error::{Error, Result};
use crate::graph::Graph;

/// No message of Protocol Buffers is larger; larger networks hold their weights in other files.
const MAX_FILE: u64 = (1 << 31) - 1;

/// How networks are read from ONNX files.
///
/// ```no_run
/// use candle_core::DType;
/// use foresee_graph::OnnxOptions;
///
/// let options = OnnxOptions { dtype: DType::F64, ..OnnxOptions::default() };
/// let graph = options.read("resnet18.onnx".as_ref())?;
/// # Ok::<(), foresee_graph::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct OnnxOptions {
    /// What numbers with a fraction become: f32 (default) or f64. The file's can be f16, bf16, f32
    /// or f64.
    pub dtype: DType,
    /// Where the weights are held (default: the CPU).
    pub device: Device,
    /// The folder in which files with weights lie, if the network's file does not hold them all.
    /// Default: the network's folder if it is read from a file, else none. Files outside of it are
    /// never read.
    pub folder: Option<PathBuf>,
}

impl Default for OnnxOptions {
    fn default() -> Self {
        Self { dtype: DType::F32, device: Device::Cpu, folder: None }
    }
}

impl OnnxOptions {
    /// The network in a file; see [`Graph::from_onnx`].
    ///
    /// # Errors
    /// As there, or if `dtype` is neither f32 nor f64.
    pub fn read(&self, path: &Path) -> Result<Graph> {
        let folder = self.folder.clone().or_else(|| path.parent().map(Path::to_owned));
        // The parent of a bare name is an empty path.
        let folder = folder.map(|f| if f.as_os_str().is_empty() { PathBuf::from(".") } else { f });
        let options = Self { folder, ..self.clone() };
        let graph = load(path).and_then(|bytes| options.graph(&bytes));
        graph.map_err(|source| Error::Onnx { file: path.display().to_string(), source })
    }

    /// The network that `bytes` hold; see [`Graph::from_onnx_bytes`].
    ///
    /// # Errors
    /// As there, or if `dtype` is neither f32 nor f64.
    pub fn read_bytes(&self, bytes: &[u8]) -> Result<Graph> {
        let graph = self.graph(bytes);
        graph.map_err(|source| Error::Onnx { file: "ONNX bytes".into(), source })
    }

    fn graph(&self, bytes: &[u8]) -> Result<Graph, OnnxError> {
        if !matches!(self.dtype, DType::F32 | DType::F64) {
            return Err(OnnxError::NumberType(self.dtype.as_str()));
        }
        read::read(bytes, self)
    }
}

impl Graph {
    /// The network in an ONNX file, with weights as f32 on the CPU ([`OnnxOptions`] has other
    /// choices).
    ///
    /// Opsets 6 to 28 of ONNX's own operations, and `Gelu` and `FastGelu` of `com.microsoft`.
    /// Functions of the file are put in place of the nodes that call them. Nodes keep their names;
    /// those that have none are called `Operation_output`, and doubles get a number. Settings that
    /// ONNX has moved from attributes to inputs become weights (`node/setting`). Dropout becomes
    /// the identity. Inputs that have a default value are weights; weights that no node reads are
    /// left out. Sizes that are not fixed, such as the batch's, can be anything.
    ///
    /// Integers of all sizes are i64, and booleans u8. What the file computes with integers of 8,
    /// 16 or 32 bits does not wrap at their width: 100 + 100 is 200 here, also where the file says
    /// int8, whose sum would be -56. Casts between integers do not wrap either, and casts to f16 do
    /// not round.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged, or against ONNX's rules; if weights are NaN, are
    /// missing, or lie in a file outside of the network's folder; if an operation or one of its
    /// attributes is not supported: the error names all such nodes of the file.
    pub fn from_onnx(path: &Path) -> Result<Self> {
        OnnxOptions::default().read(path)
    }

    /// The network that the bytes of an ONNX file hold; as [`from_onnx`](Self::from_onnx), but
    /// weights in other files are an error. [`OnnxOptions::read_bytes`] takes a folder.
    ///
    /// # Errors
    /// As there.
    pub fn from_onnx_bytes(bytes: &[u8]) -> Result<Self> {
        OnnxOptions::default().read_bytes(bytes)
    }
}

fn load(path: &Path) -> Result<Vec<u8>, OnnxError> {
    // Asked before it is opened: a pipe would wait.
    let metadata = path.metadata()?;
    if !metadata.is_file() {
        return Err(OnnxError::NoFile);
    }
    if metadata.len() > MAX_FILE {
        let limit = MAX_FILE as usize;
        return Err(OnnxError::TooLarge { what: "bytes in one file", limit });
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}
