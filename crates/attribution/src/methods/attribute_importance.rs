//! Permutation importance for the attributes of a multi-label model, by their log losses.

use candle_core::{DType, Tensor};

use super::permutation_importance::{Importance, Permutation, importances_with_progress};
use crate::error::{Error, Result, check};
use crate::parts::Part;
use crate::tensors::to_f64;

/// The mean log loss (binary cross entropy) of each attribute, mean_n log(1 + exp(z)) - y·z, for
/// logits z [N, K] and labels y [N, K] of 0 and 1; in `f64`.
///
/// # Errors
/// If the shapes differ, there is no row, or a label is neither 0 nor 1.
pub fn log_losses(logits: &Tensor, labels: &Tensor) -> Result<Vec<f64>> {
    if logits.rank() != 2 || labels.dims() != logits.dims() {
        let expected = format!("{:?}, the logits' shape [N, K],", logits.dims());
        return Err(Error::shape("the labels", labels.dims(), expected));
    }
    let logits = logits.to_dtype(DType::F64)?;
    let labels = labels.to_dtype(DType::F64)?;
    let wrong = to_f64(&labels)?.into_iter().find(|label| ![0., 1.].contains(label));
    check(wrong.is_none(), "labels", wrong.unwrap_or_default(), "0 and 1")?;
    check(logits.dim(0)? >= 1, "inputs", 0, "at least 1")?;
    // log(1 + exp(z)) = log(1 + exp(-|z|)) + max(z, 0).
    let softplus = ((logits.abs()?.neg()?.exp()? + 1.)?.log()? + logits.relu()?)?;
    Ok((softplus - (labels * logits)?)?.mean(0)?.to_vec1::<f64>()?)
}

/// By how much the [`log_losses`] of a model's `attributes` grow when a part of its inputs is
/// permuted among them: for each attribute, the importance of each part. x is [N, ...] and the
/// labels are [N, K]. `progress` is called after each part.
///
/// # Errors
/// As for [`permutation_importance`](crate::permutation_importance()), if the labels have another
/// shape than the model's outputs, or there is no such attribute.
pub fn attribute_importances(
    model: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
    x: &Tensor,
    labels: &Tensor,
    parts: &[Part],
    attributes: &[usize],
    options: &Permutation,
    progress: impl FnMut(&Part),
) -> Result<Vec<Vec<Importance>>> {
    let losses = |logits: &Tensor| {
        let all = log_losses(logits, labels)?;
        let loss = |&target: &usize| {
            all.get(target).copied().ok_or(Error::Target { target, shape: logits.dims().to_vec() })
        };
        attributes.iter().map(loss).collect()
    };
    let by_part = importances_with_progress(model, losses, x, parts, options, progress)?;
    let mut by_attribute = vec![Vec::with_capacity(parts.len()); attributes.len()];
    for importances in by_part {
        by_attribute.iter_mut().zip(importances).for_each(|(of, importance)| of.push(importance));
    }
    Ok(by_attribute)
}
