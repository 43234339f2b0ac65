use candle_core::{Shape, Tensor};

/// What can go wrong when an operation of this crate is called.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor does not have the shape that the operation needs.
    #[error("{operation}: {tensor} has shape {got:?}, but {expected} is needed")]
    Shape {
        /// The operation called.
        operation: &'static str,
        /// Which of its tensors.
        tensor: &'static str,
        /// The shape needed, in words.
        expected: String,
        /// The shape given.
        got: Shape,
    },
    /// An attribute index is not below the number of attributes.
    #[error("{operation}: attribute {index} does not exist, there are {attributes}")]
    Attribute {
        /// The operation called.
        operation: &'static str,
        /// The index asked for.
        index: usize,
        /// How many attributes there are.
        attributes: usize,
    },
    /// The rows of an attribute are not a list of its channels.
    #[error(
        "the kept channels of attribute {attribute} must ascend and be below the number of \
         channels, {channels}"
    )]
    Rows {
        /// The attribute, from 0.
        attribute: usize,
        /// C.
        channels: usize,
    },
    /// Rows are of other heads.
    #[error(
        "rows of {} attributes and {} channels were given for heads of {} and {}",
        given[0], given[1], needed[0], needed[1]
    )]
    RowsOf {
        /// K and C of the rows.
        given: [usize; 2],
        /// K and C of the heads.
        needed: [usize; 2],
    },
    /// A cut of channels does not fit the heads.
    #[error("{operation}: cut {cut} {problem}")]
    Cut {
        /// The operation called.
        operation: &'static str,
        /// The cut's index.
        cut: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// The operation is not defined for numbers of this type.
    #[error("{operation}: a tensor is of type {got}, but numbers with a fraction are needed")]
    Type {
        /// The operation called.
        operation: &'static str,
        /// The type given.
        got: &'static str,
    },
    /// The operation is there for `f32` on the CPU, or on a CUDA device with the feature `cuda`.
    #[error(
        "{operation}: tensors must be f32, all on the CPU, or all on a CUDA device (with the \
         feature cuda) and of fewer than 2³¹ elements"
    )]
    NoKernel {
        /// The operation called.
        operation: &'static str,
    },
    /// Windows of a pool do not fit an image.
    #[error(
        "{operation}: windows of {kernel} pixels, {stride} apart, with a padding of {padding} do \
         not fit {inputs} pixels: the kernel and the stride are at least 1, the padding at most \
         half of the kernel, and a window no longer than the padded image"
    )]
    Pool {
        /// The operation called.
        operation: &'static str,
        /// Pixels in this direction.
        inputs: usize,
        /// Pixels of a window.
        kernel: usize,
        /// From one window to the next.
        stride: usize,
        /// On each side.
        padding: usize,
    },
    /// Windows of a convolution do not fit an image.
    #[error(
        "{operation}: a kernel of {kernel} taps, {dilation} apart, with a stride of {stride} and a \
         padding of {} and {} does not fit {inputs} pixels: the kernel, the dilation and the \
         stride are at least 1, and the kernel no longer than the padded image",
        padding.0, padding.1
    )]
    Convolution {
        /// The operation called.
        operation: &'static str,
        /// Pixels in this direction.
        inputs: usize,
        /// Taps of the kernel.
        kernel: usize,
        /// From one window to the next.
        stride: usize,
        /// From one tap to the next.
        dilation: usize,
        /// Zeros before and after the image.
        padding: (usize, usize),
    },
    /// A window of a pool holds no pixel.
    #[error("{operation}: window {window} of an axis of {inputs} pixels holds none of them")]
    EmptyWindow {
        /// The operation called.
        operation: &'static str,
        /// The window, from 0.
        window: usize,
        /// Pixels in this direction.
        inputs: usize,
    },
    /// An image would have no pixels.
    #[error("{operation}: a size of {size:?} was asked for, but both are at least 1")]
    Size {
        /// The operation called.
        operation: &'static str,
        /// The height and width asked for.
        size: (usize, usize),
    },
    /// An error of candle itself, such as tensors on different devices.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// So that these operations stand where candle's own would, in functions of candle's result.
impl From<Error> for candle_core::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Candle(error) => error,
            error => Self::wrap(error),
        }
    }
}

/// The result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

pub(crate) fn shape(
    operation: &'static str,
    tensor: &'static str,
    expected: impl Into<String>,
    got: &Tensor,
) -> Error {
    Error::Shape { operation, tensor, expected: expected.into(), got: got.shape().clone() }
}

/// Refuses integers, at whose square and similar functions candle panics.
pub(crate) fn floats(operation: &'static str, tensors: &[&Tensor]) -> Result<()> {
    match tensors.iter().find(|t| !t.dtype().is_float()) {
        Some(t) => Err(Error::Type { operation, got: t.dtype().as_str() }),
        None => Ok(()),
    }
}
