//! What kind of numbers each value is.

use candle_core::DType;

use crate::graph::{Graph, Node, Origin, ValueId};
use crate::op::{Binary, Kind, Op, Scalar, Unary};

impl Graph {
    /// The kind of every value. That of an input follows from what reads it: shapes and indices are
    /// integers, conditions 0 or 1, and operands of one operation of one kind; else it is numbers
    /// with a fraction.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Option<Kind>> = self.values.iter().map(|v| known(&v.origin)).collect();
        for node in &self.nodes {
            for (place, id) in node.inputs.iter().enumerate() {
                let (Some(id), Some(kind)) = (id, required(&node.op, place)) else { continue };
                kinds[id.0].get_or_insert(kind);
            }
        }
        for node in &self.nodes {
            share_kind(node, &mut kinds);
            let of = |place: usize| node.input(place).and_then(|id: ValueId| kinds[id.0]);
            let kind = result(&node.op, of).unwrap_or(Kind::Float);
            node.outputs.iter().for_each(|id| kinds[id.0] = Some(kind));
        }
        kinds.into_iter().map(|kind| kind.unwrap_or(Kind::Float)).collect()
    }
}

fn known(origin: &Origin) -> Option<Kind> {
    match origin {
        Origin::Weight(tensor) => Some(match tensor.dtype() {
            DType::U8 => Kind::Bool,
            dtype if dtype.is_float() => Kind::Float,
            _ => Kind::Int,
        }),
        _ => None,
    }
}

/// The kind that an input of an operation must be, if it is not that of numbers with a fraction.
pub(crate) fn required(op: &Op, place: usize) -> Option<Kind> {
    match (op, place) {
        (Op::ConstantOfShape(_), 0) => Some(Kind::Int),
        (Op::Reshape { .. } | Op::Expand | Op::Tile | Op::Gather { .. }, 1) => Some(Kind::Int),
        (Op::Squeeze | Op::Unsqueeze | Op::Split(_) | Op::Reduce(_), 1) => Some(Kind::Int),
        (Op::Slice, 1..) | (Op::Pad(_), 1 | 3) | (Op::Resize(_), 3) => Some(Kind::Int),
        (Op::Where, 0) | (Op::Unary(Unary::Not), 0) => Some(Kind::Bool),
        (Op::Binary(Binary::And | Binary::Or | Binary::Xor), _) => Some(Kind::Bool),
        _ => None,
    }
}

/// Gives operands that have no kind yet that of the others, where an operation's are all of one.
fn share_kind(node: &Node, kinds: &mut [Option<Kind>]) {
    let operands = match node.op {
        Op::Binary(_) | Op::Variadic(_) | Op::Concat { .. } | Op::Clip | Op::Range => {
            &node.inputs[..]
        }
        Op::Where => &node.inputs[1..],
        _ => return,
    };
    let kind = operands.iter().flatten().find_map(|id| kinds[id.0]);
    let Some(kind) = kind else { return };
    operands.iter().flatten().for_each(|id| {
        kinds[id.0].get_or_insert(kind);
    });
}

/// The kind of a node's results, from its inputs'.
pub(crate) fn result(op: &Op, input: impl Fn(usize) -> Option<Kind>) -> Option<Kind> {
    use Binary as B;
    match op {
        Op::Shape { .. } | Op::Size | Op::ArgExtreme(_) => Some(Kind::Int),
        Op::Cast(kind) => Some(*kind),
        Op::ConstantOfShape(scalar) => Some(match scalar {
            Scalar::Float(_) => Kind::Float,
            Scalar::Int(_) => Kind::Int,
            Scalar::Bool(_) => Kind::Bool,
        }),
        Op::Unary(Unary::Not) => Some(Kind::Bool),
        Op::Binary(
            B::Equal
            | B::Greater
            | B::GreaterOrEqual
            | B::Less
            | B::LessOrEqual
            | B::And
            | B::Or
            | B::Xor,
        ) => Some(Kind::Bool),
        Op::Where => input(1),
        _ => input(0),
    }
}
