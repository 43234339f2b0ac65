//! Shapes, and the integers that name them.

use candle_core::{DType, Tensor};

use crate::error::Result;
use crate::graph::{Graph, ValueId};

/// Integers of larger tensors than this are not recorded: no shape or list of indices is as long.
const LARGEST: usize = 1 << 16;

/// The batch's size, where it is free.
const BATCH: usize = 2;

/// What the values of a graph are for inputs of zeros.
#[derive(Debug)]
pub(super) struct Trace {
    shapes: Vec<Vec<usize>>,
    /// The integers, where a value is integers, in their order.
    pub(super) integers: Vec<Option<Vec<i64>>>,
}

impl Trace {
    /// Runs a graph on zeros, with a batch of two where its size is free; `sizes` are the others
    /// that are.
    pub(super) fn new(graph: &Graph, sizes: &[usize]) -> Result<Self> {
        let count = graph.values().len();
        let mut trace = Self { shapes: vec![vec![]; count], integers: vec![None; count] };
        for (id, _) in graph.values() {
            graph.weight(id).map(|weight| trace.record(id, weight)).transpose()?;
        }
        graph.run_on_zeros(BATCH, sizes, &mut |id, tensor| trace.record(id, tensor))?;
        Ok(trace)
    }

    fn record(&mut self, id: ValueId, tensor: &Tensor) -> Result<()> {
        self.shapes[id.0] = tensor.dims().to_vec();
        if tensor.dtype() == DType::I64 && tensor.elem_count() <= LARGEST {
            self.integers[id.0] = Some(tensor.flatten_all()?.to_vec1::<i64>()?);
        }
        Ok(())
    }

    /// The shape of a value.
    pub(super) fn shape(&self, id: ValueId) -> &[usize] {
        &self.shapes[id.0]
    }
}
