//! Grad-CAM++ (Chattopadhay et al., 2018).

use candle_core::Tensor;

use super::grad_cam::{GradCam, weighted_sum};
use crate::activations::Activations;
use crate::error::Result;

/// Grad-CAM++ (Chattopadhay et al., 2018): weights Σ_ij α_ij·max(∂f/∂A_ij, 0) with α = g²/(2g² +
/// Σ_ab A_ab·g³) = 1/(2 + g·Σ_ab A_ab), g = ∂f/∂A. This is their Eq. 19, for which f goes through
/// an exponential and has no second derivative; where g is 0, α is 0. [B, H, W]; the exponential's
/// factor, one per input, is left out. It is computed in the second form, because g³ of a small
/// gradient is 0 in `f32`.
///
/// The weights are made for activations A ≥ 0, after a ReLU: then α is at most 1/2. A leaky ReLU
/// lets ΣA fall a little below 0, where α is greater and, for g·ΣA < -2, negative: nothing is cut
/// there, but α counts as 0 at g·ΣA = -2, where it is not defined.
///
/// # Errors
/// As for [`grad_cam`](crate::grad_cam()).
pub fn grad_cam_plus_plus<A: Activations>(
    model: &A,
    x: &Tensor,
    target: usize,
    options: &GradCam,
) -> Result<Tensor> {
    weighted_sum(model, x, target, options, |z, g| {
        let denominator = (g.broadcast_mul(&z.sum_keepdim((2, 3))?)? + 2.)?;
        let pole = denominator.eq(&denominator.zeros_like()?)?;
        let weights = (g.relu()? / &denominator)?;
        Ok(pole.where_cond(&denominator, &weights)?.sum_keepdim((2, 3))?)
    })
}
