//! Feature ablation: what replacing one segment of the input takes from the output.

use candle_core::Tensor;

use crate::error::Result;
use crate::segments::Segmented;
use crate::target::Target;

/// f(x) - f(x with a segment replaced by the baseline), for each entry that of its segment; of x's
/// shape, as Captum's `FeatureAblation`. `segments` as in [`lime`](crate::lime()), `baseline` as in
/// [`integrated_gradients`](crate::integrated_gradients()).
///
/// Each segment is one more evaluation of the model.
///
/// # Errors
/// If segments or baseline do not fit x, a number between 0 and the greatest is of no segment, or
/// the model fails.
pub fn feature_ablation<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    segments: &Tensor,
    baseline: Option<&Tensor>,
) -> Result<Tensor> {
    let segmented = Segmented::new(x, segments, baseline)?;
    let count = segmented.count;
    let all_but =
        |without: usize| (0..count).map(|segment| segment != without).collect::<Vec<bool>>();
    let falls = target
        .numbers(x)?
        .into_iter()
        .enumerate()
        .map(|(input, whole)| {
            let without = segmented.numbers(target, input, (0..count).map(all_but))?;
            Ok(without.into_iter().map(|value| whole - value).collect())
        })
        .collect::<Result<Vec<Vec<f64>>>>()?;
    segmented.spread(&falls)
}
