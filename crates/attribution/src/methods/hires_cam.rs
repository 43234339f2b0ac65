//! HiResCAM (Draelos & Carin, 2020).

use candle_core::Tensor;

use super::grad_cam::{GradCam, weighted_sum};
use crate::activations::Activations;
use crate::error::Result;

/// HiResCAM (Draelos & Carin, 2020): Σ_c ∂f/∂A_c·A_c, pixel by pixel; its positive part unless the
/// options say otherwise. [B, H, W] of the activation.
///
/// The paper's definition keeps the negative part, which [`GradCam::relu`] = false does: where f is
/// linear in A, such as before one linear layer, the pixels then add up to f(x) without its bias.
/// The default is the positive part, as pytorch-grad-cam returns it.
///
/// # Errors
/// As for [`grad_cam`](crate::grad_cam()).
pub fn hires_cam<A: Activations>(
    model: &A,
    x: &Tensor,
    target: usize,
    options: &GradCam,
) -> Result<Tensor> {
    weighted_sum(model, x, target, options, |_, gradient| Ok(gradient.clone()))
}
