//! What a node reads, as a value of its own.

use crate::error::Result;
use crate::graph::{Graph, Node, NodeId, Origin, Value, ValueId};
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
    /// If a node has no input at such a place.
    pub fn with_taps(&self, places: &[(NodeId, usize)]) -> Result<(Self, Vec<ValueId>)> {
        let mut graph = Self { nodes: vec![], ..self.clone() };
        let mut taps = vec![None; places.len()];
        for (id, node) in self.nodes() {
            let mut node = node.clone();
            for (tap, &(_, place)) in
                taps.iter_mut().zip(places).filter(|(_, (tapped, _))| *tapped == id)
            {
                let Some(read) = node.input(place) else { continue };
                let value = graph.tap(&node.name, place, read);
                node.inputs[place] = Some(value);
                *tap = Some(value);
            }
            let index = NodeId(graph.nodes.len());
            for (output, value) in node.outputs.iter().enumerate() {
                graph.values[value.0].origin = Origin::Node { node: index, output };
            }
            graph.nodes.push(node);
        }
        let found = |(tap, &(node, place)): (Option<ValueId>, &(NodeId, usize))| {
            let name = || format!("{}, input {place}", self.node(node).name);
            tap.ok_or_else(|| crate::Error::NoValue { name: name() })
        };
        let taps = taps.into_iter().zip(places).map(found).collect::<Result<Vec<_>>>()?;
        Ok((graph, taps))
    }

    /// Appends a node that hands on what `reader` reads.
    fn tap(&mut self, reader: &str, place: usize, read: ValueId) -> ValueId {
        let mut name = format!("{reader}.input.{place}");
        while self.values.iter().any(|value| value.name == name) {
            name.push('\'');
        }
        let value = ValueId(self.values.len());
        let node = NodeId(self.nodes.len());
        self.values.push(Value { name: name.clone(), origin: Origin::Node { node, output: 0 } });
        let inputs = vec![Some(read)];
        self.nodes.push(Node { name, op: Op::Identity, inputs, outputs: vec![value] });
        value
    }
}
