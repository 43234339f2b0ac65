//! The forward and backward passes of a batch: its chunks in parallel, then the sums over them.

use rayon::prelude::*;

use super::backward::{BackwardChunk, BackwardScratch};
use super::curves::{Curves, RowSums};
use super::dims::{Chunk, Dims};
use super::forward::{ForwardChunk, ForwardScratch};
use super::panels::Panels;
use super::weights::{Gradients, WeightGradients, WeightSums, Weights};
use crate::curve::ToneCurve;
use crate::factor::Factor;
use crate::isa::Instructions;
use crate::product::COLUMNS;

/// Into how many parts the pixels of a batch are cut for the weights' gradient, whatever the number
/// of threads: the order of sums, and so every bit, depends on it.
pub(crate) const PARTS: usize = 16;

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
    panels: &Panels,
    instructions: Instructions,
    inputs: Inputs,
    curves: &[&dyn ToneCurve],
) -> Vec<f32> {
    let curves = &Curves::new(curves, dims.attributes, dims.channels);
    let image = dims.attributes * curves.count() * 2 * dims.channels;
    let mut out = vec![0f32; dims.images * image];
    if out.is_empty() {
        return out;
    }
    let sums = row_sums::<F>(dims, panels, instructions, inputs, curves);
    let each = sums.len() / dims.images;
    out.par_chunks_exact_mut(image).enumerate().for_each(|(b, out)| {
        let u = &inputs.u[b * dims.pixels * dims.inputs..][..dims.pixels * dims.inputs];
        let image = ImageMeans { dims, panels, curves, features: &feature_sums(dims, curves, u) };
        image.write(&sums[b * each..][..each], out);
    });
    out
}

/// Sums over the pixels of each image, [B, panels, sums of a row, 2, 32].
fn row_sums<F: Factor>(
    dims: &Dims,
    panels: &Panels,
    instructions: Instructions,
    inputs: Inputs,
    curves: &Curves,
) -> Vec<f32> {
    let each = panels.count() * curves.sums() * 2 * COLUMNS;
    if each == 0 {
        return vec![];
    }
    let weights = &Weights::<F>::forward(dims, panels, inputs.w, inputs.bias);
    let chunks = dims.chunks();
    let parts = dims.parts(&chunks);
    let mut sums = vec![0f32; parts.len() * each];
    sums.par_chunks_exact_mut(each).zip(&parts).for_each_init(
        || ForwardScratch::<F>::new(dims, !curves.applied.is_empty()),
        |scratch, (sums, chunks)| {
            for chunk in *chunks {
                let u = inputs.u;
                let job = ForwardChunk { dims, panels, chunk, u, weights, curves, sums, scratch };
                F::dispatch(instructions, job);
            }
        },
    );
    let image_parts = parts.len() / dims.images;
    let mut out = vec![0f32; dims.images * each];
    let of_images = sums.par_chunks_exact(each * image_parts);
    out.par_chunks_exact_mut(each).zip(of_images).for_each(|(out, parts)| {
        for part in parts.chunks_exact(each) {
            out.iter_mut().zip(part).for_each(|(o, s)| *o += s);
        }
    });
    out
}

/// Σ z over the pixels of an image, `[C]`, from its inputs [P, D], if a curve needs it.
fn feature_sums(dims: &Dims, curves: &Curves, u: &[f32]) -> Vec<f32> {
    let mut sums = vec![0f64; dims.channels];
    if !curves.are_identity() {
        for pixel in u.chunks_exact(dims.inputs) {
            sums.iter_mut().zip(pixel).for_each(|(sum, &z)| *sum += f64::from(z));
        }
    }
    sums.into_iter().map(|sum| sum as f32).collect()
}

/// What the means of an image follow from.
struct ImageMeans<'a> {
    dims: &'a Dims,
    panels: &'a Panels,
    curves: &'a Curves<'a>,
    /// Σ z over the pixels, `[C]`.
    features: &'a [f32],
}

impl ImageMeans<'_> {
    /// Writes means [K, curves, 2, C] from sums [panels, sums of a row, 2, 32].
    fn write(&self, sums: &[f32], out: &mut [f32]) {
        let Self { panels, curves, .. } = self;
        if !curves.are_identity() {
            panels.left_out(self.dims).for_each(|row| self.write_closed(row, out));
        }
        let each = curves.sums() * 2 * COLUMNS;
        for panel in panels.iter() {
            let sums = &sums[panel.index * each..][..each];
            for (lane, &row) in panel.rows.iter().enumerate() {
                let of = |i: usize| {
                    let at = i * 2 * COLUMNS + lane;
                    RowSums { products: sums[at], masks: sums[at + COLUMNS] }
                };
                for i in 0..curves.count() {
                    let sums = curves.of_row(i, row, of, self.of_channel(row));
                    self.place(i, row, sums, out);
                }
            }
        }
    }

    /// Writes a row whose masks are 0.
    fn write_closed(&self, row: (usize, usize), out: &mut [f32]) {
        for i in 0..self.curves.count() {
            self.place(i, row, self.curves.of_closed(i, row, self.of_channel(row)), out);
        }
    }

    /// Σ z of a row's channel, and the number of pixels.
    fn of_channel(&self, row: (usize, usize)) -> (f32, f32) {
        (self.features[row.1], self.dims.pixels as f32)
    }

    fn place(&self, i: usize, (k, c): (usize, usize), sums: RowSums, out: &mut [f32]) {
        let Dims { channels, pixels, .. } = *self.dims;
        let at = (k * self.curves.count() + i) * 2 * channels + c;
        out[at] = sums.products / pixels as f32;
        out[at + channels] = sums.masks / pixels as f32;
    }
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
    panels: &Panels,
    instructions: Instructions,
    inputs: Inputs,
    g: &[f32],
    needs_weights: bool,
) -> Gradients {
    let Inputs { u, w, bias } = inputs;
    let mut du = vec![0f32; u.len()];
    if du.is_empty() || panels.count() == 0 {
        let zeros = || WeightGradients { dw: vec![0.; w.len()], db: vec![0.; bias.len()] };
        return Gradients { du, weights: needs_weights.then(zeros) };
    }
    let weights = &Weights::<F>::backward(dims, panels, w, bias);
    let chunks = dims.chunks();
    let mut parts = into_parts(dims, panels, &chunks, &mut du, needs_weights);
    parts.par_iter_mut().for_each_init(
        || BackwardScratch::<F>::new(dims, needs_weights),
        |scratch, part| {
            let mut rest = &mut *part.du;
            for chunk in part.chunks {
                let (du, others) = rest.split_at_mut(chunk.pixels * dims.inputs);
                let weight_sums = part.weight_sums.as_mut();
                let job =
                    BackwardChunk { dims, panels, chunk, u, g, weights, du, weight_sums, scratch };
                F::dispatch(instructions, job);
                rest = others;
            }
        },
    );
    let sums: Vec<WeightSums> = parts.into_iter().filter_map(|part| part.weight_sums).collect();
    let weights = needs_weights.then(|| WeightSums::total(dims, panels, &sums));
    Gradients { du, weights }
}

/// Cuts a batch into [`PARTS`].
fn into_parts<'a>(
    dims: &Dims,
    panels: &Panels,
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
            let zeros = || WeightSums::zeros(dims, 0..panels.count());
            Part { chunks, du, weight_sums: needs_weights.then(zeros) }
        })
        .collect()
}
