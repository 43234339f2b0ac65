//! The logits of a batch: parts of its images in parallel, then the sums over them.

use rayon::prelude::*;

use super::block::{ChunkJob, Scratch};
use super::prepared::Prepared;
use super::{ChannelCut, Values};
use crate::factor::Factor;
use crate::heads::dims::Dims;
use crate::isa::Instructions;

/// Logits [cuts, B, K].
pub(super) fn logits<F: Factor>(
    dims: &Dims,
    instructions: Instructions,
    values: &Values,
    cuts: &[ChannelCut],
) -> Vec<f32> {
    let Dims { images, channels, pixels, .. } = *dims;
    let each = cuts.len() * dims.attributes;
    if images * each == 0 {
        return vec![];
    }
    let prepared = &Prepared::<F>::new(dims, values, cuts);
    let chunks = dims.chunks();
    let parts = dims.parts(&chunks);
    let mut sums = vec![0f64; parts.len() * each];
    sums.par_chunks_exact_mut(each).zip(&parts).for_each_init(
        || Scratch::new(prepared),
        |scratch, (sums, chunks)| {
            for chunk in *chunks {
                let first = chunk.image * pixels + chunk.start;
                let z = &values.z[first * channels..][..chunk.pixels * channels];
                F::dispatch(instructions, ChunkJob { prepared, z, sums, scratch });
            }
        },
    );
    read_out(dims, values, cuts, &sums)
}

/// The logits, from sums [B, parts, cuts, K] over the pixels of each part.
fn read_out(dims: &Dims, values: &Values, cuts: &[ChannelCut], sums: &[f64]) -> Vec<f32> {
    let Dims { images, attributes, pixels, .. } = *dims;
    let each = cuts.len() * attributes;
    let mut logits = vec![0f32; images * each];
    for (image, parts) in sums.chunks_exact(sums.len() / images).enumerate() {
        for (number, cut) in cuts.iter().enumerate() {
            for k in 0..attributes {
                let of_part = |part: &[f64]| part[number * attributes + k];
                let sum: f64 = parts.chunks_exact(each).map(of_part).sum();
                let offset = cut.stand_in.map_or(0., |stand_in| stand_in.readout_offsets[k]);
                let bias = f64::from(values.readout_bias[k]) + f64::from(offset);
                logits[(number * images + image) * attributes + k] =
                    (bias + sum / pixels as f64) as f32;
            }
        }
    }
    logits
}
