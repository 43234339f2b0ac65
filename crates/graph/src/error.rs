//! What can go wrong with a graph.

use crate::onnx_error::OnnxError;
use crate::op::Kind;
use crate::reason::Reason;

/// What can go wrong with a graph.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such value.
    #[error("the graph has no value `{name}`")]
    NoValue {
        /// The name.
        name: String,
    },
    /// There is no such node.
    #[error("the graph has no node `{name}`")]
    NoNode {
        /// The name.
        name: String,
    },
    /// The value is computed or given, and no part of the graph.
    #[error("`{name}` is no weight of the graph")]
    NoWeight {
        /// The name.
        name: String,
    },
    /// The value is computed, or part of the graph.
    #[error("`{name}` is no input of the graph")]
    NoInput {
        /// The name.
        name: String,
    },
    /// Two values have one name.
    #[error("there are two values `{name}`")]
    ValueTwice {
        /// The name.
        name: String,
    },
    /// Two nodes have one name.
    #[error("there are two nodes `{name}`")]
    NodeTwice {
        /// The name.
        name: String,
    },
    /// A graph without outputs.
    #[error("the graph gives nothing: it has no outputs")]
    NoOutputs,
    /// An operation has another number of inputs or outputs.
    #[error("node `{node}` ({op}) has {inputs} inputs and {outputs} outputs; {op} has others")]
    Arity {
        /// The node.
        node: String,
        /// The operation.
        op: &'static str,
        /// How many inputs there are.
        inputs: usize,
        /// How many outputs there are.
        outputs: usize,
    },
    /// The graph is given another number of tensors.
    #[error("the graph has {needed} inputs ({names}), but {given} tensors are given")]
    Inputs {
        /// How many there are.
        needed: usize,
        /// Their names.
        names: String,
        /// How many are given.
        given: usize,
    },
    /// An input has another shape.
    #[error("the input `{name}` has the shape {got:?}, but {expected} is needed")]
    InputShape {
        /// The input.
        name: String,
        /// Its shape.
        got: Vec<usize>,
        /// What fits.
        expected: String,
    },
    /// An input is given other numbers than it holds.
    #[error("the input `{name}` holds {expected}, but {got} are given")]
    InputKind {
        /// The input.
        name: String,
        /// What is given.
        got: Kind,
        /// What it holds.
        expected: Kind,
    },
    /// An input cannot be made.
    #[error("the input `{name}`: {source}")]
    Input {
        /// The input.
        name: String,
        /// Why.
        source: OpError,
    },
    /// A value is needed that is neither given nor computed from what is.
    #[error("`{name}` is needed, and neither given nor computed from what is given")]
    Missing {
        /// The value.
        name: String,
    },
    /// Channels cannot be removed.
    #[error("the channels of `{group}` cannot be removed: {reason}")]
    Fixed {
        /// The group.
        group: String,
        /// Why.
        reason: Reason,
    },
    /// There is no such unit.
    #[error("unit {unit} of the channels of `{group}` does not exist; there are {units}")]
    NoUnit {
        /// The group.
        group: String,
        /// The unit.
        unit: usize,
        /// How many there are.
        units: usize,
    },
    /// All channels of a place would be removed.
    #[error("no channel of `{name}` would be left; at least one must stay")]
    NothingLeft {
        /// The value or node.
        name: String,
    },
    /// A channel group was found in another graph.
    #[error("`{name}` does not fit the channel group; find the groups of this graph again")]
    OtherGraph {
        /// The value or node.
        name: String,
    },
    /// A reconstruction does not fit the channels that are removed.
    #[error("the reconstruction of `{name}` does not fit: {problem}")]
    Reconstruction {
        /// The value that is read.
        name: String,
        /// What does not fit.
        problem: &'static str,
    },
    /// A node failed.
    #[error("node `{node}` ({op}): {source}")]
    Node {
        /// The node.
        node: String,
        /// The operation.
        op: &'static str,
        /// Why.
        source: OpError,
    },
    /// There is no tensor of this name among those that are given.
    #[error("there is no tensor `{name}`")]
    NoTensor {
        /// The name.
        name: String,
    },
    /// The graph's inputs have more or fewer sizes that are not fixed.
    #[error(
        "the inputs have {needed} sizes beside the batch that are not fixed, but {given} are given"
    )]
    Sizes {
        /// How many there are.
        needed: usize,
        /// How many are given.
        given: usize,
    },
    /// An ONNX file would be too large.
    #[error("the ONNX file would have {bytes} bytes, but readers take less than 2 GiB")]
    OnnxTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] std::io::Error),
    /// A network cannot be read from ONNX.
    #[error("{file}: {source}")]
    Onnx {
        /// The file.
        file: String,
        /// Why.
        source: OnnxError,
    },
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// Why a node failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpError {
    /// An input has another shape.
    #[error("{what} has the shape {got:?}; {expected} is needed")]
    Shape {
        /// The input.
        what: &'static str,
        /// Its shape.
        got: Vec<usize>,
        /// What fits.
        expected: String,
    },
    /// An input has another kind of numbers.
    #[error("{what} are of type {got}; {expected} are needed")]
    Type {
        /// The input.
        what: &'static str,
        /// Its type.
        got: &'static str,
        /// What fits.
        expected: &'static str,
    },
    /// A setting or a number of an input is impossible here.
    #[error("{what} = {value} is not possible: {expected}")]
    Setting {
        /// The setting.
        what: &'static str,
        /// Its value.
        value: String,
        /// What is possible.
        expected: String,
    },
    /// A result would be larger than any network's.
    #[error("the result would have {elements} elements, more than {limit}")]
    TooLarge {
        /// Its size.
        elements: usize,
        /// What is allowed.
        limit: usize,
    },
    /// A kernel failed.
    #[error(transparent)]
    Kernel(Box<foresee_kernels::Error>),
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(Box<candle_core::Error>),
}

impl From<candle_core::Error> for OpError {
    fn from(error: candle_core::Error) -> Self {
        Self::Candle(Box::new(error))
    }
}

impl From<foresee_kernels::Error> for OpError {
    fn from(error: foresee_kernels::Error) -> Self {
        Self::Kernel(Box::new(error))
    }
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
