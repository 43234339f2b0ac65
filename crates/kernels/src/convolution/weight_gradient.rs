//! The gradient of a convolution's weights: products of what each weight reads with the results'
//! gradient, summed over the pixels.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::Sizes;
use super::planes::Grid;
use super::tile::{TileShape, add_product_of_rows, load, store, with_tile};
use crate::isa::Instructions;

/// Pixels whose gradients stay in the first-level cache, as far as whole rows allow.
const PIXELS: usize = 256;
/// Tiles of weights of a job.
const TILES: usize = 16;
/// How many jobs there should be. Where weights are few, the pixels are cut into parts, of which
/// the order of sums, and so every bit, depends.
const JOBS: usize = 32;

/// The gradient of the weights [groups·rows, channels, taps of the kernel] from the source
/// [B, groups·channels, ...] and g [B, groups·rows, ...].
pub(super) fn weight_gradient(
    instructions: Instructions,
    grid: &Grid,
    sizes: Sizes,
    kernel: usize,
    source: &[f32],
    g: &[f32],
) -> Vec<f32> {
    let mut dw = vec![0f32; sizes.groups * sizes.rows * sizes.channels * kernel];
    let weights = sizes.channels * grid.taps.len();
    if weights == 0 || g.is_empty() {
        return dw;
    }
    let shape = TileShape::new(instructions, false);
    let planes = &grid.planes(source, 0);
    let pixels_first = &pixels_first(grid, sizes, shape.columns, g);
    let tiles = weights.div_ceil(shape.rows);
    let rows = sizes.images * grid.rows.outputs;
    let slices = sizes.groups * tiles.div_ceil(TILES);
    let part = rows.div_ceil(JOBS.div_ceil(slices));
    let mut jobs = Vec::new();
    for group in 0..sizes.groups {
        for first in (0..tiles).step_by(TILES) {
            for row in (0..rows).step_by(part) {
                let tiles = first..(first + TILES).min(tiles);
                jobs.push(Part { group, tiles, rows: row..(row + part).min(rows) });
            }
        }
    }
    let sums: Vec<Vec<f32>> = jobs
        .par_iter()
        .map(|part| instructions.dispatch(Job { part, grid, sizes, planes, pixels_first }))
        .collect();
    // Where each weight of a row lies in the gradient.
    let taps = &grid.taps;
    let place = |weight: usize| weight / taps.len() * kernel + taps[weight % taps.len()].kernel;
    let places: Vec<usize> = (0..weights).map(place).collect();
    let panels = sizes.rows.div_ceil(shape.columns);
    let of_group = jobs.len() / sizes.groups;
    dw.par_chunks_mut(sizes.channels * kernel).enumerate().for_each(|(at, dw)| {
        let (group, row) = (at / sizes.rows, at % sizes.rows);
        let of = group * of_group..(group + 1) * of_group;
        for (part, sums) in jobs[of.clone()].iter().zip(&sums[of]) {
            let places = &places[part.tiles.start * shape.rows..];
            let column = (row / shape.columns, row % shape.columns);
            add_sums(places, sums, column, panels, shape, dw);
        }
    });
    dw
}

/// g with a panel of rows for each pixel: [groups, panels, pixels, columns of a tile].
fn pixels_first(grid: &Grid, sizes: Sizes, columns: usize, g: &[f32]) -> Vec<f32> {
    let panels = sizes.rows.div_ceil(columns);
    let results = grid.results();
    let image = results * columns;
    let mut out = vec![0f32; sizes.groups * panels * sizes.images * image];
    out.par_chunks_exact_mut(image).enumerate().for_each(|(at, out)| {
        let (panel, b) = (at / sizes.images, at % sizes.images);
        let (group, first) = (panel / panels, panel % panels * columns);
        for row in first..(first + columns).min(sizes.rows) {
            let g = &g[((b * sizes.groups + group) * sizes.rows + row) * results..][..results];
            let out = out.iter_mut().skip(row - first).step_by(columns);
            out.zip(g).for_each(|(out, &v)| *out = v);
        }
    });
    out
}

/// Some tiles of a group's weights, and some rows of pixels.
struct Part {
    group: usize,
    tiles: std::ops::Range<usize>,
    rows: std::ops::Range<usize>,
}

/// Adds a job's sums [tiles, panels, rows·columns of a tile] of one row, which is a column of a
/// panel's tiles, to the gradient of its weights at these places.
fn add_sums(
    places: &[usize],
    sums: &[f32],
    (panel, column): (usize, usize),
    panels: usize,
    shape: TileShape,
    dw: &mut [f32],
) {
    let tile = shape.rows * shape.columns;
    for (places, sums) in places.chunks(shape.rows).zip(sums.chunks_exact(panels * tile)) {
        let sums = sums[panel * tile + column..].iter().step_by(shape.columns);
        places.iter().zip(sums).for_each(|(&place, sum)| dw[place] += sum);
    }
}

struct Job<'a> {
    part: &'a Part,
    grid: &'a Grid,
    sizes: Sizes,
    planes: &'a [f32],
    pixels_first: &'a [f32],
}

impl WithSimd for Job<'_> {
    /// [tiles, panels, rows·columns of a tile].
    type Output = Vec<f32>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
        with_tile!(S, false, R, N => self.run::<S, R, N>(simd))
    }
}

impl Job<'_> {
    #[inline(always)]
    fn run<S: Simd, const R: usize, const N: usize>(self, simd: S) -> Vec<f32> {
        let Self { part, grid, sizes, .. } = self;
        let columns = N * S::F32_LANES;
        let panels = sizes.rows.div_ceil(columns);
        let width = grid.columns.outputs;
        let all = sizes.images * grid.results();
        let mut out = vec![0f32; part.tiles.len() * panels * R * columns];
        let at_once = (PIXELS / width).max(1);
        for first in part.rows.clone().step_by(at_once) {
            let rows = first..(first + at_once).min(part.rows.end);
            for panel in 0..panels {
                let g = &self.pixels_first[(part.group * panels + panel) * all * columns..];
                for (at, tile) in part.tiles.clone().enumerate() {
                    let weights = std::array::from_fn(|r| self.weight(tile * R + r));
                    let tile = &mut out[(at * panels + panel) * R * columns..][..R * columns];
                    let mut sums = load::<S, R, N>(tile);
                    for row in rows.clone() {
                        let source = self.source(row);
                        let read = weights.map(|weight: usize| weight + source);
                        let g = &g[row * width * columns..];
                        add_product_of_rows(simd, self.planes, read, g, width, &mut sums);
                    }
                    store::<S, R, N>(&sums, tile);
                }
            }
        }
        out
    }

    /// Where the planes of an image have the pixel that a weight reads for result (0, 0). The last
    /// weight stands for those beyond it.
    #[inline(always)]
    fn weight(&self, weight: usize) -> usize {
        let taps = &self.grid.taps;
        let weight = weight.min(self.sizes.channels * taps.len() - 1);
        let channel = self.part.group * self.sizes.channels + weight / taps.len();
        channel * self.grid.channel() + taps[weight % taps.len()].offset
    }

    /// Where the planes of a row's image begin, moved to this row.
    #[inline(always)]
    fn source(&self, row: usize) -> usize {
        let height = self.grid.rows.outputs;
        let image = self.sizes.groups * self.sizes.channels * self.grid.channel();
        row / height * image + row % height * self.grid.width()
    }
}
