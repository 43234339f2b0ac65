//! Permutation importance of labels as inputs of a model of another label: what do the other
//! attributes of an image say about one of them?

use candle_core::{DType, Device, Tensor};
use foresee_stats::Fit;
use rayon::prelude::*;

use super::attribute_importance::attribute_importances;
use super::permutation_importance::{Importance, Permutation};
use super::surrogate::{MIN_SURROGATE_ROWS, SplitRows, SurrogateOptions};
use crate::error::{Error, Result};
use crate::parts::Part;

/// Probabilities of the linear models are cut to this range.
const MIN_PROBABILITY: f64 = 0.01;
const MAX_PROBABILITY: f64 = 0.99;

/// The importance of the other labels for each of these `attributes`, in the order of `names`
/// without the attribute itself.
///
/// The model of a label is linear in the K - 1 others (chosen by the lasso, fitted again by least
/// squares as in [`global_surrogate`](crate::global_surrogate)) on the rows of `train` [N, K], cut
/// to a probability from 0.01 to 0.99; the other labels are permuted among the rows of `test` [M,
/// K]. Labels are 0 and 1. `names` are those of the K attributes. The options' batch is
/// not used. `progress` is called after each permuted label.
///
/// Empty if there are fewer than [`MIN_SURROGATE_ROWS`] rows to train or two to test.
///
/// # Errors
/// If the shapes do not fit each other, or as for [`attribute_importances`].
pub fn label_importances(
    train: &Tensor,
    test: &Tensor,
    names: &[&str],
    attributes: &[usize],
    options: &Permutation,
    progress: impl FnMut(&Part),
) -> Result<Vec<Vec<Importance>>> {
    for labels in [train, test] {
        if labels.rank() != 2 || labels.dims()[1] != names.len() {
            let expected = format!("[N, {}]", names.len());
            return Err(Error::shape("the labels", labels.dims(), expected));
        }
    }
    // The models are linear, in f64, on the CPU.
    let in_f64 = |labels: &Tensor| labels.to_device(&Device::Cpu)?.to_dtype(DType::F64);
    let (train, test) = (&in_f64(train)?, &in_f64(test)?);
    if let Some(&target) = attributes.iter().find(|&&k| k >= names.len()) {
        return Err(Error::Target { target, shape: train.dims().to_vec() });
    }
    if train.dim(0)? < MIN_SURROGATE_ROWS || test.dim(0)? < 2 {
        return Ok(vec![]);
    }
    let fits = attributes
        .par_iter()
        .map(|&attribute| fit_others(train, attribute, options.seed))
        .collect::<Result<Vec<_>>>()?;
    let model = LinearModels::new(fits)?;
    let parts = names
        .iter()
        .enumerate()
        .map(|(j, name)| Part::index(*name, &[names.len()], j))
        .collect::<Result<Vec<_>>>()?;
    let columns: Vec<u32> = attributes.iter().map(|&k| k as u32).collect();
    let labels = test.index_select(&Tensor::new(columns, test.device())?, 1)?;
    let outputs: Vec<usize> = (0..attributes.len()).collect();
    let options = Permutation { batch: test.dim(0)?, ..options.clone() };
    let logits = |x: &Tensor| model.logits(x);
    let mut importances =
        attribute_importances(logits, test, &labels, &parts, &outputs, &options, progress)?;
    for (of, &attribute) in importances.iter_mut().zip(attributes) {
        of.remove(attribute);
    }
    Ok(importances)
}

/// A linear model of one label; its own column counts for nothing.
fn fit_others(labels: &Tensor, attribute: usize, seed: u64) -> Result<Fit> {
    let k = labels.dim(1)?;
    let y = labels.narrow(1, attribute, 1)?.squeeze(1)?;
    let others = (0..k).map(|j| f64::from(u8::from(j != attribute)));
    let x = labels.broadcast_mul(&Tensor::from_iter(others, labels.device())?)?;
    SplitRows::new(&x, &y, SurrogateOptions::default().held_out, seed)?.fit_sparse(k)
}

/// Linear models of labels, as probabilities.
struct LinearModels {
    /// [K, models].
    weights: Tensor,
    intercepts: Tensor,
}

impl LinearModels {
    fn new(fits: Vec<Fit>) -> Result<Self> {
        let (weights, intercepts): (Vec<Vec<f64>>, Vec<f64>) =
            fits.into_iter().map(|fit| (fit.weights, fit.intercept)).unzip();
        Ok(Self {
            weights: Tensor::new(weights, &Device::Cpu)?.t()?,
            intercepts: Tensor::new(intercepts, &Device::Cpu)?,
        })
    }

    fn logits(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let p = x.matmul(&self.weights)?.broadcast_add(&self.intercepts)?;
        let p = p.clamp(MIN_PROBABILITY, MAX_PROBABILITY)?;
        (&p / (1. - &p)?)?.log()
    }
}
