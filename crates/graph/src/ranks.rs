//! How many dimensions each value has.

use candle_core::Tensor;

use crate::dims;
use crate::graph::{Graph, Origin, ValueId};
use crate::numbers::integers;
use crate::op::Op;

/// No value has more dimensions, whatever a damaged file says.
const HIGHEST: usize = 64;

/// What is known of a value's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) rank: usize,
    /// The size of a value of one dimension, where it is known: a shape that is computed has as
    /// many elements as what is reshaped by it has dimensions.
    length: Option<usize>,
}

impl Form {
    /// That of an input of these sizes.
    pub(crate) fn of_input(sizes: &[Option<usize>]) -> Self {
        Self { rank: sizes.len(), length: sizes.first().copied().flatten() }
    }

    pub(crate) fn of_weight(tensor: &Tensor) -> Self {
        Self { rank: tensor.rank(), length: tensor.dims().first().copied() }
    }
}

impl Graph {
    /// The number of dimensions of every value, where it follows from the graph, whatever the sizes
    /// of its inputs are.
    pub(crate) fn ranks(&self) -> Vec<Option<usize>> {
        let known = |origin: &Origin| match origin {
            Origin::Input { sizes, .. } => Some(Form::of_input(sizes)),
            Origin::Weight(tensor) => Some(Form::of_weight(tensor)),
            Origin::Node { .. } => None,
        };
        let mut forms: Vec<Option<Form>> = self.values.iter().map(|v| known(&v.origin)).collect();
        for node in &self.nodes {
            let form = |id: ValueId| forms[id.0];
            let weight = |id: ValueId| self.weight(id).cloned();
            let known = Known { op: &node.op, inputs: &node.inputs, form: &form, weight: &weight };
            let form = known.result();
            node.outputs.iter().for_each(|id| forms[id.0] = form);
        }
        forms.into_iter().map(|form| form.map(|form| form.rank)).collect()
    }
}

/// What is known of a node's inputs.
pub(crate) struct Known<'a> {
    pub(crate) op: &'a Op,
    pub(crate) inputs: &'a [Option<ValueId>],
    pub(crate) form: &'a dyn Fn(ValueId) -> Option<Form>,
    pub(crate) weight: &'a dyn Fn(ValueId) -> Option<Tensor>,
}

impl Known<'_> {
    /// What is known of a node's results.
    pub(crate) fn result(&self) -> Option<Form> {
        let rank = self.rank().filter(|rank| *rank <= HIGHEST)?;
        Some(Form { rank, length: self.length().filter(|_| rank == 1) })
    }

    fn input(&self, place: usize) -> Option<ValueId> {
        self.inputs.get(place).copied().flatten()
    }

    fn form(&self, place: usize) -> Option<Form> {
        self.input(place).and_then(self.form)
    }

    fn rank_of(&self, place: usize) -> Option<usize> {
        self.form(place).map(|form| form.rank)
    }

    /// The number of elements of an input that holds a shape or axes.
    fn length_of(&self, place: usize) -> Option<usize> {
        self.form(place).filter(|form| form.rank == 1).and_then(|form| form.length)
    }

    /// The numbers of an input that is a weight.
    fn integers(&self, place: usize) -> Option<Vec<i64>> {
        integers(&(self.weight)(self.input(place)?)?)
    }

    /// The number of dimensions of a node's results.
    fn rank(&self) -> Option<usize> {
        match self.op {
            Op::Gemm(_) | Op::Flatten { .. } | Op::Readout => Some(2),
            Op::AttentionMasks(_) => Some(5),
            Op::Shape { .. } | Op::Range => Some(1),
            Op::Size => Some(0),
            Op::MatMul => match (self.rank_of(0)?, self.rank_of(1)?) {
                (1, other) | (other, 1) => Some(other.saturating_sub(1)),
                (a, b) => Some(a.max(b)),
            },
            Op::Binary(_) | Op::Where | Op::Variadic(_) => {
                let places = 0..self.inputs.len();
                places
                    .map(|place| self.rank_of(place))
                    .collect::<Option<Vec<_>>>()?
                    .into_iter()
                    .max()
            }
            Op::Reduce(reduce) if !reduce.keep_dims => {
                let axes = match (&reduce.axes, self.input(1)) {
                    (_, Some(_)) => self.length_of(1)?,
                    (Some(axes), None) => axes.len(),
                    (None, None) => 0,
                };
                match (axes, reduce.empty_is_nothing) {
                    (0, false) => Some(0),
                    _ => self.rank_of(0)?.checked_sub(axes),
                }
            }
            Op::ArgExtreme(arg) if !arg.keep_dims => self.rank_of(0)?.checked_sub(1),
            Op::Reshape { .. } => self.length_of(1),
            Op::ConstantOfShape(_) => self.length_of(0),
            Op::Expand => Some(self.rank_of(0)?.max(self.length_of(1)?)),
            Op::Squeeze => self.rank_of(0)?.checked_sub(self.length_of(1)?),
            Op::Unsqueeze => self.rank_of(0)?.checked_add(self.length_of(1)?),
            Op::Gather { .. } => (self.rank_of(0)? + self.rank_of(1)?).checked_sub(1),
            Op::GatherNd => {
                let indices = (self.weight)(self.input(1)?)?;
                let named = *indices.dims().last()?;
                (self.rank_of(0)? + indices.rank() - 1).checked_sub(named)
            }
            _ => self.rank_of(0),
        }
    }

    /// The number of elements of a result of one dimension.
    fn length(&self) -> Option<usize> {
        let places = 0..self.inputs.len();
        match self.op {
            Op::Shape { start, end } => Some(dims::span(self.rank_of(0)?, *start, *end).len()),
            Op::Gather { .. } => self.length_of(1),
            Op::Concat { .. } => {
                let mut lengths = places.map(|place| self.length_of(place));
                lengths.try_fold(0usize, |sum, length| sum.checked_add(length?))
            }
            Op::Binary(_) | Op::Where | Op::Variadic(_) => {
                let length = |place| match self.form(place)? {
                    Form { rank: 0, .. } => Some(1),
                    form => form.length,
                };
                places.map(length).collect::<Option<Vec<_>>>()?.into_iter().max()
            }
            Op::Unsqueeze if self.rank_of(0) == Some(0) => Some(1),
            Op::Reshape { .. } => match (self.integers(1)?.first()?, self.form(0)?) {
                (-1, Form { rank: 0, .. }) => Some(1),
                (-1 | 0, form) => form.length.filter(|_| form.rank == 1),
                (size, _) => usize::try_from(*size).ok(),
            },
            Op::Slice => self.slice_length(),
            Op::Unary(_) | Op::Clip | Op::Cast(_) | Op::Identity => self.length_of(0),
            _ => None,
        }
    }

    /// The number of elements of a part of a shape.
    fn slice_length(&self) -> Option<usize> {
        let (start, end) = (*self.integers(1)?.first()?, *self.integers(2)?.first()?);
        let has_steps = self.input(4).is_some();
        let step = if has_steps { *self.integers(4)?.first()? } else { 1 };
        dims::slice(self.length_of(0)?, [start, end, step]).map(|(_, count)| count)
    }
}
