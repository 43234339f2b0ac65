//! The backward pass of the attention heads on one chunk of pixels, in cache.

use std::iter::once;

use pulp::{Simd, WithSimd};

use super::dims::{CHUNK, Chunk, Dims};
use super::loaded::LoadedChunk;
use super::panels::{GROUP, Panel, Panels};
use super::tile::{TileValues, tile_of_masks};
use super::weights::{WeightSums, Weights};
use crate::factor::Factor;
use crate::product::{
    COLUMNS, Left, ROWS, Stretch, Tile, add_product, pack_columns, pack_row, steps,
};
use crate::sigmoid::{Row, Upstream, gradient};

/// A thread's buffers, which it keeps between chunks.
pub(crate) struct BackwardScratch<F> {
    loaded: LoadedChunk<F>,
    da: LogitGradients<F>,
}

impl<F: Factor> BackwardScratch<F> {
    pub fn new(dims: &Dims, needs_weights: bool) -> Self {
        Self {
            loaded: LoadedChunk::backward(dims, needs_weights),
            da: LogitGradients::new(needs_weights),
        }
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
    pub scratch: &'a mut BackwardScratch<F>,
}

impl<F: Factor> WithSimd for BackwardChunk<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { dims, panels, chunk, weights, mut weight_sums, scratch, .. } = self;
        let BackwardScratch { loaded, da } = scratch;
        loaded.load(dims, chunk, self.u);
        let image = dims.attributes * 2 * dims.channels;
        let g = &self.g[chunk.image * image..][..image];
        for group in 0..panels.groups() {
            if has_gradient(dims, g, panels.rows_of_group(group)) {
                let step = GroupBackward { dims, panels, group, chunk, weights, g };
                step.run(simd, Masks::Computed, loaded, da, weight_sums.as_deref_mut());
            }
        }
        loaded.write_gradient(dims, self.du);
    }
}

/// Where the gradient of a row's mean is in g [K, 2, C]: that of the product, and C further that of
/// the mask.
#[inline(always)]
pub(crate) fn at_row(dims: &Dims, (k, c): (usize, usize)) -> usize {
    k * 2 * dims.channels + c
}

/// Whether the gradient of some rows' means of an image is not zero everywhere. An explanation of
/// one logit has that of one attribute of K.
pub(crate) fn has_gradient(dims: &Dims, g: &[f32], rows: &[(usize, usize)]) -> bool {
    rows.iter().any(|&row| {
        let at = at_row(dims, row);
        g[at] != 0. || g[at + dims.channels] != 0.
    })
}

/// The gradient of a panel's sums over the pixels; zero beyond its last row.
#[inline(always)]
fn upstream(dims: &Dims, g: &[f32], panel: Panel) -> Upstream {
    let part = |which: usize| -> Row {
        let mut out = [0f32; COLUMNS];
        out.iter_mut().zip(panel.rows).for_each(|(out, &row)| {
            *out = g[at_row(dims, row) + which * dims.channels] / dims.pixels as f32;
        });
        out
    };
    Upstream { features: part(0), masks: part(1) }
}

/// Where the masks of a group come from.
#[derive(Clone, Copy)]
pub(crate) enum Masks<'a> {
    /// They are computed again.
    Computed,
    /// They were kept: [GROUP, CHUNK, 32].
    Kept(&'a [f32]),
}

/// The backward pass of one group on one chunk.
pub(crate) struct GroupBackward<'a, F> {
    pub dims: &'a Dims,
    pub panels: &'a Panels,
    pub group: usize,
    pub chunk: &'a Chunk,
    pub weights: &'a Weights<F>,
    /// Gradient of the means of the chunk's image, [K, 2, C].
    pub g: &'a [f32],
}

impl<F: Factor> GroupBackward<'_, F> {
    /// Adds to the gradient of the chunk's inputs, and to the sums of the weights' if they are
    /// needed.
    #[inline(always)]
    pub fn run<S: Simd>(
        &self,
        simd: S,
        masks: Masks,
        loaded: &mut LoadedChunk<F>,
        da: &mut LogitGradients<F>,
        mut weight_sums: Option<&mut WeightSums>,
    ) {
        let Self { dims, panels, chunk, weights, .. } = *self;
        for (place, panel) in panels.of_group(self.group).enumerate() {
            let g = upstream(dims, self.g, panel);
            let mut unused = [0f32; COLUMNS];
            let db = match &mut weight_sums {
                Some(sums) => sums.of_biases(panel.index),
                None => &mut unused,
            };
            for pixel in (0..chunk.pixels).step_by(ROWS) {
                let valid = ROWS.min(chunk.pixels - pixel);
                let mut tile = match masks {
                    Masks::Computed => {
                        tile_of_masks(simd, dims, weights, loaded, (pixel, valid), panel)
                    }
                    Masks::Kept(kept) => kept_tile(kept, place, pixel),
                };
                through_masks::<F, S>(dims, panel, (pixel, valid), &mut tile, &g, loaded, db);
                da.pack(place, pixel, &tile);
            }
        }
        self.inputs_gradient(simd, loaded, da);
        if let Some(sums) = weight_sums {
            self.weights_gradient(simd, loaded, da, sums);
        }
    }

    /// du[p, d] += Σ_r da[p, r]·W[r, d] over the rows r of the group.
    #[inline(always)]
    fn inputs_gradient<S: Simd>(
        &self,
        simd: S,
        loaded: &mut LoadedChunk<F>,
        da: &LogitGradients<F>,
    ) {
        let Self { dims, panels, group, chunk, weights, .. } = *self;
        let rows = panels.rows_of_group(group).len();
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
                let a = Left { values: &da.over_rows, row: per_panel, step: 1 };
                let tile = Tile {
                    values: &mut loaded.du,
                    start: pixel * dims.pitch() + panel * COLUMNS,
                    row: dims.pitch(),
                    rows: ROWS.min(chunk.pixels - pixel),
                };
                // SAFETY: the factor dispatches this job, and clones repeat the stretches.
                unsafe { add_product(simd, stretches, a, &weights.to_inputs, tile) };
            }
        }
    }

    /// dW[d, r] += Σ_p u[p, d]·da[p, r] for the rows r of the group.
    #[inline(always)]
    fn weights_gradient<S: Simd>(
        &self,
        simd: S,
        loaded: &LoadedChunk<F>,
        da: &LogitGradients<F>,
        sums: &mut WeightSums,
    ) {
        let Self { dims, panels, group, chunk, .. } = *self;
        let a = loaded.over_pixels(dims);
        for (place, panel) in panels.of_group(group).enumerate() {
            let first = sums.start_of_weights(dims, panel.index);
            for d in (0..dims.inputs).step_by(ROWS) {
                let stretch = Stretch {
                    a: d * a.row,
                    b: place * CHUNK / F::TERMS * COLUMNS,
                    steps: steps::<F>(chunk.pixels),
                };
                let rows = ROWS.min(dims.inputs - d);
                let start = first + d * COLUMNS;
                let tile = Tile { values: &mut sums.dw, start, row: COLUMNS, rows };
                // SAFETY: the factor dispatches this job, and clones repeat the stretches.
                unsafe { add_product(simd, once(stretch), a, da.over_pixels(), tile) };
            }
        }
    }
}

/// The masks of 32 pixels, of those that were kept.
#[inline(always)]
fn kept_tile(kept: &[f32], place: usize, pixel: usize) -> TileValues {
    let tile = kept.as_chunks().0[place * CHUNK + pixel..].first_chunk();
    *tile.expect("kept masks are whole tiles")
}

/// Turns the masks of 32 pixels, of which the first `valid` exist, into their logits' gradient, 0
/// for the other pixels. Adds it to the biases', and adds the part of the features' gradient that
/// does not pass through the masks.
#[inline(always)]
fn through_masks<F: Factor, S: Simd>(
    dims: &Dims,
    panel: Panel,
    (pixel, valid): (usize, usize),
    tile: &mut TileValues,
    g: &Upstream,
    loaded: &mut LoadedChunk<F>,
    db: &mut Row,
) {
    let mut gathered = [0f32; COLUMNS];
    for (r, masks) in tile[..valid].iter_mut().enumerate() {
        let at = (pixel + r) * dims.pitch();
        let z = panel.features(&loaded.u[at..][..dims.pitch()], &mut gathered);
        let da = gradient::<S>(masks, z, g, db);
        panel.add_products::<S>(masks, &g.features, &mut loaded.direct()[at..][..dims.pitch()]);
        *masks = da;
    }
    tile[valid..].fill([0.; COLUMNS]);
}

/// The logits' gradient of one group on one chunk, as operands of products.
///
/// Where a factor holds one term, operands over the rows serve as those over the pixels too. Those
/// stay empty then, and where the weights' gradients are not needed.
pub(crate) struct LogitGradients<F> {
    /// As left operands over the rows, [GROUP, CHUNK, steps of 32].
    over_rows: Vec<F>,
    /// As right operands over the pixels, [GROUP, steps of CHUNK, 32].
    over_pixels: Vec<F>,
}

impl<F: Factor> LogitGradients<F> {
    pub fn new(needs_weights: bool) -> Self {
        let length = GROUP * CHUNK * COLUMNS;
        let over_pixels = if F::TERMS == 1 || !needs_weights { 0 } else { length };
        Self { over_rows: vec![F::default(); length], over_pixels: vec![F::default(); over_pixels] }
    }

    /// Takes 32 pixels of the panel at this place of its group.
    #[inline(always)]
    fn pack(&mut self, place: usize, pixel: usize, tile: &TileValues) {
        let tile = tile.as_flattened();
        let per_pixel = COLUMNS / F::TERMS;
        let at = (place * CHUNK + pixel) * per_pixel;
        pack_row(tile, &mut self.over_rows[at..][..ROWS * per_pixel]);
        if !self.over_pixels.is_empty() {
            let at = (place * CHUNK + pixel) / F::TERMS * COLUMNS;
            pack_columns(tile, ROWS, COLUMNS, COLUMNS, &mut self.over_pixels[at..], COLUMNS);
        }
    }

    /// As right operands over the pixels.
    #[inline(always)]
    fn over_pixels(&self) -> &[F] {
        if F::TERMS == 1 { &self.over_rows } else { &self.over_pixels }
    }
}
