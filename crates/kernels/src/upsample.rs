//! Upsampling with gradients: candle's `upsample_nearest2d` forgets what else flowed into its
//! input, and its `upsample_bilinear2d` has none.

use candle_core::Tensor;

use crate::error::{Error, Result};
use crate::separable::{AxisWeights, apply, image_size};

/// Pixel ⌊p·H/H'⌋ for each pixel p of the new height, likewise the width: [B, C, H, W] → [B, C, H',
/// W'], as PyTorch's `interpolate` by default. A value that is not finite makes all pixels of its
/// rows and columns NaN.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_kernels::upsample_nearest2d;
///
/// let x = Tensor::new(&[[[[1f32, 2.]]]], &Device::Cpu)?;
/// let y = upsample_nearest2d(&x, 2, 4)?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [1., 1., 2., 2., 1., 1., 2., 2.]);
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
///
/// # Errors
/// If x is no batch of images with a fraction, or a size is 0.
pub fn upsample_nearest2d(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    resample("upsample_nearest2d", x, (height, width), |inputs, outputs| {
        let mut weights = AxisWeights::zeros(inputs, outputs);
        (0..outputs).for_each(|p| weights.add(p, p * inputs / outputs, 1.));
        weights
    })
}

/// Bilinear interpolation, as PyTorch's `interpolate(mode="bilinear")`: pixel centres are at p + ½,
/// or with `align_corners` the corner pixels stay where they are. A value that is not finite makes
/// all pixels of its rows and columns NaN.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_kernels::upsample_bilinear2d;
///
/// // The new centres lie at -1/4, 1/4, 3/4 and 5/4 of the old pixels.
/// let x = Tensor::new(&[[[[0f32, 4.]]]], &Device::Cpu)?;
/// let y = upsample_bilinear2d(&x, 1, 4, false)?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [0., 1., 3., 4.]);
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
///
/// # Errors
/// If x is no batch of images with a fraction, or a size is 0.
pub fn upsample_bilinear2d(
    x: &Tensor,
    height: usize,
    width: usize,
    align_corners: bool,
) -> Result<Tensor> {
    resample("upsample_bilinear2d", x, (height, width), |inputs, outputs| {
        let mut weights = AxisWeights::zeros(inputs, outputs);
        for p in 0..outputs {
            let at = match align_corners {
                true if outputs == 1 => 0.,
                true => p as f64 * (inputs - 1) as f64 / (outputs - 1) as f64,
                false => ((p as f64 + 0.5) * inputs as f64 / outputs as f64 - 0.5).max(0.),
            };
            let before = (at as usize).min(inputs - 1);
            let share = at - before as f64;
            weights.add(p, before, 1. - share);
            weights.add(p, (before + 1).min(inputs - 1), share);
        }
        weights
    })
}

fn resample(
    operation: &'static str,
    x: &Tensor,
    size: (usize, usize),
    weights: impl Fn(usize, usize) -> AxisWeights,
) -> Result<Tensor> {
    let (h, w) = image_size(operation, x)?;
    if size.0 == 0 || size.1 == 0 {
        return Err(Error::Size { operation, size });
    }
    apply(x, Some(weights(h, size.0)), Some(weights(w, size.1)))
}
