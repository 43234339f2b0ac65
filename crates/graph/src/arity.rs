//! The names of operations, and how many inputs and outputs they have.

use std::ops::RangeInclusive;

use crate::error::{Error, Result};
use crate::graph::ValueId;
use crate::op::Op;

const ANY: usize = usize::MAX;

impl Op {
    /// The operation's name in ONNX, or ours where ONNX has none.
    pub fn name(&self) -> &'static str {
        use crate::op::{Binary as B, PoolKind as P, Reduction as R, Unary as U, Variadic as V};
        match self {
            Self::Conv(_) => "Conv",
            Self::ConvTranspose(_) => "ConvTranspose",
            Self::MatMul => "MatMul",
            Self::Gemm(_) => "Gemm",
            Self::BatchNorm { .. } => "BatchNormalization",
            Self::LayerNorm { .. } => "LayerNormalization",
            Self::GroupNorm { .. } => "GroupNormalization",
            Self::InstanceNorm { .. } => "InstanceNormalization",
            Self::LocalResponseNorm { .. } => "LRN",
            Self::Unary(unary) => match unary {
                U::Relu => "Relu",
                U::LeakyRelu(_) => "LeakyRelu",
                U::Elu(_) => "Elu",
                U::Celu(_) => "Celu",
                U::Selu { .. } => "Selu",
                U::ThresholdedRelu(_) => "ThresholdedRelu",
                U::Gelu | U::GeluTanh => "Gelu",
                U::Silu => "Swish",
                U::Mish => "Mish",
                U::HardSwish => "HardSwish",
                U::HardSigmoid { .. } => "HardSigmoid",
                U::Sigmoid => "Sigmoid",
                U::Tanh => "Tanh",
                U::Softplus => "Softplus",
                U::Softsign => "Softsign",
                U::Shrink { .. } => "Shrink",
                U::Erf => "Erf",
                U::Exp => "Exp",
                U::Log => "Log",
                U::Sqrt => "Sqrt",
                U::Reciprocal => "Reciprocal",
                U::Neg => "Neg",
                U::Abs => "Abs",
                U::Sign => "Sign",
                U::Floor => "Floor",
                U::Ceil => "Ceil",
                U::Round => "Round",
                U::Sin => "Sin",
                U::Cos => "Cos",
                U::Tan => "Tan",
                U::Asin => "Asin",
                U::Acos => "Acos",
                U::Atan => "Atan",
                U::Not => "Not",
            },
            Self::Binary(binary) => match binary {
                B::Add => "Add",
                B::Sub => "Sub",
                B::Mul => "Mul",
                B::Div => "Div",
                B::Pow => "Pow",
                B::PRelu => "PRelu",
                B::Mod => "Mod",
                B::Equal => "Equal",
                B::Greater => "Greater",
                B::GreaterOrEqual => "GreaterOrEqual",
                B::Less => "Less",
                B::LessOrEqual => "LessOrEqual",
                B::And => "And",
                B::Or => "Or",
                B::Xor => "Xor",
            },
            Self::Clip => "Clip",
            Self::Where => "Where",
            Self::Variadic(variadic) => match variadic {
                V::Sum => "Sum",
                V::Mean => "Mean",
                V::Max => "Max",
                V::Min => "Min",
            },
            Self::Softmax(softmax) => {
                if softmax.logarithm {
                    "LogSoftmax"
                } else {
                    "Softmax"
                }
            }
            Self::Pool(pool) => match pool.kind {
                P::Max => "MaxPool",
                P::Average => "AveragePool",
            },
            Self::GlobalPool(P::Max) => "GlobalMaxPool",
            Self::GlobalPool(P::Average) => "GlobalAveragePool",
            Self::Reduce(reduce) => match reduce.kind {
                R::Sum => "ReduceSum",
                R::Mean => "ReduceMean",
                R::Max => "ReduceMax",
                R::Min => "ReduceMin",
                R::Prod => "ReduceProd",
                R::L1 => "ReduceL1",
                R::L2 => "ReduceL2",
                R::SumSquare => "ReduceSumSquare",
                R::LogSum => "ReduceLogSum",
                R::LogSumExp => "ReduceLogSumExp",
            },
            Self::ArgExtreme(arg) => {
                if arg.greatest {
                    "ArgMax"
                } else {
                    "ArgMin"
                }
            }
            Self::Concat { .. } => "Concat",
            Self::Split(_) => "Split",
            Self::Slice => "Slice",
            Self::Pad(_) => "Pad",
            Self::Reshape { .. } => "Reshape",
            Self::Flatten { .. } => "Flatten",
            Self::Transpose { .. } => "Transpose",
            Self::Squeeze => "Squeeze",
            Self::Unsqueeze => "Unsqueeze",
            Self::Expand => "Expand",
            Self::Tile => "Tile",
            Self::Gather { .. } => "Gather",
            Self::GatherNd => "GatherND",
            Self::ScatterNd => "ScatterND",
            Self::Resize(_) => "Resize",
            Self::DepthToSpace { .. } => "DepthToSpace",
            Self::SpaceToDepth { .. } => "SpaceToDepth",
            Self::Shape { .. } => "Shape",
            Self::Size => "Size",
            Self::ConstantOfShape(_) => "ConstantOfShape",
            Self::Range => "Range",
            Self::Cast(_) => "Cast",
            Self::Identity => "Identity",
            Self::AttentionMasks(_) => "AttentionMasks",
            Self::Readout => "Readout",
        }
    }

    /// How many inputs there can be, and how many of the first must be there.
    fn inputs(&self) -> (RangeInclusive<usize>, usize) {
        match self {
            Self::BatchNorm { .. } => (5..=5, 5),
            Self::Conv(_) | Self::ConvTranspose(_) | Self::Gemm(_) | Self::LayerNorm { .. } => {
                (2..=3, 2)
            }
            Self::GroupNorm { .. }
            | Self::InstanceNorm { .. }
            | Self::Where
            | Self::Range
            | Self::ScatterNd
            | Self::AttentionMasks(_)
            | Self::Readout => (3..=3, 3),
            Self::MatMul
            | Self::Binary(_)
            | Self::Reshape { .. }
            | Self::Unsqueeze
            | Self::Expand
            | Self::Tile
            | Self::Gather { .. }
            | Self::GatherNd => (2..=2, 2),
            Self::Clip => (1..=3, 1),
            Self::Variadic(_) | Self::Concat { .. } => (1..=ANY, ANY),
            Self::Reduce(_) | Self::Split(_) | Self::Squeeze => (1..=2, 1),
            Self::Slice => (3..=5, 3),
            Self::Pad(_) => (2..=4, 2),
            Self::Resize(_) => (1..=4, 1),
            Self::LocalResponseNorm { .. }
            | Self::Unary(_)
            | Self::Softmax(_)
            | Self::Pool(_)
            | Self::GlobalPool(_)
            | Self::ArgExtreme(_)
            | Self::Flatten { .. }
            | Self::Transpose { .. }
            | Self::DepthToSpace { .. }
            | Self::SpaceToDepth { .. }
            | Self::Shape { .. }
            | Self::Size
            | Self::ConstantOfShape(_)
            | Self::Cast(_)
            | Self::Identity => (1..=1, 1),
        }
    }

    pub(crate) fn check_arity(
        &self,
        node: &str,
        inputs: &[Option<ValueId>],
        outputs: usize,
    ) -> Result<()> {
        let (range, required) = self.inputs();
        let there = inputs.iter().take(required).filter(|input| input.is_some()).count();
        let expected = match self {
            Self::Split(split) => split.parts,
            _ => 1,
        };
        let fits = range.contains(&inputs.len()) && there == required.min(inputs.len());
        if fits && outputs == expected && outputs > 0 {
            return Ok(());
        }
        Err(Error::Arity {
            node: node.into(),
            op: self.name(),
            inputs: inputs.iter().flatten().count(),
            outputs,
        })
    }
}
