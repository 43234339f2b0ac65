//! Attributions as maps of pixels: one number for all channels, and another size.

use candle_core::Tensor;

use crate::error::{Error, Result, check};
use crate::tensors::check_float;

/// How the channels of a pixel become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reduce {
    /// Euclidean norm: Eq. 1 for a pixel.
    Norm,
    /// Sum: keeps the total of methods whose entries add up to f(x), such as LRP and integrated
    /// gradients.
    #[default]
    Sum,
    /// Largest absolute value (Simonyan et al., 2013).
    MaxAbs,
}

/// [B, C, H, W] → [B, H, W].
///
/// # Errors
/// If the attribution has not four dimensions.
pub fn per_pixel(attribution: &Tensor, reduce: Reduce) -> Result<Tensor> {
    if attribution.rank() != 4 {
        return Err(Error::shape("the attribution", attribution.dims(), "[B, C, H, W]"));
    }
    check_float("the attribution", attribution)?;
    Ok(match reduce {
        Reduce::Norm => attribution.sqr()?.sum(1)?.sqrt()?,
        Reduce::Sum => attribution.sum(1)?,
        Reduce::MaxAbs => attribution.abs()?.max(1)?,
    })
}

/// How a map is enlarged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Interpolation {
    /// The nearest value, as Captum by default.
    #[default]
    Nearest,
    /// Bilinear between the four nearest values, corners not aligned.
    Bilinear,
}

/// Maps [B, h, w] at another size, [B, height, width].
///
/// # Errors
/// If the maps have not three dimensions of at least one, or the size is 0.
pub fn resize(
    maps: &Tensor,
    height: usize,
    width: usize,
    interpolation: Interpolation,
) -> Result<Tensor> {
    if maps.rank() != 3 {
        return Err(Error::shape("the maps", maps.dims(), "[B, h, w]"));
    }
    check_float("the maps", maps)?;
    let has_pixels = maps.elem_count() > 0 && height > 0 && width > 0;
    check(has_pixels, "size", format!("{height} × {width}"), "at least one pixel")?;
    if maps.dims()[1..] == [height, width] {
        return Ok(maps.clone());
    }
    let maps = maps.unsqueeze(1)?.contiguous()?;
    let resized = match interpolation {
        Interpolation::Nearest => maps.upsample_nearest2d(height, width)?,
        Interpolation::Bilinear => maps.upsample_bilinear2d(height, width, false)?,
    };
    Ok(resized.squeeze(1)?)
}
