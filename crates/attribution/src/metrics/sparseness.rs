//! Sparseness (Chalasani et al., 2020).

use candle_core::Tensor;

use super::magnitudes::magnitudes;
use crate::error::Result;

/// Sparseness: the Gini index of the absolute values of each input's attribution [B, ...]. With |φ|
/// in ascending order, v₁ ≤ ... ≤ v_d, it is Σ_k (2k - d - 1)·v_k/(d·Σ v). 0 if all are equal, 1 -
/// 1/d if one entry has everything; higher is sparser, which is better for two explanations that
/// are equally right. `None` for an attribution that is 0 everywhere, which has no shares.
///
/// All entries count: for pixels, sum the channels first ([`per_pixel`](crate::per_pixel)). Quantus
/// adds 1e-7 to every value, so that small attributions look alike in it; here the unit does not
/// count.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::sparseness;
///
/// let attribution = Tensor::new(&[[0f64, 0., 0., -5.], [1., 1., 1., 1.]], &Device::Cpu)?;
/// assert_eq!(sparseness(&attribution)?, [Some(0.75), Some(0.)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the attribution is no batch of at least one entry each, or has a value that is not finite.
pub fn sparseness(attribution: &Tensor) -> Result<Vec<Option<f64>>> {
    Ok(magnitudes(attribution)?.into_iter().map(|values| Some(gini(values?))).collect())
}

fn gini(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let d = values.len() as f64;
    let weighted = values.iter().enumerate().map(|(i, v)| (2. * (i + 1) as f64 - d - 1.) * v);
    weighted.sum::<f64>() / (d * values.iter().sum::<f64>())
}
