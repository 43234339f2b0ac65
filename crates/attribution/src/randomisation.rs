//! The model-randomisation sanity check (Adebayo et al., 2018): an explanation of a model must
//! change with the model.

use candle_core::Tensor;

use crate::error::{Result, shape};
use crate::target::numbers;

/// How alike explanations still are at one stage of the cascade.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// What has been randomised.
    pub name: String,
    /// [`rank_correlation`] with the explanation of the original model for each input; `None` where
    /// an explanation does not vary.
    pub correlations: Vec<Option<f64>>,
}

/// Explains x by the original model and by each randomised one, in the order of the cascade (the
/// last layer's weights drawn anew, then also those of the one before it, and so on), and compares:
/// correlations that stay near 1 say that the method does not look at the weights. With `absolute`,
/// signs do not count.
///
/// # Errors
/// If `explain` fails or its results have different shapes.
pub fn randomisation_check<M>(
    explain: impl Fn(&M, &Tensor) -> Result<Tensor>,
    original: &M,
    randomised: impl IntoIterator<Item = (String, M)>,
    x: &Tensor,
    absolute: bool,
) -> Result<Vec<Stage>> {
    let strength = |t: Tensor| -> Result<Tensor> { if absolute { Ok(t.abs()?) } else { Ok(t) } };
    let before = strength(explain(original, x)?)?;
    randomised
        .into_iter()
        .map(|(name, model)| {
            Ok(Stage {
                name,
                correlations: rank_correlation(&before, &strength(explain(&model, x)?)?)?,
            })
        })
        .collect()
}

/// Spearman's rank correlation of two attributions of one shape for each input of the batch, equal
/// values having their mean rank; `None` where one of them does not vary.
///
/// # Errors
/// If the shapes differ.
pub fn rank_correlation(a: &Tensor, b: &Tensor) -> Result<Vec<Option<f64>>> {
    if a.dims() != b.dims() || a.rank() == 0 {
        return shape(
            "the second attribution",
            b.dims(),
            format!("{:?}, as the first has,", a.dims()),
        );
    }
    let size = a.elem_count() / a.dim(0)?.max(1);
    let (a, b) = (numbers(a)?, numbers(b)?);
    Ok(a.chunks(size.max(1))
        .zip(b.chunks(size.max(1)))
        .map(|(a, b)| pearson(&ranks(a), &ranks(b)))
        .collect())
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut ranks = vec![0.; values.len()];
    let mut start = 0;
    for same in order.chunk_by(|&i, &j| values[i] == values[j]) {
        same.iter().for_each(|&i| ranks[i] = start as f64 + (same.len() - 1) as f64 / 2.);
        start += same.len();
    }
    ranks
}

fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    // Ranks of n values have this mean, ties or not.
    let mean = (a.len() as f64 - 1.) / 2.;
    let product =
        |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>();
    let scale = (product(a, a) * product(b, b)).sqrt();
    (scale > 0.).then(|| product(a, b) / scale)
}
