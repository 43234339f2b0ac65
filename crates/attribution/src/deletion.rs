//! Deletion and insertion curves (Petsiuk et al., 2018).

use candle_core::{Shape, Tensor};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::error::{Result, check, shape};
use crate::integrated::baseline_of;
use crate::target::{Target, numbers};

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

/// Which way to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Deletion,
    Insertion,
}

/// Replaces entries of x by the baseline, those of the greatest attribution first, and follows f: a
/// good attribution brings it down early (a small area). The attribution is of x's shape, or [B, H,
/// W] for pixels with all channels. The model decides whether f is a logit or a probability.
///
/// Equal entries go in a pseudo-random order that is the same for every input and attribution of a
/// size: maps behind a ReLU are 0 nearly everywhere, and any order of places, such as row by row,
/// would be scored in their stead.
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
    curves(target, x, attribution, baseline, steps, Way::Deletion)
}

/// The other way: puts the entries of x into the baseline, those of the greatest attribution first;
/// a good attribution brings f up early (a large area).
///
/// # Errors
/// As of [`deletion`].
pub fn insertion<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    attribution: &Tensor,
    baseline: Option<&Tensor>,
    steps: usize,
) -> Result<Vec<Curve>> {
    curves(target, x, attribution, baseline, steps, Way::Insertion)
}

fn curves<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    attribution: &Tensor,
    baseline: Option<&Tensor>,
    steps: usize,
    way: Way,
) -> Result<Vec<Curve>> {
    check(steps >= 1, "steps", steps, "a number from 1")?;
    let x = &x.detach().contiguous()?;
    let baseline = baseline_of(x, baseline)?;
    let ranks = ranks(x, attribution)?;
    check(ranks.elem_count() > 0, "inputs", x.dim(0)?, "at least one input of at least one entry")?;
    let entries = ranks.elem_count() / x.dim(0)?;
    let (first, then) = if way == Way::Deletion { (&baseline, x) } else { (x, &baseline) };
    let total = x.dim(0)? * (steps + 1);
    let mut values = Vec::with_capacity(total);
    for start in (0..total).step_by(target.batch_size()) {
        let rows = start..(start + target.batch_size()).min(total);
        let inputs =
            Tensor::from_iter(rows.clone().map(|row| (row / (steps + 1)) as u32), x.device())?;
        let counts: Vec<f64> = rows
            .clone()
            .map(|row| ((row % (steps + 1)) as f64 / steps as f64 * entries as f64).round())
            .collect();
        let mut column = vec![1; x.rank()];
        column[0] = counts.len();
        let counts = Tensor::from_vec(counts, Shape::from(column), x.device())?;
        let done = ranks.index_select(&inputs, 0)?.broadcast_lt(&counts)?;
        let then = then.index_select(&inputs, 0)?;
        let mixed =
            done.broadcast_as(then.shape())?.where_cond(&first.index_select(&inputs, 0)?, &then)?;
        values.extend(target.numbers(&mixed)?);
    }
    Ok(values.chunks(steps + 1).map(|values| Curve { values: values.to_vec() }).collect())
}

/// The place of every entry in descending order of the attribution, in `f64` and to be broadcast to
/// x.
fn ranks(x: &Tensor, attribution: &Tensor) -> Result<Tensor> {
    let pixels = x.rank() == 4
        && attribution.rank() == 3
        && attribution.dims()[0] == x.dims()[0]
        && attribution.dims()[1..] == x.dims()[2..];
    if !pixels && attribution.dims() != x.dims() {
        return shape(
            "the attribution",
            attribution.dims(),
            format!("{:?}, or [B, H, W] of it,", x.dims()),
        );
    }
    let attribution = if pixels { attribution.unsqueeze(1)? } else { attribution.clone() };
    let values = numbers(&attribution)?;
    check(
        values.iter().all(|v| v.is_finite()),
        "attribution",
        "a value that is not finite",
        "finite values",
    )?;
    let size = values.len() / x.dim(0)?.max(1);
    let mut among_equals: Vec<usize> = (0..size).collect();
    among_equals.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
    let mut ranks = vec![0f64; values.len()];
    for (values, ranks) in values.chunks(size.max(1)).zip(ranks.chunks_mut(size.max(1))) {
        let mut order = among_equals.clone();
        order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
        order.into_iter().enumerate().for_each(|(rank, at)| ranks[at] = rank as f64);
    }
    Ok(Tensor::from_vec(ranks, attribution.shape(), x.device())?)
}
