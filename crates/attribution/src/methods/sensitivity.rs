//! Eq. 1: sensitivity analysis.

use candle_core::Tensor;

use crate::error::Result;
use crate::target::Target;

/// Eq. 1 (Baehrens et al., 2010; Simonyan et al., 2013): R_i = ‖∂f(x)/∂x_i‖, where x_i is one
/// number of the input: the absolute gradient, of x's shape.
/// [`per_pixel`](crate::per_pixel) with [`Reduce::Norm`](crate::Reduce::Norm) makes it the norm for
/// x_i a pixel with all its colours.
///
/// # Errors
/// As for [`Target::gradient`].
pub fn sensitivity<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
) -> Result<Tensor> {
    Ok(target.gradient(x)?.abs()?)
}
