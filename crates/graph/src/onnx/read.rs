//! From a file's messages to a graph.

use std::collections::HashSet;

use super::OnnxOptions;
use super::attributes::{Attributes, Fault};
use super::call::Call;
use super::convert::convert;
use super::functions::{FlatNode, flatten};
use super::parse::Parser;
use super::proto::Model;
use super::protobuf_reader::Read;
use super::reader::Reader;
use super::sort::sort;
use crate::graph::Graph;
use crate::names::Names;

/// The graph of the network that `bytes` hold.
pub(super) fn read(bytes: &[u8], options: &OnnxOptions) -> Read<Graph> {
    let model = Parser::default().model(bytes)?;
    let mut names = Names::default();
    let given = given(&model);
    given.iter().for_each(|name| {
        names.take(name);
    });
    let computed = model.graph.nodes.iter().flat_map(|node| &node.outputs);
    computed.for_each(|name| {
        names.take(name);
    });
    let nodes = flatten(&model, bytes.len(), &mut names)?;
    let nodes = sort(nodes, &given)?;
    let mut reader = Reader::new(&model, &nodes, names, options)?;
    reader.inputs(&model)?;
    nodes.iter().try_for_each(|node| reader.node(node))?;
    reader.finish(&model)
}

/// The values that no node computes.
fn given<'a>(model: &Model<'a>) -> HashSet<&'a str> {
    let inputs = model.graph.inputs.iter().map(|input| input.name);
    inputs.chain(model.graph.initializers.iter().map(|weight| weight.0)).collect()
}

impl<'a> Reader<'a> {
    fn node(&mut self, node: &FlatNode<'a>) -> Read<()> {
        let inputs = node.inputs.iter().map(|name| match name.as_str() {
            "" => Ok(None),
            name => self.value(name),
        });
        let mut inputs = inputs.collect::<Read<Vec<_>>>()?;
        while inputs.last() == Some(&None) {
            inputs.pop();
        }
        let name = self.node_names.unique(&match node.name.as_str() {
            "" => format!("{}_{}", node.op_type, node.label()),
            name => name.into(),
        });
        let attributes = Attributes::new(&node.attributes);
        let mut call = Call { reader: self, node, name, inputs, attributes };
        match convert(&mut call) {
            Ok(()) => Ok(()),
            Err(Fault::Onnx(error)) => Err(error),
            Err(Fault::Invalid(reason)) => Err(node.fault(reason)),
            Err(Fault::Unsupported(reason)) => self.refuse(node, reason),
        }
    }
}
