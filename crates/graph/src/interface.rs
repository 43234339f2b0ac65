//! What a graph is given and gives, changed.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, NodeId, Origin, Value, ValueId};
use crate::op::Op;

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
    /// If the value is no input, or a size that the input fixes is another.
    pub fn with_input_sizes(mut self, id: ValueId, sizes: Vec<Option<usize>>) -> Result<Self> {
        let Value { name, origin } = &mut self.values[id.0];
        let Origin::Input(own) = origin else { return Err(Error::NoInput { name: name.clone() }) };
        let fits = own.len() == sizes.len()
            && own.iter().zip(&sizes).all(|(own, size)| own.is_none() || own == size);
        if !fits {
            return Err(Error::InputShape {
                name: name.clone(),
                got: sizes.iter().map(|size| size.unwrap_or_default()).collect(),
                expected: format!("{own:?}"),
            });
        }
        *own = sizes;
        Ok(self)
    }

    /// The same graph, which gives these values instead. What they do not need stays, too, until
    /// [`remove_unneeded`](Self::remove_unneeded).
    ///
    /// # Errors
    /// If there are none.
    pub fn with_outputs(self, outputs: Vec<ValueId>) -> Result<Self> {
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
    /// If the value is no input of four dimensions.
    pub fn with_channels_first(mut self, id: ValueId) -> Result<(Self, ValueId)> {
        let name = self.values[id.0].name.clone();
        let sizes = match &self.values[id.0].origin {
            Origin::Input(sizes) => sizes.clone(),
            _ => return Err(Error::NoInput { name }),
        };
        let [batch, height, width, channels] = sizes[..] else {
            let got = sizes.iter().map(|size| size.unwrap_or_default()).collect();
            return Err(Error::InputShape { name, got, expected: "[B, H, W, C]".into() });
        };
        for value in &mut self.values {
            if let Origin::Node { node, .. } = &mut value.origin {
                node.0 += 1;
            }
        }
        let input = ValueId(self.values.len());
        let transposed = self.free_name(&format!("{name}.channels_last"));
        self.values[id.0] =
            Value { name: transposed.clone(), origin: Origin::Node { node: NodeId(0), output: 0 } };
        self.values
            .push(Value { name, origin: Origin::Input(vec![batch, channels, height, width]) });
        let op = Op::Transpose { order: Some(vec![0, 2, 3, 1]) };
        let node = Node { name: transposed, op, inputs: vec![Some(input)], outputs: vec![id] };
        self.nodes.insert(0, node);
        self.inputs.iter_mut().filter(|old| **old == id).for_each(|old| *old = input);
        Ok((self, input))
    }
}
