//! Removing nodes and values.

use std::collections::HashSet;

use crate::error::Result;
use crate::graph::{Graph, NodeId, Origin, Value, ValueId};

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
        Ok(self.keep_nodes(&keeps))
    }

    /// The same graph with these nodes only, and the values that they and the graph's outputs need.
    pub(crate) fn keep_nodes(&self, keeps: &[bool]) -> Self {
        let mut is_used = vec![false; self.values.len()];
        let kept = || self.nodes.iter().zip(keeps).filter(|(_, keep)| **keep).map(|(node, _)| node);
        let touched = kept().flat_map(|node| node.inputs.iter().flatten().chain(&node.outputs));
        let interface = self.inputs.iter().chain(&self.outputs);
        touched.chain(interface).for_each(|id| is_used[id.0] = true);
        let (values, nodes) = (places(&is_used), places(keeps));
        let new = |id: &ValueId| ValueId(values[id.0]);
        let mut graph = Self {
            values: self.used_values(&is_used, &nodes),
            nodes: kept().cloned().collect(),
            inputs: self.inputs.iter().map(new).collect(),
            outputs: self.outputs.iter().map(new).collect(),
        };
        for node in &mut graph.nodes {
            node.inputs.iter_mut().flatten().for_each(|id| *id = new(id));
            node.outputs.iter_mut().for_each(|id| *id = new(id));
        }
        graph
    }

    /// The used values, whose nodes have new places.
    fn used_values(&self, is_used: &[bool], nodes: &[usize]) -> Vec<Value> {
        let used = self.values.iter().zip(is_used).filter(|(_, used)| **used);
        let moved = used.map(|(value, _)| match &value.origin {
            Origin::Node { node, output } => Value {
                origin: Origin::Node { node: NodeId(nodes[node.0]), output: *output },
                ..value.clone()
            },
            _ => value.clone(),
        });
        moved.collect()
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

    /// A value's name that is not taken: this one, or it with a number.
    pub(crate) fn free_name(&self, name: &str) -> String {
        let taken: HashSet<&str> = self.values.iter().map(|value| value.name.as_str()).collect();
        numbered(name, |name| taken.contains(name))
    }
}

/// The name, or the first of name.2, name.3, ... that is not taken.
pub(crate) fn numbered(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    if !is_taken(name) {
        return name.into();
    }
    let mut number = 2;
    loop {
        let numbered = format!("{name}.{number}");
        if !is_taken(&numbered) {
            return numbered;
        }
        number += 1;
    }
}

/// For each of those that are kept, its place among them.
fn places(keeps: &[bool]) -> Vec<usize> {
    let before = keeps.iter().scan(0, |count, &keep| {
        let place = *count;
        *count += usize::from(keep);
        Some(place)
    });
    before.collect()
}
