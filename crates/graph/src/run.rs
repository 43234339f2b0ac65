//! The forward pass: what is wanted, from what is given.

use std::collections::HashMap;

use candle_core::Tensor;

use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, Origin, ValueId};

impl Graph {
    /// The outputs, from one tensor for each input. Differentiable where the inputs are variables;
    /// the weights are constants.
    ///
    /// # Errors
    /// If an input does not fit, or a node fails: the error names it.
    pub fn forward(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        if inputs.len() != self.inputs.len() {
            let names: Vec<&str> =
                self.inputs.iter().map(|&id| self.value(id).name.as_str()).collect();
            return Err(Error::Inputs {
                needed: names.len(),
                names: names.join(", "),
                given: inputs.len(),
            });
        }
        let given: Vec<(ValueId, Tensor)> =
            self.inputs.iter().copied().zip(inputs.iter().cloned()).collect();
        self.evaluate(&given, &self.outputs)
    }

    /// The values `wanted`, from those that are given: inputs, or any others, at which the graph is
    /// cut, or weights, which are then those instead of the graph's. Nodes that are not needed do
    /// not run, and a value is forgotten when all that need it have run.
    ///
    /// # Errors
    /// If an input does not fit, something is needed that is not given, or a node fails.
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
        let mut run = Run::new(self, given, wanted)?;
        for node in run.plan.clone() {
            run.node(node, map)?;
        }
        wanted.iter().map(|&id| run.get(id)).collect()
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
                Origin::Input(_) => {
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
        let Origin::Input(shape) = &value.origin else { return Ok(()) };
        let fits = |(size, got): (&Option<usize>, &usize)| size.is_none_or(|size| size == *got);
        if shape.len() == tensor.rank() && shape.iter().zip(tensor.dims()).all(fits) {
            return Ok(());
        }
        let size = |size: &Option<usize>| size.map_or("any".into(), |size| size.to_string());
        let sizes: Vec<String> = shape.iter().map(size).collect();
        Err(Error::InputShape {
            name: value.name.clone(),
            got: tensor.dims().to_vec(),
            expected: format!("[{}]", sizes.join(", ")),
        })
    }
}

/// A pass that is under way.
struct Run<'a> {
    graph: &'a Graph,
    /// The nodes that must run.
    plan: Vec<NodeId>,
    /// What is there.
    values: HashMap<ValueId, Tensor>,
    /// How many still need a value.
    readers: Vec<usize>,
}

impl<'a> Run<'a> {
    fn new(graph: &'a Graph, given: &[(ValueId, Tensor)], wanted: &[ValueId]) -> Result<Self> {
        given.iter().try_for_each(|(id, tensor)| graph.check_input(*id, tensor))?;
        let ids: Vec<ValueId> = given.iter().map(|(id, _)| *id).collect();
        let plan = graph.needed(&ids, wanted)?;
        let mut readers = vec![0; graph.values.len()];
        let inputs = plan.iter().flat_map(|node| graph.node(*node).inputs.iter().flatten());
        inputs.chain(wanted).for_each(|id| readers[id.0] += 1);
        Ok(Self { graph, plan, values: given.iter().cloned().collect(), readers })
    }

    fn get(&self, id: ValueId) -> Result<Tensor> {
        match (self.values.get(&id), self.graph.weight(id)) {
            (Some(tensor), _) | (None, Some(tensor)) => Ok(tensor.clone()),
            (None, None) => Err(Error::Missing { name: self.graph.value(id).name.clone() }),
        }
    }

    fn node(
        &mut self,
        id: NodeId,
        map: &dyn Fn(ValueId, &Tensor) -> Result<Option<Tensor>>,
    ) -> Result<()> {
        let node = self.graph.node(id);
        let inputs = node
            .inputs
            .iter()
            .map(|input| input.map(|id| self.get(id)).transpose())
            .collect::<Result<Vec<_>>>()?;
        for id in node.inputs.iter().flatten() {
            self.readers[id.0] -= 1;
            if self.readers[id.0] == 0 {
                self.values.remove(id);
            }
        }
        let outputs = node.op.forward(&inputs).map_err(|source| Error::Node {
            node: node.name.clone(),
            op: node.op.name(),
            source,
        })?;
        drop(inputs);
        for (id, tensor) in node.outputs.iter().zip(outputs) {
            if self.readers[id.0] > 0 && !self.values.contains_key(id) {
                let tensor = map(*id, &tensor)?.unwrap_or(tensor);
                self.values.insert(*id, tensor);
            }
        }
        Ok(())
    }
}
