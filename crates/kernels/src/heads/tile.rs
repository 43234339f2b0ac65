//! The forward and backward pass of all attention heads on one chunk of pixels, in cache.

use std::iter::once;

use pulp::{Simd, WithSimd};

use super::curves::Curves;
use super::dims::{CHUNK, Chunk, Dims};
use super::rows::{GROUP, Panel, Panels};
use super::weights::{WeightSums, Weights};
use crate::curve::ToneCurve;
use crate::factor::Factor;
use crate::product::{
    COLUMNS, Left, ROWS, Stretch, Tile, add_product, pack_columns, pack_row, steps,
};
use crate::sigmoid::{Row, Upstream, add_sums, gradient, masks};

/// A thread's buffers, which it keeps between chunks.
///
/// Products read packed operands. Where a factor holds one term ([`Factor::TERMS`] = 1), operands
/// over the rows or the inputs serve as those over the pixels too, and where it is the `f32` value
/// itself, `u` serves as both: the other buffers stay empty. Those over the pixels do so too where
/// the weights' gradients are not needed.
pub(crate) struct Scratch<F> {
    /// The chunk's inputs, [CHUNK, pitch]; zero beyond D.
    u: Vec<f32>,
    /// The same as left operands over the inputs, [CHUNK, pitch].
    u_over_inputs: Vec<F>,
    /// The same as left operands over the pixels, [steps of CHUNK, pitch].
    u_over_pixels: Vec<F>,
    /// The inputs' gradient through the masks, [CHUNK, pitch]; empty in the forward pass.
    du: Vec<f32>,
    /// The rest of it, that of the features beside the masks. Kept apart, so that no bit depends on
    /// which rows form a group.
    direct: Vec<f32>,
    /// The logits' gradient of one group as left operands over the rows, [GROUP, CHUNK, steps of
    /// 32].
    da_over_rows: Vec<F>,
    /// The same as right operands over the pixels, [GROUP, steps of CHUNK, 32].
    da_over_pixels: Vec<F>,
    /// The masks of a panel, row by row, as a curve takes them: [32, CHUNK]; empty where no curve
    /// is applied.
    masks: Vec<f32>,
    /// The same under a curve.
    curved_masks: Vec<f32>,
}

impl<F: Factor> Scratch<F> {
    /// Buffers of the forward pass.
    pub fn forward(dims: &Dims, applies_curves: bool) -> Self {
        let pixels = CHUNK * dims.pitch();
        let panel = if applies_curves { COLUMNS * CHUNK } else { 0 };
        let is_u = F::same(&[]).is_some();
        Self {
            u: vec![0f32; pixels],
            u_over_inputs: vec![F::default(); if is_u { 0 } else { pixels }],
            u_over_pixels: vec![],
            du: vec![],
            direct: vec![],
            da_over_rows: vec![],
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
            direct: vec![0f32; CHUNK * dims.pitch()],
            da_over_rows: vec![F::default(); GROUP * CHUNK * COLUMNS],
            da_over_pixels: over_pixels(GROUP * CHUNK * COLUMNS),
            ..Self::forward(dims, false)
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
    ) -> Sums {
        self.curved_masks.copy_from_slice(&self.masks);
        let masks = self.curved_masks.chunks_exact_mut(CHUNK);
        for (mask, &(k, c)) in masks.zip(panel.rows) {
            curve.apply(k, c, &mut mask[..chunk.pixels]);
        }
        let mut sums = Sums::default();
        for pixel in 0..chunk.pixels {
            let mask = std::array::from_fn(|j| self.curved_masks[j * CHUNK + pixel]);
            let z = panel.features(&self.u[pixel * dims.pitch()..][..dims.pitch()]);
            add_sums::<S>(&mask, &z, &mut sums.products, &mut sums.masks);
        }
        sums
    }

    /// The inputs as left operands over the inputs.
    #[inline(always)]
    fn over_inputs(&self) -> &[F] {
        F::same(&self.u).unwrap_or(&self.u_over_inputs)
    }
}

/// Sums over the pixels of a chunk, for the rows of a panel.
#[derive(Default)]
struct Sums {
    products: Row,
    masks: Row,
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
    let bias = row(&weights.bias, panel.index * COLUMNS);
    out.chunks_exact_mut(COLUMNS).for_each(|out| out.copy_from_slice(bias));
    let steps = steps::<F>(dims.inputs);
    let a = Left { values: scratch.over_inputs(), row: dims.pitch(), step: 1 };
    let stretch = Stretch { a: pixel * dims.pitch(), b: panel.index * steps * COLUMNS, steps };
    let tile = Tile { values: &mut out, start: 0, row: COLUMNS };
    add_product(simd, once(stretch), a, &weights.to_logits, tile);
    out
}

/// The forward pass of a chunk: adds its pixels to `sums` [panels, sums of a row, 2, 32], those of
/// mask ⊗ feature and then those of the mask.
pub(crate) struct ForwardChunk<'a, F> {
    pub dims: &'a Dims,
    pub panels: &'a Panels,
    pub chunk: &'a Chunk,
    pub u: &'a [f32],
    pub weights: &'a Weights<F>,
    pub curves: &'a Curves<'a>,
    pub sums: &'a mut [f32],
    pub scratch: &'a mut Scratch<F>,
}

impl<F: Factor> WithSimd for ForwardChunk<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { dims, panels, chunk, weights, curves, sums, scratch, .. } = self;
        scratch.load(dims, chunk, self.u);
        let each = curves.sums() * 2 * COLUMNS;
        for (panel, sums) in panels.iter().zip(sums.chunks_exact_mut(each)) {
            let mut powers: [Sums; 3] = Default::default();
            for pixel in (0..chunk.pixels).step_by(ROWS) {
                let mut tile = logits(simd, dims, weights, scratch, pixel, panel);
                for r in 0..ROWS.min(chunk.pixels - pixel) {
                    let mask = row_mut(&mut tile, r * COLUMNS);
                    masks::<S>(mask);
                    let z =
                        panel.features(&scratch.u[(pixel + r) * dims.pitch()..][..dims.pitch()]);
                    for (power, Sums { products, masks }) in curves.powers.iter().zip(&mut powers) {
                        add_sums::<S>(&power.apply(mask), &z, products, masks);
                    }
                    if !curves.applied.is_empty() {
                        for (j, &m) in mask.iter().enumerate() {
                            scratch.masks[j * CHUNK + pixel + r] = m;
                        }
                    }
                }
            }
            let (of_powers, others) = sums.split_at_mut(curves.powers.len() * 2 * COLUMNS);
            of_powers.chunks_exact_mut(2 * COLUMNS).zip(&powers).for_each(|(out, s)| s.add_to(out));
            for (&curve, out) in curves.applied.iter().zip(others.chunks_exact_mut(2 * COLUMNS)) {
                scratch.sums_with_curve::<S>(curve, dims, chunk, panel).add_to(out);
            }
        }
    }
}

impl Sums {
    /// Adds them to [2, 32].
    #[inline(always)]
    fn add_to(&self, out: &mut [f32]) {
        let from = self.products.iter().chain(&self.masks);
        out.iter_mut().zip(from).for_each(|(sum, v)| *sum += v);
    }
}

/// The backward pass of a chunk.
pub(crate) struct BackwardChunk<'a, F> {
    pub dims: &'a Dims,
    pub panels: &'a Panels,
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
        let Self { dims, panels, chunk, weights, mut weight_sums, scratch, .. } = self;
        scratch.load(dims, chunk, self.u);
        scratch.du.fill(0.);
        scratch.direct.fill(0.);
        for group in 0..panels.groups() {
            let rows = panels.rows_of_group(group);
            if !has_gradient(dims, self.g, chunk.image, rows) {
                continue;
            }
            for (place, panel) in panels.of_group(group).enumerate() {
                let g = upstream(dims, self.g, chunk.image, panel);
                let mut unused = [0f32; COLUMNS];
                let db = match &mut weight_sums {
                    Some(sums) => row_mut(&mut sums.db, panel.index * COLUMNS),
                    None => &mut unused,
                };
                for pixel in (0..chunk.pixels).step_by(ROWS) {
                    let valid = ROWS.min(chunk.pixels - pixel);
                    let tile = logits(simd, dims, weights, scratch, pixel, panel);
                    scratch.masks_gradient::<S>(dims, panel, place, (pixel, valid), tile, &g, db);
                }
            }
            inputs_gradient(simd, dims, chunk, weights, scratch, (group, rows.len()));
            if let Some(sums) = &mut weight_sums {
                weights_gradient(simd, dims, chunk, scratch, (group, rows.len()), &mut sums.dw);
            }
        }
        let pitch = dims.pitch();
        let from = scratch.du.chunks_exact(pitch).zip(scratch.direct.chunks_exact(pitch));
        for (out, (du, direct)) in self.du.chunks_exact_mut(dims.inputs).zip(from) {
            out.iter_mut().zip(du).zip(direct).for_each(|((out, du), direct)| *out = du + direct);
        }
    }
}

/// Where the gradient of a row's mean of an image is in g [B, K, 2, C]: that of the product, and C
/// further that of the mask.
#[inline(always)]
fn at_row(dims: &Dims, image: usize, (k, c): (usize, usize)) -> usize {
    (image * dims.attributes + k) * 2 * dims.channels + c
}

/// Whether the gradient of some rows' means of an image is not zero everywhere. An explanation of
/// one logit has that of one attribute of K.
fn has_gradient(dims: &Dims, g: &[f32], image: usize, rows: &[(usize, usize)]) -> bool {
    rows.iter().any(|&row| {
        let at = at_row(dims, image, row);
        g[at] != 0. || g[at + dims.channels] != 0.
    })
}

/// The gradient of a panel's sums over the pixels; zero beyond its last row.
#[inline(always)]
fn upstream(dims: &Dims, g: &[f32], image: usize, panel: Panel) -> Upstream {
    let part = |which: usize| -> Row {
        let mut out = [0f32; COLUMNS];
        out.iter_mut().zip(panel.rows).for_each(|(out, &row)| {
            *out = g[at_row(dims, image, row) + which * dims.channels] / dims.pixels as f32;
        });
        out
    };
    Upstream { features: part(0), masks: part(1) }
}

impl<F: Factor> Scratch<F> {
    /// Packs the logits' gradient of 8 pixels, of which the first `valid` exist, given their logits
    /// (`tile`), and adds the part of the features' gradient that does not pass through the masks.
    /// `place` is the panel's in its group.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "one tile of one panel, seen from all sides")]
    fn masks_gradient<S: Simd>(
        &mut self,
        dims: &Dims,
        panel: Panel,
        place: usize,
        (pixel, valid): (usize, usize),
        mut tile: [f32; ROWS * COLUMNS],
        g: &Upstream,
        db: &mut Row,
    ) {
        for r in 0..valid {
            let at = (pixel + r) * dims.pitch();
            let logits = row_mut(&mut tile, r * COLUMNS);
            let z = panel.features(&self.u[at..][..dims.pitch()]);
            let masks = gradient::<S>(logits, &z, g, db);
            panel.add_products::<S>(&masks, &g.features, &mut self.direct[at..][..dims.pitch()]);
        }
        tile[valid * COLUMNS..].fill(0.);
        let per_pixel = COLUMNS / F::TERMS;
        let at = (place * CHUNK + pixel) * per_pixel;
        pack_row(&tile, &mut self.da_over_rows[at..][..ROWS * per_pixel]);
        if !self.da_over_pixels.is_empty() {
            let at = (place * CHUNK + pixel) / F::TERMS * COLUMNS;
            pack_columns(&tile, ROWS, COLUMNS, COLUMNS, &mut self.da_over_pixels[at..], COLUMNS);
        }
    }
}

/// du[p, d] += Σ_r da[p, r]·W[r, d] over the rows r of a group.
#[inline(always)]
fn inputs_gradient<F: Factor, S: Simd>(
    simd: S,
    dims: &Dims,
    chunk: &Chunk,
    weights: &Weights<F>,
    scratch: &mut Scratch<F>,
    (group, rows): (usize, usize),
) {
    let per_panel = COLUMNS / F::TERMS;
    let terms = steps::<F>(rows);
    let start = group * Weights::<F>::group_size(dims);
    for panel in 0..dims.padded_inputs() / COLUMNS {
        for pixel in (0..chunk.pixels).step_by(ROWS) {
            let stretches = (0..rows.div_ceil(COLUMNS)).map(|i| Stretch {
                a: (i * CHUNK + pixel) * per_panel,
                b: start + (panel * terms + i * per_panel) * COLUMNS,
                steps: per_panel.min(terms - i * per_panel),
            });
            let a = Left { values: &scratch.da_over_rows, row: per_panel, step: 1 };
            let tile = Tile {
                values: &mut scratch.du,
                start: pixel * dims.pitch() + panel * COLUMNS,
                row: dims.pitch(),
            };
            add_product(simd, stretches, a, &weights.to_inputs, tile);
        }
    }
}

/// dW[d, r] += Σ_p u[p, d]·da[p, r] for the rows r of a group.
#[inline(always)]
fn weights_gradient<F: Factor, S: Simd>(
    simd: S,
    dims: &Dims,
    chunk: &Chunk,
    scratch: &Scratch<F>,
    (group, rows): (usize, usize),
    dw: &mut [f32],
) {
    let (u, b) = match F::TERMS {
        1 => (scratch.over_inputs(), &scratch.da_over_rows),
        _ => (&scratch.u_over_pixels[..], &scratch.da_over_pixels),
    };
    let a = Left { values: u, row: 1, step: dims.pitch() };
    for place in 0..rows.div_ceil(COLUMNS) {
        for d in (0..dims.inputs).step_by(ROWS) {
            let stretch = Stretch {
                a: d,
                b: place * CHUNK / F::TERMS * COLUMNS,
                steps: steps::<F>(chunk.pixels),
            };
            let start = ((group * GROUP + place) * dims.padded_inputs() + d) * COLUMNS;
            let tile = Tile { values: dw, start, row: COLUMNS };
            add_product(simd, once(stretch), a, b, tile);
        }
    }
}
