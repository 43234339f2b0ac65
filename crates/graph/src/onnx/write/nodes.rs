//! Nodes as ONNX's.

use candle_core::{DType, Device, Tensor};
use foresee_kernels::Rows;

use super::attributes::{Attribute, Attributes, attributes};
use super::{Message, SCALES, data_type, tensor_message, written};
use crate::error::Result;
use crate::graph::{Graph, Node, ValueId};
use crate::names::Names;
use crate::op::{Binary, Kind, Op, Unary};

/// The nodes that are written, with the constants that they need.
pub(super) struct Nodes<'a> {
    graph: &'a Graph,
    kinds: &'a [Kind],
    message: Message,
    /// Names of values that are taken.
    values: Names,
    /// Names of nodes that are taken.
    names: Names,
    constants: Vec<(String, Tensor)>,
}

impl<'a> Nodes<'a> {
    pub fn new(graph: &'a Graph, kinds: &'a [Kind]) -> Self {
        Self {
            graph,
            kinds,
            message: Message::new(),
            values: graph.value_names(),
            names: graph.node_names(),
            constants: Vec::new(),
        }
    }

    /// The constants that were added.
    pub fn weights(&mut self) -> Vec<(String, Tensor)> {
        std::mem::take(&mut self.constants)
    }

    pub fn into_message(self) -> Message {
        self.message
    }

    /// A copy of a value, under another name.
    pub fn copy(&mut self, value: &str) -> Result<String> {
        let name = self.values.unique(value);
        let node = self.names.unique(&name);
        self.emit(&node, "Identity", &[value], &[&name], Vec::new())?;
        Ok(name)
    }

    /// Writes a node as one or several of ONNX's.
    pub fn push(&mut self, node: &Node) -> Result<()> {
        let inputs = self.inputs(node)?;
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        match &node.op {
            Op::Unary(Unary::Silu) => {
                let gate = self.part(node, "sigmoid", "Sigmoid", &inputs, Vec::new())?;
                self.last(node, "Mul", &[inputs[0], &gate])
            }
            Op::Softmax(of) if of.flattens => self.flat_softmax(node, inputs[0]),
            Op::Binary(Binary::Mod) if self.kind_of(node, 0) == Kind::Float => {
                self.remainder(node, inputs[0], inputs[1])
            }
            Op::Reduce(of) if inputs.len() == 1 => match &of.axes {
                Some(axes) => {
                    let axes: Vec<i64> = axes.iter().map(|&axis| axis as i64).collect();
                    let axes = self.integers(node, "axes", axes)?;
                    self.last(node, node.op.name(), &[inputs[0], &axes])
                }
                None => self.last(node, node.op.name(), &inputs),
            },
            Op::Split(of) if inputs.len() == 1 => match &of.sizes {
                Some(sizes) => {
                    let sizes = sizes.iter().map(|&size| size as i64).collect();
                    let sizes = self.integers(node, "sizes", sizes)?;
                    self.last(node, "Split", &[inputs[0], &sizes])
                }
                None => {
                    let mut settings = attributes(self.graph, &node.op)?;
                    settings.push(("num_outputs", Attribute::Int(of.parts as i64)));
                    self.end(node, "Split", &inputs, settings)
                }
            },
            Op::AttentionMasks(rows) => self.attention_masks(node, &inputs, rows),
            Op::Readout => self.readout(node, &inputs),
            op => self.last(node, op.name(), &inputs),
        }
    }

    /// The names of a node's inputs, in the types that ONNX asks for: conditions are made booleans
    /// where they are other numbers, and scales numbers of 32 bits.
    fn inputs(&mut self, node: &Node) -> Result<Vec<String>> {
        let mut names = Vec::with_capacity(node.inputs.len());
        for (place, id) in node.inputs.iter().enumerate() {
            let name = id.map(|id| self.graph.value(id).name.clone()).unwrap_or_default();
            names.push(match id.and_then(|id| self.cast(node, place, id)) {
                Some((what, to)) => {
                    let to = vec![("to", Attribute::Int(data_type(to)))];
                    self.part(node, what, "Cast", &[&name], to)?
                }
                None => name,
            });
        }
        while names.last().is_some_and(String::is_empty) {
            names.pop();
        }
        Ok(names)
    }

    /// The type that an input must be cast to, if it is of another, and what to call the result.
    fn cast(&self, node: &Node, place: usize, id: ValueId) -> Option<(&'static str, DType)> {
        let is_wide = || self.graph.float_type().0 == DType::F64 && !self.graph.is_scales(id);
        match (&node.op, place) {
            (Op::Where | Op::Unary(Unary::Not), 0)
            | (Op::Binary(Binary::And | Binary::Or | Binary::Xor), _) => {
                (self.kinds[id.0] != Kind::Bool).then_some(("condition", DType::U8))
            }
            (Op::Resize(_), SCALES) if is_wide() => Some(("scales", DType::F32)),
            _ => None,
        }
    }

    fn kind_of(&self, node: &Node, place: usize) -> Kind {
        node.input(place).map_or(Kind::Float, |id| self.kinds[id.0])
    }

    /// One of several nodes that a node becomes, but not the last; returns its result's name.
    fn part(
        &mut self,
        node: &Node,
        what: &str,
        op: &str,
        inputs: &[&str],
        settings: Attributes,
    ) -> Result<String> {
        let name = self.names.unique(&format!("{}.{what}", node.name));
        let result = self.values.unique(&name);
        self.emit(&name, op, inputs, &[&result], settings)?;
        Ok(result)
    }

    /// The last node, which has the node's name, results, and settings.
    fn last(&mut self, node: &Node, op: &str, inputs: &[&str]) -> Result<()> {
        self.end(node, op, inputs, attributes(self.graph, &node.op)?)
    }

    fn end(&mut self, node: &Node, op: &str, inputs: &[&str], settings: Attributes) -> Result<()> {
        let graph = self.graph;
        let outputs: Vec<&str> =
            node.outputs.iter().map(|&id| graph.value(id).name.as_str()).collect();
        self.emit(&node.name, op, inputs, &outputs, settings)
    }

    /// A constant of integers; returns its name.
    fn integers(&mut self, node: &Node, what: &str, numbers: Vec<i64>) -> Result<String> {
        let count = numbers.len();
        self.constant(node, what, Tensor::from_vec(numbers, count, &Device::Cpu)?)
    }

    fn constant(&mut self, node: &Node, what: &str, tensor: Tensor) -> Result<String> {
        let name = self.values.unique(&format!("{}.{what}", node.name));
        self.constants.push((name.clone(), written(&tensor)?));
        Ok(name)
    }

    /// Softmax over all dimensions from one on: of a matrix, whose shape is the input's afterwards.
    fn flat_softmax(&mut self, node: &Node, x: &str) -> Result<()> {
        let axis = attributes(self.graph, &node.op)?;
        let flat = self.part(node, "flat", "Flatten", &[x], axis)?;
        let last = vec![("axis", Attribute::Int(-1))];
        let softmax = self.part(node, "softmax", node.op.name(), &[&flat], last)?;
        let shape = self.part(node, "shape", "Shape", &[x], Vec::new())?;
        self.end(node, "Reshape", &[&softmax, &shape], Vec::new())
    }

    /// a - b·⌊a/b⌋.
    fn remainder(&mut self, node: &Node, a: &str, b: &str) -> Result<()> {
        let quotient = self.part(node, "quotient", "Div", &[a, b], Vec::new())?;
        let floor = self.part(node, "floor", "Floor", &[&quotient], Vec::new())?;
        let product = self.part(node, "product", "Mul", &[b, &floor], Vec::new())?;
        self.end(node, "Sub", &[a, &product], Vec::new())
    }

    /// sigmoid(conv(z)) ⊗ z: masks [B, K·C, H, W], those of rows that are left out times 0, in the
    /// shape [B, K, C, H, W], times z [B, 1, C, H, W].
    fn attention_masks(&mut self, node: &Node, inputs: &[&str], rows: &Rows) -> Result<()> {
        let z = inputs[0];
        let same = vec![("auto_pad", Attribute::Text("SAME_UPPER"))];
        let logits = self.part(node, "logits", "Conv", inputs, same)?;
        let mut masks = self.part(node, "masks", "Sigmoid", &[&logits], Vec::new())?;
        let [k, c] = [rows.attributes(), rows.channels()];
        if !rows.is_all() {
            let is_kept = |row: usize| f64::from(u8::from(rows.has(row / c, row % c)));
            let kept: Vec<f64> = (0..k * c).map(is_kept).collect();
            let kept = Tensor::from_vec(kept, (k * c, 1, 1), &Device::Cpu)?;
            let kept = kept.to_dtype(self.graph.float_type().0)?;
            let kept = self.constant(node, "rows", kept)?;
            masks = self.part(node, "kept", "Mul", &[&masks, &kept], Vec::new())?;
        }
        let (start, end) = (|at| ("start", Attribute::Int(at)), ("end", Attribute::Int(1)));
        let batch = self.part(node, "batch", "Shape", &[z], vec![start(0), end])?;
        let pixels = self.part(node, "pixels", "Shape", &[z], vec![start(2)])?;
        let heads = self.integers(node, "heads", vec![k as i64, c as i64])?;
        let axis = vec![("axis", Attribute::Int(0))];
        let shape = self.part(node, "shape", "Concat", &[&batch, &heads, &pixels], axis)?;
        let masks = self.part(node, "of_heads", "Reshape", &[&masks, &shape], Vec::new())?;
        let axes = self.integers(node, "axes", vec![1])?;
        let z = self.part(node, "features", "Unsqueeze", &[z, &axes], Vec::new())?;
        self.end(node, "Mul", &[&masks, &z], Vec::new())
    }

    /// Σ_c w_kc·p_kc + b_k.
    fn readout(&mut self, node: &Node, inputs: &[&str]) -> Result<()> {
        let product = self.part(node, "product", "Mul", &inputs[..2], Vec::new())?;
        let axes = self.integers(node, "axes", vec![-1])?;
        let drop = vec![("keepdims", Attribute::Int(0))];
        let sum = self.part(node, "sum", "ReduceSum", &[&product, &axes], drop)?;
        self.end(node, "Add", &[&sum, inputs[2]], Vec::new())
    }

    fn emit(
        &mut self,
        name: &str,
        op: &str,
        inputs: &[&str],
        outputs: &[&str],
        settings: Attributes,
    ) -> Result<()> {
        let mut node = Message::new();
        inputs.iter().for_each(|input| {
            node.text(1, input);
        });
        outputs.iter().for_each(|output| {
            node.text(2, output);
        });
        node.text(3, name).text(4, op);
        for (name, value) in &settings {
            node.message(5, &attribute(name, value)?);
        }
        self.message.message(1, &node);
        Ok(())
    }
}

/// A setting: its name, value, and the number of its type.
fn attribute(name: &str, value: &Attribute) -> Result<Message> {
    let mut message = Message::new();
    message.text(1, name);
    let kind = match value {
        Attribute::Float(number) => {
            message.float(2, *number as f32);
            1
        }
        Attribute::Int(number) => {
            message.int(3, *number);
            2
        }
        Attribute::Text(text) => {
            message.text(4, text);
            3
        }
        Attribute::Tensor(tensor) => {
            message.message(5, &tensor_message(tensor)?);
            4
        }
        Attribute::Ints(numbers) => {
            numbers.iter().for_each(|&number| {
                message.int(8, number);
            });
            7
        }
    };
    message.int(20, kind);
    Ok(message)
}
