//! The settings of operations, by ONNX's names.

use candle_core::{Device, Tensor};

use crate::error::Result;
use crate::graph::Graph;
use crate::op::{
    Coordinates, Nearest, Op, PadMode, Padding, PoolKind, ResizeMode, Scalar, Unary, Window,
};

/// A setting.
#[derive(Debug, Clone)]
pub(super) enum Attribute {
    Int(i64),
    Float(f64),
    Text(&'static str),
    Ints(Vec<i64>),
    Tensor(Tensor),
}

use Attribute::{Float, Int, Ints, Text};

/// Settings by name.
pub(super) type Attributes = Vec<(&'static str, Attribute)>;

/// The settings of an operation that ONNX has.
pub(super) fn attributes(graph: &Graph, op: &Op) -> Result<Attributes> {
    let flag = |is_set: bool| Int(is_set.into());
    Ok(match op {
        Op::Conv(of) => [window(of), groups(of)].concat(),
        Op::ConvTranspose(of) => {
            let mut all = [window(&of.window), groups(&of.window)].concat();
            all.push(("output_padding", ints(&of.output_padding)));
            all.extend(of.output_shape.as_ref().map(|sizes| ("output_shape", ints(sizes))));
            all
        }
        Op::Gemm(gemm) => vec![
            ("alpha", Float(gemm.alpha)),
            ("beta", Float(gemm.beta)),
            ("transA", flag(gemm.transpose_a)),
            ("transB", flag(gemm.transpose_b)),
        ],
        Op::BatchNorm { epsilon } | Op::InstanceNorm { epsilon } => {
            vec![("epsilon", Float(*epsilon))]
        }
        Op::LayerNorm { axis, epsilon } => {
            vec![("axis", Int(*axis as i64)), ("epsilon", Float(*epsilon))]
        }
        Op::GroupNorm { groups, epsilon } => {
            vec![("num_groups", Int(*groups as i64)), ("epsilon", Float(*epsilon))]
        }
        Op::LocalResponseNorm { size, alpha, beta, k } => vec![
            ("size", Int(*size as i64)),
            ("alpha", Float(*alpha)),
            ("beta", Float(*beta)),
            ("bias", Float(*k)),
        ],
        Op::Unary(of) => unary(*of),
        Op::Softmax(of) => vec![("axis", Int(of.axis as i64))],
        Op::Pool(of) => {
            let mut all = window(&of.window);
            all.extend([("kernel_shape", ints(&of.kernel)), ("ceil_mode", flag(of.ceil))]);
            if of.kind == PoolKind::Average {
                all.push(("count_include_pad", flag(of.count_include_pad)));
            }
            all
        }
        Op::Reduce(of) => vec![
            ("keepdims", flag(of.keep_dims)),
            ("noop_with_empty_axes", flag(of.empty_is_nothing)),
        ],
        Op::ArgExtreme(of) => {
            vec![("axis", Int(of.axis as i64)), ("keepdims", flag(of.keep_dims))]
        }
        Op::Concat { axis } | Op::Flatten { axis } | Op::Gather { axis } => {
            vec![("axis", Int(*axis as i64))]
        }
        Op::Split(of) => vec![("axis", Int(of.axis as i64))],
        Op::Pad(mode) => vec![("mode", Text(pad_mode(*mode)))],
        Op::Reshape { allow_zero } => vec![("allowzero", flag(*allow_zero))],
        Op::Transpose { order } => order.iter().map(|order| ("perm", ints(order))).collect(),
        Op::Resize(of) => {
            let mut attributes = vec![
                ("mode", Text(resize_mode(of.mode))),
                ("coordinate_transformation_mode", Text(coordinates(of.coordinates))),
                ("nearest_mode", Text(nearest(of.nearest))),
            ];
            if let ResizeMode::Cubic { slope, exclude_outside } = of.mode {
                let outside = ("exclude_outside", flag(exclude_outside));
                attributes.extend([("cubic_coeff_a", Float(slope)), outside]);
            }
            attributes
        }
        Op::DepthToSpace { block, channel_first } => vec![
            ("blocksize", Int(*block as i64)),
            ("mode", Text(if *channel_first { "CRD" } else { "DCR" })),
        ],
        Op::SpaceToDepth { block } => vec![("blocksize", Int(*block as i64))],
        Op::Shape { start, end } => {
            let end = end.map(|end| ("end", Int(end as i64)));
            [("start", Int(*start as i64))].into_iter().chain(end).collect()
        }
        Op::ConstantOfShape(value) => vec![("value", Attribute::Tensor(one(graph, *value)?))],
        Op::Cast(kind) => vec![("to", Int(graph.onnx_kind(*kind)))],
        // Without settings, or written as several nodes of ONNX.
        Op::MatMul
        | Op::Binary(_)
        | Op::Clip
        | Op::Where
        | Op::Variadic(_)
        | Op::GlobalPool(_)
        | Op::Slice
        | Op::Squeeze
        | Op::Unsqueeze
        | Op::Expand
        | Op::Tile
        | Op::GatherNd
        | Op::ScatterNd
        | Op::Size
        | Op::Range
        | Op::Identity
        | Op::AttentionMasks(_)
        | Op::Readout => Vec::new(),
    })
}

fn unary(unary: Unary) -> Attributes {
    match unary {
        Unary::LeakyRelu(alpha)
        | Unary::Elu(alpha)
        | Unary::Celu(alpha)
        | Unary::ThresholdedRelu(alpha) => vec![("alpha", Float(alpha))],
        Unary::Selu { alpha, gamma } => vec![("alpha", Float(alpha)), ("gamma", Float(gamma))],
        Unary::GeluTanh => vec![("approximate", Text("tanh"))],
        Unary::HardSigmoid { alpha, beta } => {
            vec![("alpha", Float(alpha)), ("beta", Float(beta))]
        }
        Unary::Shrink { lambda, bias } => vec![("lambd", Float(lambda)), ("bias", Float(bias))],
        Unary::Relu
        | Unary::Gelu
        | Unary::Silu
        | Unary::Mish
        | Unary::HardSwish
        | Unary::Sigmoid
        | Unary::Tanh
        | Unary::Softplus
        | Unary::Softsign
        | Unary::Erf
        | Unary::Exp
        | Unary::Log
        | Unary::Sqrt
        | Unary::Reciprocal
        | Unary::Neg
        | Unary::Abs
        | Unary::Sign
        | Unary::Floor
        | Unary::Ceil
        | Unary::Round
        | Unary::Sin
        | Unary::Cos
        | Unary::Tan
        | Unary::Asin
        | Unary::Acos
        | Unary::Atan
        | Unary::Not => Vec::new(),
    }
}

fn ints(sizes: &[usize]) -> Attribute {
    Ints(sizes.iter().map(|&size| size as i64).collect())
}

fn window(window: &Window) -> Attributes {
    let padding = match &window.padding {
        Padding::Explicit(pads) => {
            let (before, after): (Vec<usize>, Vec<usize>) = pads.iter().copied().unzip();
            ("pads", ints(&[before, after].concat()))
        }
        Padding::SameUpper => ("auto_pad", Text("SAME_UPPER")),
        Padding::SameLower => ("auto_pad", Text("SAME_LOWER")),
    };
    vec![("strides", ints(&window.stride)), ("dilations", ints(&window.dilation)), padding]
}

fn groups(window: &Window) -> Attributes {
    vec![("group", Int(window.groups as i64))]
}

fn pad_mode(mode: PadMode) -> &'static str {
    match mode {
        PadMode::Constant => "constant",
        PadMode::Reflect => "reflect",
        PadMode::Edge => "edge",
    }
}

fn resize_mode(mode: ResizeMode) -> &'static str {
    match mode {
        ResizeMode::Nearest => "nearest",
        ResizeMode::Linear => "linear",
        ResizeMode::Cubic { .. } => "cubic",
    }
}

fn coordinates(coordinates: Coordinates) -> &'static str {
    match coordinates {
        Coordinates::HalfPixel => "half_pixel",
        Coordinates::PytorchHalfPixel => "pytorch_half_pixel",
        Coordinates::HalfPixelSymmetric => "half_pixel_symmetric",
        Coordinates::Asymmetric => "asymmetric",
        Coordinates::AlignCorners => "align_corners",
    }
}

fn nearest(nearest: Nearest) -> &'static str {
    match nearest {
        Nearest::RoundPreferFloor => "round_prefer_floor",
        Nearest::RoundPreferCeil => "round_prefer_ceil",
        Nearest::Floor => "floor",
        Nearest::Ceil => "ceil",
    }
}

/// A tensor of one element.
fn one(graph: &Graph, value: Scalar) -> Result<Tensor> {
    let device = Device::Cpu;
    Ok(match value {
        Scalar::Float(number) => {
            super::written(&Tensor::new(&[number], &device)?.to_dtype(graph.float_type().0)?)?
        }
        Scalar::Int(number) => Tensor::new(&[number], &device)?,
        Scalar::Bool(number) => Tensor::new(&[u8::from(number)], &device)?,
    })
}
