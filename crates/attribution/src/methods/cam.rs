//! Class activation maps (Zhou et al., 2016).

use candle_core::Tensor;

use crate::error::{Error, Result};
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
