//! Each operation of ONNX: its settings in all versions, and the nodes that compute it.

mod constant;
mod convolution;
mod elementwise;
mod norm;
mod pool;
mod products;
mod reduce;
mod resize;
mod shape;

use super::attributes::{Convert, unsupported};
use super::call::Call;
use super::functions::is_standard;
use crate::op::{Binary, Op, PoolKind, Reduction, Unary, Variadic};

/// Adds the nodes that compute the call's node, or says why there are none.
pub(super) fn convert(call: &mut Call) -> Convert<()> {
    // Old versions let any operation compute in place.
    call.attributes.skip(&["consumed_inputs"]);
    match call.node.domain {
        domain if is_standard(domain) => standard(call)?,
        "com.microsoft" => microsoft(call)?,
        _ => return unsupported("only operations of the domain ai.onnx are supported"),
    }
    call.attributes.finish()
}

fn standard(call: &mut Call) -> Convert<()> {
    match call.node.op_type {
        "Conv" => convolution::conv(call),
        "ConvTranspose" => convolution::conv_transpose(call),
        "MatMul" => call.emit(Op::MatMul),
        "Gemm" => convolution::gemm(call),
        "Einsum" => products::einsum(call),
        "Attention" => products::attention(call),

        "BatchNormalization" => norm::batch(call),
        "LayerNormalization" => norm::layer(call),
        "GroupNormalization" => norm::group(call),
        "InstanceNormalization" => norm::instance(call),
        "LRN" => norm::local_response(call),

        "MaxPool" => pool::pool(call, PoolKind::Max),
        "AveragePool" => pool::pool(call, PoolKind::Average),
        "GlobalMaxPool" => call.emit(Op::GlobalPool(PoolKind::Max)),
        "GlobalAveragePool" => call.emit(Op::GlobalPool(PoolKind::Average)),

        "ReduceSum" => reduce::reduce(call, Reduction::Sum, 13),
        "ReduceMean" => reduce::reduce(call, Reduction::Mean, 18),
        "ReduceMax" => reduce::reduce(call, Reduction::Max, 18),
        "ReduceMin" => reduce::reduce(call, Reduction::Min, 18),
        "ReduceProd" => reduce::reduce(call, Reduction::Prod, 18),
        "ReduceL1" => reduce::reduce(call, Reduction::L1, 18),
        "ReduceL2" => reduce::reduce(call, Reduction::L2, 18),
        "ReduceSumSquare" => reduce::reduce(call, Reduction::SumSquare, 18),
        "ReduceLogSum" => reduce::reduce(call, Reduction::LogSum, 18),
        "ReduceLogSumExp" => reduce::reduce(call, Reduction::LogSumExp, 18),
        "ArgMax" => reduce::arg_extreme(call, true),
        "ArgMin" => reduce::arg_extreme(call, false),
        "Softmax" => reduce::softmax(call, false),
        "LogSoftmax" => reduce::softmax(call, true),

        "Add" => elementwise::binary(call, Binary::Add),
        "Sub" => elementwise::binary(call, Binary::Sub),
        "Mul" => elementwise::binary(call, Binary::Mul),
        "Div" => elementwise::binary(call, Binary::Div),
        "Pow" => elementwise::binary(call, Binary::Pow),
        "Equal" => elementwise::binary(call, Binary::Equal),
        "Greater" => elementwise::binary(call, Binary::Greater),
        "GreaterOrEqual" => elementwise::binary(call, Binary::GreaterOrEqual),
        "Less" => elementwise::binary(call, Binary::Less),
        "LessOrEqual" => elementwise::binary(call, Binary::LessOrEqual),
        "And" => elementwise::binary(call, Binary::And),
        "Or" => elementwise::binary(call, Binary::Or),
        "Xor" => elementwise::binary(call, Binary::Xor),
        "Mod" => elementwise::modulo(call),
        "PRelu" => elementwise::prelu(call),
        "Clip" => elementwise::clip(call),
        "Where" => call.emit(Op::Where),
        "Sum" => call.emit(Op::Variadic(Variadic::Sum)),
        "Mean" => call.emit(Op::Variadic(Variadic::Mean)),
        "Max" => call.emit(Op::Variadic(Variadic::Max)),
        "Min" => call.emit(Op::Variadic(Variadic::Min)),
        "Swish" => elementwise::swish(call),

        "Concat" => shape::concat(call),
        "Split" => shape::split(call),
        "Slice" => shape::slice(call),
        "Pad" => shape::pad(call),
        "Reshape" => shape::reshape(call),
        "Flatten" => shape::flatten(call),
        "Transpose" => shape::transpose(call),
        "Squeeze" => shape::squeeze(call),
        "Unsqueeze" => shape::unsqueeze(call),
        "Expand" => call.emit(Op::Expand),
        "Tile" => call.emit(Op::Tile),
        "Gather" => shape::gather(call),
        "GatherND" => shape::gather_nd(call),
        "ScatterND" => shape::scatter_nd(call),
        "DepthToSpace" => shape::depth_to_space(call),
        "SpaceToDepth" => shape::space_to_depth(call),
        "Shape" => shape::shape(call),
        "Size" => call.emit(Op::Size),
        "Resize" => resize::resize(call),
        "Upsample" => resize::upsample(call),

        "Constant" => constant::constant(call),
        "ConstantOfShape" => constant::constant_of_shape(call),
        "Range" => constant::range(call),
        "Cast" => constant::cast(call),
        "CastLike" => constant::cast_like(call),
        "Identity" => call.emit(Op::Identity),
        "Dropout" => constant::dropout(call),

        name => match elementwise::unary(call, name)? {
            Some(unary) => call.emit(Op::Unary(unary)),
            None => unsupported(""),
        },
    }
}

/// Operations that ONNX Runtime adds.
fn microsoft(call: &mut Call) -> Convert<()> {
    match call.node.op_type {
        "Gelu" => call.emit(Op::Unary(Unary::Gelu)),
        "FastGelu" if call.inputs.len() < 2 => call.emit(Op::Unary(Unary::GeluTanh)),
        _ => unsupported(""),
    }
}
