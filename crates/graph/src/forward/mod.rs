//! What each operation computes, in candle's operations and the kernels'. Gradients are right
//! wherever the result is not integers.

mod arguments;
mod attention;
mod convolution;
mod elementwise;
mod index;
mod known_gradient;
mod matrix;
mod norm;
mod pad;
mod pool;
mod reduce;
mod resize;
mod shape;
mod softmax;
mod window;

pub(crate) use arguments::check_size;
pub(crate) use attention::check_weight as check_mask_weight;

use candle_core::Tensor;
use foresee_kernels::Moments;

use crate::error::OpError;
use crate::op::Op;

/// A result of an operation.
type Forward<T> = std::result::Result<T, OpError>;

/// The inputs of a node; those that are left out are `None`.
struct Inputs<'a>(&'a [Option<Tensor>]);

impl Inputs<'_> {
    /// Input `index`, if it is there.
    fn get(&self, index: usize) -> Option<&Tensor> {
        self.0.get(index).and_then(Option::as_ref)
    }

    /// Input `index`, which must be there: a node's number of inputs is checked when it is made.
    fn need(&self, index: usize) -> Forward<&Tensor> {
        self.get(index).ok_or_else(|| OpError::Setting {
            what: "an input",
            value: format!("number {index}"),
            expected: "it cannot be left out".into(),
        })
    }

    /// All that are there.
    fn all(&self) -> impl Iterator<Item = &Tensor> {
        self.0.iter().flatten()
    }
}

/// A batch norm in training mode, with the ReLU that follows it if one does, and the moments of its
/// batch.
pub(crate) fn normalize_batch(
    inputs: &[Option<Tensor>],
    epsilon: f64,
    relu: bool,
) -> Forward<(Tensor, Moments)> {
    norm::batch_norm_training(&Inputs(inputs), epsilon, relu)
}

impl Op {
    /// The outputs of a node with this operation.
    pub(crate) fn forward(&self, inputs: &[Option<Tensor>]) -> Forward<Vec<Tensor>> {
        let inputs = Inputs(inputs);
        inputs.all().try_for_each(|x| arguments::check_rank(x.rank()))?;
        self.outputs(&inputs)?.into_iter().map(fresh_if_empty).collect()
    }

    fn outputs(&self, inputs: &Inputs) -> Forward<Vec<Tensor>> {
        let x = || inputs.need(0);
        let one = match self {
            Self::Conv(window) => convolution::conv(inputs, window)?,
            Self::ConvTranspose(settings) => convolution::conv_transpose(inputs, settings)?,
            Self::MatMul => matrix::matmul(inputs.need(0)?, inputs.need(1)?)?,
            Self::Gemm(settings) => matrix::gemm(inputs, settings)?,
            Self::BatchNorm { epsilon } => norm::batch_norm(inputs, *epsilon)?,
            Self::LayerNorm { axis, epsilon } => norm::layer_norm(inputs, *axis, *epsilon)?,
            Self::GroupNorm { groups, epsilon } => norm::group_norm(inputs, *groups, *epsilon)?,
            Self::InstanceNorm { epsilon } => norm::instance_norm(inputs, *epsilon)?,
            Self::LocalResponseNorm { size, alpha, beta, k } => {
                norm::local_response(x()?, *size, [*alpha, *beta, *k])?
            }
            Self::Unary(unary) => elementwise::unary(x()?, *unary)?,
            Self::Binary(binary) => elementwise::binary(x()?, inputs.need(1)?, *binary)?,
            Self::Clip => elementwise::clip(x()?, inputs.get(1), inputs.get(2))?,
            Self::Where => elementwise::choose(x()?, inputs.need(1)?, inputs.need(2)?)?,
            Self::Variadic(variadic) => elementwise::variadic(inputs, *variadic)?,
            Self::Softmax(softmax) => softmax::softmax(x()?, softmax)?,
            Self::Pool(pool) => pool::pool(x()?, pool)?,
            Self::GlobalPool(kind) => pool::global_pool(x()?, *kind)?,
            Self::Reduce(reduce) => reduce::reduce(x()?, inputs.get(1), reduce)?,
            Self::ArgExtreme(arg) => reduce::arg_extreme(x()?, arg)?,
            Self::Concat { axis } => shape::concat(inputs, *axis)?,
            Self::Split(split) => return shape::split(x()?, inputs.get(1), split),
            Self::Slice => index::slice(inputs)?,
            Self::Pad(mode) => pad::pad(inputs, *mode)?,
            Self::Reshape { allow_zero } => shape::reshape(x()?, inputs.need(1)?, *allow_zero)?,
            Self::Flatten { axis } => shape::flatten(x()?, *axis)?,
            Self::Transpose { order } => shape::transpose(x()?, order.as_deref())?,
            Self::Squeeze => shape::squeeze(x()?, inputs.get(1))?,
            Self::Unsqueeze => shape::unsqueeze(x()?, inputs.need(1)?)?,
            Self::Expand => shape::expand(x()?, inputs.need(1)?)?,
            Self::Tile => shape::tile(x()?, inputs.need(1)?)?,
            Self::Gather { axis } => index::gather(x()?, inputs.need(1)?, *axis)?,
            Self::GatherNd => index::gather_nd(x()?, inputs.need(1)?)?,
            Self::ScatterNd => index::scatter_nd(x()?, inputs.need(1)?, inputs.need(2)?)?,
            Self::Resize(resize) => resize::resize(inputs, resize)?,
            Self::DepthToSpace { block, channel_first } => {
                shape::depth_to_space(x()?, *block, *channel_first)?
            }
            Self::SpaceToDepth { block } => shape::space_to_depth(x()?, *block)?,
            Self::Shape { start, end } => shape::sizes(x()?, *start, *end)?,
            Self::Size => shape::size(x()?)?,
            Self::ConstantOfShape(value) => shape::constant_of_shape(x()?, *value)?,
            Self::Range => shape::range(inputs)?,
            Self::Cast(kind) => elementwise::cast(x()?, *kind)?,
            Self::Identity => x()?.clone(),
            Self::AttentionMasks(rows) => attention::masks(inputs, rows)?,
            Self::Readout => attention::readout(inputs)?,
        };
        Ok(vec![one])
    }
}

/// A tensor without elements has no place in another one's memory: candle panics where it copies
/// a part of nothing that begins behind its end.
fn fresh_if_empty(y: Tensor) -> Forward<Tensor> {
    match y.elem_count() {
        0 => Ok(Tensor::zeros(y.shape(), y.dtype(), y.device())?),
        _ => Ok(y),
    }
}
