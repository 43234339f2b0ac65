//! The shape of every value.

use crate::error::Result;
use crate::graph::{Graph, Origin, ValueId};

/// The shape of every value of a graph, for inputs of certain shapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shapes {
    of: Vec<Vec<usize>>,
}

impl Shapes {
    /// A value's shape.
    ///
    /// # Panics
    /// If the graph has no such value: the id is of another graph.
    pub fn of(&self, id: ValueId) -> &[usize] {
        &self.of[id.0]
    }
}

impl Graph {
    /// The shape of every value for so large a batch: the first size of every input, where it is
    /// not fixed. Other sizes of inputs that are not fixed are `sizes`, in the order of the inputs
    /// and their dimensions.
    ///
    /// The graph runs once, on zeros; a value is forgotten when all nodes that read it have run.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use foresee_graph::{Builder, Op, PoolKind, Window};
    ///
    /// let mut builder = Builder::new();
    /// let x = builder.input("x", vec![None, Some(3), None, None])?;
    /// let weight = builder.weight("w", Tensor::zeros((8, 3, 3, 3), DType::F32, &Device::Cpu)?)?;
    /// let y = builder.node("conv", Op::Conv(Window::new(2)), &[x, weight])?;
    /// let pool = builder.node("pool", Op::GlobalPool(PoolKind::Average), &[y])?;
    /// let shapes = builder.finish(vec![pool])?.shapes(1, &[32, 48])?;
    /// assert_eq!(shapes.of(y), [1, 8, 30, 46]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If there are fewer or more sizes than are needed, an input would be too large, or a node
    /// fails.
    pub fn shapes(&self, batch: usize, sizes: &[usize]) -> Result<Shapes> {
        let of_weight = |origin: &Origin| match origin {
            Origin::Weight(weight) => weight.dims().to_vec(),
            _ => Vec::new(),
        };
        let mut of: Vec<_> = self.values.iter().map(|value| of_weight(&value.origin)).collect();
        self.run_on_zeros(batch, sizes, &mut |id, tensor| {
            of[id.0] = tensor.dims().to_vec();
            Ok(())
        })?;
        Ok(Shapes { of })
    }
}
