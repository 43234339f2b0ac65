//! LayerCAM (Jiang et al., 2021).

use candle_core::Tensor;

use super::grad_cam::{GradCam, weighted_sum};
use crate::activations::Activations;
use crate::error::Result;

/// LayerCAM (Jiang et al., 2021): Σ_c max(∂f/∂A_c, 0)·A_c, each pixel with a weight of its own; its
/// positive part unless the options say otherwise. [B, H, W] of the activation. Made for early
/// layers, where one weight for a channel says little.
///
/// This is what pytorch-grad-cam computes. For early layers the paper also brightens the map,
/// tanh(2·L/max L), which neither does: it would not change which pixel counts more.
///
/// # Errors
/// As for [`grad_cam`](crate::grad_cam()).
pub fn layer_cam<A: Activations>(
    model: &A,
    x: &Tensor,
    target: usize,
    options: &GradCam,
) -> Result<Tensor> {
    weighted_sum(model, x, target, options, |_, gradient| Ok(gradient.relu()?))
}
