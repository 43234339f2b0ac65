//! Score-CAM (Wang et al., 2020).

use candle_core::Tensor;
use foresee_stats::softmax;

use super::grad_cam::{GradCam, activation_maps, positive_part};
use crate::activations::Activations;
use crate::error::{Error, Result, check};
use crate::tensors::{check_finite, check_input, in_batches, to_f64};

/// Added to a channel's range, as in pytorch-grad-cam: a channel that does not vary masks
/// everything.
const STABILIZER: f64 = 1e-8;

/// Score-CAM (Wang et al., 2020): Σ_c α_c·A_c, without a gradient. Each channel, enlarged to the
/// image and scaled to [0, 1], masks the image; α is the softmax over the channels of f of these
/// masked images. Its positive part unless the options say otherwise. [B, H, W] of the activation,
/// for images x [B, I, H', W'].
///
/// This is what pytorch-grad-cam computes: enlarged bilinearly with the corners aligned, scaled as
/// `(A - min)/(max - min + 1e-8)`, and the softmax of logits. The paper first subtracts f of an
/// empty image, which a softmax does not see. Where logits differ by much, the softmax leaves one
/// channel.
///
/// It needs C values of f for each image, at most [`GradCam::batch`] masked images at once.
///
/// # Errors
/// If x is no batch of images, the model fails or has no such output, its rows influence each
/// other, or a value of f is not finite.
pub fn score_cam<A: Activations>(
    model: &A,
    x: &Tensor,
    target: usize,
    options: &GradCam,
) -> Result<Tensor> {
    check_input(x)?;
    let &[_, _, height, width] = x.dims() else {
        return Err(Error::shape("the images", x.dims(), "[B, C, H, W]"));
    };
    let batch = options.batch.unwrap_or_else(|| model.batch_size());
    check(batch >= 1, "batch", batch, "a number from 1")?;
    in_batches(x, 1, |x| {
        let z = activation_maps(model, x)?;
        let masks = channel_masks(&z, height, width)?.to_dtype(x.dtype())?;
        let score = |masks: &Tensor| model.values(&x.broadcast_mul(masks)?, target, batch);
        let scores = in_batches(&masks, batch, score)?;
        let scores = check_finite(scores, || "the output for the masked images".into())?;
        let weights = softmax(&to_f64(&scores)?);
        let weights = Tensor::from_vec(weights, (1, z.dim(1)?, 1, 1), z.device())?;
        positive_part(z.broadcast_mul(&weights.to_dtype(z.dtype())?)?.sum(1)?, options)
    })
}

/// The channels of one activation [1, C, h, w] in the image's size and from 0 to 1, [C, 1, height,
/// width].
fn channel_masks(z: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let (_, channels, h, w) = z.dims4()?;
    let enlarged = match (h, w) == (height, width) {
        true => z.clone(),
        false => z.contiguous()?.upsample_bilinear2d(height, width, true)?,
    };
    let values = enlarged.flatten_from(2)?;
    let low = values.min_keepdim(2)?;
    let range = ((values.max_keepdim(2)? - &low)? + STABILIZER)?;
    let masks = values.broadcast_sub(&low)?.broadcast_div(&range)?;
    Ok(masks.reshape((channels, 1, height, width))?)
}
