//! The shape of every value.

use candle_core::{DType, Device, Tensor};

use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, Origin, ValueId};
use crate::op::Kind;

/// The shape of every value of a graph, for inputs of certain shapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shapes {
    of: Vec<Vec<usize>>,
}

impl Shapes {
    /// A value's shape.
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
    /// If there are fewer or more sizes than are needed, or a node fails.
    pub fn shapes(&self, batch: usize, sizes: &[usize]) -> Result<Shapes> {
        let mut run = ShapesRun::new(self, &self.input_shapes(batch, sizes)?)?;
        (0..self.nodes.len()).try_for_each(|node| run.node(NodeId(node)))?;
        Ok(Shapes { of: run.shapes })
    }

    /// The shape of each input.
    pub(crate) fn input_shapes(&self, batch: usize, sizes: &[usize]) -> Result<Vec<Vec<usize>>> {
        let (mut left, mut needed) = (sizes.iter(), 0);
        let mut size = |(place, fixed): (usize, &Option<usize>)| match (fixed, place) {
            (Some(size), _) => *size,
            (None, 0) => batch,
            (None, _) => {
                needed += 1;
                left.next().copied().unwrap_or(1)
            }
        };
        let shapes = self.inputs.iter().map(|&id| match &self.value(id).origin {
            Origin::Input(shape) => shape.iter().enumerate().map(&mut size).collect(),
            _ => Vec::new(),
        });
        let shapes = shapes.collect();
        if needed == sizes.len() {
            return Ok(shapes);
        }
        Err(Error::Sizes { needed, given: sizes.len() })
    }

    /// The type of the numbers with a fraction, and where they are: those of the first weight that
    /// has such.
    pub(crate) fn float_type(&self) -> (DType, Device) {
        let weights = self.values.iter().filter_map(|value| match &value.origin {
            Origin::Weight(tensor) => Some(tensor),
            _ => None,
        });
        let mut floats = weights.filter(|tensor| tensor.dtype().is_float());
        floats.next().map_or((DType::F32, Device::Cpu), |t| (t.dtype(), t.device().clone()))
    }
}

/// A pass on zeros that remembers shapes.
struct ShapesRun<'a> {
    graph: &'a Graph,
    shapes: Vec<Vec<usize>>,
    /// What is there, for each value.
    tensors: Vec<Option<Tensor>>,
    /// How many nodes still read a value.
    readers: Vec<usize>,
}

impl<'a> ShapesRun<'a> {
    fn new(graph: &'a Graph, inputs: &[Vec<usize>]) -> Result<Self> {
        let mut readers = vec![0; graph.values.len()];
        let reads = graph.nodes.iter().flat_map(|node| node.inputs.iter().flatten());
        reads.for_each(|id| readers[id.0] += 1);
        let weights: Vec<Option<Tensor>> =
            (0..graph.values.len()).map(|id| graph.weight(ValueId(id)).cloned()).collect();
        let shape = |weight: &Option<Tensor>| weight.as_ref().map(|weight| weight.dims().to_vec());
        let shapes = weights.iter().map(|weight| shape(weight).unwrap_or_default()).collect();
        let mut run = Self { graph, shapes, tensors: weights, readers };
        let ((float, device), kinds) = (graph.float_type(), graph.kinds());
        for (&id, shape) in graph.inputs.iter().zip(inputs) {
            let dtype = match kinds[id.0] {
                Kind::Float => float,
                Kind::Int => DType::I64,
                Kind::Bool => DType::U8,
            };
            run.set(id, Tensor::zeros(shape.as_slice(), dtype, &device)?);
        }
        Ok(run)
    }

    fn set(&mut self, id: ValueId, tensor: Tensor) {
        self.shapes[id.0] = tensor.dims().to_vec();
        self.tensors[id.0] = (self.readers[id.0] > 0).then_some(tensor);
    }

    fn node(&mut self, id: NodeId) -> Result<()> {
        let node = self.graph.node(id);
        let read = |id: &Option<ValueId>| id.and_then(|id| self.tensors[id.0].clone());
        let inputs: Vec<Option<Tensor>> = node.inputs.iter().map(read).collect();
        for id in node.inputs.iter().flatten() {
            self.readers[id.0] -= 1;
            if self.readers[id.0] == 0 {
                self.tensors[id.0] = None;
            }
        }
        let results = node.op.forward(&inputs).map_err(|source| Error::Node {
            node: node.name.clone(),
            op: node.op.name(),
            source,
        })?;
        drop(inputs);
        node.outputs.iter().zip(results).for_each(|(id, tensor)| self.set(*id, tensor));
        Ok(())
    }
}
