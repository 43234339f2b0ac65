//! Feature maps have the shape [B, C, H, W] and lie in memory pixel by pixel ("channels last"), so that no product needs a copy of them.

use candle_core::{Result, Tensor};

/// [B, C, H, W] → [B, H, W, C], contiguous. Copies only if the tensor lies in memory in another order.
pub(crate) fn pixels_first(x: &Tensor) -> Result<Tensor> {
    x.permute((0, 2, 3, 1))?.contiguous()
}

/// [B, H, W, C] → [B, C, H, W], without a copy.
pub(crate) fn channels_first(x: &Tensor) -> Result<Tensor> {
    x.permute((0, 3, 1, 2))
}
