//! The forward pass: what is wanted, from what is given.

use candle_core::Tensor;

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, NodeId, Origin, ValueId};
use crate::op::Kind;

impl Graph {
    /// The outputs, from one tensor for each input. Differentiable where the inputs are variables;
    /// the weights are constants.
    ///
    /// # Errors
    /// If an input does not fit, or a node fails: the error names it.
    pub fn forward(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        self.evaluate(&self.given(inputs)?, &self.outputs)
    }

    /// Each input with its tensor, as [`evaluate`](Self::evaluate) takes them.
    ///
    /// # Errors
    /// If there are fewer or more tensors than inputs.
    pub fn given(&self, inputs: &[Tensor]) -> Result<Vec<(ValueId, Tensor)>> {
        if inputs.len() != self.inputs.len() {
            let names: Vec<&str> =
                self.inputs.iter().map(|&id| self.value(id).name.as_str()).collect();
            return Err(Error::Inputs {
                needed: names.len(),
                names: names.join(", "),
                given: inputs.len(),
            });
        }
        Ok(self.inputs.iter().copied().zip(inputs.iter().cloned()).collect())
    }

    /// The values `wanted`, from those that are given: inputs, or any others, at which the graph is
    /// cut, or weights, which are then those instead of the graph's. Nodes that are not needed do
    /// not run, and a value is forgotten when all that need it have run.
    ///
    /// # Errors
    /// If an input does not fit, something is needed that is not given, an id is of another graph,
    /// or a node fails.
    pub fn evaluate(&self, given: &[(ValueId, Tensor)], wanted: &[ValueId]) -> Result<Vec<Tensor>> {
        self.evaluate_mapped(given, wanted, &|_, _| Ok(None))
    }

    /// The same with operations on values: `map` is shown each value that a node computes, and can
    /// put another in its place, which all nodes read that come after. Values that are given are
    /// not shown.
    ///
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use foresee_graph::{Builder, Op, Unary};
    ///
    /// let mut builder = Builder::new();
    /// let x = builder.input("x", vec![Some(2)])?;
    /// let hidden = builder.node("relu", Op::Unary(Unary::Relu), &[x])?;
    /// let y = builder.node("neg", Op::Unary(Unary::Neg), &[hidden])?;
    /// let graph = builder.finish(vec![y])?;
    ///
    /// let x = [(x, Tensor::new(&[3f32, -5.], &Device::Cpu)?)];
    /// let doubled = |id, value: &Tensor| Ok((id == hidden).then(|| value * 2.).transpose()?);
    /// let y = graph.evaluate_mapped(&x, &[y], &doubled)?.remove(0);
    /// assert_eq!(y.to_vec1::<f32>()?, [-6., 0.]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`evaluate`](Self::evaluate), and the first error of `map`.
    pub fn evaluate_mapped(
        &self,
        given: &[(ValueId, Tensor)],
        wanted: &[ValueId],
        map: &dyn Fn(ValueId, &Tensor) -> Result<Option<Tensor>>,
    ) -> Result<Vec<Tensor>> {
        let plan = self.plan(given, wanted)?;
        let mut run = Run::new(self, &plan, given.to_vec(), wanted)?;
        for node in plan {
            run.node(node, &mut |id, tensor| Ok(map(id, &tensor)?.unwrap_or(tensor)))?;
        }
        wanted.iter().map(|&id| run.get(id)).collect()
    }

    /// The nodes that must run, in their order, for values and from values of this graph.
    pub(crate) fn plan(
        &self,
        given: &[(ValueId, Tensor)],
        wanted: &[ValueId],
    ) -> Result<Vec<NodeId>> {
        let ids: Vec<ValueId> = given.iter().map(|(id, _)| *id).collect();
        ids.iter().chain(wanted).try_for_each(|&id| self.check_value(id))?;
        self.needed(&ids, wanted)
    }

    /// Runs all nodes on [`zeros`](Self::zeros). `see` is shown each input, and each value that a
    /// node computes.
    pub(crate) fn run_on_zeros(
        &self,
        batch: usize,
        sizes: &[usize],
        see: &mut dyn FnMut(ValueId, &Tensor) -> Result<()>,
    ) -> Result<()> {
        let zeros = self.zeros(batch, sizes)?;
        zeros.iter().try_for_each(|(id, tensor)| see(*id, tensor))?;
        let plan: Vec<NodeId> = (0..self.nodes.len()).map(NodeId).collect();
        let mut run = Run::new(self, &plan, zeros, &[])?;
        plan.into_iter().try_for_each(|node| {
            run.node(node, &mut |id, tensor| see(id, &tensor).map(|()| tensor))
        })
    }

    /// The nodes that must run for `wanted` when `given` is there, in their order.
    pub(crate) fn needed(&self, given: &[ValueId], wanted: &[ValueId]) -> Result<Vec<NodeId>> {
        let mut is_given = vec![false; self.values.len()];
        given.iter().for_each(|id| is_given[id.0] = true);
        let mut needed = vec![false; self.nodes.len()];
        let mut left: Vec<ValueId> = wanted.to_vec();
        while let Some(id) = left.pop() {
            if is_given[id.0] {
                continue;
            }
            match self.values[id.0].origin {
                Origin::Weight(_) => {}
                Origin::Input { .. } => {
                    return Err(Error::Missing { name: self.values[id.0].name.clone() });
                }
                Origin::Node { node, .. } => {
                    if !std::mem::replace(&mut needed[node.0], true) {
                        left.extend(self.nodes[node.0].inputs.iter().flatten());
                    }
                }
            }
        }
        Ok((0..needed.len()).filter(|&node| needed[node]).map(NodeId).collect())
    }

    /// Whether a tensor fits an input of the graph.
    fn check_input(&self, id: ValueId, tensor: &Tensor) -> Result<()> {
        let value = self.value(id);
        let Origin::Input { kind, sizes } = &value.origin else { return Ok(()) };
        let got = Kind::of(tensor.dtype());
        if got != *kind {
            return Err(Error::InputKind { name: value.name.clone(), got, expected: *kind });
        }
        let fits = |(size, got): (&Option<usize>, &usize)| size.is_none_or(|size| size == *got);
        if sizes.len() == tensor.rank() && sizes.iter().zip(tensor.dims()).all(fits) {
            return Ok(());
        }
        let size = |size: &Option<usize>| size.map_or("any".into(), |size| size.to_string());
        let sizes: Vec<String> = sizes.iter().map(size).collect();
        Err(Error::InputShape {
            name: value.name.clone(),
            got: tensor.dims().to_vec(),
            expected: format!("[{}]", sizes.join(", ")),
        })
    }
}

impl Node {
    /// What the node computes from its inputs; those that are left out are `None`. Differentiable
    /// where they are variables.
    ///
    /// # Errors
    /// If they do not fit the operation: the error names the node.
    pub fn run(&self, inputs: &[Option<Tensor>]) -> Result<Vec<Tensor>> {
        self.op.forward(inputs).map_err(|source| Error::Node {
            node: self.name.clone(),
            op: self.op.name(),
            source,
        })
    }
}

/// What a node computes from its inputs.
type Compute<'a> = dyn FnMut(&Node, &[Option<Tensor>]) -> Result<Vec<Tensor>> + 'a;

/// A pass that is under way.
pub(crate) struct Run<'a> {
    graph: &'a Graph,
    is_given: Vec<bool>,
    /// What is there, of each value; weights are the graph's.
    values: Vec<Option<Tensor>>,
    /// How many still need a value.
    readers: Vec<usize>,
}

impl<'a> Run<'a> {
    /// A pass over the nodes of `plan`, which keeps what is `wanted`.
    pub fn new(
        graph: &'a Graph,
        plan: &[NodeId],
        given: Vec<(ValueId, Tensor)>,
        wanted: &[ValueId],
    ) -> Result<Self> {
        let count = graph.values.len();
        let (mut is_given, mut values) = (vec![false; count], vec![None; count]);
        for (id, tensor) in given {
            graph.check_input(id, &tensor)?;
            (is_given[id.0], values[id.0]) = (true, Some(tensor));
        }
        let mut readers = vec![0; count];
        let inputs = plan.iter().flat_map(|node| graph.node(*node).inputs.iter().flatten());
        inputs.chain(wanted).for_each(|id| readers[id.0] += 1);
        Ok(Self { graph, is_given, values, readers })
    }

    /// A value that is there.
    pub fn get(&self, id: ValueId) -> Result<Tensor> {
        let tensor = self.values[id.0].as_ref().or_else(|| self.graph.weight(id));
        let missing = || Error::Missing { name: self.graph.value(id).name.clone() };
        tensor.cloned().ok_or_else(missing)
    }

    /// Runs a node. `see` is shown what it computes, and says what is read instead.
    fn node(
        &mut self,
        id: NodeId,
        see: &mut dyn FnMut(ValueId, Tensor) -> Result<Tensor>,
    ) -> Result<()> {
        self.node_by(id, &mut |node, inputs| node.run(inputs), see)
    }

    /// The same, where `compute` says what the node computes.
    pub fn node_by(
        &mut self,
        id: NodeId,
        compute: &mut Compute,
        see: &mut dyn FnMut(ValueId, Tensor) -> Result<Tensor>,
    ) -> Result<()> {
        let node = self.graph.node(id);
        let input = |input: &Option<ValueId>| input.map(|id| self.get(id)).transpose();
        let inputs = node.inputs.iter().map(input).collect::<Result<Vec<_>>>()?;
        for id in node.inputs.iter().flatten() {
            self.readers[id.0] -= 1;
            if self.readers[id.0] == 0 {
                self.values[id.0] = None;
            }
        }
        let outputs = compute(node, &inputs)?;
        drop(inputs);
        for (&id, tensor) in node.outputs.iter().zip(outputs) {
            if !self.is_given[id.0] {
                let tensor = see(id, tensor)?;
                self.values[id.0] = (self.readers[id.0] > 0).then_some(tensor);
            }
        }
        Ok(())
    }
}
