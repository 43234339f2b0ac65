//! The forward pass of a convolution: products of the padded images' rows with the weights.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::geometry::{Chunk, Geometry};
use crate::factor::Factor;
use crate::isa::Instructions;
use crate::product::{
    COLUMNS, Left, ROWS, Stretch, Tile, add_product, columns_padded, pack, steps,
};

/// x [B, H, W, I] → [B, H, W, O]. `weight` gives the weight of an output, an input and a tap.
pub(crate) fn forward<F: Factor>(
    geometry: &Geometry,
    instructions: Instructions,
    x: &[f32],
    weight: impl Fn(usize, usize, usize) -> f32,
    bias: &[f32],
) -> Vec<f32> {
    let outputs = geometry.outputs;
    let mut out = vec![0f32; geometry.images * outputs * geometry.pixels()];
    if out.is_empty() {
        return out;
    }
    let weights = panels::<F>(geometry, weight);
    let x = geometry.pad_over_channels::<F>(x);
    let mut padded_bias = vec![0f32; columns_padded(outputs)];
    padded_bias[..outputs].copy_from_slice(bias);
    let mut rest = &mut out[..];
    let image_size = geometry.padded_image(steps::<F>(geometry.inputs));
    let mut jobs: Vec<ForwardRows<F>> = geometry
        .chunks()
        .into_iter()
        .map(|Chunk { image, first, rows }| {
            let (out, others) = std::mem::take(&mut rest).split_at_mut(rows * geometry.w * outputs);
            rest = others;
            let x = &x[image * image_size..][..image_size];
            ForwardRows { geometry, x, first, weights: &weights, bias: &padded_bias, out }
        })
        .collect();
    jobs.par_iter_mut().for_each(|job| F::dispatch(instructions, job));
    out
}

/// The weights of a convolution as panels [O/32, taps, steps of I, 32].
fn panels<F: Factor>(geometry: &Geometry, weight: impl Fn(usize, usize, usize) -> f32) -> Vec<F> {
    let Geometry { inputs, outputs, .. } = *geometry;
    // An odd number of inputs is filled up, so that no factor belongs to two taps.
    let each = steps::<F>(inputs) * F::TERMS;
    let terms = geometry.taps() * each;
    let mut rows = Vec::with_capacity(terms * outputs);
    for tap in 0..geometry.taps() {
        for i in 0..each {
            rows.extend((0..outputs).map(|o| if i < inputs { weight(o, i, tap) } else { 0. }));
        }
    }
    let mut out = vec![F::default(); steps::<F>(terms) * columns_padded(outputs)];
    pack(&rows, terms, outputs, outputs, 1, &mut out);
    out
}

/// Some rows of an image: `out` [rows, W, O] from the padded image.
struct ForwardRows<'a, F> {
    geometry: &'a Geometry,
    x: &'a [F],
    /// The first row.
    first: usize,
    weights: &'a [F],
    bias: &'a [f32],
    out: &'a mut [f32],
}

impl<F: Factor> WithSimd for &mut ForwardRows<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Geometry { inputs, outputs, w, .. } = *self.geometry;
        let each = steps::<F>(inputs);
        let panel_steps = self.geometry.taps() * each;
        for (panel, bias) in self.bias.as_chunks::<COLUMNS>().0.iter().enumerate() {
            let width = COLUMNS.min(outputs - panel * COLUMNS);
            for (y, out) in self.out.chunks_exact_mut(w * outputs).enumerate() {
                for x in (0..w).step_by(ROWS) {
                    let mut tile = [*bias; ROWS];
                    let stretches = (0..self.geometry.taps()).map(|tap| Stretch {
                        a: self.geometry.offset(self.first + y, x, tap, each),
                        b: (panel * panel_steps + tap * each) * COLUMNS,
                        steps: each,
                    });
                    let a = Left { values: self.x, row: each, step: 1 };
                    let rows = ROWS.min(w - x);
                    let c = Tile { values: tile.as_flattened_mut(), start: 0, row: COLUMNS, rows };
                    // SAFETY: the factor dispatches this job, and clones repeat the stretches.
                    unsafe { add_product(simd, stretches, a, self.weights, c) };
                    let pixels = out[x * outputs..].chunks_exact_mut(outputs);
                    for (out, row) in pixels.zip(&tile) {
                        out[panel * COLUMNS..][..width].copy_from_slice(&row[..width]);
                    }
                }
            }
        }
    }
}
