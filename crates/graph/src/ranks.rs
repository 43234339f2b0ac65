//! How many dimensions each value has.

use crate::constants::integers;
use crate::graph::{Graph, Node, Origin, ValueId};
use crate::op::Op;

/// What is known of a value's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Form {
    rank: usize,
    /// The size of a value of one dimension, where it is known: a shape that is computed has as
    /// many elements as what is reshaped by it has dimensions.
    length: Option<usize>,
}

impl Graph {
    /// The number of dimensions of every value, where it follows from the graph, whatever the sizes
    /// of its inputs are.
    pub(crate) fn ranks(&self) -> Vec<Option<usize>> {
        let mut forms: Vec<Option<Form>> = self.values.iter().map(|v| known(&v.origin)).collect();
        for node in &self.nodes {
            let known = Known { graph: self, node, forms: &forms };
            let form = known
                .rank()
                .map(|rank| Form { rank, length: known.length().filter(|_| rank == 1) });
            node.outputs.iter().for_each(|id| forms[id.0] = form);
        }
        forms.into_iter().map(|form| form.map(|form| form.rank)).collect()
    }
}

fn known(origin: &Origin) -> Option<Form> {
    match origin {
        Origin::Input(shape) => {
            Some(Form { rank: shape.len(), length: shape.first().copied().flatten() })
        }
        Origin::Weight(tensor) => {
            Some(Form { rank: tensor.rank(), length: tensor.dims().first().copied() })
        }
        Origin::Node { .. } => None,
    }
}

/// What is known of a node's inputs.
struct Known<'a> {
    graph: &'a Graph,
    node: &'a Node,
    forms: &'a [Option<Form>],
}

impl Known<'_> {
    fn form(&self, place: usize) -> Option<Form> {
        self.node.input(place).and_then(|id: ValueId| self.forms[id.0])
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
        self.node.input(place).and_then(|id| integers(self.graph.weight(id)?))
    }

    /// The number of dimensions of a node's results.
    fn rank(&self) -> Option<usize> {
        match &self.node.op {
            Op::Gemm(_) | Op::Flatten { .. } | Op::Readout => Some(2),
            Op::AttentionMasks(_) => Some(5),
            Op::Shape { .. } | Op::Range => Some(1),
            Op::Size => Some(0),
            Op::MatMul => match (self.rank_of(0)?, self.rank_of(1)?) {
                (1, other) | (other, 1) => other.checked_sub(1).filter(|_| other > 1).or(Some(0)),
                (a, b) => Some(a.max(b)),
            },
            Op::Binary(_) | Op::Where | Op::Variadic(_) => {
                let places = 0..self.node.inputs.len();
                places
                    .map(|place| self.rank_of(place))
                    .collect::<Option<Vec<_>>>()?
                    .into_iter()
                    .max()
            }
            Op::Reduce(reduce) if !reduce.keep_dims => {
                let axes = match (&reduce.axes, self.node.input(1)) {
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
            Op::Unsqueeze => Some(self.rank_of(0)? + self.length_of(1)?),
            Op::Gather { .. } => (self.rank_of(0)? + self.rank_of(1)?).checked_sub(1),
            _ => self.rank_of(0),
        }
    }

    /// The number of elements of a result of one dimension.
    fn length(&self) -> Option<usize> {
        let places = 0..self.node.inputs.len();
        match &self.node.op {
            Op::Shape { start, end } => {
                let rank = self.rank_of(0)? as isize;
                let place = |at: isize| (if at < 0 { at + rank } else { at }).clamp(0, rank);
                Some((place(end.unwrap_or(rank)) - place(*start)).max(0) as usize)
            }
            Op::Gather { .. } => self.length_of(1),
            Op::Concat { .. } => places.map(|place| self.length_of(place)).sum(),
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
        let length = self.length_of(0)? as i64;
        let (start, end) = (*self.integers(1)?.first()?, *self.integers(2)?.first()?);
        let has_steps = self.node.input(4).is_some();
        let step = if has_steps { *self.integers(4)?.first()? } else { 1 };
        let place =
            |at: i64| (if at < 0 { at.saturating_add(length) } else { at }).clamp(0, length);
        let span = (place(end) - place(start)).max(0) as usize;
        (step > 0).then(|| span.div_ceil(step as usize))
    }
}
