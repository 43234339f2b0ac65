//! f on the way from one input to another, some entries at a time.

use candle_core::{Shape, Tensor};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result, check};
use crate::target::Target;
use crate::tensors::to_f64;

/// f as more and more of an input is deleted, inserted or removed.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// f at shares 0, 1/n, 2/n, ... 1 of the entries or of the segments, rounded to whole ones.
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

/// f on the way from `start` to `end`, both [B, ...]: at each of the counts (at least one), entries
/// with a rank below it are those of `end`. The ranks are broadcast to an input.
pub(super) fn curves<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    start: &Tensor,
    end: &Tensor,
    ranks: &Tensor,
    counts: &[f64],
) -> Result<Vec<Curve>> {
    let inputs = start.dim(0)?;
    check(ranks.elem_count() > 0, "inputs", inputs, "at least one input of at least one entry")?;
    let total = inputs * counts.len();
    let mut values = Vec::with_capacity(total);
    for first in (0..total).step_by(target.batch_size()) {
        let rows = first..(first + target.batch_size()).min(total);
        let inputs =
            Tensor::from_iter(rows.clone().map(|row| (row / counts.len()) as u32), start.device())?;
        let counts: Vec<f64> = rows.map(|row| counts[row % counts.len()]).collect();
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
    Ok(values.chunks(counts.len()).map(|values| Curve { values: values.to_vec() }).collect())
}

/// [`curves`] of which f of each input at the start and at the end is known already. The first of
/// the counts is none, and the last is all.
pub(super) fn curves_between<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    (start, at_start): (&Tensor, &[f64]),
    (end, at_end): (&Tensor, &[f64]),
    ranks: &Tensor,
    counts: &[f64],
) -> Result<Vec<Curve>> {
    let inner = match counts {
        [_, inner @ .., _] if !inner.is_empty() => curves(target, start, end, ranks, inner)?,
        _ => vec![Curve { values: vec![] }; at_start.len()],
    };
    let ends = at_start.iter().zip(at_end);
    let whole = |(curve, (first, last)): (Curve, (&f64, &f64))| {
        let between = curve.values.into_iter();
        Curve { values: std::iter::once(*first).chain(between).chain([*last]).collect() }
    };
    Ok(inner.into_iter().zip(ends).map(whole).collect())
}

/// The rank of every entry in descending order of the attribution, from 0; in `f64` and to be
/// broadcast to x.
pub(super) fn ranks(x: &Tensor, attribution: &Tensor) -> Result<Tensor> {
    let attribution = like_input(x, attribution)?;
    let values = to_f64(&attribution)?;
    let size = (values.len() / x.dim(0)?.max(1)).max(1);
    let ranks: Vec<f64> = values.chunks(size).flat_map(descending_ranks).collect();
    Ok(Tensor::from_vec(ranks, attribution.shape(), x.device())?)
}

/// An attribution of x's shape, or [B, H, W] for pixels with all channels, as it is broadcast to x:
/// pixels as [B, 1, H, W].
pub(super) fn like_input(x: &Tensor, attribution: &Tensor) -> Result<Tensor> {
    let pixels = x.rank() == 4
        && attribution.rank() == 3
        && attribution.dims()[0] == x.dims()[0]
        && attribution.dims()[1..] == x.dims()[2..];
    if !pixels && attribution.dims() != x.dims() {
        let expected = format!("{:?}, or [B, H, W] of it,", x.dims());
        return Err(Error::shape("the attribution", attribution.dims(), expected));
    }
    check(
        to_f64(attribution)?.iter().all(|v| v.is_finite()),
        "attribution",
        "a value that is not finite",
        "finite values",
    )?;
    Ok(if pixels { attribution.unsqueeze(1)? } else { attribution.clone() })
}

/// The rank of each value, from 0 for the greatest. Equal values are in a pseudo-random order that
/// depends on how many values there are only.
pub(super) fn descending_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
    // 0 and -0 are equal: the latter is what a gradient of 0 times a negative input is.
    order.sort_by(|&a, &b| (values[b] + 0.).total_cmp(&(values[a] + 0.)));
    let mut ranks = vec![0.; values.len()];
    order.into_iter().enumerate().for_each(|(rank, entry)| ranks[entry] = rank as f64);
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_of_zero_orders_nothing() {
        let zeros = descending_ranks(&[0.; 6]);
        assert_eq!(descending_ranks(&[0., -0., 0., -0., -0., 0.]), zeros);
        assert_ne!(zeros, [0., 1., 2., 3., 4., 5.]);
        assert_eq!(descending_ranks(&[1., 3., 2.]), [2., 0., 1.]);
    }
}
