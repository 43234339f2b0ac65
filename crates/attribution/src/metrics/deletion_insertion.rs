//! Deletion and insertion curves (Petsiuk et al., 2018).

use candle_core::{Shape, Tensor};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::baseline::baseline_like;
use crate::error::{Error, Result, check};
use crate::target::Target;
use crate::tensors::to_f64;

/// f as more and more of an input is deleted or inserted.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// f at shares 0, 1/n, 2/n, ... 1.
    pub values: Vec<f64>,
}

impl Curve {
    /// The area under the curve over shares from 0 to 1, by trapezia: the mean of f on the way. Of
    /// a single value that value, of none NaN.
    pub fn area(&self) -> f64 {
        match self.values[..] {
            [] => f64::NAN,
            [only] => only,
            [first, .., last] => {
                (self.values.iter().sum::<f64>() - (first + last) / 2.)
                    / (self.values.len() - 1) as f64
            }
        }
    }
}

/// Replaces entries of x by the baseline, those of the greatest attribution first, and follows f: a
/// good attribution brings it down early (a small area). The attribution is of x's shape, or [B, H,
/// W] for pixels with all channels. `baseline` as in
/// [`integrated_gradients`](crate::integrated_gradients()). The model decides whether f is a logit
/// or a probability.
///
/// Equal entries are replaced in a pseudo-random order that is the same for every input and
/// attribution of a size: maps after a ReLU are 0 nearly everywhere, and row by row the score would
/// depend on where the pixels lie.
///
/// # Errors
/// If there are no steps, the shapes do not fit, the attribution has a value that is not finite, or
/// the model fails.
pub fn deletion<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    attribution: &Tensor,
    baseline: Option<&Tensor>,
    steps: usize,
) -> Result<Vec<Curve>> {
    let x = &x.detach().contiguous()?;
    curves(target, x, &baseline_like(x, baseline)?, &ranks(x, attribution)?, steps)
}

/// The opposite of [`deletion`]: puts the entries of x into the baseline, those of the greatest
/// attribution first; a good attribution brings f up early (a large area).
///
/// # Errors
/// As for [`deletion`].
pub fn insertion<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    attribution: &Tensor,
    baseline: Option<&Tensor>,
    steps: usize,
) -> Result<Vec<Curve>> {
    let x = &x.detach().contiguous()?;
    curves(target, &baseline_like(x, baseline)?, x, &ranks(x, attribution)?, steps)
}

/// f on the way from `start` to `end`, in which entries are replaced in the order of their ranks.
fn curves<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    start: &Tensor,
    end: &Tensor,
    ranks: &Tensor,
    steps: usize,
) -> Result<Vec<Curve>> {
    check(steps >= 1, "steps", steps, "a number from 1")?;
    let inputs = start.dim(0)?;
    check(ranks.elem_count() > 0, "inputs", inputs, "at least one input of at least one entry")?;
    let entries = ranks.elem_count() / inputs;
    let total = inputs * (steps + 1);
    let mut values = Vec::with_capacity(total);
    for first in (0..total).step_by(target.batch_size()) {
        let rows = first..(first + target.batch_size()).min(total);
        let inputs =
            Tensor::from_iter(rows.clone().map(|row| (row / (steps + 1)) as u32), start.device())?;
        let counts: Vec<f64> = rows
            .map(|row| ((row % (steps + 1)) as f64 / steps as f64 * entries as f64).round())
            .collect();
        let mut column = vec![1; start.rank()];
        column[0] = counts.len();
        let counts = Tensor::from_vec(counts, Shape::from(column), start.device())?;
        let replaced = ranks.index_select(&inputs, 0)?.broadcast_lt(&counts)?;
        let before = start.index_select(&inputs, 0)?;
        let mixed = replaced
            .broadcast_as(before.shape())?
            .where_cond(&end.index_select(&inputs, 0)?, &before)?;
        values.extend(target.numbers(&mixed)?);
    }
    Ok(values.chunks(steps + 1).map(|values| Curve { values: values.to_vec() }).collect())
}

/// The rank of every entry in descending order of the attribution, from 0; in `f64` and to be
/// broadcast to x.
fn ranks(x: &Tensor, attribution: &Tensor) -> Result<Tensor> {
    let pixels = x.rank() == 4
        && attribution.rank() == 3
        && attribution.dims()[0] == x.dims()[0]
        && attribution.dims()[1..] == x.dims()[2..];
    if !pixels && attribution.dims() != x.dims() {
        let expected = format!("{:?}, or [B, H, W] of it,", x.dims());
        return Err(Error::shape("the attribution", attribution.dims(), expected));
    }
    let attribution = if pixels { attribution.unsqueeze(1)? } else { attribution.clone() };
    let values = to_f64(&attribution)?;
    check(
        values.iter().all(|v| v.is_finite()),
        "attribution",
        "a value that is not finite",
        "finite values",
    )?;
    let size = values.len() / x.dim(0)?.max(1);
    let mut random_order: Vec<usize> = (0..size).collect();
    random_order.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
    let mut ranks = vec![0f64; values.len()];
    for (values, ranks) in values.chunks(size.max(1)).zip(ranks.chunks_mut(size.max(1))) {
        let mut order = random_order.clone();
        order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
        order.into_iter().enumerate().for_each(|(rank, entry)| ranks[entry] = rank as f64);
    }
    Ok(Tensor::from_vec(ranks, attribution.shape(), x.device())?)
}
