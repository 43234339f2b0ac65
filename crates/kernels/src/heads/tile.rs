//! The masks of 32 pixels and 32 rows, and sums over the pixels.

use std::iter::once;

use pulp::Simd;

use super::dims::Dims;
use super::loaded::LoadedChunk;
use super::panels::Panel;
use super::weights::Weights;
use crate::factor::Factor;
use crate::product::{COLUMNS, Left, ROWS, Stretch, Tile, add_product, steps};
use crate::sigmoid::{Row, add_sums, masks, row};

/// Values of 32 pixels and 32 rows: [32, 32].
pub(crate) type TileValues = [Row; ROWS];

/// The logits of a panel at 32 pixels from `pixel` on, of which the first `valid` exist.
#[inline(always)]
pub(crate) fn logits<F: Factor, S: Simd>(
    simd: S,
    dims: &Dims,
    weights: &Weights<F>,
    loaded: &LoadedChunk<F>,
    (pixel, valid): (usize, usize),
    panel: Panel,
) -> TileValues {
    let mut out = [*row(&weights.bias, panel.index * COLUMNS); ROWS];
    let steps = steps::<F>(dims.inputs);
    let a = Left { values: loaded.over_inputs(), row: dims.pitch(), step: 1 };
    let stretch = Stretch { a: pixel * dims.pitch(), b: panel.index * steps * COLUMNS, steps };
    let tile = Tile { values: out.as_flattened_mut(), start: 0, row: COLUMNS, rows: valid };
    // SAFETY: the factor dispatches this job, and clones repeat the stretches.
    unsafe { add_product(simd, once(stretch), a, &weights.to_logits, tile) };
    out
}

/// The masks of a panel at 32 pixels from `pixel` on, of which the first `valid` exist.
#[inline(always)]
pub(crate) fn tile_of_masks<F: Factor, S: Simd>(
    simd: S,
    dims: &Dims,
    weights: &Weights<F>,
    loaded: &LoadedChunk<F>,
    (pixel, valid): (usize, usize),
    panel: Panel,
) -> TileValues {
    let mut tile = logits(simd, dims, weights, loaded, (pixel, valid), panel);
    tile[..valid].iter_mut().for_each(masks::<S>);
    tile
}

/// Sums over the pixels of a chunk, for the rows of a panel: of mask ⊗ feature, and of the mask.
#[derive(Default)]
pub(crate) struct Sums {
    products: Row,
    masks: Row,
}

impl Sums {
    /// Adds a pixel.
    #[inline(always)]
    pub fn add<S: Simd>(&mut self, mask: &Row, z: &Row) {
        add_sums::<S>(mask, z, &mut self.products, &mut self.masks);
    }

    /// Adds them to [2, 32].
    #[inline(always)]
    pub fn add_to(&self, out: &mut [f32]) {
        let from = self.products.iter().chain(&self.masks);
        out.iter_mut().zip(from).for_each(|(sum, v)| *sum += v);
    }
}
