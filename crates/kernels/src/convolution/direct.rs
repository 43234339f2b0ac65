//! Groups of few channels, such as depthwise convolutions: sums of whole planes, each times a
//! weight. Nothing is packed.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::planes::Grid;
use super::{Sizes, Weights};
use crate::isa::Instructions;

/// Vectors of pixels whose sums stay in registers.
const VECTORS: usize = 8;
/// Values that the last vectors read behind the planes, at most.
const SLACK: usize = VECTORS * 16;
/// Taps of a weight gradient that share what they read of the results' gradient.
const TAPS: usize = 6;

/// Writes the results of a grid, as [`products`](super::products::products).
pub(super) fn sums(
    instructions: Instructions,
    grid: &Grid,
    sizes: Sizes,
    source: &[f32],
    weights: Weights,
    bias: &[f32],
    out: &mut [f32],
) {
    let (planes, results) = (sizes.channels * grid.source(), sizes.rows * grid.target());
    let groups = source.par_chunks_exact(planes).zip(out.par_chunks_exact_mut(results)).enumerate();
    groups.for_each_init(
        || Scratch::new(grid, sizes),
        |scratch, (at, (source, out))| {
            let group = at % sizes.groups;
            scratch.fill(grid, source);
            instructions.dispatch(Sum { grid, sizes, group, weights, bias, scratch, out });
        },
    );
}

/// The gradient of the weights, [groups·rows, channels, taps of the kernel].
pub(super) fn weight_gradient(
    instructions: Instructions,
    grid: &Grid,
    sizes: Sizes,
    kernel: usize,
    source: &[f32],
    g: &[f32],
) -> Vec<f32> {
    let (planes, results) = (sizes.channels * grid.source(), sizes.rows * grid.results());
    let of_group = sizes.rows * sizes.channels * grid.taps.len();
    let mut parts = vec![0f32; sizes.images * sizes.groups * of_group];
    let mut dw = vec![0f32; sizes.groups * sizes.rows * sizes.channels * kernel];
    if parts.is_empty() {
        return dw;
    }
    let groups = source.par_chunks_exact(planes).zip(g.par_chunks_exact(results));
    parts.par_chunks_exact_mut(of_group).zip(groups).for_each_init(
        || Scratch::new(grid, sizes),
        |scratch, (dw, (source, g))| {
            scratch.fill(grid, source);
            instructions.dispatch(WeightGradient { grid, sizes, g, scratch, dw });
        },
    );
    for part in parts.chunks_exact(sizes.groups * of_group) {
        for (dw, part) in dw.chunks_exact_mut(kernel).zip(part.chunks_exact(grid.taps.len())) {
            grid.taps.iter().zip(part).for_each(|(tap, v)| dw[tap.kernel] += v);
        }
    }
    dw
}

/// What a thread needs for a group of an image.
struct Scratch {
    /// The planes of the group's channels, and zeros behind them.
    planes: Vec<f32>,
    /// Results with the distances of the planes: what lies between two rows means nothing.
    wide: Vec<f32>,
}

impl Scratch {
    fn new(grid: &Grid, sizes: Sizes) -> Self {
        let wide = grid.rows.outputs * grid.width();
        Self {
            planes: vec![0f32; sizes.channels * grid.channel() + SLACK],
            wide: vec![0f32; wide + SLACK],
        }
    }

    fn fill(&mut self, grid: &Grid, source: &[f32]) {
        let planes = self.planes.chunks_exact_mut(grid.channel().max(1));
        source.chunks_exact(grid.source()).zip(planes).for_each(|(x, out)| grid.fill(x, out));
    }
}

/// Pixels from the first result to the last, with the distances of the planes.
fn length(grid: &Grid) -> usize {
    (grid.rows.outputs - 1) * grid.width() + grid.columns.outputs
}

struct Sum<'a> {
    grid: &'a Grid,
    sizes: Sizes,
    group: usize,
    weights: Weights<'a>,
    bias: &'a [f32],
    scratch: &'a mut Scratch,
    out: &'a mut [f32],
}

impl WithSimd for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { grid, sizes, group, weights, bias, scratch, out } = self;
        let mut terms = Vec::with_capacity(sizes.channels * grid.taps.len());
        for (row, out) in out.chunks_exact_mut(grid.target()).enumerate() {
            terms.clear();
            for channel in 0..sizes.channels {
                let kernel = &weights.values[weights.at(group, row, channel)..];
                let planes = channel * grid.channel();
                terms.extend(grid.taps.iter().map(|t| (planes + t.offset, kernel[t.kernel])));
            }
            let bias = bias[group * sizes.rows + row];
            add_up(simd, &scratch.planes, &terms, bias, &mut scratch.wide[..], length(grid));
            let (width, step) = (grid.columns.outputs, grid.columns.step);
            for (y, wide) in scratch.wide.chunks(grid.width()).take(grid.rows.outputs).enumerate() {
                let out = out[grid.place(y, 0)..].iter_mut().step_by(step);
                out.zip(&wide[..width]).for_each(|(out, &v)| *out = v);
            }
        }
    }
}

/// out[p] = bias + Σ weight·planes[offset + p] for p below `length`, over all (offset, weight).
#[inline(always)]
fn add_up<S: Simd>(
    simd: S,
    planes: &[f32],
    terms: &[(usize, f32)],
    bias: f32,
    out: &mut [f32],
    length: usize,
) {
    let block = VECTORS * S::F32_LANES;
    for start in (0..length).step_by(block) {
        let mut sums = [simd.splat_f32s(bias); VECTORS];
        for &(offset, weight) in terms {
            let weight = simd.splat_f32s(weight);
            let planes = &planes[offset + start..][..block];
            for (n, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the slice has VECTORS vectors.
                let x = unsafe { vector::<S>(planes, n) };
                *sum = simd.mul_add_e_f32s(weight, x, *sum);
            }
        }
        let out = &mut out[start..][..block];
        for (n, &sum) in sums.iter().enumerate() {
            let at = out.as_mut_ptr().wrapping_add(n * S::F32_LANES).cast::<S::f32s>();
            // SAFETY: the slice has VECTORS vectors.
            unsafe { at.write_unaligned(sum) };
        }
    }
}

/// Vector n of a slice.
///
/// # Safety
/// The slice has n + 1 vectors.
#[inline(always)]
unsafe fn vector<S: Simd>(values: &[f32], n: usize) -> S::f32s {
    // SAFETY: as the caller promises.
    unsafe { values.as_ptr().add(n * S::F32_LANES).cast::<S::f32s>().read_unaligned() }
}

struct WeightGradient<'a> {
    grid: &'a Grid,
    sizes: Sizes,
    g: &'a [f32],
    scratch: &'a mut Scratch,
    /// [rows, channels, taps].
    dw: &'a mut [f32],
}

impl WithSimd for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { grid, sizes, g, scratch, dw } = self;
        let width = grid.columns.outputs;
        let taps = grid.taps.len();
        let rows = g.chunks_exact(grid.results()).zip(dw.chunks_exact_mut(sizes.channels * taps));
        for (g, dw) in rows {
            // Zeros stay between the rows, so that what the planes have there does not count.
            let wide = scratch.wide.chunks_mut(grid.width()).zip(g.chunks_exact(width));
            wide.for_each(|(wide, g)| wide[..width].copy_from_slice(g));
            let vectors = length(grid).div_ceil(S::F32_LANES);
            let wide = &scratch.wide[..vectors * S::F32_LANES];
            for (channel, dw) in dw.chunks_exact_mut(taps).enumerate() {
                let planes = &scratch.planes[channel * grid.channel()..];
                for (taps, dw) in grid.taps.chunks(TAPS).zip(dw.chunks_mut(TAPS)) {
                    let offset = |at: usize| taps[at.min(taps.len() - 1)].offset;
                    let sums = correlate(simd, planes, std::array::from_fn(offset), wide);
                    dw.copy_from_slice(&sums[..dw.len()]);
                }
            }
        }
    }
}

/// Σ_p planes[offset + p]·wide[p] for each offset.
#[inline(always)]
fn correlate<S: Simd>(
    simd: S,
    planes: &[f32],
    offsets: [usize; TAPS],
    wide: &[f32],
) -> [f32; TAPS] {
    let planes = offsets.map(|offset| &planes[offset..][..wide.len()]);
    let mut sums = [simd.splat_f32s(0.); TAPS];
    for n in 0..wide.len() / S::F32_LANES {
        // SAFETY: all slices are as long as `wide`, which has so many vectors.
        unsafe {
            let g = vector::<S>(wide, n);
            for (sum, planes) in sums.iter_mut().zip(&planes) {
                *sum = simd.mul_add_e_f32s(g, vector::<S>(planes, n), *sum);
            }
        }
    }
    sums.map(|sum| simd.reduce_sum_f32s(sum))
}
