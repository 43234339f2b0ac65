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
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::{GradCam, SplitModel, layer_cam};
///
/// // f(A) = A₀ - A₁ + 2·A₃ for one channel of 2×2 pixels, A = max(x, 0).
/// let weight = Tensor::new(&[[1f64], [-1.], [0.], [2.]], &Device::Cpu)?;
/// let model = SplitModel::new(
///     |x: &Tensor| x.relu(),
///     |z: &Tensor| z.flatten_from(1)?.matmul(&weight),
/// );
/// let x = Tensor::new(&[[[[1f64, 2.], [3., 4.]]]], &Device::Cpu)?;
/// // The positive gradient (1, 0, 0, 2) times A.
/// let map = layer_cam(&model, &x, 0, &GradCam::default())?;
/// assert_eq!(map.to_vec3::<f64>()?, [[[1., 0.], [0., 8.]]]);
/// # Ok::<(), foresee_attribution::Error>(())
/// ```
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
