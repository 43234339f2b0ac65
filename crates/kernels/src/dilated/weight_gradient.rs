//! The gradients of a convolution's weights and biases: products of the padded images with the
//! outputs' gradient, summed over the pixels.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::geometry::{Chunk, Geometry};
use super::over_pixels::OverPixels;
use crate::factor::Factor;
use crate::isa::Instructions;
use crate::product::{
    COLUMNS, ROWS, Stretch, Tile, add_product, columns_padded, pack_columns, steps,
};

/// Into how many parts the rows of a batch are cut, whatever the number of threads: the order of
/// sums, and so every bit, depends on it.
const PARTS: usize = 16;

/// The gradients of the weights [O, I, n, n] and of the biases `[O]`.
pub(crate) struct WeightGradients {
    pub dw: Vec<f32>,
    pub db: Vec<f32>,
}

/// The gradients from x [B, H, W, I] and g [B, H, W, O].
pub(crate) fn weight_gradients<F: Factor>(
    geometry: &Geometry,
    instructions: Instructions,
    x: &[f32],
    g: &[f32],
) -> WeightGradients {
    let Geometry { inputs, outputs, .. } = *geometry;
    let taps = geometry.taps();
    let mut dw = vec![0f32; outputs * inputs * taps];
    let mut db = vec![0f32; outputs];
    if dw.is_empty() || g.is_empty() {
        return WeightGradients { dw, db };
    }
    let chunks = geometry.chunks();
    let x = &OverPixels::<F>::new(geometry, x);
    let parts: Vec<Part<F>> = chunks
        .par_chunks(chunks.len().div_ceil(PARTS))
        .map(|chunks| {
            let mut part = Part::new(geometry);
            F::dispatch(instructions, Rows { geometry, x, g, chunks, part: &mut part });
            part
        })
        .collect();
    let padded = columns_padded(outputs);
    for part in &parts {
        for (o, dw) in dw.chunks_exact_mut(inputs * taps).enumerate() {
            for (at, v) in dw.iter_mut().enumerate() {
                let i = at / taps;
                let tap = at % taps;
                *v += part.dw[(tap * inputs.next_multiple_of(ROWS) + i) * padded + o];
            }
        }
        db.iter_mut().zip(&part.db).for_each(|(v, p)| *v += *p as f32);
    }
    WeightGradients { dw, db }
}

/// What some rows add to the gradients.
struct Part<F> {
    /// [taps, I in whole groups, O in whole panels].
    dw: Vec<f32>,
    /// `[O]`.
    db: Vec<f64>,
    /// g of some rows and a panel as right operand: [rows, steps of W, 32].
    g: Vec<F>,
}

impl<F: Factor> Part<F> {
    fn new(geometry: &Geometry) -> Self {
        let inputs = geometry.inputs.next_multiple_of(ROWS);
        let outputs = columns_padded(geometry.outputs);
        Self {
            dw: vec![0f32; geometry.taps() * inputs * outputs],
            db: vec![0f64; geometry.outputs],
            g: vec![F::default(); geometry.rows() * steps::<F>(geometry.w) * COLUMNS],
        }
    }

    /// Packs a panel of g [rows, W, O] and adds it up for the biases.
    #[inline(always)]
    fn load(&mut self, g: &[f32], w: usize, outputs: usize, panel: usize) {
        let first = panel * COLUMNS;
        let width = COLUMNS.min(outputs - first);
        let mut sums = [0f32; COLUMNS];
        let rows =
            self.g.chunks_exact_mut(steps::<F>(w) * COLUMNS).zip(g.chunks_exact(w * outputs));
        for (out, g) in rows {
            pack_columns(&g[first..], w, outputs, width, out, COLUMNS);
            for g in g.chunks_exact(outputs) {
                sums.iter_mut().zip(&g[first..][..width]).for_each(|(sum, v)| *sum += v);
            }
        }
        self.db[first..].iter_mut().zip(&sums).for_each(|(sum, &v)| *sum += f64::from(v));
    }
}

/// Some rows of a batch, which are added to a part.
struct Rows<'a, F> {
    geometry: &'a Geometry,
    x: &'a OverPixels<F>,
    g: &'a [f32],
    chunks: &'a [Chunk],
    part: &'a mut Part<F>,
}

impl<F: Factor> WithSimd for Rows<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { geometry, part, .. } = self;
        let Geometry { inputs, outputs, h, w, .. } = *geometry;
        let groups = inputs.next_multiple_of(ROWS);
        let padded = columns_padded(outputs);
        for &Chunk { image, first, rows } in self.chunks {
            let a = self.x.image(geometry, image);
            let g = &self.g[(image * h + first) * w * outputs..][..rows * w * outputs];
            for panel in 0..padded / COLUMNS {
                part.load(g, w, outputs, panel);
                let tiles = (0..geometry.taps())
                    .flat_map(|tap| (0..inputs).step_by(ROWS).map(move |i| (tap, i)));
                for (tap, i) in tiles {
                    let stretches = (0..rows).map(|y| Stretch {
                        a: self.x.offset(geometry, first + y, tap, i),
                        b: y * steps::<F>(w) * COLUMNS,
                        steps: steps::<F>(w),
                    });
                    let tile = Tile {
                        values: &mut part.dw,
                        start: (tap * groups + i) * padded + panel * COLUMNS,
                        row: padded,
                        rows: ROWS.min(inputs - i),
                    };
                    // SAFETY: the factor dispatches this job, and clones repeat the stretches.
                    unsafe { add_product(simd, stretches, a, &part.g, tile) };
                }
            }
        }
    }
}
