//! The messages of ONNX, as far as they say what a network computes. Texts and bytes are parts of
//! the file's; tensors are left as bytes until they are needed.

pub(super) struct Model<'a> {
    /// Domains and versions.
    pub(super) opsets: Vec<(&'a str, i64)>,
    pub(super) graph: Graph<'a>,
    pub(super) functions: Vec<Function<'a>>,
}

#[derive(Default)]
pub(super) struct Graph<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    /// Names and messages.
    pub(super) initializers: Vec<(&'a str, &'a [u8])>,
    pub(super) inputs: Vec<Input<'a>>,
    pub(super) outputs: Vec<&'a str>,
}

#[derive(Default)]
pub(super) struct Node<'a> {
    pub(super) name: &'a str,
    pub(super) op_type: &'a str,
    pub(super) domain: &'a str,
    pub(super) overload: &'a str,
    pub(super) inputs: Vec<&'a str>,
    pub(super) outputs: Vec<&'a str>,
    pub(super) attributes: Vec<Attribute<'a>>,
}

pub(super) struct Attribute<'a> {
    pub(super) name: &'a str,
    pub(super) value: Setting<'a>,
}

/// An attribute's value.
pub(super) enum Setting<'a> {
    Int(i64),
    Float(f32),
    Text(&'a [u8]),
    Tensor(&'a [u8]),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    /// That of an attribute of the function that is called.
    Reference(&'a str),
    /// Of a kind that no supported operation has.
    Other(&'static str),
}

pub(super) struct Input<'a> {
    pub(super) name: &'a str,
    pub(super) kind: InputKind,
}

pub(super) enum InputKind {
    /// Element type, and sizes where they are given.
    Tensor(i64, Option<Vec<Option<usize>>>),
    Other(&'static str),
}

#[derive(Default)]
pub(super) struct Function<'a> {
    pub(super) name: &'a str,
    pub(super) domain: &'a str,
    pub(super) overload: &'a str,
    pub(super) inputs: Vec<&'a str>,
    pub(super) outputs: Vec<&'a str>,
    /// Attributes that have a value where a call gives none.
    pub(super) defaults: Vec<Attribute<'a>>,
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) opsets: Vec<(&'a str, i64)>,
}
