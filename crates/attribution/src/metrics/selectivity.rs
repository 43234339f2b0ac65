//! Selectivity (Montavon et al., 2018).

use candle_core::Tensor;

use super::curve::Curve;
use super::segment_removal::{Pool, segment_curves};
use crate::error::Result;
use crate::target::Target;

/// Selectivity: f of each input as whole segments are removed, that is, become the baseline. The
/// segment whose attribution has the greatest sum goes first. The measure is the area under the
/// curve ([`Curve::area`], the mean of f on the way); a good attribution brings f down early, so
/// lower is better. The area is in f's unit: compare attributions of one input with each other.
///
/// The attribution is of x's shape, or [B, H, W] for pixels with all channels; `segments` as in
/// [`lime`](crate::lime()), such as the cells of [`grid_segments`](crate::grid_segments);
/// `baseline` as in [`integrated_gradients`](crate::integrated_gradients()). Segments of equal sums
/// go in a pseudo-random order that is the same for every input and attribution.
///
/// Quantus has the values after the removals only. Here f(x) comes first, as in the paper's
/// algorithm. Quantus fills up an image that its patches do not divide; here segments are given.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::{Target, grid_segments, selectivity};
///
/// // f adds up the pixels. The left half has 3 of the 4, the right half 1.
/// let target = Target::new(|x: &Tensor| x.flatten_from(1)?.sum_keepdim(1), 0);
/// let x = Tensor::new(&[[[[1f64, 2., 1., 0.]]]], &Device::Cpu)?;
/// let halves = grid_segments(1, 4, 1, 2)?;
/// let curves = selectivity(&target, &x, &x, &halves, None)?;
/// assert_eq!(curves[0].values, [4., 1., 0.]);
/// assert_eq!(curves[0].area(), (4. / 2. + 1. + 0. / 2.) / 2.);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the shapes do not fit, the segments are not numbered from 0 without a gap, the attribution
/// has a value that is not finite, or the model fails.
pub fn selectivity<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    attribution: &Tensor,
    segments: &Tensor,
    baseline: Option<&Tensor>,
) -> Result<Vec<Curve>> {
    segment_curves(target, x, attribution, segments, baseline, Pool::Sum)
}
