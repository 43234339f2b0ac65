//! Checks of one method on one image: infidelity, max-sensitivity and the randomisation of weights.

use candle_core::Tensor;

use super::max_sensitivity::{MaxSensitivity, max_sensitivity_from};
use super::occlusion::Occlusions;
use super::randomisation::randomisation_from;
use crate::error::Result;

/// What [`check_method`] finds.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MethodChecks {
    /// [`Occlusions::infidelity`] of the map.
    pub infidelity: f64,
    /// [`Occlusions::infidelity_of_zeros`], in the unit of which infidelity is read.
    pub infidelity_of_zeros: f64,
    /// [`max_sensitivity`](crate::max_sensitivity()) of the map; NaN if it was not asked for.
    pub max_sensitivity: f64,
    /// Rank correlation of |map| with that of the original model after each step of the cascade,
    /// NaN where a map does not vary; empty if it was not asked for.
    pub cascade: Vec<f64>,
}

/// Checks a method on one image x [1, C, H, W]. `explain` makes its map [1, H, W] of a model and
/// an image.
///
/// `randomised` is the cascade of [`randomisation_check`](crate::randomisation_check). If
/// `is_local` is false, the method has one map for all images, and only its infidelity is measured.
///
/// # Errors
/// As for the measures, and if `explain` fails.
pub fn check_method<M: Clone>(
    explain: impl Fn(&M, &Tensor) -> Result<Tensor>,
    original: &M,
    randomised: &[(String, M)],
    x: &Tensor,
    occlusions: &Occlusions,
    options: &MaxSensitivity,
    is_local: bool,
) -> Result<MethodChecks> {
    // All measures begin with this map, which is the same each time.
    let map = explain(original, x)?;
    let infidelity = occlusions.infidelity(&map)?;
    let infidelity_of_zeros = occlusions.infidelity_of_zeros()?;
    if !is_local {
        return Ok(MethodChecks {
            infidelity,
            infidelity_of_zeros,
            max_sensitivity: f64::NAN,
            cascade: vec![],
        });
    }
    let near = max_sensitivity_from(|x| explain(original, x), Some(&map), x, options)?;
    let max_sensitivity = near.first().copied().unwrap_or(f64::NAN);
    let steps = randomisation_from(&map, &explain, randomised.iter().cloned(), x, true)?;
    let cascade = steps.iter().map(|step| step.correlations[0].unwrap_or(f64::NAN)).collect();
    Ok(MethodChecks { infidelity, infidelity_of_zeros, max_sensitivity, cascade })
}
