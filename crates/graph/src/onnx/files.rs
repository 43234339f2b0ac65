//! Which files a network lies in, and which files are ours.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::load;
use super::parse::Parser;
use super::proto::{Node, Setting};
use super::protobuf_reader::{Read, fields};
use super::tensors::location;
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::onnx_error::OnnxError;

/// Who wrote a file, as [`Graph::to_onnx`] says it.
pub(super) const PRODUCER: &str = "foresee";

/// Bytes of a file in which it says who wrote it, if we did.
const HEAD: u64 = 64;

impl Graph {
    /// The files that [`from_onnx`](Self::from_onnx) reads: the network's own, then those with
    /// weights, in the order of their names.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn onnx_files(path: &Path) -> Result<Vec<PathBuf>> {
        let locations = load(path).and_then(|bytes| locations(&bytes));
        let locations =
            locations.map_err(|source| Error::Onnx { file: path.display().to_string(), source })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let others = locations.into_iter().map(|location| folder.join(location));
        Ok(std::iter::once(path.to_owned()).chain(others).collect())
    }

    /// The notes in a file's metadata, keys and values, in their order.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn onnx_metadata(path: &Path) -> Result<Vec<(String, String)>> {
        let metadata = load(path).and_then(|bytes| metadata(&bytes));
        metadata.map_err(|source| Error::Onnx { file: path.display().to_string(), source })
    }

    /// Whether [`to_onnx`](Self::to_onnx) wrote a file.
    pub fn is_own_onnx(path: &Path) -> bool {
        let mut head = vec![];
        let read = File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head));
        let mut producers = fields("model", &head)
            .map_while(Read::ok)
            .filter(|field| field.number == 2)
            .map_while(|field| field.bytes().ok());
        read.is_ok() && producers.next().is_some_and(|name| name == PRODUCER.as_bytes())
    }
}

/// Notes that a file may have.
const MAX_NOTES: usize = 1 << 16;

fn metadata(bytes: &[u8]) -> Read<Vec<(String, String)>> {
    let mut notes = vec![];
    for field in fields("model", bytes) {
        let field = field?;
        if field.number != 14 {
            continue;
        }
        let (mut key, mut value) = ("", "");
        for field in fields("metadata", field.bytes()?) {
            let field = field?;
            match field.number {
                1 => key = field.text()?,
                2 => value = field.text()?,
                _ => {}
            }
        }
        notes.push((key.to_owned(), value.to_owned()));
        if notes.len() > MAX_NOTES {
            return Err(OnnxError::TooLarge { what: "notes in its metadata", limit: MAX_NOTES });
        }
    }
    Ok(notes)
}

/// The files that hold tensors, each once.
fn locations(bytes: &[u8]) -> Read<Vec<String>> {
    let model = Parser::default().model(bytes)?;
    let of_nodes = |nodes: &[Node<'_>]| -> Read<Vec<String>> {
        let settings = nodes.iter().flat_map(|node| &node.attributes).map(|of| &of.value);
        let tensors = settings.filter_map(|setting| match setting {
            Setting::Tensor(message) => location(message).transpose(),
            _ => None,
        });
        tensors.collect()
    };
    let weights = model.graph.initializers.iter();
    let mut found: Vec<String> =
        weights.filter_map(|(_, message)| location(message).transpose()).collect::<Read<_>>()?;
    found.extend(of_nodes(&model.graph.nodes)?);
    for function in &model.functions {
        found.extend(of_nodes(&function.nodes)?);
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Builder;
    use crate::op::{Op, Unary};

    const NOTE: [&str; 2] = ["key", "a value"];

    #[test]
    fn a_file_is_known_by_who_wrote_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut builder = Builder::new();
        let x = builder.input("x", vec![None, Some(2)]).unwrap();
        let y = builder.node("y", Op::Unary(Unary::Relu), &[x]).unwrap();
        builder.finish(vec![y]).unwrap().save_onnx(at("own.onnx"), &[NOTE.into()]).unwrap();
        assert!(Graph::is_own_onnx(&at("own.onnx")));
        assert_eq!(Graph::onnx_files(&at("own.onnx")).unwrap(), [at("own.onnx")]);
        assert_eq!(Graph::onnx_metadata(&at("own.onnx")).unwrap(), [NOTE.map(String::from).into()]);
        // Version 8, by `foresight`.
        std::fs::write(at("other.onnx"), b"\x08\x08\x12\x09foresight").unwrap();
        assert!(!Graph::is_own_onnx(&at("other.onnx")) && !Graph::is_own_onnx(&at("none")));
        std::fs::write(at("text"), "foresee").unwrap();
        assert!(!Graph::is_own_onnx(&at("text")));
    }

    #[test]
    fn files_with_weights_are_found() {
        use crate::onnx::protobuf_writer::Message;
        let folder = tempfile::tempdir().unwrap();
        let entry = |key: &str, value: &str| {
            let mut entry = Message::new();
            entry.text(1, key).text(2, value);
            entry
        };
        let tensor = |name: &str, file: &str| {
            let mut tensor = Message::new();
            tensor.int(1, 2).int(2, 1).text(8, name).message(13, &entry("location", file));
            tensor.message(13, &entry("offset", "0")).int(14, 1);
            tensor
        };
        let mut graph = Message::new();
        graph.message(5, &tensor("b", "b.data")).message(5, &tensor("a", "a.data"));
        graph.message(5, &tensor("c", "b.data"));
        let (mut opset, mut model) = (Message::new(), Message::new());
        opset.text(1, "").int(2, 18);
        model.int(1, 8).message(7, &graph).message(8, &opset);
        let path = folder.path().join("model.onnx");
        std::fs::write(&path, model.bytes()).unwrap();
        let found = Graph::onnx_files(&path).unwrap();
        assert_eq!(found[0], path);
        assert_eq!(found[1..], ["a.data", "b.data"].map(|name| folder.path().join(name)));
    }
}
