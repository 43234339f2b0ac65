//! Convolutions and their input gradients as products of packed weights with vectors of pixels.

use std::array::from_fn;
use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::planes::Grid;
use super::tile::{
    FEW_ROWS, InPlace, TileShape, add_product, add_product_in_place, load, store, with_tile,
};
use super::vectors::Vectors;
use super::{Shared, Sizes, Weights};
use crate::isa::Instructions;

/// Terms of a sum whose factors stay in the first-level cache. The order of sums does not depend
/// on it.
const TERMS: usize = 256;
/// Pixels of a job, as far as there are enough for all threads.
const PIXELS: usize = 192;
/// Tiles of a job at most, whose packed weights stay in the second-level cache.
const TILES: usize = 32;
/// Lanes of the longest vector.
const LANES: usize = 16;
/// Values of a line of the cache, at which packed pixels begin.
const ALIGNED: usize = 16;
/// How many jobs there should be.
const JOBS: usize = 32;

/// Writes the results of a grid: of each group's rows, from all of the group's channels.
/// `source` [B, groups·channels, ...], out [B, groups·rows, ...]; one bias for each row.
pub(super) fn products(
    instructions: Instructions,
    grid: &Grid,
    sizes: Sizes,
    source: &[f32],
    weights: Weights,
    bias: &[f32],
    out: &mut [f32],
) {
    let shape = TileShape::new(instructions, has_few_rows(sizes));
    let zeros = if grid.is_longer_than(shape.lanes) { 0 } else { shape.lanes };
    let operands = &Operands {
        grid,
        sizes,
        planes: &grid.planes(source, zeros),
        offsets: Offsets::new(grid, sizes.channels),
        vectors: Vectors::new(grid, shape.lanes),
        weights: pack_weights(grid, sizes, weights, shape),
        bias,
    };
    let panels = (sizes.images * operands.vectors.len()).div_ceil(shape.columns / shape.lanes);
    let out = &Shared::new(out);
    jobs(panels, sizes, shape).into_par_iter().for_each_init(Buffers::default, |buffers, part| {
        instructions.dispatch(Job { part, operands, out, buffers });
    });
}

fn has_few_rows(sizes: Sizes) -> bool {
    sizes.rows <= FEW_ROWS
}

/// What all jobs read.
struct Operands<'a> {
    grid: &'a Grid,
    sizes: Sizes,
    planes: &'a [f32],
    offsets: Offsets,
    vectors: Vectors,
    /// [groups, tiles, terms, rows of a tile]
    weights: Vec<f32>,
    bias: &'a [f32],
}

/// Where the planes of a group have the pixel that result (0, 0) reads for each term.
struct Offsets {
    values: Vec<usize>,
    /// The largest of them.
    reach: usize,
}

impl Offsets {
    fn new(grid: &Grid, channels: usize) -> Self {
        let of_channel =
            |c: usize| grid.taps.iter().map(move |tap| c * grid.channel() + tap.offset);
        let values: Vec<usize> = (0..channels).flat_map(of_channel).collect();
        let reach = values.iter().fold(0, |reach, &offset| reach.max(offset));
        Self { values, reach }
    }
}

/// Some panels of vectors, and some tiles' rows of a group.
struct Part {
    panels: Range<usize>,
    group: usize,
    tiles: Range<usize>,
}

fn jobs(panels: usize, sizes: Sizes, shape: TileShape) -> Vec<Part> {
    let tiles = sizes.rows.div_ceil(shape.rows);
    let at_once = (PIXELS / shape.columns).min(panels.div_ceil(JOBS / 4)).max(1);
    let blocks = panels.div_ceil(at_once);
    let parts =
        JOBS.div_ceil(blocks * sizes.groups).min(tiles.div_ceil(8)).max(tiles.div_ceil(TILES));
    let each = tiles.div_ceil(parts);
    let mut jobs = Vec::new();
    for first in (0..panels).step_by(at_once) {
        for group in 0..sizes.groups {
            for tile in (0..tiles).step_by(each) {
                jobs.push(Part {
                    panels: first..(first + at_once).min(panels),
                    group,
                    tiles: tile..(tile + each).min(tiles),
                });
            }
        }
    }
    jobs
}

/// The weights as left operands: [groups, tiles, terms, rows of a tile].
fn pack_weights(grid: &Grid, sizes: Sizes, weights: Weights, shape: TileShape) -> Vec<f32> {
    let tiles = sizes.rows.div_ceil(shape.rows);
    let terms = sizes.channels * grid.taps.len();
    let mut out = vec![0f32; sizes.groups * tiles * terms * shape.rows];
    if out.is_empty() {
        return out;
    }
    out.par_chunks_exact_mut(terms * shape.rows).enumerate().for_each(|(at, out)| {
        let first = at % tiles * shape.rows;
        for r in 0..shape.rows.min(sizes.rows - first) {
            let kernels = &weights.values[weights.at(at / tiles, first + r, 0)..];
            let mut out = out.iter_mut().skip(r).step_by(shape.rows);
            for channel in 0..sizes.channels {
                let kernel = &kernels[channel * weights.channel..];
                for (tap, out) in grid.taps.iter().zip(&mut out) {
                    *out = kernel[tap.kernel];
                }
            }
        }
    });
    out
}

/// What a thread needs for a job.
#[derive(Default)]
struct Buffers {
    /// The pixels of a panel that the first tile has read, [terms of a block, columns]: the next
    /// tiles read them side by side.
    packed: Vec<f32>,
    /// Sums of the blocks of terms before: [tiles, panels, rows·columns].
    sums: Vec<f32>,
}

struct Job<'a> {
    part: Part,
    operands: &'a Operands<'a>,
    out: &'a Shared<'a>,
    buffers: &'a mut Buffers,
}

/// A tile's rows of a panel's pixels.
struct Place {
    tile: usize,
    panel: usize,
    /// Which of the packed panels it is.
    packed: usize,
    /// Where its sums are kept from one block of terms to the next.
    kept: usize,
}

impl WithSimd for Job<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        with_tile!(S, has_few_rows(self.operands.sizes), R, N => self.run::<S, R, N>(simd));
    }
}

impl Job<'_> {
    #[inline(always)]
    fn run<S: Simd, const R: usize, const N: usize>(&mut self, simd: S) {
        let terms = self.operands.offsets.values.len();
        let (tiles, panels) = (self.part.tiles.clone(), self.part.panels.clone());
        let blocks = terms.div_ceil(TERMS).max(1);
        let columns = N * S::F32_LANES;
        let size = R * columns;
        let kept = if blocks > 1 { tiles.len() * panels.len() * size } else { 0 };
        self.buffers.sums.resize(kept, 0.);
        for block in 0..blocks {
            let of_block = block * TERMS..terms.min((block + 1) * TERMS);
            // Few terms leave room for more panels, whose results lie side by side.
            let at_once = (TERMS / of_block.len().max(1)).max(1);
            self.buffers.packed.resize(at_once * of_block.len() * columns + ALIGNED, 0.);
            for first in panels.clone().step_by(at_once) {
                let together = first..panels.end.min(first + at_once);
                for (at, tile) in tiles.clone().enumerate() {
                    for panel in together.clone() {
                        let kept = (at * panels.len() + panel - panels.start) * size;
                        let place = Place { tile, panel, packed: panel - first, kept };
                        self.add_block::<S, R, N>(simd, &place, of_block.clone());
                    }
                }
            }
        }
    }

    /// Adds some terms to a tile of sums: from its biases on, until its results.
    #[inline(always)]
    fn add_block<S: Simd, const R: usize, const N: usize>(
        &mut self,
        simd: S,
        place: &Place,
        terms: Range<usize>,
    ) {
        let is_last = terms.end == self.operands.offsets.values.len();
        let mut sums = match terms.start {
            0 => self.biases::<S, R, N>(simd, place.tile),
            _ => load::<S, R, N>(&self.buffers.sums[place.kept..]),
        };
        // There are no terms if all taps read padding.
        if !terms.is_empty() {
            self.add::<S, R, N>(simd, place, terms, &mut sums);
        }
        match is_last {
            true => self.write::<S, R, N>(place.tile, place.panel, &sums),
            false => store::<S, R, N>(&sums, &mut self.buffers.sums[place.kept..]),
        }
    }

    /// Sums before the first term.
    #[inline(always)]
    fn biases<S: Simd, const R: usize, const N: usize>(
        &self,
        simd: S,
        tile: usize,
    ) -> [[S::f32s; N]; R] {
        let rows = self.operands.sizes.rows;
        let bias = &self.operands.bias[self.part.group * rows..][..rows];
        from_fn(|r| [simd.splat_f32s(bias.get(tile * R + r).copied().unwrap_or(0.)); N])
    }

    /// Adds some terms of a tile's rows for a panel.
    #[inline(always)]
    fn add<S: Simd, const R: usize, const N: usize>(
        &mut self,
        simd: S,
        &Place { tile, panel, packed: at, .. }: &Place,
        terms: Range<usize>,
        sums: &mut [[S::f32s; N]; R],
    ) {
        let Operands { sizes, planes: values, offsets, weights, .. } = self.operands;
        let of_group = self.part.group * sizes.rows.div_ceil(R);
        let a = (of_group + tile) * offsets.values.len() + terms.start;
        let a = &weights[a * R..][..terms.len() * R];
        let packs = self.part.tiles.len() > 1;
        let starts = from_fn(|n| self.start(panel * N + n));
        let step = terms.len() * N * S::F32_LANES;
        let packed = &mut self.buffers.packed[..];
        let aligned = packed.as_ptr().align_offset(4 * ALIGNED).min(ALIGNED);
        let packed = &mut packed[aligned + at * step..][..step];
        if packs && tile > self.part.tiles.start {
            return add_product(simd, a, packed, sums);
        }
        let (offsets, reach) = (&offsets.values[terms], offsets.reach);
        let b = InPlace { values, starts, offsets, reach };
        // SAFETY: the reach is that of all offsets.
        unsafe {
            match packs {
                true => add_product_in_place::<S, R, N, true>(simd, a, b, packed, sums),
                false => add_product_in_place::<S, R, N, false>(simd, a, b, packed, sums),
            }
        }
    }

    /// The image and the vector of it, which is the last one for all behind it.
    #[inline(always)]
    fn vector(&self, vector: usize) -> (usize, usize) {
        let of_image = self.operands.vectors.len();
        let vector = vector.min(self.operands.sizes.images * of_image - 1);
        (vector / of_image, vector % of_image)
    }

    /// Where the planes have the first pixel of a vector, for an offset of 0.
    #[inline(always)]
    fn start(&self, vector: usize) -> usize {
        let Operands { grid, sizes, vectors, .. } = self.operands;
        let (image, vector) = self.vector(vector);
        let group = image * sizes.groups + self.part.group;
        group * sizes.channels * grid.channel() + vectors.start(vector)
    }

    /// Writes a tile's rows that exist.
    #[inline(always)]
    fn write<S: Simd, const R: usize, const N: usize>(
        &self,
        tile: usize,
        panel: usize,
        sums: &[[S::f32s; N]; R],
    ) {
        let Operands { grid, sizes, vectors, .. } = self.operands;
        let rows = R.min(sizes.rows - tile * R);
        let all = sizes.images * vectors.len();
        for n in (0..N).filter(|n| panel * N + n < all) {
            let (image, vector) = self.vector(panel * N + n);
            let first = (image * sizes.groups + self.part.group) * sizes.rows + tile * R;
            for run in vectors.runs(vector) {
                for (r, sums) in sums.iter().enumerate().take(rows) {
                    let place = (first + r) * grid.target() + run.place;
                    let step = grid.columns.step;
                    // SAFETY: every result belongs to one job, and to one run of it.
                    let out = unsafe { self.out.part(place, (run.pixels - 1) * step + 1) };
                    write_run::<S>(sums[n], run.lane, step, out);
                }
            }
        }
    }
}

/// Writes the lanes from `lane` on to every `step`-th value.
#[inline(always)]
fn write_run<S: Simd>(vector: S::f32s, lane: usize, step: usize, out: &mut [f32]) {
    if step == 1 && out.len() == S::F32_LANES {
        // SAFETY: it has the vector's length.
        return unsafe { out.as_mut_ptr().cast::<S::f32s>().write_unaligned(vector) };
    }
    let mut lanes = [0f32; LANES];
    store::<S, 1, 1>(&[[vector]], &mut lanes);
    out.iter_mut().step_by(step).zip(&lanes[lane..]).for_each(|(out, &v)| *out = v);
}
