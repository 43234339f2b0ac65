//! Shapes, and the integers that name them.

use candle_core::{DType, Tensor};

use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, ValueId};
use crate::op::Kind;

/// Integers of larger tensors than this are not recorded: no shape or list of indices is as long.
const LARGEST: usize = 1 << 16;

/// The batch's size, where it is free.
const BATCH: usize = 2;

/// What the values of a graph are for inputs of zeros.
#[derive(Debug)]
pub(super) struct Trace {
    /// The shape of each value that is computed or given.
    pub(super) shapes: Vec<Option<Vec<usize>>>,
    /// The integers, where a value is integers, in their order.
    pub(super) integers: Vec<Option<Vec<i64>>>,
}

impl Trace {
    /// Runs a graph on zeros, with a batch of two where its size is free; `sizes` are the others
    /// that are.
    pub(super) fn new(graph: &Graph, sizes: &[usize]) -> Result<Self> {
        let count = graph.values().len();
        let mut trace = Self { shapes: vec![None; count], integers: vec![None; count] };
        let mut tensors: Vec<Option<Tensor>> = vec![None; count];
        let plan = graph.needed(graph.inputs(), graph.outputs())?;
        for (id, zeros) in graph.inputs().iter().zip(zeros(graph, sizes)?) {
            trace.record(*id, &zeros)?;
            tensors[id.0] = Some(zeros);
        }
        for (id, _) in graph.values() {
            graph.weight(id).map(|weight| trace.record(id, weight)).transpose()?;
        }
        let last = last_readers(graph, &plan);
        for id in plan {
            for (output, tensor) in graph.node(id).outputs.iter().zip(run(graph, id, &tensors)?) {
                trace.record(*output, &tensor)?;
                tensors[output.0] = Some(tensor);
            }
            let read = graph.node(id).inputs.iter().flatten();
            read.filter(|input| last[input.0] == Some(id)).for_each(|id| tensors[id.0] = None);
        }
        Ok(trace)
    }

    fn record(&mut self, id: ValueId, tensor: &Tensor) -> Result<()> {
        self.shapes[id.0] = Some(tensor.dims().to_vec());
        if tensor.dtype() == DType::I64 && tensor.elem_count() <= LARGEST {
            self.integers[id.0] = Some(tensor.flatten_all()?.to_vec1::<i64>()?);
        }
        Ok(())
    }

    /// The shape of a value.
    pub(super) fn shape(&self, id: ValueId) -> &[usize] {
        self.shapes[id.0].as_deref().unwrap_or_default()
    }
}

/// The outputs of a node.
fn run(graph: &Graph, id: NodeId, tensors: &[Option<Tensor>]) -> Result<Vec<Tensor>> {
    let node = graph.node(id);
    let input = |id: &ValueId| graph.weight(*id).or(tensors[id.0].as_ref()).cloned();
    let inputs: Vec<Option<Tensor>> =
        node.inputs.iter().map(|id| id.as_ref().and_then(input)).collect();
    node.op.forward(&inputs).map_err(|source| Error::Node {
        node: node.name.clone(),
        op: node.op.name(),
        source,
    })
}

/// The last of the nodes that reads each value.
fn last_readers(graph: &Graph, plan: &[NodeId]) -> Vec<Option<NodeId>> {
    let mut last = vec![None; graph.values().len()];
    for &id in plan {
        graph.node(id).inputs.iter().flatten().for_each(|input| last[input.0] = Some(id));
    }
    last
}

/// The inputs of a graph as zeros.
fn zeros(graph: &Graph, sizes: &[usize]) -> Result<Vec<Tensor>> {
    let ((float, device), kinds) = (graph.float_type(), graph.kinds());
    let shapes = graph.input_shapes(BATCH, sizes)?;
    let zeros = |(id, shape): (&ValueId, Vec<usize>)| {
        let dtype = match kinds[id.0] {
            Kind::Float => float,
            Kind::Int => DType::I64,
            Kind::Bool => DType::U8,
        };
        Ok(Tensor::zeros(shape, dtype, &device)?)
    };
    graph.inputs().iter().zip(shapes).map(zeros).collect()
}
