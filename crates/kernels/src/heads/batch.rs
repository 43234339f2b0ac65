//! The forward and backward passes of a batch: its chunks in parallel, then the sums over them.

use rayon::prelude::*;

use super::dims::{Chunk, Dims};
use super::tile::{BackwardChunk, ForwardChunk, Scratch};
use super::weights::{WeightGradients, WeightSums, Weights};
use crate::curve::ToneCurve;
use crate::factor::Factor;
use crate::isa::Instructions;

/// Into how many parts the pixels of a batch are cut for the weights' gradient, whatever the number
/// of threads: the order of sums, and so every bit, depends on it.
const PARTS: usize = 16;
/// Into how many parts at most the pixels of one image are cut in the forward pass. More need more
/// memory, above all with many curves.
const IMAGE_PARTS: usize = 8;

/// The values of the operation's inputs.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    /// [B, P, D].
    pub u: &'a [f32],
    /// [K·C, D].
    pub w: &'a [f32],
    /// `[K·C]`.
    pub bias: &'a [f32],
}

/// Means [B, K, curves, 2, C] over the pixels: of mask ⊗ feature, then of the mask.
pub(crate) fn forward<F: Factor>(
    dims: &Dims,
    instructions: Instructions,
    inputs: Inputs,
    curves: &[&dyn ToneCurve],
) -> Vec<f32> {
    let image = dims.attributes * curves.len() * 2 * dims.channels;
    let mut out = vec![0f32; dims.images * image];
    if out.is_empty() {
        return out;
    }
    let weights = &Weights::<F>::forward(dims, inputs.w, inputs.bias);
    let chunks = dims.chunks();
    let image_chunks = chunks.len() / dims.images;
    let part_chunks = image_chunks.div_ceil(IMAGE_PARTS);
    let parts: Vec<&[Chunk]> =
        chunks.chunks(image_chunks).flat_map(|chunks| chunks.chunks(part_chunks)).collect();
    let mut sums = vec![0f32; parts.len() * image];
    sums.par_chunks_exact_mut(image).zip(&parts).for_each_init(
        || Scratch::<F>::forward(dims, curves),
        |scratch, (sums, chunks)| {
            for chunk in *chunks {
                let u = inputs.u;
                let job = ForwardChunk { dims, chunk, u, weights, curves, sums, scratch };
                F::dispatch(instructions, job);
            }
        },
    );
    let image_sums = sums.par_chunks_exact(image * (parts.len() / dims.images));
    out.par_chunks_exact_mut(image).zip(image_sums).for_each(|(out, sums)| {
        for sums in sums.chunks_exact(image) {
            out.iter_mut().zip(sums).for_each(|(o, s)| *o += s);
        }
        out.iter_mut().for_each(|v| *v /= dims.pixels as f32);
    });
    out
}

/// Some chunks, the place of their inputs' gradients, and the sums of the weights' if they are
/// needed.
struct Part<'a> {
    chunks: &'a [Chunk],
    du: &'a mut [f32],
    weight_sums: Option<WeightSums>,
}

/// Gradients of u [B, P, D] and, if `needs_weights`, of the weights and the biases, from the
/// gradient of the means, g [B, K, 2, C].
pub(crate) fn backward<F: Factor>(
    dims: &Dims,
    instructions: Instructions,
    inputs: Inputs,
    g: &[f32],
    needs_weights: bool,
) -> (Vec<f32>, Option<WeightGradients>) {
    let Inputs { u, w, bias } = inputs;
    let mut du = vec![0f32; u.len()];
    if du.is_empty() || w.is_empty() {
        let zeros = || WeightGradients { dw: vec![0.; w.len()], db: vec![0.; bias.len()] };
        return (du, needs_weights.then(zeros));
    }
    let weights = &Weights::<F>::backward(dims, w, bias);
    let chunks = dims.chunks();
    let mut parts = into_parts(dims, &chunks, &mut du, needs_weights);
    parts.par_iter_mut().for_each_init(
        || Scratch::<F>::backward(dims, needs_weights),
        |scratch, part| {
            let mut rest = &mut *part.du;
            for chunk in part.chunks {
                let (du, others) = rest.split_at_mut(chunk.pixels * dims.inputs);
                let weight_sums = part.weight_sums.as_mut();
                let job = BackwardChunk { dims, chunk, u, g, weights, du, weight_sums, scratch };
                F::dispatch(instructions, job);
                rest = others;
            }
        },
    );
    let sums: Vec<WeightSums> = parts.into_iter().filter_map(|part| part.weight_sums).collect();
    (du, needs_weights.then(|| WeightSums::total(dims, &sums)))
}

/// Cuts a batch into [`PARTS`].
fn into_parts<'a>(
    dims: &Dims,
    chunks: &'a [Chunk],
    du: &'a mut [f32],
    needs_weights: bool,
) -> Vec<Part<'a>> {
    let mut rest = du;
    chunks
        .chunks(chunks.len().div_ceil(PARTS))
        .map(|chunks| {
            let pixels: usize = chunks.iter().map(|chunk| chunk.pixels).sum();
            let (du, others) = std::mem::take(&mut rest).split_at_mut(pixels * dims.inputs);
            rest = others;
            Part { chunks, du, weight_sums: needs_weights.then(|| WeightSums::zeros(dims)) }
        })
        .collect()
}
