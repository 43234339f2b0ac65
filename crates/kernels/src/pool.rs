//! Pooling with PyTorch's settings, and gradients that are right for every window: overlapping,
//! padded, adaptive. candle's own `max_pool2d` has a wrong gradient, and both of its pools refuse
//! one where windows overlap.

use candle_core::Tensor;

use crate::error::{Error, Result};
use crate::separable::image_size;
use crate::window_pool::{self, Axis, PoolAxis, Window};

/// Windows of [`max_pool2d`] and [`avg_pool2d`], with PyTorch's names; (height, width) each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool2d {
    /// Pixels of a window, from 1.
    pub kernel_size: (usize, usize),
    /// Pixels from one window to the next, from 1.
    pub stride: (usize, usize),
    /// Pixels around the image, at most half of the kernel. They are never a maximum.
    pub padding: (usize, usize),
    /// Whether the last windows may reach beyond the padding.
    pub ceil_mode: bool,
    /// Whether a mean counts pixels of the padding, which are 0.
    pub count_include_pad: bool,
}

impl Pool2d {
    /// Square windows side by side, without padding: PyTorch's defaults.
    pub fn new(kernel_size: usize) -> Self {
        let square = (kernel_size, kernel_size);
        Self {
            kernel_size: square,
            stride: square,
            padding: (0, 0),
            ceil_mode: false,
            count_include_pad: true,
        }
    }

    fn axes(&self, operation: &'static str, x: &Tensor) -> Result<[Axis; 2]> {
        let (h, w) = image_size(operation, x)?;
        let axis = |inputs, kernel, stride, padding| {
            let axis = strided(inputs, kernel, stride, padding, self.ceil_mode);
            let misfit = Error::Pool { operation, inputs, kernel, stride, padding };
            Axis::new(operation, inputs, axis.ok_or(misfit)?)
        };
        Ok([
            axis(h, self.kernel_size.0, self.stride.0, self.padding.0)?,
            axis(w, self.kernel_size.1, self.stride.1, self.padding.1)?,
        ])
    }
}

/// PyTorch's windows of one axis; `None` if one would lie outside of the image.
fn strided(
    inputs: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    ceil_mode: bool,
) -> Option<PoolAxis> {
    if kernel == 0 || stride == 0 || padding > kernel / 2 {
        return None;
    }
    let room = (inputs + 2 * padding).checked_sub(kernel)?;
    let mut outputs = if ceil_mode { room.div_ceil(stride) } else { room / stride } + 1;
    if (outputs - 1) * stride >= inputs + padding {
        // The last window would begin in the padding behind the image.
        outputs -= 1;
    }
    Some(PoolAxis { kernel, stride, dilation: 1, padding: (padding, padding), outputs })
}

/// `outputs` windows of nearly equal sizes, which PyTorch's adaptive pools have.
fn adaptive(inputs: usize, outputs: usize) -> Axis {
    let windows = (0..outputs).map(|i| {
        let start = i * inputs / outputs;
        let pixels = ((i + 1) * inputs).div_ceil(outputs) - start;
        Window { start, pixels, with_padding: pixels }
    });
    Axis { inputs, step: 1, windows: windows.collect() }
}

/// The mean of each window, [B, C, H, W] → [B, C, H', W'], as PyTorch's `avg_pool2d`.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_kernels::{Pool2d, avg_pool2d};
///
/// let x = Tensor::arange(0f32, 16., &Device::Cpu)?.reshape((1, 1, 4, 4))?;
/// let y = avg_pool2d(&x, &Pool2d::new(2))?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [2.5, 4.5, 10.5, 12.5]);
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
///
/// # Errors
/// If x is no batch of images with a fraction, or the windows do not fit.
pub fn avg_pool2d(x: &Tensor, pool: &Pool2d) -> Result<Tensor> {
    window_pool::average(x, pool.axes("avg_pool2d", x)?, pool.count_include_pad)
}

/// The mean of each of `size` windows that cover the image, as PyTorch's `adaptive_avg_pool2d`.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_kernels::adaptive_avg_pool2d;
///
/// // Three pixels in two windows: the middle one is in both.
/// let x = Tensor::new(&[[[[1f32, 3., 5.]]]], &Device::Cpu)?;
/// let y = adaptive_avg_pool2d(&x, (1, 2))?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [2., 4.]);
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
///
/// # Errors
/// If x is no batch of images with a fraction, or a size is 0.
pub fn adaptive_avg_pool2d(x: &Tensor, size: (usize, usize)) -> Result<Tensor> {
    window_pool::average(x, adaptive_axes("adaptive_avg_pool2d", x, size)?, true)
}

/// The maximum of each window, [B, C, H, W] → [B, C, H', W'], as PyTorch's `max_pool2d`. The
/// gradient goes to the maximum; of equal ones to the first, row by row. NaN is greater than
/// everything.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_kernels::{Pool2d, max_pool2d};
///
/// let x = Tensor::arange(0f32, 16., &Device::Cpu)?.reshape((1, 1, 4, 4))?;
/// let y = max_pool2d(&x, &Pool2d::new(2))?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [5., 7., 13., 15.]);
/// // Windows of 3 pixels that overlap.
/// let overlapping = Pool2d { stride: (1, 1), ..Pool2d::new(3) };
/// let y = max_pool2d(&x, &overlapping)?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [10., 11., 14., 15.]);
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
///
/// # Errors
/// If x is no batch of images with a fraction, or the windows do not fit.
pub fn max_pool2d(x: &Tensor, pool: &Pool2d) -> Result<Tensor> {
    window_pool::max(x, pool.axes("max_pool2d", x)?)
}

/// The maximum of each of `size` windows that cover the image, as PyTorch's
/// `adaptive_max_pool2d`.
///
/// # Errors
/// If x is no batch of images with a fraction, or a size is 0.
pub fn adaptive_max_pool2d(x: &Tensor, size: (usize, usize)) -> Result<Tensor> {
    window_pool::max(x, adaptive_axes("adaptive_max_pool2d", x, size)?)
}

fn adaptive_axes(operation: &'static str, x: &Tensor, size: (usize, usize)) -> Result<[Axis; 2]> {
    let (h, w) = image_size(operation, x)?;
    if size.0 == 0 || size.1 == 0 {
        return Err(Error::Size { operation, size });
    }
    Ok([adaptive(h, size.0), adaptive(w, size.1)])
}
