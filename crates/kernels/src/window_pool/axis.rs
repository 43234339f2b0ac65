//! The windows along one axis of an image.

use candle_core::Tensor;

use crate::error::{Error, Result};
use crate::separable::{AxisWeights, image_size};

/// Windows along one axis of an image: window o covers the pixels o·stride - before + t·dilation
/// for the taps t below `kernel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolAxis {
    /// Taps of a window.
    pub kernel: usize,
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Pixels from one tap to the next, from 1.
    pub dilation: usize,
    /// Pixels of padding before and after the image.
    pub padding: (usize, usize),
    /// How many windows there are. The last may reach beyond the padding.
    pub outputs: usize,
}

/// The windows of one axis.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    pub inputs: usize,
    /// From one pixel of a window to the next.
    pub step: usize,
    pub windows: Vec<Window>,
}

/// `pixels` pixels of the image from `start` on, and as many as there are with those of the
/// padding.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub start: usize,
    pub pixels: usize,
    pub with_padding: usize,
}

impl Axis {
    /// The windows of x [B, C, H, W].
    pub fn of_image(
        operation: &'static str,
        x: &Tensor,
        [rows, columns]: [PoolAxis; 2],
    ) -> Result<[Self; 2]> {
        let (h, w) = image_size(operation, x)?;
        Ok([Self::new(operation, h, rows)?, Self::new(operation, w, columns)?])
    }

    /// The windows of an axis of so many pixels.
    pub fn new(operation: &'static str, inputs: usize, axis: PoolAxis) -> Result<Self> {
        let window = |output: usize| {
            axis.window(inputs, output).ok_or(Error::EmptyWindow {
                operation,
                window: output,
                inputs,
            })
        };
        let windows = (0..axis.outputs).map(window).collect::<Result<_>>()?;
        Ok(Self { inputs, step: axis.dilation, windows })
    }

    /// Pixels of the largest window.
    pub fn longest(&self) -> usize {
        self.windows.iter().map(|window| window.pixels).max().unwrap_or(0)
    }

    /// Each window's mean as a linear map of the axis; `None` if each is of one pixel, in order.
    pub fn means(&self, count_include_pad: bool) -> Option<AxisWeights> {
        let is_pixel = |(i, window): (usize, &Window)| {
            window.start == i && window.pixels == 1 && window.count(count_include_pad) == 1
        };
        if self.windows.len() == self.inputs && self.windows.iter().enumerate().all(is_pixel) {
            return None;
        }
        let mut weights = AxisWeights::zeros(self.inputs, self.windows.len());
        for (output, window) in self.windows.iter().enumerate() {
            let weight = 1. / window.count(count_include_pad) as f64;
            for tap in 0..window.pixels {
                weights.add(output, window.start + tap * self.step, weight);
            }
        }
        Some(weights)
    }
}

impl PoolAxis {
    /// `None` if the window holds no pixel of the image.
    fn window(&self, inputs: usize, output: usize) -> Option<Window> {
        // No product of two sizes overflows in so many bits.
        let wide = |size: usize| size as i128;
        let step = wide(self.dilation);
        if step == 0 {
            return None;
        }
        let origin = wide(output) * wide(self.stride) - wide(self.padding.0);
        let taps_before = |end: i128| (end - origin).div_euclid(step) + 1;
        let first = if origin < 0 { (step - 1 - origin) / step } else { 0 };
        let last = taps_before(wide(inputs) - 1).min(wide(self.kernel));
        let in_padding = taps_before(wide(inputs) + wide(self.padding.1) - 1);
        (first < last).then(|| Window {
            start: (origin + first * step) as usize,
            pixels: (last - first) as usize,
            with_padding: in_padding.min(wide(self.kernel)) as usize,
        })
    }
}

impl Window {
    /// How many values the mean is of.
    pub fn count(&self, count_include_pad: bool) -> usize {
        if count_include_pad { self.with_padding } else { self.pixels }
    }
}
