//! Iterative removal of features (IROF; Rieger & Hansen, 2020).

use candle_core::Tensor;

use super::segment_removal::{Pool, segment_curves};
use crate::error::{Error, Result};
use crate::target::Target;

/// IROF: the area over the curve of f(x^l)/f(x), where x^l is the input without its l segments of
/// the greatest mean attribution. They become the baseline. l goes from 0 to all, and the area is
/// by trapezia over the share of segments that is removed, 1 - mean of f(x^l)/f(x) on the way. It
/// is at most 1 if f is not below 0; higher is better, and 0 means that removals do not lower f.
///
/// f must be above 0 at x: take a probability. The attribution is of x's shape, or [B, H, W] for
/// pixels with all channels. `segments` as in [`lime`](crate::lime()), the same for all inputs; the
/// paper makes them of each image with SLIC: then call this for one image at a time. `baseline` as
/// in [`integrated_gradients`](crate::integrated_gradients()); the paper takes the data set's mean.
/// Segments of equal means go in a pseudo-random order that is the same for all.
///
/// Quantus leaves f(x) out of the curve, and gives the number of segments L less the area of a
/// curve that is L - 1 wide; it takes no images of several channels. With p the ratio after the
/// first removal, its number is L·IROF + (1 + p)/2.
///
/// # Errors
/// If f(x) is not above 0, the shapes do not fit, the segments are not numbered from 0 without a
/// gap, the attribution has a value that is not finite, or the model fails.
pub fn irof<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    attribution: &Tensor,
    segments: &Tensor,
    baseline: Option<&Tensor>,
) -> Result<Vec<f64>> {
    segment_curves(target, x, attribution, segments, baseline, Pool::Mean)?
        .iter()
        .map(|curve| match curve.values.first() {
            Some(&at_x) if at_x > 0. && at_x.is_finite() => Ok(1. - curve.area() / at_x),
            _ => Err(Error::Degenerate(
                "IROF compares f with f(x), which must be a number above 0: let f be a \
                 probability, not a logit",
            )),
        })
        .collect()
}
