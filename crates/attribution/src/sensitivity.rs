//! Eq. 1: sensitivity analysis, and input × gradient.

use candle_core::Tensor;

use crate::error::{Result, shape};
use crate::target::Target;

/// Eq. 1 (Baehrens et al., 2010; Simonyan et al., 2013): R_i = ‖∂f(x)/∂x_i‖, where x_i is one
/// number of the input: the absolute gradient, of x's shape. [`per_pixel`] with [`Reduce::Norm`]
/// makes it the norm for x_i a pixel with all its colours.
///
/// # Errors
/// As of [`Target::gradient`].
pub fn sensitivity<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
) -> Result<Tensor> {
    Ok(target.gradient(x)?.abs()?)
}

/// x_i · ∂f(x)/∂x_i (Shrikumar et al., 2016), of x's shape.
///
/// # Errors
/// As of [`Target::gradient`].
pub fn input_x_gradient<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
) -> Result<Tensor> {
    Ok((target.gradient(x)? * x.detach())?)
}

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
        return shape("the attribution", attribution.dims(), "[B, C, H, W]");
    }
    Ok(match reduce {
        Reduce::Norm => attribution.sqr()?.sum(1)?.sqrt()?,
        Reduce::Sum => attribution.sum(1)?,
        Reduce::MaxAbs => attribution.abs()?.max(1)?,
    })
}
