//! What kind of numbers each value is.

use std::fmt::{Display, Formatter};

use candle_core::DType;

use crate::graph::{Graph, Origin, ValueId};
use crate::op::{Binary, Kind, Op, Scalar, Unary};

impl Kind {
    /// What the numbers of a tensor of this type are.
    pub fn of(dtype: DType) -> Self {
        match dtype {
            DType::U8 => Self::Bool,
            dtype if dtype.is_float() => Self::Float,
            _ => Self::Int,
        }
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Float => "numbers with a fraction",
            Self::Int => "integers",
            Self::Bool => "booleans",
        })
    }
}

impl Graph {
    /// What the numbers of a value are.
    pub fn kind(&self, value: ValueId) -> Kind {
        self.kinds()[value.0]
    }

    /// The kind of every value.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let known = |origin: &Origin| match origin {
            Origin::Input { kind, .. } => *kind,
            Origin::Weight(tensor) => Kind::of(tensor.dtype()),
            Origin::Node { .. } => Kind::Float,
        };
        let mut kinds: Vec<Kind> = self.values.iter().map(|value| known(&value.origin)).collect();
        for node in &self.nodes {
            let kind = result(&node.op, |place| node.input(place).map(|id| kinds[id.0]));
            let kind = kind.unwrap_or(Kind::Float);
            node.outputs.iter().for_each(|id| kinds[id.0] = kind);
        }
        kinds
    }
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
        // Of a power, the base's.
        _ => input(0),
    }
}
