//! What can go wrong with an ONNX file.

use std::collections::HashMap;

/// What can go wrong with an ONNX file. [`Error::Onnx`](crate::Error::Onnx) adds the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The file cannot be opened or read.
    #[error("the file cannot be read: {0}")]
    Open(#[from] std::io::Error),
    /// The path is a folder, or a device.
    #[error("this is no file: give the path of the .onnx file")]
    NoFile,
    /// The file is larger than a network can be.
    #[error("{what}: more than {limit}; no network of this size can be read")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// What is allowed.
        limit: usize,
    },
    /// The bytes are not a network's.
    #[error(
        "the file is damaged, or no ONNX file ({message}: {}): export it again",
        shown(.reason)
    )]
    Damaged {
        /// Which message of ONNX's is damaged.
        message: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The operations' version is too old or too new.
    #[error(
        "the file has opset {version}, but opsets {oldest} to {newest} are understood: export it \
         with opset_version={newest}, or convert it with onnx.version_converter"
    )]
    Opset {
        /// The file's version.
        version: i64,
        /// The oldest that is understood.
        oldest: i64,
        /// The newest.
        newest: i64,
    },
    /// Weights can only be read as f32 or f64.
    #[error("weights are read as f32 or f64, not as {0}")]
    NumberType(&'static str),
    /// Operations that are not supported: all of the file.
    #[error("{}", list(.0))]
    Unsupported(Vec<Unsupported>),
    /// A node is against ONNX's rules.
    #[error("node `{}` ({}, opset {opset}): {}", short(.node), short(.op), shown(.reason))]
    Node {
        /// The node's name, or its first output's.
        node: String,
        /// The operation.
        op: String,
        /// The operation's version.
        opset: i64,
        /// What is wrong.
        reason: String,
    },
    /// A node or an output needs a value that nothing computes.
    #[error(
        "{} needs `{}`, which is no input, no weight and computed by no node",
        shown(.reader),
        short(.value)
    )]
    Undefined {
        /// Who needs it.
        reader: String,
        /// The value.
        value: String,
    },
    /// Two nodes compute the same value, or a node computes an input.
    #[error("node `{}` computes `{}`, which is there already", short(.node), short(.value))]
    Twice {
        /// The second node.
        node: String,
        /// The value.
        value: String,
    },
    /// Nodes wait for each other.
    #[error("these nodes wait for each other: {}", names(.nodes).join(" → "))]
    Cycle {
        /// Their names.
        nodes: Vec<String>,
    },
    /// A function calls itself.
    #[error("function `{}` calls itself, or functions are nested {depth} deep", short(.function))]
    Recursion {
        /// The function.
        function: String,
        /// How deep functions may be nested.
        depth: usize,
    },
    /// The network's input is no tensor of numbers of known rank.
    #[error("the input `{}` {}", short(.name), shown(.reason))]
    Input {
        /// The input.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A weight or a constant cannot be read.
    #[error("the tensor `{}`: {}", short(.name), shown(.reason))]
    Tensor {
        /// The tensor, or the node whose constant it is.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A weight that is held in another file cannot be read.
    #[error(
        "the tensor `{}`, which is held in the file `{}`: {}",
        short(.name),
        short(.location),
        shown(.reason)
    )]
    External {
        /// The tensor.
        name: String,
        /// The other file, as the network's file names it.
        location: String,
        /// What is wrong.
        reason: String,
    },
    /// The file has no outputs.
    #[error("the network has no outputs")]
    NoOutputs,
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// An operation of a file that is not supported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// The node's name, or its first output's.
    pub node: String,
    /// The operation, with its domain if that is not ONNX's own.
    pub op: String,
    /// The operation's version.
    pub opset: i64,
    /// What is not supported; empty if the operation is not supported at all.
    pub reason: String,
}

/// How many nodes of one kind a message names, and how many kinds.
const NODES: usize = 3;
const KINDS: usize = 50;

/// One line for each operation and reason, with the first nodes.
fn list(unsupported: &[Unsupported]) -> String {
    let mut lines: Vec<(String, Vec<&str>)> = vec![];
    let mut places = HashMap::new();
    for Unsupported { node, op, opset, reason } in unsupported {
        let place = *places.entry((op, opset, reason)).or_insert(lines.len());
        if place == lines.len() {
            let colon = if reason.is_empty() { "" } else { ": " };
            let what = format!("{} (opset {opset}){colon}{}", short(op), shown(reason));
            lines.push((what, vec![]));
        }
        lines[place].1.push(node);
    }
    let mut message = match unsupported.len() {
        1 => "an operation is not supported".to_owned(),
        count => format!("{count} nodes have operations that are not supported"),
    };
    for (what, nodes) in lines.iter().take(KINDS) {
        let first: Vec<String> =
            nodes.iter().take(NODES).map(|n| format!("`{}`", short(n))).collect();
        let more = match nodes.len().saturating_sub(NODES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let nodes = if nodes.len() == 1 { "node" } else { "nodes" };
        message += &format!("\n  {what}: {nodes} {}{more}", first.join(", "));
    }
    if lines.len() > KINDS {
        message += &format!("\n  and {} more", lines.len() - KINDS);
    }
    message
}

/// A name of a file, which can hold anything and have any length.
fn short(name: &str) -> String {
    cut(name, 100)
}

fn names(all: &[String]) -> Vec<String> {
    all.iter().map(|one| short(one)).collect()
}

/// A sentence that quotes a file.
fn shown(reason: &str) -> String {
    cut(reason, 400)
}

fn cut(text: &str, limit: usize) -> String {
    let mut shown = String::new();
    for (index, char) in text.chars().enumerate() {
        match char {
            _ if index == limit => {
                shown.push('…');
                break;
            }
            char if char.is_control() => shown.extend(char.escape_default()),
            char => shown.push(char),
        }
    }
    shown
}
