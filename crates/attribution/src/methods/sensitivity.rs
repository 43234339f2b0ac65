//! Eq. 1: sensitivity analysis.

use candle_core::Tensor;

use crate::error::Result;
use crate::target::Target;

/// Eq. 1 (Baehrens et al., 2010; Simonyan et al., 2013): R_i = ‖∂f(x)/∂x_i‖, where x_i is one
/// number of the input: the absolute gradient, of x's shape.
/// [`per_pixel`](crate::per_pixel) with [`Reduce::Norm`](crate::Reduce::Norm) makes it the norm for
/// x_i a pixel with all its colours.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::{Target, sensitivity};
///
/// // f(x) = 3·x₀ - 2·x₁.
/// let weights = Tensor::new(&[[3f64], [-2.]], &Device::Cpu)?;
/// let target = Target::new(|x: &Tensor| x.matmul(&weights), 0);
/// let x = Tensor::new(&[[1f64, 5.]], &Device::Cpu)?;
/// assert_eq!(sensitivity(&target, &x)?.to_vec2::<f64>()?, [[3., 2.]]);
/// # Ok::<(), foresee_attribution::Error>(())
/// ```
///
/// # Errors
/// As for [`Target::gradient`].
pub fn sensitivity<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
) -> Result<Tensor> {
    Ok(target.gradient(x)?.abs()?)
}
