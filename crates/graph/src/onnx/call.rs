//! A node that is being converted.

use candle_core::Tensor;

use super::attributes::{Attributes, Convert, Fault, invalid, unsupported};
use super::functions::FlatNode;
use super::reader::{Known, Reader};
use crate::error::Error;
use crate::graph::ValueId;
use crate::kinds::result;
use crate::onnx_error::OnnxError;
use crate::op::Op;
use crate::ranks;

pub(super) struct Call<'r, 'a> {
    pub(super) reader: &'r mut Reader<'a>,
    pub(super) node: &'r FlatNode<'a>,
    /// The node's name in the graph.
    pub(super) name: String,
    /// Those that are left out at the end are not there.
    pub(super) inputs: Vec<Option<ValueId>>,
    pub(super) attributes: Attributes<'a>,
}

impl Call<'_, '_> {
    /// The operation's version.
    pub(super) fn opset(&self) -> i64 {
        self.node.opset
    }

    pub(super) fn input(&self, index: usize) -> Option<ValueId> {
        self.inputs.get(index).copied().flatten()
    }

    pub(super) fn need(&self, index: usize) -> Convert<ValueId> {
        let missing = || Fault::Invalid(format!("it has no input {index}"));
        self.input(index).ok_or_else(missing)
    }

    pub(super) fn known(&self, id: ValueId) -> Known {
        self.reader.known.get(&id).cloned().unwrap_or_default()
    }

    pub(super) fn rank(&self, id: ValueId) -> Option<usize> {
        self.reader.known.get(&id)?.form.map(|form| form.rank)
    }

    /// An input's tensor, if it is a weight or a constant.
    pub(super) fn constant(&self, index: usize) -> Option<Tensor> {
        self.known(self.input(index)?).constant
    }

    /// The node itself, with its inputs as they are.
    pub(super) fn emit(&mut self, op: Op) -> Convert<()> {
        self.emit_with(op, self.inputs.clone())
    }

    /// The node itself, with its first output only.
    pub(super) fn emit_with(&mut self, op: Op, inputs: Vec<Option<ValueId>>) -> Convert<()> {
        self.unused_from(1)?;
        self.emit_first(op, inputs)
    }

    /// The node itself, with its first output; others are computed by other nodes.
    pub(super) fn emit_first(&mut self, op: Op, inputs: Vec<Option<ValueId>>) -> Convert<()> {
        let output = self.node.outputs.first().cloned().unwrap_or_default();
        self.push(self.name.clone(), op, inputs, &[output])
    }

    /// Another node, for an output that is not the first.
    pub(super) fn emit_other(
        &mut self,
        index: usize,
        op: Op,
        inputs: Vec<Option<ValueId>>,
    ) -> Convert<()> {
        let output = self.node.outputs.get(index).cloned().unwrap_or_default();
        let name = self.reader.node_names.unique(&format!("{}/{index}", self.name));
        self.push(name, op, inputs, &[output])
    }

    /// The node itself, with all of its outputs.
    pub(super) fn emit_all(&mut self, op: Op) -> Convert<()> {
        let node = self.node;
        self.push(self.name.clone(), op, self.inputs.clone(), &node.outputs)
    }

    /// Refuses a node of which an output from `first` on is read.
    pub(super) fn unused_from(&self, first: usize) -> Convert<()> {
        let mut others = self.node.outputs.iter().skip(first);
        match others.find(|name| !name.is_empty() && self.reader.read.contains(*name)) {
            None => Ok(()),
            Some(name) => unsupported(format!("its output `{name}` is needed")),
        }
    }

    fn push(
        &mut self,
        node: String,
        op: Op,
        inputs: Vec<Option<ValueId>>,
        outputs: &[String],
    ) -> Convert<()> {
        let known = self.infer(&op, &inputs);
        let fresh = |name: &String| match name.as_str() {
            "" => self.reader.value_names.unique(&node),
            name => name.into(),
        };
        let names: Vec<String> = outputs.iter().map(fresh).collect();
        let ids = self.reader.builder.push(&node, op, inputs, &names).map_err(fault)?;
        for (name, id) in names.iter().zip(ids) {
            self.reader.define(name, id, known.clone());
        }
        Ok(())
    }

    /// Another node that this one needs.
    pub(super) fn extra(
        &mut self,
        what: &str,
        op: Op,
        inputs: Vec<Option<ValueId>>,
    ) -> Convert<ValueId> {
        let known = self.infer(&op, &inputs);
        let name = format!("{}/{what}", self.name);
        let node = self.reader.node_names.unique(&name);
        let output = self.reader.value_names.unique(&name);
        let ids = self.reader.builder.push(&node, op, inputs, &[output]).map_err(fault)?;
        self.reader.known.insert(ids[0], known);
        Ok(ids[0])
    }

    /// A weight that this node needs, with the name of its setting.
    fn weight(&mut self, what: &str, tensor: Tensor) -> Convert<ValueId> {
        let name = self.reader.value_names.unique(&format!("{}/{what}", self.name));
        Ok(self.reader.weight(&name, tensor)?)
    }

    /// A number as an input.
    pub(super) fn number(&mut self, what: &str, value: f64) -> Convert<ValueId> {
        let tensor = self.reader.tensors.floats(&[value], &[])?;
        self.weight(what, tensor)
    }

    /// Numbers as an input.
    pub(super) fn numbers(&mut self, what: &str, values: &[f64]) -> Convert<ValueId> {
        let tensor = self.reader.tensors.floats(values, &[values.len()])?;
        self.weight(what, tensor)
    }

    /// An integer as an input.
    pub(super) fn integer(&mut self, what: &str, value: i64) -> Convert<ValueId> {
        let tensor = self.reader.tensors.ints(&[value], &[])?;
        self.weight(what, tensor)
    }

    /// Integers as an input.
    pub(super) fn integers(&mut self, what: &str, values: &[i64]) -> Convert<ValueId> {
        let tensor = self.reader.tensors.ints(values, &[values.len()])?;
        self.weight(what, tensor)
    }

    /// The setting that is an attribute before version `since` and input `index` from then on.
    pub(super) fn moved(
        &mut self,
        name: &str,
        index: usize,
        since: i64,
    ) -> Convert<Option<ValueId>> {
        if self.opset() >= since {
            return Ok(self.input(index));
        }
        if self.input(index).is_some() {
            return invalid(format!("it has an input {index}, which came with opset {since}"));
        }
        let Some(values) = self.attributes.ints(name)? else { return Ok(None) };
        self.integers(name, values).map(Some)
    }

    /// What is known of a node's output, from what is known of its inputs.
    fn infer(&self, op: &Op, inputs: &[Option<ValueId>]) -> Known {
        let input = |place: usize| inputs.get(place).copied().flatten();
        let kind = result(op, |place| self.reader.known.get(&input(place)?)?.kind);
        let form = |id: ValueId| self.known(id).form;
        let weight = |id: ValueId| self.known(id).constant;
        let known = ranks::Known { op, inputs, form: &form, weight: &weight };
        Known { form: known.result(), kind, constant: None }
    }
}

/// Why the builder does not take a node.
fn fault(error: Error) -> Fault {
    match error {
        Error::Arity { inputs, outputs, .. } => Fault::Invalid(format!(
            "it has {inputs} inputs and {outputs} outputs; the operation has others"
        )),
        Error::ValueTwice { name } => {
            Fault::Onnx(OnnxError::Twice { node: name.clone(), value: name })
        }
        other => Fault::Invalid(other.to_string()),
    }
}
