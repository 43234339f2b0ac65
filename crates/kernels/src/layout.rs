//! The order of feature maps in memory. They have the shape [B, C, H, W] and lie in memory pixel by
//! pixel ("channels last"), so that matrix products read them without a copy.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use crate::dispatch::cpu_kernel_takes;
use crate::error::{Result, shape};
use crate::storage::with_slices;

/// Pixels that a thread copies at a time.
const BLOCK: usize = 512;

/// [B, C, H, W] → [B, H, W, C], contiguous. Copies only if the tensor lies in memory in another
/// order.
pub(crate) fn to_channels_last(x: &Tensor) -> candle_core::Result<Tensor> {
    x.permute((0, 2, 3, 1))?.contiguous()
}

/// [B, H, W, C] → [B, C, H, W], without a copy.
pub(crate) fn to_channels_first(x: &Tensor) -> candle_core::Result<Tensor> {
    x.permute((0, 3, 1, 2))
}

/// The channels `channels` of z [B, C, H, W], in that order: the features that a network pruned to
/// these channels reads. Not differentiable.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_kernels::select_channels;
///
/// // Three channels of one pixel.
/// let z = Tensor::new(&[1f32, 2., 3.], &Device::Cpu)?.reshape((1, 3, 1, 1))?;
/// let selected = select_channels(&z, &[2, 0])?;
/// assert_eq!(selected.flatten_all()?.to_vec1::<f32>()?, [3., 1.]);
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
///
/// # Errors
/// If z is not of four dimensions or does not have one of the channels.
pub fn select_channels(z: &Tensor, channels: &[usize]) -> Result<Tensor> {
    let &[b, c, h, w] = z.dims() else {
        return Err(shape("select_channels", "z", "[B, C, H, W]", z));
    };
    if let Some(channel) = channels.iter().find(|&&channel| channel >= c) {
        return Err(shape("select_channels", "z", format!("a channel {channel}"), z));
    }
    let pixels = to_channels_last(&z.detach())?;
    let selected = if cpu_kernel_takes(&[&pixels]) && !channels.is_empty() {
        let mut out = vec![0f32; b * h * w * channels.len()];
        with_slices([&pixels], |[pixels]| copy_channels(pixels, c, channels, &mut out))?;
        Tensor::from_vec(out, (b, h, w, channels.len()), &Device::Cpu)?
    } else {
        let index: Vec<u32> = channels.iter().map(|&channel| channel as u32).collect();
        pixels.index_select(&Tensor::from_vec(index, channels.len(), z.device())?, 3)?
    };
    Ok(to_channels_first(&selected)?)
}

/// Copies some channels of pixels [N, C] to `out` [N, channels].
fn copy_channels(pixels: &[f32], c: usize, channels: &[usize], out: &mut [f32]) {
    let kept = channels.len();
    out.par_chunks_mut(BLOCK * kept).zip(pixels.par_chunks(BLOCK * c)).for_each(|(out, pixels)| {
        for (out, pixel) in out.chunks_exact_mut(kept).zip(pixels.chunks_exact(c)) {
            out.iter_mut().zip(channels).for_each(|(out, &channel)| *out = pixel[channel]);
        }
    });
}
