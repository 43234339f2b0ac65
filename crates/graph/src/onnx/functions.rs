//! Functions of the file, put in place of the nodes that call them.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use super::proto::{Attribute, Function, Model, Node, Setting};
use super::protobuf_reader::Read;
use crate::names::Names;
use crate::onnx_error::OnnxError;

/// The opsets that are understood.
const OPSETS: RangeInclusive<i64> = 6..=28;
/// How deep functions may be nested.
const MAX_DEPTH: usize = 64;
/// Bytes that nodes may take when all functions are in place: some, more for each byte of the file,
/// and never more than the last.
const MAX_BYTES: [usize; 3] = [16 << 20, 512, 1 << 30];

/// A node of the network, or of a function that stands in it.
pub(super) struct FlatNode<'a> {
    /// The name in the file, behind those of the nodes that called its function; may be empty.
    pub(super) name: String,
    pub(super) op_type: &'a str,
    pub(super) domain: &'a str,
    /// The version of the domain.
    pub(super) opset: i64,
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    pub(super) attributes: Vec<(&'a str, &'a Setting<'a>)>,
}

impl FlatNode<'_> {
    /// What an error calls the node.
    pub(super) fn label(&self) -> &str {
        if !self.name.is_empty() {
            return &self.name;
        }
        self.outputs.iter().find(|name| !name.is_empty()).map_or("", |name| name)
    }

    /// The operation, with its domain if that is not ONNX's own.
    pub(super) fn op(&self) -> String {
        if is_standard(self.domain) {
            return self.op_type.into();
        }
        format!("{}.{}", self.domain, self.op_type)
    }

    /// The error that says what is wrong with the node.
    pub(super) fn fault(&self, reason: impl Into<String>) -> OnnxError {
        OnnxError::Node {
            node: self.label().into(),
            op: self.op(),
            opset: self.opset,
            reason: reason.into(),
        }
    }
}

/// Whether a domain is ONNX's own.
pub(super) fn is_standard(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

fn check_opset(node: &FlatNode) -> Read<()> {
    if !is_standard(node.domain) || OPSETS.contains(&node.opset) {
        return Ok(());
    }
    let (oldest, newest) = (*OPSETS.start(), *OPSETS.end());
    Err(OnnxError::Opset { version: node.opset, oldest, newest })
}

/// The version of a domain; 0 if it is not given.
fn version(opsets: &[(&str, i64)], domain: &str) -> i64 {
    let same = |other| other == domain || (is_standard(other) && is_standard(domain));
    opsets.iter().find(|opset| same(opset.0)).map_or(0, |opset| opset.1)
}

/// All nodes of the network. `names` are those of its values; more are made for the values inside
/// of functions. `size` is the file's.
pub(super) fn flatten<'a>(
    model: &'a Model<'a>,
    size: usize,
    names: &mut Names,
) -> Read<Vec<FlatNode<'a>>> {
    let key = |function: &'a Function<'a>| (function.domain, function.name, function.overload);
    let functions = model.functions.iter().map(|function| (key(function), function)).collect();
    let [some, more, most] = MAX_BYTES;
    let limit = size.saturating_mul(more).saturating_add(some).min(most);
    let mut flattener = Flattener { functions, names, nodes: vec![], bytes: 0, limit };
    let scope = Scope {
        prefix: "",
        values: None,
        attributes: HashMap::new(),
        opsets: &model.opsets,
        depth: 0,
    };
    flattener.nodes(&model.graph.nodes, scope)?;
    Ok(flattener.nodes)
}

struct Flattener<'a, 'n> {
    functions: HashMap<(&'a str, &'a str, &'a str), &'a Function<'a>>,
    names: &'n mut Names,
    nodes: Vec<FlatNode<'a>>,
    /// What the nodes take, about.
    bytes: usize,
    limit: usize,
}

/// What names mean where a list of nodes stands.
struct Scope<'a, 's> {
    prefix: &'s str,
    /// The values of a function by their names in it; none: names are the network's.
    values: Option<HashMap<&'a str, String>>,
    /// The attributes of a function, by their names in it.
    attributes: HashMap<&'a str, &'a Setting<'a>>,
    opsets: &'a [(&'a str, i64)],
    depth: usize,
}

impl<'a> Flattener<'a, '_> {
    fn count(&mut self, bytes: usize) -> Read<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes <= self.limit {
            return Ok(());
        }
        Err(OnnxError::TooLarge { what: "bytes of nodes in functions", limit: self.limit })
    }

    fn nodes(&mut self, nodes: &'a [Node<'a>], mut scope: Scope<'a, '_>) -> Read<()> {
        for node in nodes {
            let flat = self.node(node, &mut scope)?;
            let key = (node.domain, node.op_type, node.overload);
            match self.functions.get(&key).copied() {
                Some(function) => self.call(&flat, function, scope.depth + 1)?,
                None => {
                    check_opset(&flat)?;
                    self.nodes.push(flat);
                }
            }
        }
        Ok(())
    }

    /// The node with the names of its surroundings.
    fn node(&mut self, node: &'a Node<'a>, scope: &mut Scope<'a, '_>) -> Read<FlatNode<'a>> {
        let name = match (scope.prefix, node.name) {
            ("", name) => name.into(),
            (prefix, "") => format!("{prefix}/{}", node.op_type),
            (prefix, name) => format!("{prefix}/{name}"),
        };
        self.count(256 + name.len())?;
        let inputs = node.inputs.iter().map(|name| self.value(name, scope));
        let inputs = inputs.collect::<Read<_>>()?;
        let outputs = node.outputs.iter().map(|name| self.value(name, scope));
        let outputs = outputs.collect::<Read<_>>()?;
        let attributes = self.attributes(&node.attributes, scope)?;
        let opset = version(scope.opsets, node.domain);
        let (op_type, domain) = (node.op_type, node.domain);
        Ok(FlatNode { name, op_type, domain, opset, inputs, outputs, attributes })
    }

    fn value(&mut self, name: &'a str, scope: &mut Scope<'a, '_>) -> Read<String> {
        let full = match &mut scope.values {
            None => name.into(),
            Some(values) => match values.get(name) {
                Some(known) => known.clone(),
                None if name.is_empty() => String::new(),
                None => {
                    self.count(2 * (scope.prefix.len() + name.len()))?;
                    let full = self.names.unique(&format!("{}/{name}", scope.prefix));
                    values.insert(name, full.clone());
                    full
                }
            },
        };
        self.count(64 + full.len())?;
        Ok(full)
    }

    /// Attributes, with those of the function's call in place of references to them. A reference to
    /// one that the call does not give leaves the attribute out.
    fn attributes(
        &mut self,
        attributes: &'a [Attribute<'a>],
        scope: &Scope<'a, '_>,
    ) -> Read<Vec<(&'a str, &'a Setting<'a>)>> {
        let size = |attribute: &Attribute| match &attribute.value {
            Setting::Ints(values) => 32 + 8 * values.len(),
            Setting::Floats(values) => 32 + 8 * values.len(),
            _ => 32,
        };
        self.count(attributes.iter().map(size).sum())?;
        let resolve = |attribute: &'a Attribute<'a>| match attribute.value {
            Setting::Reference(name) => Some((attribute.name, *scope.attributes.get(name)?)),
            _ => Some((attribute.name, &attribute.value)),
        };
        Ok(attributes.iter().filter_map(resolve).collect())
    }

    fn call(&mut self, call: &FlatNode<'a>, function: &'a Function<'a>, depth: usize) -> Read<()> {
        if depth > MAX_DEPTH {
            return Err(OnnxError::Recursion { function: function.name.into(), depth: MAX_DEPTH });
        }
        if call.inputs.len() > function.inputs.len() || call.outputs.len() > function.outputs.len()
        {
            return Err(call.fault("it has more inputs or outputs than the function it calls"));
        }
        self.count(64 * (function.inputs.len() + function.outputs.len() + call.attributes.len()))?;
        let mut values = HashMap::new();
        for (index, formal) in function.inputs.iter().enumerate() {
            values.insert(*formal, call.inputs.get(index).cloned().unwrap_or_default());
        }
        let mut copies = vec![];
        for (formal, output) in function.outputs.iter().zip(&call.outputs) {
            match values.get(formal) {
                // An input of the function, or an output twice, is handed on.
                Some(value) => copies.push((value.clone(), output.clone())),
                None if output.is_empty() => {}
                None => {
                    values.insert(*formal, output.clone());
                }
            }
        }
        let defaults = function.defaults.iter().map(|default| (default.name, &default.value));
        let attributes = defaults.chain(call.attributes.iter().copied()).collect();
        let prefix = call.label().to_owned();
        let scope = Scope {
            prefix: &prefix,
            values: Some(values),
            attributes,
            opsets: &function.opsets,
            depth,
        };
        self.nodes(&function.nodes, scope)?;
        for (from, to) in copies {
            self.copy(call, from, to)?;
        }
        Ok(())
    }

    fn copy(&mut self, call: &FlatNode<'a>, from: String, to: String) -> Read<()> {
        self.count(256 + from.len() + to.len())?;
        self.nodes.push(FlatNode {
            name: format!("{}/{to}", call.label()),
            op_type: "Identity",
            domain: "",
            opset: 1,
            inputs: vec![from],
            outputs: vec![to],
            attributes: vec![],
        });
        Ok(())
    }
}
