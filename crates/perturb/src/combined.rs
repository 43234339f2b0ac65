//! Both operations on one network at once.

use candle_core::Tensor;
use foresee_kernels::{ToneCurve, select_channels};

use crate::error::Result;
use crate::model::AttentionModel;
use crate::prune::Cut;

/// Logits [B, K] of a pruned network whose remaining masks are transformed, from the features
/// [B, C, H, W] of the unpruned network.
///
/// With one operation alone it computes what [`prune_curves`](crate::prune_curves) and
/// [`transform_grid`](crate::transform_grid) do. A cut that keeps all channels prunes nothing. The
/// attributes and channels that the curve is given are numbered as in the pruned network.
///
/// # Errors
/// If the features do not fit the network, or the cut names a channel that does not exist.
pub fn logits_under<M: AttentionModel>(
    model: &M,
    features: &Tensor,
    cut: Option<&Cut>,
    curve: Option<&dyn ToneCurve>,
) -> Result<Tensor> {
    let cut = cut.filter(|cut| cut.kept().len() != model.channels());
    let curve = curve.filter(|curve| !curve.is_identity());
    Ok(match (cut, curve) {
        (None, None) => model.logits(features)?,
        (None, Some(curve)) => model.logits_with_curves(features, &[curve])?.remove(0),
        (Some(cut), None) => model.logits_of_cuts(features, &[cut])?.remove(0),
        (Some(cut), Some(curve)) => {
            let kept = select_channels(features, cut.kept())?;
            model.cut(cut)?.logits_with_curves(&kept, &[curve])?.remove(0)
        }
    })
}
