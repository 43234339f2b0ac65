//! Class activation maps (Zhou et al., 2016).

use candle_core::Tensor;

use crate::error::{Error, Result};
use crate::layers::{Layer, Layers};
use crate::tensors::{check_float, check_like};

/// CAM (Zhou et al., 2016): Σ_c w_c·A_c, [B, H, W], for the last activation A [B, C, H, W] of a
/// network that averages it over the pixels and reads it out by weights w `[C]`: its mean over the
/// pixels is f(x) without the bias.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn cam(activation: &Tensor, weights: &Tensor) -> Result<Tensor> {
    check_float("the activation", activation)?;
    check_like("the weights", weights, activation)?;
    match *activation.dims() {
        [_, c, _, _] if weights.dims() == [c] => {
            Ok(activation.broadcast_mul(&weights.reshape((1, c, 1, 1))?)?.sum(1)?)
        }
        _ => {
            let expected = format!("[B, C, H, W] with C weights, not {:?},", weights.dims());
            Err(Error::shape("the activation", activation.dims(), expected))
        }
    }
}

impl Layers {
    /// CAM of the activation at the layer of this name, [B, H, W].
    ///
    /// # Errors
    /// If other layers follow it than global average pooling and one linear layer: the error names
    /// the layer that does not allow CAM.
    pub fn cam(&self, name: &str, x: &Tensor, target: usize) -> Result<Tensor> {
        let position = self.position(name)?;
        let refuse = |name: &str, reason: &str| Error::Layer {
            method: "CAM",
            layer: name.into(),
            reason: reason.into(),
        };
        let rest: Vec<_> = self.sequence[position + 1..]
            .iter()
            .filter(|named| !matches!(named.layer, Layer::Flatten))
            .collect();
        let [pool, last] = rest[..] else {
            return Err(refuse(
                name,
                "exactly global average pooling and a linear layer must follow; use Grad-CAM",
            ));
        };
        if !matches!(pool.layer, Layer::GlobalAveragePool) {
            return Err(refuse(&pool.name, "it is not global average pooling; use Grad-CAM"));
        }
        let Layer::Linear { weight, .. } = &last.layer else {
            return Err(refuse(&last.name, "it is not linear; use Grad-CAM"));
        };
        let outputs = weight.dims()[0];
        if target >= outputs {
            return Err(Error::Target { target, shape: vec![x.dim(0)?, outputs] });
        }
        cam(&self.activation(name, x)?, &weight.get(target)?)
    }
}
