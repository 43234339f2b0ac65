//! What a graph is given and gives, changed.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, NodeId, Origin, Value, ValueId};
use crate::op::{Kind, Op};

impl Graph {
    /// The same graph with other sizes of an input: `None` where any is taken. The first is the
    /// batch's.
    ///
    /// ```
    /// use foresee_graph::{Builder, Op, Origin, Unary};
    ///
    /// let mut builder = Builder::new();
    /// let x = builder.input("x", vec![None, Some(3), None, None])?;
    /// let y = builder.node("relu", Op::Unary(Unary::Relu), &[x])?;
    /// let graph = builder.finish(vec![y])?;
    /// let fixed = graph.with_input_sizes(x, vec![None, Some(3), Some(32), Some(32)])?;
    /// assert!(fixed.shapes(1, &[]).is_ok());
    /// # Ok::<(), foresee_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the value is no input of this graph, or a size that the input fixes is another.
    pub fn with_input_sizes(self, id: ValueId, sizes: Vec<Option<usize>>) -> Result<Self> {
        self.with_sizes(id, sizes, |own, size| own.is_none() || own == size)
    }

    fn with_sizes(
        mut self,
        id: ValueId,
        sizes: Vec<Option<usize>>,
        allowed: fn(Option<usize>, Option<usize>) -> bool,
    ) -> Result<Self> {
        self.check_value(id)?;
        let Value { name, origin } = &mut self.values[id.0];
        let Origin::Input { sizes: own, .. } = origin else {
            return Err(Error::NoInput { name: name.clone() });
        };
        let mut pairs = own.iter().zip(&sizes);
        if own.len() != sizes.len() || !pairs.all(|(own, size)| allowed(*own, *size)) {
            return Err(Error::InputShape {
                name: name.clone(),
                got: sizes.iter().map(|size| size.unwrap_or_default()).collect(),
                expected: format!("{own:?}"),
            });
        }
        *own = sizes;
        Ok(self)
    }

    /// The same graph with sizes of an input opened: `None` where any shall be taken, else those
    /// that it has.
    ///
    /// # Errors
    /// If the value is no input of this graph, or a size is another.
    pub fn with_open_input_sizes(self, id: ValueId, sizes: Vec<Option<usize>>) -> Result<Self> {
        self.with_sizes(id, sizes, |own, size| size.is_none() || own == size)
    }

    /// The same graph with an input of another kind of numbers, such as numbers with a fraction
    /// where it is given integers only to cast them.
    ///
    /// # Errors
    /// If the value is no input of this graph.
    pub fn with_input_kind(mut self, id: ValueId, kind: Kind) -> Result<Self> {
        self.check_value(id)?;
        let Value { name, origin } = &mut self.values[id.0];
        let Origin::Input { kind: own, .. } = origin else {
            return Err(Error::NoInput { name: name.clone() });
        };
        *own = kind;
        Ok(self)
    }

    /// The same graph in which a node gives its first input as it is, such as the logits that a
    /// softmax is given. Values and nodes keep their ids.
    ///
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use foresee_graph::{Builder, Op, Unary};
    ///
    /// let mut builder = Builder::new();
    /// let x = builder.input("x", vec![None, Some(2)])?;
    /// let y = builder.node("probabilities", Op::Unary(Unary::Sigmoid), &[x])?;
    /// let graph = builder.finish(vec![y])?;
    /// let node = graph.find_node("probabilities")?;
    /// let x = Tensor::new(&[[-2f32, 3.]], &Device::Cpu)?;
    /// assert_eq!(graph.with_identity(node).forward(&[x])?[0].to_vec2::<f32>()?, [[-2., 3.]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// If the graph has no such node: the id is of another graph.
    #[must_use]
    pub fn with_identity(mut self, id: NodeId) -> Self {
        let node = &mut self.nodes[id.0];
        node.op = Op::Identity;
        node.inputs.truncate(1);
        node.outputs.truncate(1);
        self
    }

    /// The same graph, which gives these values instead. What they do not need stays, too, until
    /// [`remove_unneeded`](Self::remove_unneeded).
    ///
    /// # Errors
    /// If there are none, or one is of another graph.
    pub fn with_outputs(self, outputs: Vec<ValueId>) -> Result<Self> {
        outputs.iter().try_for_each(|&id| self.check_value(id))?;
        match outputs.is_empty() {
            true => Err(Error::NoOutputs),
            false => Ok(Self { outputs, ..self }),
        }
    }

    /// The same graph, which is given images [B, C, H, W] where it was given [B, H, W, C]: a
    /// transpose comes first. Values keep their ids, but for the input, which is the returned one
    /// and has the name; nodes are numbered anew.
    ///
    /// ```
    /// use foresee_graph::{Builder, Op, Unary};
    ///
    /// let mut builder = Builder::new();
    /// let x = builder.input("x", vec![None, Some(4), Some(6), Some(3)])?;
    /// let y = builder.node("relu", Op::Unary(Unary::Relu), &[x])?;
    /// let (graph, x) = builder.finish(vec![y])?.with_channels_first(x)?;
    /// let shapes = graph.shapes(1, &[])?;
    /// assert_eq!((shapes.of(x), shapes.of(y)), (&[1, 3, 4, 6][..], &[1, 4, 6, 3][..]));
    /// # Ok::<(), foresee_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the value is no input of this graph of four dimensions.
    pub fn with_channels_first(mut self, id: ValueId) -> Result<(Self, ValueId)> {
        self.check_value(id)?;
        let Value { name, origin } = self.values[id.0].clone();
        let Origin::Input { kind, sizes } = origin else { return Err(Error::NoInput { name }) };
        let [batch, height, width, channels] = sizes[..] else {
            let got = sizes.iter().map(|size| size.unwrap_or_default()).collect();
            return Err(Error::InputShape { name, got, expected: "[B, H, W, C]".into() });
        };
        let transposed = self.value_names().unique(&format!("{name}.channels_last"));
        self.values[id.0].name.clone_from(&transposed);
        let sizes = vec![batch, channels, height, width];
        let input = self.push_value(name, Origin::Input { kind, sizes });
        let node = Node {
            name: self.node_names().unique(&transposed),
            op: Op::Transpose { order: Some(vec![0, 2, 3, 1]) },
            inputs: vec![Some(input)],
            outputs: vec![id],
        };
        let nodes = std::mem::take(&mut self.nodes);
        self.set_nodes([node].into_iter().chain(nodes).collect());
        self.inputs.iter_mut().filter(|old| **old == id).for_each(|old| *old = input);
        Ok((self, input))
    }
}
