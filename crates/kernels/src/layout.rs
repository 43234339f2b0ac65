//! Feature maps have the shape [B, C, H, W] and lie in memory pixel by pixel ("channels last"), so
//! that no product needs a copy of them.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use crate::error::{Result, shape};
use crate::fused;
use crate::heads::with_slice;

/// Pixels that a thread copies at a time.
const BLOCK: usize = 512;

/// [B, C, H, W] → [B, H, W, C], contiguous. Copies only if the tensor lies in memory in another
/// order.
pub(crate) fn pixels_first(x: &Tensor) -> candle_core::Result<Tensor> {
    x.permute((0, 2, 3, 1))?.contiguous()
}

/// [B, H, W, C] → [B, C, H, W], without a copy.
pub(crate) fn channels_first(x: &Tensor) -> candle_core::Result<Tensor> {
    x.permute((0, 3, 1, 2))
}

/// Only these channels of features [B, C, H, W], in the order of `channels`, as a network that was
/// pruned to them reads them. Not differentiable.
///
/// # Errors
/// If the features have another number of dimensions or no such channel.
pub fn select_channels(z: &Tensor, channels: &[usize]) -> Result<Tensor> {
    let &[b, c, h, w] = z.dims() else {
        return Err(shape("select_channels", "z", "[B, C, H, W]", z));
    };
    if let Some(channel) = channels.iter().find(|&&channel| channel >= c) {
        return Err(shape("select_channels", "z", format!("a channel {channel}"), z));
    }
    let pixels = pixels_first(&z.detach())?;
    let kept = channels.len();
    let selected = if fused(&[&pixels]) && kept > 0 {
        let mut out = vec![0f32; b * h * w * kept];
        with_slice(&pixels, |from| {
            out.par_chunks_mut(BLOCK * kept).zip(from.par_chunks(BLOCK * c)).for_each(
                |(out, from)| {
                    for (out, from) in out.chunks_exact_mut(kept).zip(from.chunks_exact(c)) {
                        out.iter_mut()
                            .zip(channels)
                            .for_each(|(out, &channel)| *out = from[channel]);
                    }
                },
            );
        })?;
        Tensor::from_vec(out, (b, h, w, kept), &Device::Cpu)?
    } else {
        let index = Tensor::from_vec(
            channels.iter().map(|&channel| channel as u32).collect::<Vec<_>>(),
            kept,
            z.device(),
        )?;
        pixels.index_select(&index, 3)?
    };
    Ok(channels_first(&selected)?)
}
