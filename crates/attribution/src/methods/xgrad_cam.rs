//! XGrad-CAM (Fu et al., 2020).

use candle_core::Tensor;

use super::grad_cam::{GradCam, weighted_sum};
use crate::activations::Activations;
use crate::error::Result;
use crate::precision::{ROUNDINGS, epsilon};

/// Added to ΣA, as in pytorch-grad-cam: a channel that is 0 everywhere gets the weight 0.
const STABILIZER: f64 = 1e-7;

/// XGrad-CAM (Fu et al., 2020): Σ_c α_c·A_c with α_c = Σ_ij g_ij·A_ij / (Σ_ij A_ij + 1e-7) and g =
/// ∂f/∂A_c, the mean of the gradient that is weighted by the activation; its positive part unless
/// the options say otherwise. [B, H, W] of the activation.
///
/// The 1e-7 is pytorch-grad-cam's; the paper has none. The weights are made for activations A ≥ 0,
/// after a ReLU. A leaky ReLU lets ΣA come near 0 where the terms do not, and α then is large: this
/// is the method's, and nothing is cut. But where the terms cancel to within their rounding (64
/// roundings of Σ|A|), α is not known, and counts as 0.
///
/// # Errors
/// As for [`grad_cam`](crate::grad_cam()).
pub fn xgrad_cam<A: Activations>(
    model: &A,
    x: &Tensor,
    target: usize,
    options: &GradCam,
) -> Result<Tensor> {
    weighted_sum(model, x, target, options, |z, gradient| {
        let sum = z.sum_keepdim((2, 3))?;
        let divisor = (&sum + STABILIZER)?;
        let rounding = (z.abs()?.sum_keepdim((2, 3))? * (ROUNDINGS * epsilon(z.dtype())))?;
        let is_lost = sum.abs()?.minimum(&divisor.abs()?)?.le(&rounding)?;
        let weights = ((gradient * z)?.sum_keepdim((2, 3))? / &divisor)?;
        Ok(is_lost.where_cond(&weights.zeros_like()?, &weights)?)
    })
}
