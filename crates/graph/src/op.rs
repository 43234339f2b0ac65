//! What a node computes. Names and conventions are ONNX's; shapes are those of PyTorch.

use foresee_kernels::Rows;

/// An operation, with its settings. Inputs are named in the order in which a node has them; those
/// in brackets can be missing.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// x [B, I, ...], weight [O, I/groups, ...], (bias `[O]`): one to three spatial dimensions.
    Conv(Window),
    /// x [B, I, ...], weight [I, O/groups, ...], (bias `[O]`).
    ConvTranspose(ConvTranspose),
    /// a [.., M, K], b [.., K, N].
    MatMul,
    /// α·a·b + β·c of matrices a, b, (c).
    Gemm(Gemm),
    /// x [B, C, ...], weight `[C]`, bias `[C]`, mean `[C]`, variance `[C]`.
    BatchNorm {
        /// Added to the variance.
        epsilon: f64,
    },
    /// x, weight, (bias): over the dimensions from `axis` on.
    LayerNorm {
        /// The first dimension; from the back if negative.
        axis: isize,
        /// Added to the variance.
        epsilon: f64,
    },
    /// x [B, C, ...], weight `[C]`, bias `[C]`.
    GroupNorm {
        /// C is cut into so many groups.
        groups: usize,
        /// Added to the variance.
        epsilon: f64,
    },
    /// x [B, C, ...], weight `[C]`, bias `[C]`.
    InstanceNorm {
        /// Added to the variance.
        epsilon: f64,
    },
    /// x [B, C, ...]: x/(k + α/n·Σ x²)^β over n neighbouring channels.
    LocalResponseNorm {
        /// n.
        size: usize,
        /// α.
        alpha: f64,
        /// β.
        beta: f64,
        /// k.
        k: f64,
    },
    /// x.
    Unary(Unary),
    /// a, b, which are broadcast to each other. Two types with a fraction meet in the wider one.
    Binary(Binary),
    /// x: max(x, low) then min(x, high), each where it is given as an input: x, (low), (high).
    Clip,
    /// condition, a, b: a where the condition is not 0, else b.
    Where,
    /// One input or more, which are broadcast to each other.
    Variadic(Variadic),
    /// x.
    Softmax(Softmax),
    /// x [B, C, ...].
    Pool(Pool),
    /// x [B, C, ...] → [B, C, 1, ...].
    GlobalPool(PoolKind),
    /// x.
    Reduce(Reduce),
    /// x: the index of the first of the greatest or the least.
    ArgExtreme(ArgExtreme),
    /// All inputs side by side.
    Concat {
        /// The dimension; from the back if negative.
        axis: isize,
    },
    /// x, (sizes): one output for each part.
    Split(Split),
    /// x, starts, ends, (axes), (steps).
    Slice,
    /// x, pads, (value), (axes).
    Pad(PadMode),
    /// x, shape: 0 keeps a dimension (unless `allow_zero`), -1 takes what is left.
    Reshape {
        /// 0 is a size.
        allow_zero: bool,
    },
    /// x → [x's dimensions before `axis`, those from it on].
    Flatten {
        /// The dimension; from the back if negative.
        axis: isize,
    },
    /// x: the dimensions in this order; none: reversed.
    Transpose {
        /// Old dimensions in their new order.
        order: Option<Vec<usize>>,
    },
    /// x, (axes).
    Squeeze,
    /// x, axes.
    Unsqueeze,
    /// x, shape.
    Expand,
    /// x, repeats.
    Tile,
    /// x, indices of any shape; from the back if negative.
    Gather {
        /// The dimension of x that is indexed; from the back if negative.
        axis: isize,
    },
    /// x, indices [..., n]: the parts of x that its first n dimensions have there; from the back if
    /// negative.
    GatherNd,
    /// x, indices [..., n], updates: x with these in place of the parts that
    /// [`GatherNd`](Self::GatherNd) would give. Of one that is named several times, the last stays.
    ScatterNd,
    /// x, (roi), scales or sizes of all dimensions: one of them is there. The roi is not read.
    Resize(Resize),
    /// x [B, C·n², H, W] → [B, C, H·n, W·n].
    DepthToSpace {
        /// n.
        block: usize,
        /// Whether the channel is the slowest of C·n·n (mode CRD), or the block (DCR).
        channel_first: bool,
    },
    /// x [B, C, H·n, W·n] → [B, n²·C, H, W].
    SpaceToDepth {
        /// n.
        block: usize,
    },
    /// x: its sizes as integers, from `start` to `end`.
    Shape {
        /// The first dimension.
        start: isize,
        /// The dimension behind the last; none: all.
        end: Option<isize>,
    },
    /// x: the number of its elements.
    Size,
    /// shape: a tensor of this shape, filled with the value.
    ConstantOfShape(Scalar),
    /// start, limit, step. At most 2^24 numbers, without a gradient.
    Range,
    /// x. Integers and booleans that become numbers with a fraction are `f32`; fractions are cut
    /// off where these become integers.
    Cast(Kind),
    /// x itself: identity, or dropout in evaluation mode.
    Identity,
    /// z [B, C, H, W], weight [K·C, C, n, n], bias `[K·C]` → sigmoid(conv(z)) ⊗ z, [B, K, C, H, W]
    /// (Eq. 1 of the paper: an attention mask of its own for every attribute and channel). Masks of
    /// rows that are not kept are 0.
    AttentionMasks(Rows),
    /// p [B, K, C], weight [K, C], bias `[K]` → [B, K]: Σ_c w_kc·p_kc + b_k.
    Readout,
}

/// How a convolution or a pool steps over its input: a number for each spatial dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Steps.
    pub stride: Vec<usize>,
    /// Zeros before and after.
    pub padding: Padding,
    /// Distance of the window's taps.
    pub dilation: Vec<usize>,
    /// Channels are cut into so many groups, which do not see each other.
    pub groups: usize,
}

/// Padding of the spatial dimensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Padding {
    /// (before, after) each dimension.
    Explicit(Vec<(usize, usize)>),
    /// As many as give ⌈size/stride⌉ outputs; an odd one goes after.
    SameUpper,
    /// The same; an odd one goes before.
    SameLower,
}

/// A transposed convolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConvTranspose {
    /// The convolution whose gradient it is.
    pub window: Window,
    /// Rows and columns that are added to one side of the result.
    pub output_padding: Vec<usize>,
    /// The spatial size of the result, from which the padding follows, where it is given.
    pub output_shape: Option<Vec<usize>>,
}

/// A matrix product.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gemm {
    /// α.
    pub alpha: f64,
    /// β.
    pub beta: f64,
    /// Whether a is transposed.
    pub transpose_a: bool,
    /// Whether b is.
    pub transpose_b: bool,
}

/// A function of each element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unary {
    /// max(x, 0).
    Relu,
    /// x above 0, α·x below.
    LeakyRelu(f64),
    /// x above 0, α·(eˣ - 1) below.
    Elu(f64),
    /// x above 0, α·(e^(x/α) - 1) below.
    Celu(f64),
    /// γ·(x above 0, α·(eˣ - 1) below).
    Selu {
        /// α.
        alpha: f64,
        /// γ.
        gamma: f64,
    },
    /// x above α, else 0.
    ThresholdedRelu(f64),
    /// x·Φ(x).
    Gelu,
    /// The same by the tangent's approximation.
    GeluTanh,
    /// x·sigmoid(x).
    Silu,
    /// x·tanh(log(1 + eˣ)).
    Mish,
    /// x·max(0, min(1, x/6 + 1/2)).
    HardSwish,
    /// max(0, min(1, α·x + β)).
    HardSigmoid {
        /// α.
        alpha: f64,
        /// β.
        beta: f64,
    },
    /// 1/(1 + e⁻ˣ).
    Sigmoid,
    /// tanh x.
    Tanh,
    /// log(1 + eˣ).
    Softplus,
    /// x/(1 + |x|).
    Softsign,
    /// 0 between -λ and λ, else x moved towards 0 by the bias.
    Shrink {
        /// λ.
        lambda: f64,
        /// The bias.
        bias: f64,
    },
    /// The error function.
    Erf,
    /// eˣ.
    Exp,
    /// The natural logarithm.
    Log,
    /// √x.
    Sqrt,
    /// 1/x.
    Reciprocal,
    /// -x.
    Neg,
    /// |x|.
    Abs,
    /// -1, 0 or 1.
    Sign,
    /// ⌊x⌋.
    Floor,
    /// ⌈x⌉.
    Ceil,
    /// To the nearest integer, halves to the even one.
    Round,
    /// sin x.
    Sin,
    /// cos x.
    Cos,
    /// tan x.
    Tan,
    /// arcsin x.
    Asin,
    /// arccos x.
    Acos,
    /// arctan x.
    Atan,
    /// 1 where x is 0, else 0.
    Not,
}

/// A function of two elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// a + b.
    Add,
    /// a - b.
    Sub,
    /// a·b.
    Mul,
    /// a/b; of integers, towards 0.
    Div,
    /// aᵇ, of a's kind; NaN for a below 0 and b with a fraction.
    Pow,
    /// a above 0, b·a below.
    PRelu,
    /// The rest of a/b with b's sign.
    Mod,
    /// 1 where both are equal.
    Equal,
    /// 1 where a > b.
    Greater,
    /// 1 where a ≥ b.
    GreaterOrEqual,
    /// 1 where a < b.
    Less,
    /// 1 where a ≤ b.
    LessOrEqual,
    /// 1 where both are not 0.
    And,
    /// 1 where one is not 0.
    Or,
    /// 1 where just one is not 0.
    Xor,
}

/// A function of any number of elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variadic {
    /// The sum.
    Sum,
    /// The mean.
    Mean,
    /// The greatest.
    Max,
    /// The least.
    Min,
}

/// e^x over the sum of them, or its logarithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Softmax {
    /// The dimension; from the back if negative.
    pub axis: isize,
    /// Whether the sum is over all dimensions from `axis` on (opsets before 13).
    pub flattens: bool,
    /// Whether the logarithm is taken.
    pub logarithm: bool,
}

/// A pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// The greatest, or the mean.
    pub kind: PoolKind,
    /// Sizes of a window.
    pub kernel: Vec<usize>,
    /// Where the windows are; `groups` is 1.
    pub window: Window,
    /// Whether the last windows may reach beyond the padding.
    pub ceil: bool,
    /// Whether a mean counts the padding, which is 0.
    pub count_include_pad: bool,
}

/// What a pool takes of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolKind {
    /// The greatest.
    Max,
    /// The mean.
    Average,
}

/// A function of all elements along some dimensions. x, (axes): the axes of the second input are
/// taken where it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reduce {
    /// What is taken.
    pub kind: Reduction,
    /// The dimensions, from the back if negative; none: all.
    pub axes: Option<Vec<isize>>,
    /// Whether reduced dimensions stay, with size 1.
    pub keep_dims: bool,
    /// Whether no axes mean that nothing is reduced.
    pub empty_is_nothing: bool,
}

/// What a reduction takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// Σ x.
    Sum,
    /// The mean.
    Mean,
    /// The greatest.
    Max,
    /// The least.
    Min,
    /// Π x.
    Prod,
    /// Σ |x|.
    L1,
    /// √Σ x².
    L2,
    /// Σ x².
    SumSquare,
    /// log Σ x.
    LogSum,
    /// log Σ eˣ.
    LogSumExp,
}

/// The index of an extreme element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArgExtreme {
    /// The greatest, or the least.
    pub greatest: bool,
    /// The dimension; from the back if negative.
    pub axis: isize,
    /// Whether the dimension stays, with size 1.
    pub keep_dims: bool,
}

/// How a tensor is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The dimension; from the back if negative.
    pub axis: isize,
    /// Sizes of the parts, where they are settings; else they are an input, or equal.
    pub sizes: Option<Vec<usize>>,
    /// How many parts there are.
    pub parts: usize,
}

/// What is put around a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PadMode {
    /// A value, by default 0.
    Constant,
    /// The tensor mirrored at its first and last element.
    Reflect,
    /// Its first and last element.
    Edge,
}

/// How an image is resized.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resize {
    /// The nearest pixel, or a weighted sum.
    pub mode: ResizeMode,
    /// Where a new pixel lies in the old image.
    pub coordinates: Coordinates,
    /// Which pixel is the nearest.
    pub nearest: Nearest,
}

/// How new pixels are made of old ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ResizeMode {
    /// The nearest.
    Nearest,
    /// Bilinear interpolation.
    Linear,
    /// Bicubic interpolation, of four old pixels along each axis (Keys, 1981).
    Cubic {
        /// The curve's slope at a distance of 1 pixel: -0.75 in PyTorch, -0.5 in TensorFlow.
        slope: f64,
        /// Whether pixels outside of the image have no weight and the others share theirs. If not,
        /// they are those of its edge.
        exclude_outside: bool,
    },
}

/// Where new pixel p lies in the old image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coordinates {
    /// (p + ½)/scale - ½.
    HalfPixel,
    /// The same, but 0 where the new size is 1.
    PytorchHalfPixel,
    /// The same as half pixel, but the middle of the new image lies in the middle of the old one,
    /// also if the scale gives no whole number of pixels.
    HalfPixelSymmetric,
    /// p/scale.
    Asymmetric,
    /// p·(old - 1)/(new - 1).
    AlignCorners,
}

/// Which pixel is the nearest to a place between two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nearest {
    /// Halves go down.
    RoundPreferFloor,
    /// Halves go up.
    RoundPreferCeil,
    /// The one below.
    Floor,
    /// The one above.
    Ceil,
}

/// What a tensor's numbers are. All numbers with a fraction are computed in one type, that of the
/// graph's weights; integers that are cast are `f32` until they meet it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// With a fraction.
    Float,
    /// Integers, held in 64 bits.
    Int,
    /// 0 or 1.
    Bool,
}

/// A number of one of these kinds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar {
    /// With a fraction.
    Float(f64),
    /// An integer.
    Int(i64),
    /// 0 or 1.
    Bool(bool),
}

impl Window {
    /// One step at a time over so many dimensions, without padding.
    pub fn new(dimensions: usize) -> Self {
        Self {
            stride: vec![1; dimensions],
            padding: Padding::Explicit(vec![(0, 0); dimensions]),
            dilation: vec![1; dimensions],
            groups: 1,
        }
    }
}

impl Default for Gemm {
    fn default() -> Self {
        Self { alpha: 1., beta: 1., transpose_a: false, transpose_b: false }
    }
}
