//! A network as data: values, and the nodes that compute them.

use candle_core::Tensor;

use crate::error::{Error, Result};
use crate::op::{Kind, Op};

/// A value of a graph: an input, a weight, or what a node computes. It names a value of the graph
/// that it is from, and of graphs whose documentation says that values keep their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub(crate) usize);

/// A node of a graph. Nodes are numbered in an order in which they can be computed. It names a node
/// of the graph that it is from, as a [`ValueId`] names a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) usize);

/// A value's name, and where it is from.
#[derive(Debug, Clone)]
pub struct Value {
    /// The name, which no other value has.
    pub name: String,
    /// Where it is from.
    pub origin: Origin,
}

/// Where a value is from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// It is given to the graph.
    Input {
        /// What its numbers are.
        kind: Kind,
        /// Its sizes. Those that are not fixed, such as the batch's, are `None`.
        sizes: Vec<Option<usize>>,
    },
    /// It is part of the graph.
    Weight(Tensor),
    /// A node computes it.
    Node {
        /// The node.
        node: NodeId,
        /// Which of its outputs it is.
        output: usize,
    },
}

/// An operation on values.
#[derive(Debug, Clone)]
pub struct Node {
    /// The name, which no other node has.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// What it reads; `None` where an input is left out.
    pub inputs: Vec<Option<ValueId>>,
    /// What it computes.
    pub outputs: Vec<ValueId>,
}

impl Node {
    /// Input `index`, if it is there.
    pub fn input(&self, index: usize) -> Option<ValueId> {
        self.inputs.get(index).copied().flatten()
    }
}

/// A network: nodes in an order in which they can be computed.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_graph::{Builder, Gemm, Op, Unary};
///
/// let mut builder = Builder::new();
/// let x = builder.input("x", vec![None, Some(2)])?;
/// let weight = builder.weight("fc.weight", Tensor::new(&[[1f32, -1.], [2., 0.]], &Device::Cpu)?)?;
/// let linear = Op::Gemm(Gemm { transpose_b: true, ..Gemm::default() });
/// let hidden = builder.node("fc", linear, &[x, weight])?;
/// let y = builder.node("relu", Op::Unary(Unary::Relu), &[hidden])?;
/// let graph = builder.finish(vec![y])?;
///
/// let x = Tensor::new(&[[3f32, 5.]], &Device::Cpu)?;
/// let y = graph.forward(&[x])?.remove(0);
/// assert_eq!(y.to_vec2::<f32>()?, [[0., 6.]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Graph {
    pub(crate) values: Vec<Value>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) inputs: Vec<ValueId>,
    pub(crate) outputs: Vec<ValueId>,
}

impl Graph {
    /// The nodes, in an order in which they can be computed.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate().map(|(index, node)| (NodeId(index), node))
    }

    /// A node.
    ///
    /// # Panics
    /// If the graph has no such node: the id is of another graph.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// All values.
    pub fn values(&self) -> impl ExactSizeIterator<Item = (ValueId, &Value)> {
        self.values.iter().enumerate().map(|(index, value)| (ValueId(index), value))
    }

    /// A value.
    ///
    /// # Panics
    /// If the graph has no such value: the id is of another graph.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0]
    }

    /// What the graph is given.
    pub fn inputs(&self) -> &[ValueId] {
        &self.inputs
    }

    /// What the graph gives.
    pub fn outputs(&self) -> &[ValueId] {
        &self.outputs
    }

    /// The tensor of a value that is part of the graph; `None` for others.
    ///
    /// # Panics
    /// If the graph has no such value: the id is of another graph.
    pub fn weight(&self, id: ValueId) -> Option<&Tensor> {
        match &self.values[id.0].origin {
            Origin::Weight(tensor) => Some(tensor),
            _ => None,
        }
    }

    /// The node that computes a value; `None` for inputs and weights.
    ///
    /// # Panics
    /// If the graph has no such value: the id is of another graph.
    pub fn producer(&self, id: ValueId) -> Option<NodeId> {
        match self.values[id.0].origin {
            Origin::Node { node, .. } => Some(node),
            _ => None,
        }
    }

    /// The nodes that read a value, in their order; a node that reads it twice is there twice, with
    /// the places at which it does so.
    pub fn readers(&self, id: ValueId) -> impl Iterator<Item = (NodeId, usize)> + '_ {
        self.nodes().flat_map(move |(node, of)| {
            let reads = of.inputs.iter().enumerate().filter(move |(_, v)| **v == Some(id));
            reads.map(move |(place, _)| (node, place))
        })
    }

    /// The node that reads a value, and as which of its inputs, if it is the only one and the value
    /// is no output of the graph.
    ///
    /// # Panics
    /// If the value is of another graph.
    pub fn only_reader(&self, id: ValueId) -> Option<(NodeId, usize)> {
        let mut readers = self.readers(id);
        let reader = readers.next()?;
        (readers.next().is_none() && !self.is_output(id)).then_some(reader)
    }

    /// The value of this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn find(&self, name: &str) -> Result<ValueId> {
        let found = self.values().find(|(_, value)| value.name == name);
        found.map(|(id, _)| id).ok_or_else(|| Error::NoValue { name: name.into() })
    }

    /// The node of this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn find_node(&self, name: &str) -> Result<NodeId> {
        let found = self.nodes().find(|(_, node)| node.name == name);
        found.map(|(id, _)| id).ok_or_else(|| Error::NoNode { name: name.into() })
    }

    /// The same graph with another tensor for a weight.
    ///
    /// # Errors
    /// If the value is no weight of this graph.
    pub fn with_weight(mut self, id: ValueId, tensor: Tensor) -> Result<Self> {
        self.check_value(id)?;
        match &mut self.values[id.0] {
            Value { origin: Origin::Weight(weight), .. } => *weight = tensor,
            Value { name, .. } => return Err(Error::NoWeight { name: name.clone() }),
        }
        Ok(self)
    }
}

impl Graph {
    /// Refuses the id of a value that this graph does not have.
    pub(crate) fn check_value(&self, id: ValueId) -> Result<()> {
        check_value(&self.values, id)
    }
}

fn check_value(values: &[Value], id: ValueId) -> Result<()> {
    match id.0 < values.len() {
        true => Ok(()),
        false => Err(Error::NoValue { name: format!("number {} of another graph", id.0) }),
    }
}

/// Makes a [`Graph`], node after node.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    values: Vec<Value>,
    nodes: Vec<Node>,
    inputs: Vec<ValueId>,
    value_names: std::collections::HashSet<String>,
    node_names: std::collections::HashSet<String>,
}

impl Builder {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    fn value(&mut self, name: String, origin: Origin) -> Result<ValueId> {
        if !self.value_names.insert(name.clone()) {
            return Err(Error::ValueTwice { name });
        }
        self.values.push(Value { name, origin });
        Ok(ValueId(self.values.len() - 1))
    }

    /// What is there of a graph, to be added to: values and nodes keep their ids.
    ///
    /// ```
    /// use foresee_graph::{Builder, Op, Unary};
    ///
    /// let mut builder = Builder::new();
    /// let x = builder.input("x", vec![None, Some(2)])?;
    /// let logits = builder.node("logits", Op::Unary(Unary::Relu), &[x])?;
    /// let graph = builder.finish(vec![logits])?;
    /// let mut builder = Builder::from_graph(graph);
    /// let probabilities = builder.node("probabilities", Op::Unary(Unary::Sigmoid), &[logits])?;
    /// assert_eq!(builder.finish(vec![logits, probabilities])?.outputs().len(), 2);
    /// # Ok::<(), foresee_graph::Error>(())
    /// ```
    pub fn from_graph(graph: Graph) -> Self {
        let Graph { values, nodes, inputs, .. } = graph;
        let value_names = values.iter().map(|value| value.name.clone()).collect();
        let node_names = nodes.iter().map(|node| node.name.clone()).collect();
        Self { values, nodes, inputs, value_names, node_names }
    }

    /// Numbers with a fraction that are given to the graph. Sizes that are not fixed are `None`.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn input(&mut self, name: &str, sizes: Vec<Option<usize>>) -> Result<ValueId> {
        self.input_of(name, Kind::Float, sizes)
    }

    /// Numbers of a kind that are given to the graph. Sizes that are not fixed are `None`.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn input_of(
        &mut self,
        name: &str,
        kind: Kind,
        sizes: Vec<Option<usize>>,
    ) -> Result<ValueId> {
        let id = self.value(name.into(), Origin::Input { kind, sizes })?;
        self.inputs.push(id);
        Ok(id)
    }

    /// A value that is part of the graph.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn weight(&mut self, name: &str, tensor: Tensor) -> Result<ValueId> {
        self.value(name.into(), Origin::Weight(tensor))
    }

    /// A node with one output, which has the node's name.
    ///
    /// # Errors
    /// If the name is taken, the operation has another number of inputs, or there is no such value.
    pub fn node(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> Result<ValueId> {
        let inputs = inputs.iter().copied().map(Some).collect();
        Ok(self.push(name, op, inputs, &[name])?[0])
    }

    /// A node with inputs that can be left out, and outputs of these names.
    ///
    /// # Errors
    /// If a name is taken, the operation has another number of inputs or outputs, or there is no
    /// such value.
    pub fn push<N: AsRef<str>>(
        &mut self,
        name: &str,
        op: Op,
        inputs: Vec<Option<ValueId>>,
        outputs: &[N],
    ) -> Result<Vec<ValueId>> {
        op.check_arity(name, &inputs, outputs.len())?;
        inputs.iter().flatten().try_for_each(|&id| check_value(&self.values, id))?;
        if !self.node_names.insert(name.into()) {
            return Err(Error::NodeTwice { name: name.into() });
        }
        let node = NodeId(self.nodes.len());
        let outputs = outputs
            .iter()
            .enumerate()
            .map(|(output, name)| self.value(name.as_ref().into(), Origin::Node { node, output }))
            .collect::<Result<Vec<_>>>()?;
        self.nodes.push(Node { name: name.into(), op, inputs, outputs: outputs.clone() });
        Ok(outputs)
    }

    /// The graph that gives these values.
    ///
    /// # Errors
    /// If it would give nothing, or there is no such value.
    pub fn finish(self, outputs: Vec<ValueId>) -> Result<Graph> {
        if outputs.is_empty() {
            return Err(Error::NoOutputs);
        }
        let Self { values, nodes, inputs, .. } = self;
        outputs.iter().try_for_each(|&id| check_value(&values, id))?;
        Ok(Graph { values, nodes, inputs, outputs })
    }
}
