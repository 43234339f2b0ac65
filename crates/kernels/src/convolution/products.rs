//! Convolutions and their input gradients as products of packed weights with packed columns of
//! pixels (im2col, some pixels at a time).

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::planes::Grid;
use super::tile::{LARGEST, TileShape, add_product, copy_vectors, with_tile};
use super::{Shared, Sizes, Weights};
use crate::isa::Instructions;

/// Terms of a sum whose factors stay in the first-level cache. The order of sums does not depend
/// on it.
const TERMS: usize = 256;
/// Pixels of a job, as far as there are enough for all threads.
const PIXELS: usize = 192;
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
    let shape = TileShape::new(instructions);
    let planes = &grid.planes(source);
    let packed = &pack_weights(grid, sizes, weights, shape);
    let panels = (sizes.images * grid.results()).div_ceil(shape.columns);
    let out = &Shared::new(out);
    let jobs = jobs(panels, sizes, shape);
    jobs.into_par_iter().for_each_init(Buffers::default, |buffers, part| {
        instructions.dispatch(Job { part, grid, sizes, planes, packed, bias, out, buffers });
    });
}

/// Some panels of pixels, and some tiles' rows of a group.
struct Part {
    panels: std::ops::Range<usize>,
    group: usize,
    tiles: std::ops::Range<usize>,
}

fn jobs(panels: usize, sizes: Sizes, shape: TileShape) -> Vec<Part> {
    let tiles = sizes.rows.div_ceil(shape.rows);
    let at_once = (PIXELS / shape.columns).min(panels.div_ceil(JOBS / 4)).max(1);
    let blocks = panels.div_ceil(at_once);
    let parts = JOBS.div_ceil(blocks * sizes.groups).min(tiles.div_ceil(8)).max(1);
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
    /// Columns of pixels, [panels, terms of a block, columns], and what copies of whole vectors
    /// write behind it.
    columns: Vec<f32>,
    /// Sums of the blocks of terms before: [tiles, panels, rows·columns].
    sums: Vec<f32>,
    /// By panel: pixels that lie side by side in the planes of their image's first channel.
    reads: Vec<Vec<Run>>,
    /// By panel: pixels that lie side by side in the result of their image's first row.
    writes: Vec<Vec<Run>>,
}

/// Neighbouring pixels of a panel.
struct Run {
    /// The first one's column.
    column: usize,
    /// Where it lies.
    place: usize,
    pixels: usize,
}

struct Job<'a> {
    part: Part,
    grid: &'a Grid,
    sizes: Sizes,
    planes: &'a [f32],
    packed: &'a [f32],
    bias: &'a [f32],
    out: &'a Shared<'a>,
    buffers: &'a mut Buffers,
}

impl WithSimd for Job<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        with_tile!(S, R, N => self.run::<S, R, N>(simd));
    }
}

impl Job<'_> {
    #[inline(always)]
    fn run<S: Simd, const R: usize, const N: usize>(&mut self, simd: S) {
        let columns = N * S::F32_LANES;
        let terms = self.sizes.channels * self.grid.taps.len();
        let panels = self.part.panels.len();
        self.find_runs(columns);
        let blocks = terms.div_ceil(TERMS).max(1);
        self.buffers.columns.resize(panels * TERMS.min(terms) * columns + columns, 0.);
        let kept = if blocks > 1 { self.part.tiles.len() * panels * R * columns } else { 0 };
        self.buffers.sums.resize(kept, 0.);
        for block in 0..blocks {
            let first = block * TERMS;
            let block_terms = TERMS.min(terms - first);
            self.pack::<S, N>(first, block_terms);
            for (at, tile) in self.part.tiles.clone().enumerate() {
                let all = self.part.group * self.sizes.rows.div_ceil(R) + tile;
                let a = &self.packed[(all * terms + first) * R..][..block_terms * R];
                for panel in 0..panels {
                    let b = &self.buffers.columns[panel * block_terms * columns..];
                    let kept = (at * panels + panel) * R * columns;
                    let mut sums = [0f32; LARGEST];
                    let sums = &mut sums[..R * columns];
                    match block {
                        0 => self.start(sums, columns, tile * R),
                        _ => sums.copy_from_slice(&self.buffers.sums[kept..][..R * columns]),
                    }
                    add_product::<S, R, N>(simd, a, b, sums);
                    match block + 1 == blocks {
                        true => self.write::<S, N>(panel, sums, tile * R),
                        false => self.buffers.sums[kept..][..R * columns].copy_from_slice(sums),
                    }
                }
            }
        }
    }

    /// Sums before the first term: the biases.
    #[inline(always)]
    fn start(&self, sums: &mut [f32], columns: usize, first: usize) {
        let rows = &self.bias[self.part.group * self.sizes.rows..][..self.sizes.rows];
        for (sums, &bias) in sums.chunks_exact_mut(columns).zip(&rows[first..]) {
            sums.fill(bias);
        }
    }

    /// The pixels of each panel, by stretches of at most `length` pixels, whose place a function of
    /// the image and the pixel tells.
    fn runs(
        &self,
        columns: usize,
        length: usize,
        place: impl Fn(usize, usize) -> usize,
    ) -> Vec<Vec<Run>> {
        let results = self.grid.results();
        let all = self.sizes.images * results;
        let of_panel = |panel: usize| {
            let first = panel * columns;
            let end = (first + columns).min(all);
            let mut runs = Vec::new();
            let mut pixel = first;
            while pixel < end {
                let pixels = (length - pixel % results % length).min(end - pixel);
                let place = place(pixel / results, pixel % results);
                runs.push(Run { column: pixel - first, place, pixels });
                pixel += pixels;
            }
            runs
        };
        self.part.panels.clone().map(of_panel).collect()
    }

    fn find_runs(&mut self, columns: usize) {
        let Self { grid, sizes, .. } = *self;
        let width = grid.columns.outputs;
        let image = sizes.groups * sizes.channels * grid.channel();
        let place =
            |b: usize, pixel: usize| b * image + pixel / width * grid.width() + pixel % width;
        self.buffers.reads = self.runs(columns, width, place);
        let length = if grid.is_whole() { grid.results() } else { width };
        let image = sizes.groups * sizes.rows * grid.target();
        let place = |b: usize, pixel: usize| b * image + grid.place(pixel / width, pixel % width);
        self.buffers.writes = self.runs(columns, length, place);
    }

    /// Packs some terms of all panels. Runs are copied as whole vectors, of which the next run, or
    /// the next term, overwrites what is too much.
    #[inline(always)]
    fn pack<S: Simd, const N: usize>(&mut self, first: usize, terms: usize) {
        let columns = N * S::F32_LANES;
        let taps = &self.grid.taps;
        let channel = self.grid.channel();
        let group = self.part.group * self.sizes.channels * channel;
        let Buffers { columns: out, reads, .. } = &mut *self.buffers;
        for (panel, runs) in reads.iter().enumerate() {
            let start = panel * terms * columns;
            for (at, term) in (first..first + terms).enumerate() {
                let source = group + term / taps.len() * channel + taps[term % taps.len()].offset;
                let out = &mut out[start + at * columns..][..2 * columns];
                for run in runs {
                    let source = &self.planes[source + run.place..];
                    let out = &mut out[run.column..];
                    match source.len() >= columns {
                        true => copy_vectors::<S, N>(source, out),
                        false => out[..run.pixels].copy_from_slice(&source[..run.pixels]),
                    }
                }
            }
        }
    }

    /// Writes a tile's rows that exist.
    #[inline(always)]
    fn write<S: Simd, const N: usize>(&self, panel: usize, sums: &[f32], first: usize) {
        let columns = N * S::F32_LANES;
        let step = self.grid.columns.step;
        let rows = self.sizes.rows - first;
        for run in &self.buffers.writes[panel] {
            for (r, sums) in sums.chunks_exact(columns).take(rows).enumerate() {
                let row = self.part.group * self.sizes.rows + first + r;
                let place = row * self.grid.target() + run.place;
                // SAFETY: every result belongs to one job, and to one run of it.
                let out = unsafe { self.out.part(place, (run.pixels - 1) * step + 1) };
                let sums = &sums[run.column..][..run.pixels];
                match (step, run.pixels == columns) {
                    (1, true) => copy_vectors::<S, N>(sums, out),
                    (1, false) => out.iter_mut().zip(sums).for_each(|(out, &v)| *out = v),
                    _ => out.iter_mut().step_by(step).zip(sums).for_each(|(out, &v)| *out = v),
                }
            }
        }
    }
}
