//! All cuts of a chunk of pixels, in cache.

use std::array::from_fn;

use pulp::{Simd, WithSimd};

use super::plan::{Mix, Plan, ROWS, Run, Term, Value, Work};
use super::prepared::Prepared;
use crate::factor::Factor;
use crate::heads::dims::CHUNK;
use crate::product::{COLUMNS, Left, Stretch, Tile, add_product, columns_padded, steps};

use crate::sigmoid::{Row, add_products, masks, row};

/// A thread's buffers, which it keeps between chunks.
pub(super) struct Scratch<F> {
    /// The chunk's features by place, [CHUNK, pitch].
    z: Vec<f32>,
    /// The changes of ẑ of all steps as left operands, [pixels of a block, pitch of the plan].
    changes: Vec<F>,
    /// A panel's weights that the changes are multiplied with, [factors of all steps, 32], where
    /// products take blocks of factors; otherwise empty.
    weights: Vec<F>,
    /// ẑ of 16 pixels at a step, [16, C].
    current: Vec<f32>,
    /// The reconstructed channels of a step, [16, C in whole panels].
    mixed: Vec<f32>,
    /// The features of a panel's channels, [CHUNK, 32].
    features: Vec<f32>,
    /// Sums over a block's pixels of a panel's masks ⊗ features, [steps, 32].
    products: Vec<f32>,
}

/// Neighbouring pixels of a chunk.
#[derive(Clone, Copy)]
struct Block {
    /// The first.
    start: usize,
    /// Their number.
    pixels: usize,
}

/// Adds a chunk's pixels to sums [cuts, K] over the pixels: those of w ⊗ mask ⊗ feature.
pub(super) struct ChunkJob<'a, F> {
    /// What is computed.
    pub prepared: &'a Prepared<F>,
    /// The chunk's features, [pixels, C].
    pub z: &'a [f32],
    /// The sums.
    pub sums: &'a mut [f64],
    /// The thread's buffers.
    pub scratch: &'a mut Scratch<F>,
}

impl<F: Factor> WithSimd for ChunkJob<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { prepared, z, sums, scratch } = self;
        let is_finite = scratch.load(prepared, z) && prepared.is_finite;
        let plan = if is_finite { &prepared.walk } else { prepared.alone() };
        let attributes = sums.len() / plan.steps.len();
        let pixels = z.len() / prepared.channels;
        for start in (0..pixels).step_by(plan.block) {
            let block = Block { start, pixels: plan.block.min(pixels - start) };
            scratch.changes(simd, prepared, plan, block);
            for (number, panel) in prepared.panels.iter().enumerate() {
                scratch.sum_masks(simd, prepared, plan, block, number);
                let products = scratch.products.as_chunks::<COLUMNS>().0;
                for (step, products) in plan.steps.iter().zip(products) {
                    let sum = read_out(products, panel.readout_of(step.cut));
                    sums[step.cut * attributes + panel.attribute] += f64::from(sum);
                }
            }
        }
    }
}

impl<F: Factor> Scratch<F> {
    /// Buffers of a call.
    pub fn new(prepared: &Prepared<F>) -> Self {
        Self {
            z: vec![0f32; CHUNK * prepared.pitch()],
            changes: vec![],
            weights: vec![],
            current: vec![0f32; ROWS * prepared.channels],
            mixed: vec![0f32; ROWS * columns_padded(prepared.channels)],
            features: vec![0f32; CHUNK * COLUMNS],
            products: vec![0f32; prepared.walk.steps.len() * COLUMNS],
        }
    }

    /// Reads the features of a chunk. Returns whether they are finite.
    #[inline(always)]
    fn load(&mut self, prepared: &Prepared<F>, z: &[f32]) -> bool {
        let rows = self.z.chunks_exact_mut(prepared.pitch()).zip(z.chunks_exact(prepared.channels));
        for (out, from) in rows {
            out.iter_mut().zip(&prepared.order).for_each(|(out, &channel)| *out = from[channel]);
        }
        z.iter().all(|value| value.is_finite())
    }

    /// Computes the left operands of a block. Pixels beyond its last, up to a whole group of rows,
    /// get values that nobody reads.
    #[inline(always)]
    fn changes<S: Simd>(&mut self, simd: S, prepared: &Prepared<F>, plan: &Plan, block: Block) {
        let needed = plan.block * plan.pitch;
        if self.changes.len() < needed {
            self.changes.resize(needed, F::default());
        }
        let channels = prepared.channels;
        let pitch = prepared.pitch();
        for pixel in (0..block.pixels).step_by(ROWS) {
            let first = block.start + pixel;
            for step in &plan.steps {
                if step.fresh {
                    self.current.fill(0.);
                }
                self.mix(simd, &step.mix, first * pitch, pitch);
                for r in 0..ROWS {
                    let z = &self.z[(first + r) * pitch..][..channels];
                    let mixed = &self.mixed[r * columns_padded(channels)..];
                    let current = &mut self.current[r * channels..][..channels];
                    let out = &mut self.changes[(pixel + r) * plan.pitch + step.start..];
                    for (out, terms) in out.iter_mut().zip(step.terms.chunks_exact(F::TERMS)) {
                        let mut change = [0f32; 2];
                        for (change, term) in change.iter_mut().zip(terms) {
                            *change = term.change(z, mixed, current);
                        }
                        *out = F::of(&change[..F::TERMS]);
                    }
                }
            }
        }
    }

    /// Reconstructs channels of 16 pixels, whose features begin at `start`.
    #[inline(always)]
    fn mix<S: Simd>(&mut self, simd: S, mix: &Mix, start: usize, pitch: usize) {
        let row = self.mixed.len() / ROWS;
        for (panel, offsets) in mix.offsets.chunks_exact(COLUMNS).enumerate() {
            for mixed in self.mixed.chunks_exact_mut(row) {
                mixed[panel * COLUMNS..][..COLUMNS].copy_from_slice(offsets);
            }
            let stretches = mix.runs.iter().map(|run| Stretch {
                a: start + run.first,
                b: (panel * mix.places + run.place) * COLUMNS,
                steps: run.length,
            });
            let z = Left { values: &self.z[..], row: pitch, step: 1 };
            let start = panel * COLUMNS;
            let tile = Tile { values: &mut self.mixed, start, row, rows: ROWS };
            // SAFETY: the factor dispatches this job, and clones repeat the stretches.
            unsafe { add_product(simd, stretches, z, &mix.weights, tile) };
        }
    }

    /// Sums a panel's masks ⊗ features over a block, for each step.
    #[inline(always)]
    fn sum_masks<S: Simd>(
        &mut self,
        simd: S,
        prepared: &Prepared<F>,
        plan: &Plan,
        block: Block,
        number: usize,
    ) {
        let panel = &prepared.panels[number];
        let works = &plan.works[number * plan.steps.len()..][..plan.steps.len()];
        if panel.run.is_none() {
            self.gather(prepared, &panel.places, block);
        }
        self.gather_weights(prepared, plan, number);
        self.products.fill(0.);
        let changes = Left { values: &self.changes[..], row: plan.pitch, step: 1 };
        let z_pitch = prepared.pitch();
        let first_weight = number * steps::<F>(prepared.channels);
        for pixel in (0..block.pixels).step_by(ROWS) {
            let valid = ROWS.min(block.pixels - pixel);
            let features = match panel.run {
                Some(first) => (&self.z[(block.start + pixel) * z_pitch + first..], z_pitch),
                None => (&self.features[pixel * COLUMNS..], COLUMNS),
            };
            let mut logits = [0f32; ROWS * COLUMNS];
            let products = self.products.as_chunks_mut::<COLUMNS>().0;
            for ((step, &work), products) in plan.steps.iter().zip(works).zip(products) {
                if step.fresh {
                    let rows = logits.chunks_exact_mut(COLUMNS);
                    rows.for_each(|logits| logits.copy_from_slice(&panel.bias));
                }
                if work == Work::Nothing {
                    continue;
                }
                let whole = [Run { place: 0, first: step.start, length: step.factors::<F>() }];
                let (runs, first, weights) = match self.weights.is_empty() {
                    true => (&step.runs[..], first_weight, &prepared.weights),
                    false => (&whole[..], 0, &self.weights),
                };
                let stretches = runs.iter().map(|run| Stretch {
                    a: pixel * plan.pitch + step.start + run.place,
                    b: (first + run.first) * COLUMNS,
                    steps: run.length,
                });
                let tile = Tile { values: &mut logits, start: 0, row: COLUMNS, rows: valid };
                // SAFETY: the factor dispatches this job, and clones repeat the stretches.
                unsafe { add_product(simd, stretches, changes, weights, tile) };
                if work == Work::AddAndSum {
                    sum_rows::<S>(&logits[..valid * COLUMNS], features, products);
                }
            }
        }
    }

    /// A panel's weights in the order of the changes, so that those of a step are whole blocks.
    #[inline(always)]
    fn gather_weights(&mut self, prepared: &Prepared<F>, plan: &Plan, number: usize) {
        if F::BLOCK == 1 {
            return;
        }
        let factors = plan.steps.last().map_or(0, |step| step.start + step.factors::<F>());
        self.weights.resize(factors * COLUMNS, F::default());
        let of_panel = &prepared.weights[number * steps::<F>(prepared.channels) * COLUMNS..];
        for step in &plan.steps {
            let out = &mut self.weights[step.start * COLUMNS..][..step.factors::<F>() * COLUMNS];
            let mut end = 0;
            for run in &step.runs {
                let length = run.length * COLUMNS;
                out[run.place * COLUMNS..][..length]
                    .copy_from_slice(&of_panel[run.first * COLUMNS..][..length]);
                end = run.place * COLUMNS + length;
            }
            out[end..].fill(F::default());
        }
    }

    /// The features of some places side by side.
    #[inline(always)]
    fn gather(&mut self, prepared: &Prepared<F>, places: &[usize], block: Block) {
        let pitch = prepared.pitch();
        let pixels = self.z.chunks_exact(pitch).skip(block.start).take(block.pixels);
        for (out, z) in self.features.chunks_exact_mut(COLUMNS).zip(pixels) {
            out.iter_mut().zip(places).for_each(|(out, &place)| *out = z[place]);
        }
    }
}

impl Term {
    /// The change of ẑ, which becomes `current`.
    #[inline(always)]
    fn change(&self, z: &[f32], mixed: &[f32], current: &mut [f32]) -> f32 {
        let &Self::To { place, value } = self else { return 0. };
        let value = match value {
            Value::Zero => 0.,
            Value::Own => z[place],
            Value::Mix(column) => mixed[column],
        };
        value - std::mem::replace(&mut current[place], value)
    }
}

/// Adds the products of the masks and the features of some pixels. Those of two pixels are `pitch`
/// values apart.
#[inline(always)]
fn sum_rows<S: Simd>(logits: &[f32], (features, pitch): (&[f32], usize), products: &mut Row) {
    let mut sums = *products;
    for (pixel, logits) in logits.as_chunks().0.iter().enumerate() {
        let mut mask = *logits;
        masks::<S>(&mut mask);
        add_products::<S>(&mask, row(features, pixel * pitch), &mut sums);
    }
    *products = sums;
}

/// Σ w·p over the masks that a cut has. The others' products do not count, even if they are NaN.
#[inline(always)]
fn read_out(products: &Row, weights: &Row) -> f32 {
    let term = |j: usize| if weights[j] == 0. { 0. } else { weights[j] * products[j] };
    let mut terms: Row = from_fn(term);
    let mut width = COLUMNS / 2;
    while width > 0 {
        for j in 0..width {
            terms[j] += terms[j + width];
        }
        width /= 2;
    }
    terms[0]
}
