//! A graph that is being made of a file's messages.

use std::collections::{HashMap, HashSet};

use super::OnnxOptions;
use super::elements::Element;
use super::external::External;
use super::functions::FlatNode;
use super::proto::{Input, InputKind, Model};
use super::protobuf_reader::Read;
use super::tensors::Tensors;
use crate::graph::{Builder, Graph, ValueId};
use crate::names::Names;
use crate::onnx_error::{OnnxError, Unsupported};
use crate::op::Kind;
use crate::ranks::Form;

/// What is known of a value before the network runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) form: Option<Form>,
    pub(super) kind: Option<Kind>,
    pub(super) constant: Option<candle_core::Tensor>,
}

/// A graph that is being made.
pub(super) struct Reader<'a> {
    pub(super) builder: Builder,
    pub(super) tensors: Tensors,
    pub(super) known: HashMap<ValueId, Known>,
    /// Values by the file's names.
    values: HashMap<String, ValueId>,
    /// Names of the graph's values.
    pub(super) value_names: Names,
    /// Names of the graph's nodes.
    pub(super) node_names: Names,
    /// The file's weights, which are read when they are needed.
    initializers: HashMap<&'a str, &'a [u8]>,
    /// Values that a node or the network's user reads.
    pub(super) read: HashSet<String>,
    unsupported: Vec<Unsupported>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        model: &Model<'a>,
        nodes: &[FlatNode],
        value_names: Names,
        options: &OnnxOptions,
    ) -> Read<Self> {
        let inputs = nodes.iter().flat_map(|node| &node.inputs);
        let outputs = model.graph.outputs.iter().map(|name| (*name).to_owned());
        Ok(Self {
            builder: Builder::new(),
            tensors: Tensors::new(
                options.dtype,
                options.device.clone(),
                External::new(options.folder.clone()),
            ),
            known: HashMap::new(),
            values: HashMap::new(),
            value_names,
            node_names: Names::default(),
            initializers: model.graph.initializers.iter().copied().collect(),
            read: inputs.cloned().chain(outputs).collect(),
            unsupported: vec![],
        })
    }

    /// The network's inputs: those that are no weights.
    pub(super) fn inputs(&mut self, model: &Model) -> Read<()> {
        for input in &model.graph.inputs {
            if self.initializers.contains_key(input.name) {
                continue;
            }
            let fault = |reason: String| OnnxError::Input { name: input.name.into(), reason };
            let (shape, kind) = shape(input).map_err(fault)?;
            let form = Some(Form::of_input(&shape));
            let id = self.builder.input_of(input.name, kind, shape);
            let id = id.map_err(|_| fault("is there twice".into()))?;
            self.values.insert(input.name.into(), id);
            self.known.insert(id, Known { form, kind: Some(kind), constant: None });
        }
        Ok(())
    }

    /// The value of this name, which is read now if it is a weight.
    pub(super) fn value(&mut self, name: &str) -> Read<Option<ValueId>> {
        if let Some(id) = self.values.get(name) {
            return Ok(Some(*id));
        }
        let Some(message) = self.initializers.get(name) else { return Ok(None) };
        let tensor = self.tensors.read(name, message)?;
        self.weight(name, tensor).map(Some)
    }

    /// Adds a weight under the file's name.
    pub(super) fn weight(&mut self, name: &str, tensor: candle_core::Tensor) -> Read<ValueId> {
        let known = Known {
            form: Some(Form::of_weight(&tensor)),
            kind: Some(Kind::of(tensor.dtype())),
            constant: Some(tensor.clone()),
        };
        let id = self.builder.weight(name, tensor);
        let id = id.map_err(|_| OnnxError::Twice { node: name.into(), value: name.into() })?;
        self.define(name, id, known);
        Ok(id)
    }

    /// Says which value a name of the file means from here on.
    pub(super) fn define(&mut self, name: &str, id: ValueId, known: Known) {
        self.values.insert(name.into(), id);
        self.known.insert(id, known);
    }

    /// Notes what is not supported, and goes on: the error is to name all that is not.
    pub(super) fn refuse(&mut self, node: &FlatNode, reason: String) -> Read<()> {
        self.unsupported.push(Unsupported {
            node: node.label().into(),
            op: node.op(),
            opset: node.opset,
            reason,
        });
        for name in &node.outputs {
            if !name.is_empty() && !self.values.contains_key(name) {
                let stand_in = self.tensors.floats(&[0.], &[])?;
                self.weight(name, stand_in)?;
                self.known.insert(self.values[name], Known::default());
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self, model: &Model) -> Read<Graph> {
        if !self.unsupported.is_empty() {
            return Err(OnnxError::Unsupported(self.unsupported));
        }
        let mut outputs = vec![];
        for name in &model.graph.outputs {
            let undefined = || OnnxError::Undefined {
                reader: "an output of the network".into(),
                value: (*name).into(),
            };
            outputs.push(self.value(name)?.ok_or_else(undefined)?);
        }
        self.builder.finish(outputs).map_err(|_| OnnxError::NoOutputs)
    }
}

/// The sizes of an input and its kind of numbers, or what is wrong with it.
fn shape(input: &Input) -> Result<(Vec<Option<usize>>, Kind), String> {
    match &input.kind {
        InputKind::Other(what) => Err(format!("is {what}; inputs must be tensors")),
        InputKind::Tensor(_, None) => {
            Err("has no shape: give it one, at least with the number of its dimensions".into())
        }
        InputKind::Tensor(element, Some(shape)) => {
            let element = Element::new(*element);
            let element = element.map_err(|what| format!("holds {what}; it must hold numbers"))?;
            Ok((shape.clone(), element.kind()))
        }
    }
}
