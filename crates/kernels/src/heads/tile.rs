//! The forward and backward pass of all attention heads on one chunk of pixels, in cache.

use std::iter::once;

use pulp::{Simd, WithSimd};

use super::dims::{CHUNK, Chunk, Dims, Panel};
use super::weights::{WeightSums, Weights};
use crate::curve::ToneCurve;
use crate::factor::Factor;
use crate::product::{
    COLUMNS, Left, ROWS, Stretch, Tile, add_product, pack_columns, pack_row, steps,
};
use crate::sigmoid::{Row, Upstream, add_sums, gradient, masks};

/// A thread's buffers, which it keeps between chunks.
///
/// Products read packed operands. Where factors are single `f32` values ([`Factor::TERMS`] = 1),
/// `u` serves as both of its packed forms and `da_over_channels` as the one over the pixels: the
/// other buffers stay empty. Those over the pixels do so too where the weights' gradients are not
/// needed.
pub(crate) struct Scratch<F> {
    /// The chunk's inputs, [CHUNK, pitch]; zero beyond D.
    u: Vec<f32>,
    /// The same as left operands over the inputs, [CHUNK, pitch].
    u_over_inputs: Vec<F>,
    /// The same as left operands over the pixels, [steps of CHUNK, pitch].
    u_over_pixels: Vec<F>,
    /// The inputs' gradient, [CHUNK, pitch]; empty in the forward pass.
    du: Vec<f32>,
    /// The logits' gradient of one attribute as left operands over the channels, [C/32, CHUNK,
    /// steps of 32].
    da_over_channels: Vec<F>,
    /// The same as right operands over the pixels, [C/32, steps of CHUNK, 32].
    da_over_pixels: Vec<F>,
    /// The masks of a panel, channel by channel, as a curve takes them: [32, CHUNK]; empty where
    /// there is no curve.
    masks: Vec<f32>,
    /// The same under a curve.
    curved_masks: Vec<f32>,
}

impl<F: Factor> Scratch<F> {
    /// Buffers of the forward pass.
    pub fn forward(dims: &Dims, curves: &[&dyn ToneCurve]) -> Self {
        let pixels = CHUNK * dims.pitch();
        let panel = if all_identity(curves) { 0 } else { COLUMNS * CHUNK };
        Self {
            u: vec![0f32; pixels],
            u_over_inputs: vec![F::default(); if F::TERMS == 1 { 0 } else { pixels }],
            u_over_pixels: vec![],
            du: vec![],
            da_over_channels: vec![],
            da_over_pixels: vec![],
            masks: vec![0f32; panel],
            curved_masks: vec![0f32; panel],
        }
    }

    /// Buffers of the backward pass.
    pub fn backward(dims: &Dims, needs_weights: bool) -> Self {
        let over_pixels = |length: usize| {
            vec![F::default(); if F::TERMS == 1 || !needs_weights { 0 } else { length }]
        };
        Self {
            u_over_pixels: over_pixels(CHUNK * dims.pitch()),
            du: vec![0f32; CHUNK * dims.pitch()],
            da_over_channels: vec![F::default(); CHUNK * dims.padded_channels()],
            da_over_pixels: over_pixels(CHUNK * dims.padded_channels()),
            ..Self::forward(dims, &[])
        }
    }

    /// Reads the inputs of a chunk. Pixels beyond its last are zero up to a whole group of rows.
    #[inline(always)]
    fn load(&mut self, dims: &Dims, chunk: &Chunk, u: &[f32]) {
        let d = dims.inputs;
        let pitch = dims.pitch();
        let from = &u[(chunk.image * dims.pixels + chunk.start) * d..][..chunk.pixels * d];
        for (out, from) in self.u.chunks_exact_mut(pitch).zip(from.chunks_exact(d)) {
            out[..d].copy_from_slice(from);
        }
        let pixels = chunk.pixels.next_multiple_of(ROWS);
        self.u[chunk.pixels * pitch..pixels * pitch].fill(0.);
        let rows = self.u_over_inputs.chunks_exact_mut(pitch).zip(self.u.chunks_exact(pitch));
        for (out, from) in rows.take(pixels) {
            pack_row(&from[..dims.padded_inputs()], out);
        }
        if !self.u_over_pixels.is_empty() {
            let columns = dims.padded_inputs();
            pack_columns(&self.u, pixels, pitch, columns, &mut self.u_over_pixels, pitch);
        }
    }

    /// Sums over the pixels of a panel's masks under a curve: of mask ⊗ feature, and of the mask.
    /// They are added in the same order as without a curve, so that the identity changes no bit.
    #[inline(always)]
    fn sums_with_curve<S: Simd>(
        &mut self,
        curve: &dyn ToneCurve,
        dims: &Dims,
        chunk: &Chunk,
        panel: Panel,
    ) -> (Row, Row) {
        self.curved_masks.copy_from_slice(&self.masks);
        let channels = self.curved_masks.chunks_exact_mut(CHUNK).take(panel.width(dims));
        for (j, mask) in channels.enumerate() {
            curve.apply(panel.attribute, panel.first() + j, &mut mask[..chunk.pixels]);
        }
        let mut products = [0f32; COLUMNS];
        let mut totals = [0f32; COLUMNS];
        for pixel in 0..chunk.pixels {
            let mask = std::array::from_fn(|j| self.curved_masks[j * CHUNK + pixel]);
            let z = row(&self.u, pixel * dims.pitch() + panel.first());
            add_sums::<S>(&mask, z, &mut products, &mut totals);
        }
        (products, totals)
    }
}

/// 32 values from `start`.
#[inline(always)]
fn row(values: &[f32], start: usize) -> &Row {
    values[start..].first_chunk().expect("buffers are whole panels")
}

#[inline(always)]
fn row_mut(values: &mut [f32], start: usize) -> &mut Row {
    values[start..].first_chunk_mut().expect("buffers are whole panels")
}

/// The logits of a panel at 8 pixels from `pixel` on.
#[inline(always)]
fn logits<F: Factor, S: Simd>(
    simd: S,
    dims: &Dims,
    weights: &Weights<F>,
    scratch: &Scratch<F>,
    pixel: usize,
    panel: Panel,
) -> [f32; ROWS * COLUMNS] {
    let mut out = [0f32; ROWS * COLUMNS];
    let bias = row(&weights.bias, panel.attribute * dims.padded_channels() + panel.first());
    out.chunks_exact_mut(COLUMNS).for_each(|out| out.copy_from_slice(bias));
    let steps = steps::<F>(dims.inputs);
    let start = (panel.attribute * dims.panels() + panel.index) * steps * COLUMNS;
    let u = F::same(&scratch.u).unwrap_or(&scratch.u_over_inputs);
    let a = Left { values: u, row: dims.pitch(), step: 1 };
    let stretch = Stretch { a: pixel * dims.pitch(), b: start, steps };
    let tile = Tile { values: &mut out, start: 0, row: COLUMNS };
    add_product(simd, once(stretch), a, &weights.to_logits, tile);
    out
}

/// Whether no curve changes a mask.
fn all_identity(curves: &[&dyn ToneCurve]) -> bool {
    curves.iter().all(|curve| curve.is_identity())
}

/// The forward pass of a chunk: adds its pixels to `sums` [K, curves, 2, C], those of mask ⊗
/// feature and then those of the mask.
pub(crate) struct ForwardChunk<'a, F> {
    pub dims: &'a Dims,
    pub chunk: &'a Chunk,
    pub u: &'a [f32],
    pub weights: &'a Weights<F>,
    pub curves: &'a [&'a dyn ToneCurve],
    pub sums: &'a mut [f32],
    pub scratch: &'a mut Scratch<F>,
}

impl<F: Factor> WithSimd for ForwardChunk<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { dims, chunk, weights, curves, sums, scratch, .. } = self;
        scratch.load(dims, chunk, self.u);
        let keep_masks = !all_identity(curves);
        for panel in dims.all_panels() {
            let mut products = [0f32; COLUMNS];
            let mut totals = [0f32; COLUMNS];
            for pixel in (0..chunk.pixels).step_by(ROWS) {
                let mut tile = logits(simd, dims, weights, scratch, pixel, panel);
                for r in 0..ROWS.min(chunk.pixels - pixel) {
                    let mask = row_mut(&mut tile, r * COLUMNS);
                    masks::<S>(mask);
                    let z = row(&scratch.u, (pixel + r) * dims.pitch() + panel.first());
                    add_sums::<S>(mask, z, &mut products, &mut totals);
                    if keep_masks {
                        for (j, &m) in mask.iter().enumerate() {
                            scratch.masks[j * CHUNK + pixel + r] = m;
                        }
                    }
                }
            }
            for (i, &curve) in curves.iter().enumerate() {
                let (products, totals) = match curve.is_identity() {
                    true => (products, totals),
                    false => scratch.sums_with_curve::<S>(curve, dims, chunk, panel),
                };
                let at = (panel.attribute * curves.len() + i) * 2 * dims.channels + panel.first();
                let width = panel.width(dims);
                for (at, row) in [(at, products), (at + dims.channels, totals)] {
                    sums[at..at + width].iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
                }
            }
        }
    }
}

/// The backward pass of a chunk.
pub(crate) struct BackwardChunk<'a, F> {
    pub dims: &'a Dims,
    pub chunk: &'a Chunk,
    pub u: &'a [f32],
    /// Gradient of the means, [B, K, 2, C].
    pub g: &'a [f32],
    pub weights: &'a Weights<F>,
    /// The gradient of the chunk's inputs, [pixels, D], which is overwritten.
    pub du: &'a mut [f32],
    /// The sums that the chunk's part of the weights' gradients is added to, if they are needed.
    pub weight_sums: Option<&'a mut WeightSums>,
    pub scratch: &'a mut Scratch<F>,
}

impl<F: Factor> WithSimd for BackwardChunk<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { dims, chunk, weights, mut weight_sums, scratch, .. } = self;
        scratch.load(dims, chunk, self.u);
        scratch.du.fill(0.);
        for k in (0..dims.attributes).filter(|&k| has_gradient(dims, self.g, chunk.image, k)) {
            for panel in dims.panels_of(k) {
                let g = upstream(dims, self.g, chunk.image, panel);
                let mut unused = [0f32; COLUMNS];
                let db = match &mut weight_sums {
                    Some(sums) => row_mut(&mut sums.db, k * dims.padded_channels() + panel.first()),
                    None => &mut unused,
                };
                for pixel in (0..chunk.pixels).step_by(ROWS) {
                    let valid = ROWS.min(chunk.pixels - pixel);
                    let tile = logits(simd, dims, weights, scratch, pixel, panel);
                    scratch.masks_gradient::<S>(dims, panel, (pixel, valid), tile, &g, db);
                }
            }
            inputs_gradient(simd, dims, chunk, weights, scratch, k);
            if let Some(sums) = &mut weight_sums {
                weights_gradient(simd, dims, chunk, scratch, k, &mut sums.dw);
            }
        }
        let rows = self.du.chunks_exact_mut(dims.inputs).zip(scratch.du.chunks_exact(dims.pitch()));
        for (out, from) in rows {
            out.copy_from_slice(&from[..dims.inputs]);
        }
    }
}

/// Whether the gradient of an attribute's means of an image is not zero everywhere. An explanation
/// of one logit has that of one attribute of K.
fn has_gradient(dims: &Dims, g: &[f32], image: usize, attribute: usize) -> bool {
    let each = 2 * dims.channels;
    g[(image * dims.attributes + attribute) * each..][..each].iter().any(|&v| v != 0.)
}

/// The gradient of a panel's sums over the pixels; zero beyond C.
#[inline(always)]
fn upstream(dims: &Dims, g: &[f32], image: usize, panel: Panel) -> Upstream {
    let part = |which: usize| -> Row {
        let start = ((image * dims.attributes + panel.attribute) * 2 + which) * dims.channels;
        let from = &g[start + panel.first()..][..panel.width(dims)];
        let mut out = [0f32; COLUMNS];
        out.iter_mut().zip(from).for_each(|(o, v)| *o = v / dims.pixels as f32);
        out
    };
    Upstream { features: part(0), masks: part(1) }
}

impl<F: Factor> Scratch<F> {
    /// Packs the logits' gradient of 8 pixels, of which the first `valid` exist, given their logits
    /// (`tile`), and adds the part of the features' gradient that does not pass through the masks.
    #[inline(always)]
    fn masks_gradient<S: Simd>(
        &mut self,
        dims: &Dims,
        panel: Panel,
        (pixel, valid): (usize, usize),
        mut tile: [f32; ROWS * COLUMNS],
        g: &Upstream,
        db: &mut Row,
    ) {
        for r in 0..valid {
            let at = (pixel + r) * dims.pitch() + panel.first();
            let logits = row_mut(&mut tile, r * COLUMNS);
            gradient::<S>(logits, row(&self.u, at), g, row_mut(&mut self.du, at), db);
        }
        tile[valid * COLUMNS..].fill(0.);
        let per_pixel = COLUMNS / F::TERMS;
        let at = (panel.index * CHUNK + pixel) * per_pixel;
        pack_row(&tile, &mut self.da_over_channels[at..][..ROWS * per_pixel]);
        if !self.da_over_pixels.is_empty() {
            let at = (panel.index * CHUNK + pixel) / F::TERMS * COLUMNS;
            pack_columns(&tile, ROWS, COLUMNS, COLUMNS, &mut self.da_over_pixels[at..], COLUMNS);
        }
    }
}

/// du[p, d] += Σ_c da[p, c]·W[c, d]
#[inline(always)]
fn inputs_gradient<F: Factor, S: Simd>(
    simd: S,
    dims: &Dims,
    chunk: &Chunk,
    weights: &Weights<F>,
    scratch: &mut Scratch<F>,
    k: usize,
) {
    let per_panel = COLUMNS / F::TERMS;
    let panels = dims.padded_inputs() / COLUMNS;
    let terms = steps::<F>(dims.channels);
    for panel in 0..panels {
        for pixel in (0..chunk.pixels).step_by(ROWS) {
            let stretches = (0..dims.panels()).map(|i| Stretch {
                a: (i * CHUNK + pixel) * per_panel,
                b: ((k * panels + panel) * terms + i * per_panel) * COLUMNS,
                steps: per_panel.min(terms - i * per_panel),
            });
            let a = Left { values: &scratch.da_over_channels, row: per_panel, step: 1 };
            let tile = Tile {
                values: &mut scratch.du,
                start: pixel * dims.pitch() + panel * COLUMNS,
                row: dims.pitch(),
            };
            add_product(simd, stretches, a, &weights.to_inputs, tile);
        }
    }
}

/// dW[d, c] += Σ_p u[p, d]·da[p, c]
#[inline(always)]
fn weights_gradient<F: Factor, S: Simd>(
    simd: S,
    dims: &Dims,
    chunk: &Chunk,
    scratch: &Scratch<F>,
    k: usize,
    dw: &mut [f32],
) {
    let u = F::same(&scratch.u).unwrap_or(&scratch.u_over_pixels);
    let a = Left { values: u, row: 1, step: dims.pitch() };
    let b = if F::TERMS == 1 { &scratch.da_over_channels } else { &scratch.da_over_pixels };
    for panel in 0..dims.panels() {
        for d in (0..dims.inputs).step_by(ROWS) {
            let stretch = Stretch {
                a: d,
                b: panel * CHUNK / F::TERMS * COLUMNS,
                steps: steps::<F>(chunk.pixels),
            };
            let start = (k * dims.padded_inputs() + d) * dims.padded_channels() + panel * COLUMNS;
            let tile = Tile { values: dw, start, row: dims.padded_channels() };
            add_product(simd, once(stretch), a, b, tile);
        }
    }
}
