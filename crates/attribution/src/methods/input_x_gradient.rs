//! Input × gradient.

use candle_core::Tensor;

use crate::error::Result;
use crate::target::Target;

/// x_i · ∂f(x)/∂x_i (Shrikumar et al., 2016), of x's shape.
///
/// # Errors
/// As for [`Target::gradient`].
pub fn input_x_gradient<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
) -> Result<Tensor> {
    Ok((target.gradient(x)? * x.detach())?)
}
