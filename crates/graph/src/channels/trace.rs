//! Shapes, and the integers that name them.

use candle_core::DType;

use crate::error::Result;
use crate::graph::{Graph, ValueId};
use crate::shapes::Shapes;

/// Integers of larger tensors than this are not recorded: no shape or list of indices is as long.
const LARGEST: usize = 1 << 16;

/// The batch's size, where it is free.
const BATCH: usize = 2;

/// What the values of a graph are for inputs of zeros.
#[derive(Debug)]
pub(super) struct Trace {
    shapes: Shapes,
    /// The integers, where a value is integers, in their order.
    pub(super) integers: Vec<Option<Vec<i64>>>,
}

impl Trace {
    /// Runs a graph on zeros, with a batch of two where its size is free; `sizes` are the others
    /// that are.
    pub(super) fn new(graph: &Graph, sizes: &[usize]) -> Result<Self> {
        let mut integers = vec![None; graph.values().len()];
        let shapes = Shapes::observe(graph, BATCH, sizes, &mut |id, tensor| {
            if tensor.dtype() == DType::I64 && tensor.elem_count() <= LARGEST {
                integers[id.0] = Some(tensor.flatten_all()?.to_vec1::<i64>()?);
            }
            Ok(())
        })?;
        Ok(Self { shapes, integers })
    }

    /// The shape of a value.
    pub(super) fn shape(&self, id: ValueId) -> &[usize] {
        self.shapes.of(id)
    }
}
