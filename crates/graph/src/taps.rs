//! What a node reads, as a value of its own.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, NodeId, Origin, ValueId};
use crate::op::Op;

impl Graph {
    /// The same network, in which what each of these nodes reads at one of its places is a value of
    /// its own: it can be read, changed or given without a change for the other readers. Returns
    /// these values in the order of the places. The values of this graph keep their ids; its nodes
    /// are numbered anew.
    ///
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use foresee_graph::{Binary, Builder, Op};
    ///
    /// // x + x: the first summand alone becomes 0.
    /// let mut builder = Builder::new();
    /// let x = builder.input("x", vec![Some(1)])?;
    /// let y = builder.node("y", Op::Binary(Binary::Add), &[x, x])?;
    /// let graph = builder.finish(vec![y])?;
    /// let (tapped, taps) = graph.with_taps(&[(graph.find_node("y")?, 0)])?;
    /// let five = Tensor::new(&[5f32], &Device::Cpu)?;
    /// let given = [(x, five.clone()), (taps[0], five.zeros_like()?)];
    /// assert_eq!(tapped.evaluate(&given, &[y])?[0].to_vec1::<f32>()?, [5.]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If a node has no input at such a place, or is of another graph.
    pub fn with_taps(&self, places: &[(NodeId, usize)]) -> Result<(Self, Vec<ValueId>)> {
        let mut graph = self.clone();
        let (mut nodes, mut taps) = (vec![], vec![None; places.len()]);
        let (mut value_names, mut node_names) = (self.value_names(), self.node_names());
        for (id, node) in self.nodes() {
            let mut node = node.clone();
            let of_node = taps.iter_mut().zip(places).filter(|(_, (tapped, _))| *tapped == id);
            for (tap, &(_, place)) in of_node {
                let Some(read) = node.input(place) else { continue };
                let name = value_names.unique(&format!("{}.input.{place}", node.name));
                let value = graph.push_value(name.clone(), Origin::Node { node: id, output: 0 });
                nodes.push(identity(node_names.unique(&name), read, value));
                node.inputs[place] = Some(value);
                *tap = Some(value);
            }
            nodes.push(node);
        }
        graph.set_nodes(nodes);
        let found = |(tap, &(node, place)): (Option<ValueId>, &(NodeId, usize))| {
            let reader =
                self.nodes.get(node.0).map_or("a node of another graph", |node| node.name.as_str());
            tap.ok_or_else(|| Error::NoValue { name: format!("{reader}, input {place}") })
        };
        let taps = taps.into_iter().zip(places).map(found).collect::<Result<Vec<_>>>()?;
        Ok((graph, taps))
    }
}

/// A node that hands on what it reads.
fn identity(name: String, read: ValueId, value: ValueId) -> Node {
    Node { name, op: Op::Identity, inputs: vec![Some(read)], outputs: vec![value] }
}
