//! Changing nodes and values, and removing what nothing needs.

use crate::error::Result;
use crate::graph::{Graph, Node, NodeId, Origin, Value, ValueId};
use crate::names::Names;

impl Graph {
    /// The same graph without the nodes and the weights that no output needs. Inputs stay, whether
    /// they are read or not.
    ///
    /// ```
    /// use foresee_graph::{Builder, Op, Unary};
    ///
    /// let mut builder = Builder::new();
    /// let x = builder.input("x", vec![Some(2)])?;
    /// let y = builder.node("relu", Op::Unary(Unary::Relu), &[x])?;
    /// builder.node("unread", Op::Unary(Unary::Exp), &[x])?;
    /// let graph = builder.finish(vec![y])?.remove_unneeded()?;
    /// assert_eq!(graph.nodes().len(), 1);
    /// # Ok::<(), foresee_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// None for a graph that a [`Builder`](crate::Builder) made.
    pub fn remove_unneeded(&self) -> Result<Self> {
        let mut keeps = vec![false; self.nodes.len()];
        self.needed(&self.inputs, &self.outputs)?.iter().for_each(|node| keeps[node.0] = true);
        Ok(self.clone().keep_nodes(&keeps))
    }

    /// The same graph with these nodes only, and the values that they and the graph's outputs need.
    pub(crate) fn keep_nodes(mut self, keeps: &[bool]) -> Self {
        let nodes = std::mem::take(&mut self.nodes).into_iter().zip(keeps);
        self.set_nodes(nodes.filter_map(|(node, &keep)| keep.then_some(node)).collect());
        self.drop_unused_values()
    }

    /// Puts these nodes, in an order in which they can be computed, in place of the graph's.
    pub(crate) fn set_nodes(&mut self, nodes: Vec<Node>) {
        for (index, node) in nodes.iter().enumerate() {
            for (output, id) in node.outputs.iter().enumerate() {
                self.values[id.0].origin = Origin::Node { node: NodeId(index), output };
            }
        }
        self.nodes = nodes;
    }

    /// Without the values that no node reads or computes, and that are neither inputs nor outputs.
    fn drop_unused_values(mut self) -> Self {
        let mut is_used = vec![false; self.values.len()];
        let nodes = self.nodes.iter();
        let touched = nodes.flat_map(|node| node.inputs.iter().flatten().chain(&node.outputs));
        touched.chain(&self.inputs).chain(&self.outputs).for_each(|id| is_used[id.0] = true);
        let places = is_used.iter().scan(0, |count, &used| {
            let place = *count;
            *count += usize::from(used);
            Some(ValueId(place))
        });
        let places: Vec<ValueId> = places.collect();
        let values = std::mem::take(&mut self.values).into_iter().zip(&is_used);
        self.values = values.filter_map(|(value, &used)| used.then_some(value)).collect();
        let of_nodes = self
            .nodes
            .iter_mut()
            .flat_map(|node| node.inputs.iter_mut().flatten().chain(&mut node.outputs));
        let all = of_nodes.chain(&mut self.inputs).chain(&mut self.outputs);
        all.for_each(|id| *id = places[id.0]);
        self
    }

    /// Reads `new` wherever nodes or outputs read `old`.
    pub(crate) fn read_instead(&mut self, old: ValueId, new: ValueId) {
        let inputs = self.nodes.iter_mut().flat_map(|node| node.inputs.iter_mut().flatten());
        inputs.chain(&mut self.outputs).filter(|id| **id == old).for_each(|id| *id = new);
    }

    /// Whether the graph gives a value.
    pub(crate) fn is_output(&self, id: ValueId) -> bool {
        self.outputs.contains(&id)
    }

    /// A new value, whose name must be free.
    pub(crate) fn push_value(&mut self, name: String, origin: Origin) -> ValueId {
        self.values.push(Value { name, origin });
        ValueId(self.values.len() - 1)
    }

    /// The names of all values.
    pub(crate) fn value_names(&self) -> Names {
        Names::of(self.values.iter().map(|value| value.name.as_str()))
    }

    /// The names of all nodes.
    pub(crate) fn node_names(&self) -> Names {
        Names::of(self.nodes.iter().map(|node| node.name.as_str()))
    }
}
