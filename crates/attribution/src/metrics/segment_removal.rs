//! f while segments of an input are removed, one after the other.

use candle_core::Tensor;

use super::curve::{Curve, curves, descending_ranks, like_input};
use crate::baseline::baseline_like;
use crate::error::Result;
use crate::segments::segment_of_entries;
use crate::target::Target;
use crate::tensors::to_f64;

/// What the attribution of a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pool {
    /// The mean of its entries.
    Mean,
    /// Their sum.
    Sum,
}

/// f of each input, and after each removal of one more segment, which becomes the baseline: those
/// of the greatest attribution first, equal ones in a pseudo-random order that is the same for all.
pub(super) fn segment_curves<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    attribution: &Tensor,
    segments: &Tensor,
    baseline: Option<&Tensor>,
    pool: Pool,
) -> Result<Vec<Curve>> {
    let x = &x.detach().contiguous()?;
    let baseline = baseline_like(x, baseline)?;
    let (segments, count) = segment_of_entries(x, segments)?;
    let attribution = to_f64(&like_input(x, attribution)?.broadcast_as(x.shape())?)?;
    let mut ranks = Vec::with_capacity(attribution.len());
    for values in attribution.chunks(segments.len().max(1)) {
        let of_segments = descending_ranks(&pooled(values, &segments, count, pool));
        ranks.extend(segments.iter().map(|&segment| of_segments[segment as usize]));
    }
    let ranks = Tensor::from_vec(ranks, x.shape(), x.device())?;
    let counts: Vec<f64> = (0..=count).map(|removed| removed as f64).collect();
    curves(target, x, &baseline, &ranks, &counts)
}

/// The attribution of each segment. Summed as differences from its first entry, so that segments of
/// equal entries have exactly the same mean, whatever their sizes.
fn pooled(values: &[f64], segments: &[u32], count: usize, pool: Pool) -> Vec<f64> {
    let mut firsts = vec![None; count];
    let mut excesses = vec![0.; count];
    let mut sizes = vec![0.; count];
    for (value, &segment) in values.iter().zip(segments) {
        let segment = segment as usize;
        excesses[segment] += value - *firsts[segment].get_or_insert(*value);
        sizes[segment] += 1.;
    }
    let firsts = firsts.into_iter().map(|first: Option<f64>| first.unwrap_or_default());
    firsts
        .zip(excesses.into_iter().zip(sizes))
        .map(|(first, (excess, size))| match pool {
            Pool::Mean => first + excess / size,
            Pool::Sum => first * size + excess,
        })
        .collect()
}
