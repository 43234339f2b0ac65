//! The shape of every value.

use candle_core::Tensor;

use crate::error::Result;
use crate::graph::{Graph, ValueId};

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

    /// As [`Graph::shapes`]; `see` is also shown each value.
    pub(crate) fn observe(
        graph: &Graph,
        batch: usize,
        sizes: &[usize],
        see: &mut dyn FnMut(ValueId, &Tensor) -> Result<()>,
    ) -> Result<Self> {
        let mut shapes = Self { of: vec![vec![]; graph.values().len()] };
        let mut record = |id: ValueId, tensor: &Tensor| {
            shapes.of[id.0] = tensor.dims().to_vec();
            see(id, tensor)
        };
        for (id, _) in graph.values() {
            graph.weight(id).map(|weight| record(id, weight)).transpose()?;
        }
        graph.run_on_zeros(batch, sizes, &mut record)?;
        Ok(shapes)
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
        Shapes::observe(self, batch, sizes, &mut |_, _| Ok(()))
    }
}
