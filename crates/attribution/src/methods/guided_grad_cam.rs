//! Guided Grad-CAM (Selvaraju et al., 2017).

use candle_core::{D, Tensor};

use super::grad_cam::{GradCam, grad_cam};
use super::guided_backprop::guided_backprop;
use crate::error::Result;
use crate::layers::Layers;
use crate::maps::{Interpolation, resize};

/// Guided Grad-CAM (Selvaraju et al., 2017): [`guided_backprop`] times Grad-CAM's positive part at
/// the layer of this name, enlarged. Of x's shape [B, C, H, W].
///
/// # Errors
/// As for both.
pub fn guided_grad_cam(
    layers: &Layers,
    name: &str,
    x: &Tensor,
    target: usize,
    interpolation: Interpolation,
) -> Result<Tensor> {
    let map = grad_cam(&layers.split_at(name)?, x, target, &GradCam::default())?;
    let (height, width) = (x.dim(D::Minus2)?, x.dim(D::Minus1)?);
    Ok(guided_backprop(layers, x, target)?
        .broadcast_mul(&resize(&map, height, width, interpolation)?.unsqueeze(1)?)?)
}
