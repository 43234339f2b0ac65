//! The work of all attention heads on some pixels of one image, in cache.

use std::iter::once;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::curve::ToneCurve;
use crate::factor::Factor;
use crate::heads::{CHUNK, Dims, WeightSums};
use crate::product::{
    COLUMNS, Left, ROWS, Stretch, Tile, add_product, columns_padded, pack, pack_columns, pack_row,
    steps,
};
use crate::sigmoid::{Row, Upstream, add_sums, gradient, masks};

/// Some pixels of one image.
#[derive(Clone, Copy)]
pub(crate) struct Chunk {
    pub image: usize,
    pub start: usize,
    pub pixels: usize,
}

impl Dims {
    /// D in whole panels of the features' gradient, which is also enough for whole groups of rows
    /// of the weights' gradient.
    pub fn padded_inputs(&self) -> usize {
        columns_padded(self.inputs)
    }

    /// Distance of two pixels of a chunk. The odd multiple of a cache line spreads a column over
    /// all sets of the first-level cache.
    fn pitch(&self) -> usize {
        self.padded_inputs() + 16
    }

    fn panels(&self) -> usize {
        self.padded_channels() / COLUMNS
    }

    fn panels_of(&self, attribute: usize) -> impl Iterator<Item = Panel> + use<> {
        (0..self.panels()).map(move |index| Panel { attribute, index })
    }

    fn all_panels(&self) -> impl Iterator<Item = Panel> + '_ {
        (0..self.attributes).flat_map(|attribute| self.panels_of(attribute))
    }
}

/// Weights and biases in the order in which they are used.
pub(crate) struct Weights<F> {
    /// [K, C/32, steps of D, 32]: from inputs to logits.
    to_logits: Vec<F>,
    /// [K, D/32, steps of C, 32]: from the logits' gradients to the inputs'; empty in the forward
    /// pass.
    to_inputs: Vec<F>,
    /// [K, C/32, 32]
    bias: Vec<f32>,
}

impl<F: Factor> Weights<F> {
    pub fn forward(dims: &Dims, w: &[f32], bias: &[f32]) -> Self {
        let (c, d, padded) = (dims.channels, dims.inputs, dims.padded_channels());
        let mut to_logits = vec![F::default(); dims.attributes * padded * steps::<F>(d)];
        let by_attribute =
            w.par_chunks_exact(c * d).zip(to_logits.par_chunks_exact_mut(padded * steps::<F>(d)));
        by_attribute.for_each(|(w, out)| pack(w, d, c, 1, d, out));
        let mut padded_bias = vec![0f32; dims.attributes * padded];
        for (bias, out) in bias.chunks_exact(c).zip(padded_bias.chunks_exact_mut(padded)) {
            out[..c].copy_from_slice(bias);
        }
        Self { to_logits, to_inputs: vec![], bias: padded_bias }
    }

    pub fn backward(dims: &Dims, w: &[f32], bias: &[f32]) -> Self {
        let (c, d) = (dims.channels, dims.inputs);
        let each = steps::<F>(c) * dims.padded_inputs();
        let mut to_inputs = vec![F::default(); dims.attributes * each];
        let by_attribute = w.par_chunks_exact(c * d).zip(to_inputs.par_chunks_exact_mut(each));
        by_attribute.for_each(|(w, out)| pack(w, c, d, d, 1, out));
        Self { to_inputs, ..Self::forward(dims, w, bias) }
    }
}

/// What a thread keeps between chunks.
pub(crate) struct Scratch<F> {
    /// The chunk's inputs, [CHUNK, pitch]; zero beyond D.
    u: Vec<f32>,
    /// The same as left operands over the inputs, [CHUNK, pitch], and over the pixels, [steps of
    /// CHUNK, pitch]; empty where `u` itself is both, the latter also where nobody asks for the
    /// weights' gradients.
    across: Vec<F>,
    down: Vec<F>,
    /// The inputs' gradient, [CHUNK, pitch]; empty in the forward pass.
    du: Vec<f32>,
    /// The logits' gradient of one attribute as left operand over the channels, [C/32, CHUNK, steps
    /// of 32], and as right operand over the pixels, [C/32, steps of CHUNK, 32]. The latter is
    /// empty where both are the same, and where nobody asks for the weights' gradients.
    da_across: Vec<F>,
    da_down: Vec<F>,
    /// The masks of a panel, and those under a curve, which takes a channel's pixels one after the
    /// other: [32, CHUNK]; empty where there is no curve.
    columns: Vec<f32>,
    curved: Vec<f32>,
}

impl<F: Factor> Scratch<F> {
    pub fn forward(dims: &Dims, curves: &[&dyn ToneCurve]) -> Self {
        let pixels = CHUNK * dims.pitch();
        let panel = if is_plain(curves) { 0 } else { COLUMNS * CHUNK };
        Self {
            u: vec![0f32; pixels],
            across: vec![F::default(); if F::TERMS == 1 { 0 } else { pixels }],
            down: vec![],
            du: vec![],
            da_across: vec![],
            da_down: vec![],
            columns: vec![0f32; panel],
            curved: vec![0f32; panel],
        }
    }

    pub fn backward(dims: &Dims, of_weights: bool) -> Self {
        let doubled = |length: usize| {
            vec![F::default(); if F::TERMS == 1 || !of_weights { 0 } else { length }]
        };
        Self {
            down: doubled(CHUNK * dims.pitch()),
            du: vec![0f32; CHUNK * dims.pitch()],
            da_across: vec![F::default(); CHUNK * dims.padded_channels()],
            da_down: doubled(CHUNK * dims.padded_channels()),
            ..Self::forward(dims, &[])
        }
    }

    /// Takes the inputs of a chunk; pixels beyond its last are zero up to a whole group of rows.
    #[inline(always)]
    fn load(&mut self, dims: &Dims, chunk: &Chunk, u: &[f32]) {
        let (d, pitch) = (dims.inputs, dims.pitch());
        let from = &u[(chunk.image * dims.pixels + chunk.start) * d..][..chunk.pixels * d];
        for (out, from) in self.u.chunks_exact_mut(pitch).zip(from.chunks_exact(d)) {
            out[..d].copy_from_slice(from);
        }
        let pixels = chunk.pixels.next_multiple_of(ROWS);
        self.u[chunk.pixels * pitch..pixels * pitch].fill(0.);
        for (out, from) in
            self.across.chunks_exact_mut(pitch).zip(self.u.chunks_exact(pitch)).take(pixels)
        {
            pack_row(&from[..dims.padded_inputs()], out);
        }
        if !self.down.is_empty() {
            pack_columns(&self.u, pixels, pitch, dims.padded_inputs(), &mut self.down, pitch);
        }
    }

    /// Sums over the pixels of a panel's masks under a curve: of mask ⊗ feature, and of the mask.
    /// In the same order as without a curve, so that masks that it leaves alone give the same bits.
    #[inline(always)]
    fn under<S: Simd>(
        &mut self,
        curve: &dyn ToneCurve,
        dims: &Dims,
        chunk: &Chunk,
        panel: Panel,
    ) -> (Row, Row) {
        self.curved.copy_from_slice(&self.columns);
        for (j, mask) in self.curved.chunks_exact_mut(CHUNK).take(panel.width(dims)).enumerate() {
            curve.apply(panel.attribute, panel.first() + j, &mut mask[..chunk.pixels]);
        }
        let (mut products, mut totals) = ([0f32; COLUMNS], [0f32; COLUMNS]);
        for pixel in 0..chunk.pixels {
            let mask = std::array::from_fn(|j| self.curved[j * CHUNK + pixel]);
            add_sums::<S>(
                &mask,
                row(&self.u, pixel * dims.pitch() + panel.first()),
                &mut products,
                &mut totals,
            );
        }
        (products, totals)
    }
}

/// Some channels of one attribute: the panel of 32 that begins at channel 32·`index`.
#[derive(Clone, Copy)]
struct Panel {
    attribute: usize,
    index: usize,
}

impl Panel {
    fn first(self) -> usize {
        self.index * COLUMNS
    }

    /// How many of its channels there are.
    fn width(self, dims: &Dims) -> usize {
        COLUMNS.min(dims.channels - self.first())
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

/// Logits of 8 pixels from `pixel` and of a panel.
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
    let a =
        Left { values: F::same(&scratch.u).unwrap_or(&scratch.across), row: dims.pitch(), step: 1 };
    let stretch = Stretch { a: pixel * dims.pitch(), b: start, steps };
    add_product(
        simd,
        once(stretch),
        a,
        &weights.to_logits,
        Tile { values: &mut out, start: 0, row: COLUMNS },
    );
    out
}

/// Whether no curve changes a mask.
fn is_plain(curves: &[&dyn ToneCurve]) -> bool {
    curves.iter().all(|curve| curve.is_identity())
}

/// Adds sums over the pixels of a chunk to `sums` [K, curves, 2, C]: of mask ⊗ feature, then of the
/// mask.
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
        let plain = is_plain(curves);
        for panel in dims.all_panels() {
            let (mut products, mut totals) = ([0f32; COLUMNS], [0f32; COLUMNS]);
            for pixel in (0..chunk.pixels).step_by(ROWS) {
                let mut tile = logits(simd, dims, weights, scratch, pixel, panel);
                for r in 0..ROWS.min(chunk.pixels - pixel) {
                    let mask = row_mut(&mut tile, r * COLUMNS);
                    masks::<S>(mask);
                    add_sums::<S>(
                        mask,
                        row(&scratch.u, (pixel + r) * dims.pitch() + panel.first()),
                        &mut products,
                        &mut totals,
                    );
                    if !plain {
                        mask.iter()
                            .enumerate()
                            .for_each(|(j, &m)| scratch.columns[j * CHUNK + pixel + r] = m);
                    }
                }
            }
            for (i, &curve) in curves.iter().enumerate() {
                let (products, totals) = match curve.is_identity() {
                    true => (products, totals),
                    false => scratch.under::<S>(curve, dims, chunk, panel),
                };
                let at = (panel.attribute * curves.len() + i) * 2 * dims.channels + panel.first();
                let width = panel.width(dims);
                for (at, own) in [(at, products), (at + dims.channels, totals)] {
                    sums[at..at + width].iter_mut().zip(own).for_each(|(sum, v)| *sum += v);
                }
            }
        }
    }
}

/// Gradients that the pixels of a chunk make.
pub(crate) struct BackwardChunk<'a, F> {
    pub dims: &'a Dims,
    pub chunk: &'a Chunk,
    pub u: &'a [f32],
    /// Gradient of the means, [B, K, 2, C].
    pub g: &'a [f32],
    pub weights: &'a Weights<F>,
    /// The chunk's own inputs' gradient, [pixels, D], which is overwritten.
    pub du: &'a mut [f32],
    /// What is added to.
    pub of_weights: Option<&'a mut WeightSums>,
    pub scratch: &'a mut Scratch<F>,
}

impl<F: Factor> WithSimd for BackwardChunk<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { dims, chunk, weights, mut of_weights, scratch, .. } = self;
        scratch.load(dims, chunk, self.u);
        scratch.du.fill(0.);
        for k in (0..dims.attributes).filter(|&k| reaches(dims, self.g, chunk.image, k)) {
            for panel in dims.panels_of(k) {
                let g = upstream(dims, self.g, chunk.image, panel);
                let mut unread = [0f32; COLUMNS];
                let db = match &mut of_weights {
                    Some(sums) => row_mut(&mut sums.db, k * dims.padded_channels() + panel.first()),
                    None => &mut unread,
                };
                for pixel in (0..chunk.pixels).step_by(ROWS) {
                    let valid = ROWS.min(chunk.pixels - pixel);
                    let tile = logits(simd, dims, weights, scratch, pixel, panel);
                    scratch.masks_gradient::<S>(dims, panel, (pixel, valid), tile, &g, db);
                }
            }
            inputs_gradient(simd, dims, chunk, weights, scratch, k);
            if let Some(sums) = &mut of_weights {
                weights_gradient(simd, dims, chunk, scratch, k, &mut sums.dw);
            }
        }
        for (out, from) in
            self.du.chunks_exact_mut(dims.inputs).zip(scratch.du.chunks_exact(dims.pitch()))
        {
            out.copy_from_slice(&from[..dims.inputs]);
        }
    }
}

/// Whether any gradient comes from an attribute of an image: an explanation of one logit asks for
/// one of K.
fn reaches(dims: &Dims, g: &[f32], image: usize, attribute: usize) -> bool {
    let of_attribute = 2 * dims.channels;
    g[(image * dims.attributes + attribute) * of_attribute..][..of_attribute]
        .iter()
        .any(|&v| v != 0.)
}

/// The gradient of a panel's sums over the pixels; zero beyond C.
#[inline(always)]
fn upstream(dims: &Dims, g: &[f32], image: usize, panel: Panel) -> Upstream {
    let part = |which: usize| -> Row {
        let from = &g[((image * dims.attributes + panel.attribute) * 2 + which) * dims.channels
            + panel.first()..][..panel.width(dims)];
        let mut out = [0f32; COLUMNS];
        out.iter_mut().zip(from).for_each(|(o, v)| *o = v / dims.pixels as f32);
        out
    };
    Upstream { features: part(0), masks: part(1) }
}

impl<F: Factor> Scratch<F> {
    /// Keeps the logits' gradient of 8 pixels, of which only some are `valid`, given their logits;
    /// adds to the features' gradient what does not pass through the masks.
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
            gradient::<S>(
                row_mut(&mut tile, r * COLUMNS),
                row(&self.u, at),
                g,
                row_mut(&mut self.du, at),
                db,
            );
        }
        tile[valid * COLUMNS..].fill(0.);
        let per_pixel = COLUMNS / F::TERMS;
        pack_row(
            &tile,
            &mut self.da_across[(panel.index * CHUNK + pixel) * per_pixel..][..ROWS * per_pixel],
        );
        if !self.da_down.is_empty() {
            let at = (panel.index * CHUNK + pixel) / F::TERMS * COLUMNS;
            pack_columns(&tile, ROWS, COLUMNS, COLUMNS, &mut self.da_down[at..], COLUMNS);
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
    let (panels, terms) = (dims.padded_inputs() / COLUMNS, steps::<F>(dims.channels));
    for panel in 0..panels {
        for pixel in (0..chunk.pixels).step_by(ROWS) {
            let stretches = (0..dims.panels()).map(|i| Stretch {
                a: (i * CHUNK + pixel) * per_panel,
                b: ((k * panels + panel) * terms + i * per_panel) * COLUMNS,
                steps: per_panel.min(terms - i * per_panel),
            });
            let a = Left { values: &scratch.da_across, row: per_panel, step: 1 };
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
    let a =
        Left { values: F::same(&scratch.u).unwrap_or(&scratch.down), row: 1, step: dims.pitch() };
    let b = if F::TERMS == 1 { &scratch.da_across } else { &scratch.da_down };
    for panel in 0..dims.panels() {
        for d in (0..dims.inputs).step_by(ROWS) {
            let stretch = Stretch {
                a: d,
                b: panel * CHUNK / F::TERMS * COLUMNS,
                steps: steps::<F>(chunk.pixels),
            };
            let start = (k * dims.padded_inputs() + d) * dims.padded_channels() + panel * COLUMNS;
            add_product(
                simd,
                once(stretch),
                a,
                b,
                Tile { values: dw, start, row: dims.padded_channels() },
            );
        }
    }
}
