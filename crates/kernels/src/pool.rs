//! Pooling with gradients that are right for every window: overlapping, padded, adaptive.
//!
//! candle's own `max_pool2d` has a wrong gradient, and both of its pools refuse one where windows
//! overlap. These are compositions of candle's operations, so that they work on every device.

use candle_core::{Device, Tensor};

use crate::error::{Error, Result};
use crate::separable::{AxisWeights, apply, image_size};

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
            Axis::strided(inputs, kernel, stride, padding, self.ceil_mode).ok_or(Error::Pool {
                operation,
                inputs,
                kernel,
                stride,
                padding,
            })
        };
        Ok([
            axis(h, self.kernel_size.0, self.stride.0, self.padding.0)?,
            axis(w, self.kernel_size.1, self.stride.1, self.padding.1)?,
        ])
    }
}

/// The windows of one axis.
struct Axis {
    inputs: usize,
    windows: Vec<Window>,
}

/// Pixels `start..end` of the image, and as many as there are with those of the padding.
struct Window {
    start: usize,
    end: usize,
    with_padding: usize,
}

impl Axis {
    /// `None` if a window would lie outside of the image.
    fn strided(
        inputs: usize,
        kernel: usize,
        stride: usize,
        padding: usize,
        ceil_mode: bool,
    ) -> Option<Self> {
        if kernel == 0 || stride == 0 || padding > kernel / 2 {
            return None;
        }
        let room = (inputs + 2 * padding).checked_sub(kernel)?;
        let mut count = if ceil_mode { room.div_ceil(stride) } else { room / stride } + 1;
        if (count - 1) * stride >= inputs + padding {
            // The last window would begin in the padding behind the image.
            count -= 1;
        }
        let windows = (0..count).map(|i| {
            let (start, end) = (i * stride, (i * stride + kernel).min(inputs + 2 * padding));
            Window {
                start: start.saturating_sub(padding),
                end: (end - padding).min(inputs),
                with_padding: end - start,
            }
        });
        Some(Self { inputs, windows: windows.collect() })
    }

    /// `outputs` windows of nearly equal sizes, which PyTorch's adaptive pools have.
    fn adaptive(inputs: usize, outputs: usize) -> Self {
        let windows = (0..outputs).map(|i| {
            let (start, end) = (i * inputs / outputs, ((i + 1) * inputs).div_ceil(outputs));
            Window { start, end, with_padding: end - start }
        });
        Self { inputs, windows: windows.collect() }
    }

    fn longest(&self) -> usize {
        self.windows.iter().map(|window| window.end - window.start).max().unwrap_or(0)
    }

    fn means(&self, count_include_pad: bool) -> AxisWeights {
        let mut weights = AxisWeights::zeros(self.inputs, self.windows.len());
        for (output, window) in self.windows.iter().enumerate() {
            let inside = window.end - window.start;
            let count = if count_include_pad { window.with_padding } else { inside };
            (window.start..window.end).for_each(|i| weights.add(output, i, 1. / count as f64));
        }
        weights
    }
}

/// The mean of each window, [B, C, H, W] → [B, C, H', W'], as PyTorch's `avg_pool2d`. A value that
/// is not finite makes all windows of its rows and columns NaN.
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
    let [rows, columns] = pool.axes("avg_pool2d", x)?;
    apply(x, rows.means(pool.count_include_pad), columns.means(pool.count_include_pad))
}

/// The mean of each of `size` windows that cover the image, as PyTorch's `adaptive_avg_pool2d`. A
/// value that is not finite makes all windows of its rows and columns NaN.
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
    let [rows, columns] = adaptive_axes("adaptive_avg_pool2d", x, size)?;
    apply(x, rows.means(true), columns.means(true))
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
    let [rows, columns] = pool.axes("max_pool2d", x)?;
    maxima(x, &rows, &columns)
}

/// The maximum of each of `size` windows that cover the image, as PyTorch's
/// `adaptive_max_pool2d`.
///
/// # Errors
/// If x is no batch of images with a fraction, or a size is 0.
pub fn adaptive_max_pool2d(x: &Tensor, size: (usize, usize)) -> Result<Tensor> {
    let [rows, columns] = adaptive_axes("adaptive_max_pool2d", x, size)?;
    maxima(x, &rows, &columns)
}

fn adaptive_axes(operation: &'static str, x: &Tensor, size: (usize, usize)) -> Result<[Axis; 2]> {
    let (h, w) = image_size(operation, x)?;
    if size.0 == 0 || size.1 == 0 {
        return Err(Error::Size { operation, size });
    }
    Ok([Axis::adaptive(h, size.0), Axis::adaptive(w, size.1)])
}

/// Looks for the maxima's places without a gradient, then gathers them with one.
fn maxima(x: &Tensor, rows: &Axis, columns: &Axis) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    let planes = x.contiguous()?.reshape((b * c, h * w))?;
    let seen = planes.detach();
    let outputs = rows.windows.len() * columns.windows.len();
    let place = |i, j| -> Result<(Tensor, Tensor)> {
        let places = places(rows, columns, i, j, x.device())?;
        let values = seen.index_select(&places, 1)?;
        Ok((values, places.unsqueeze(0)?.broadcast_as((b * c, outputs))?.contiguous()?))
    };
    let (mut best, mut at) = place(0, 0)?;
    for i in 0..rows.longest() {
        for j in 0..columns.longest() {
            let (values, places) = place(i, j)?;
            let is_nan = values.ne(&values)?;
            let is_better = (values.gt(&best)? + is_nan)?.ne(0u8)?;
            best = is_better.where_cond(&values, &best)?;
            at = is_better.where_cond(&places, &at)?;
        }
    }
    let pooled = planes.gather(&at, 1)?;
    Ok(pooled.reshape((b, c, rows.windows.len(), columns.windows.len()))?)
}

/// Pixel (i, j) of each window as its place in the image; of windows that have no such pixel, the
/// last one in that direction, which changes no maximum.
fn places(rows: &Axis, columns: &Axis, i: usize, j: usize, device: &Device) -> Result<Tensor> {
    let of = |window: &Window, i: usize| (window.start + i).min(window.end - 1);
    let places = rows.windows.iter().flat_map(|row| {
        let start = of(row, i) * columns.inputs;
        columns.windows.iter().map(move |column| (start + of(column, j)) as u32)
    });
    Ok(Tensor::from_iter(places, device)?)
}
