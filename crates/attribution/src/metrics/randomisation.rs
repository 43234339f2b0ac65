//! The model-randomisation sanity check (Adebayo et al., 2018): an explanation of a model must
//! change with the model.

use candle_core::Tensor;
use foresee_stats::spearman;

use crate::error::{Error, Result};
use crate::tensors::to_f64;

/// How similar explanations still are at one step of the cascade.
#[derive(Debug, Clone, PartialEq)]
pub struct CascadeStep {
    /// What has been randomised.
    pub name: String,
    /// [`rank_correlation`] with the explanation of the original model for each input; `None` where
    /// an explanation does not vary.
    pub correlations: Vec<Option<f64>>,
}

/// Explains x by the original model and by each randomised one, in the order of the cascade (the
/// weights of the last layer drawn anew, then also those of the one before it, and so on), and
/// compares: correlations that stay near 1 mean that the method does not look at the weights. With
/// `absolute`, signs do not count.
///
/// # Errors
/// If `explain` fails or its results have different shapes.
pub fn randomisation_check<M>(
    explain: impl Fn(&M, &Tensor) -> Result<Tensor>,
    original: &M,
    randomised: impl IntoIterator<Item = (String, M)>,
    x: &Tensor,
    absolute: bool,
) -> Result<Vec<CascadeStep>> {
    randomisation_from(&explain(original, x)?, explain, randomised, x, absolute)
}

/// [`randomisation_check`] where the explanation of the original model is known already.
pub(super) fn randomisation_from<M>(
    before: &Tensor,
    explain: impl Fn(&M, &Tensor) -> Result<Tensor>,
    randomised: impl IntoIterator<Item = (String, M)>,
    x: &Tensor,
    absolute: bool,
) -> Result<Vec<CascadeStep>> {
    let signed =
        |map: &Tensor| -> Result<Tensor> { Ok(if absolute { map.abs()? } else { map.clone() }) };
    let before = signed(before)?;
    let step = |(name, model): (String, M)| {
        let correlations = rank_correlation(&before, &signed(&explain(&model, x)?)?)?;
        Ok(CascadeStep { name, correlations })
    };
    randomised.into_iter().map(step).collect()
}

/// Spearman's rank correlation of two attributions of one shape for each input of the batch, equal
/// values having their mean rank; `None` where one of them does not vary.
///
/// # Errors
/// If the shapes differ.
pub fn rank_correlation(a: &Tensor, b: &Tensor) -> Result<Vec<Option<f64>>> {
    if a.dims() != b.dims() || a.rank() == 0 {
        let expected = format!("{:?}, as the first has,", a.dims());
        return Err(Error::shape("the second attribution", b.dims(), expected));
    }
    let size = (a.elem_count() / a.dim(0)?.max(1)).max(1);
    let (a, b) = (to_f64(a)?, to_f64(b)?);
    Ok(a.chunks(size).zip(b.chunks(size)).map(|(a, b)| spearman(a, b)).collect())
}
