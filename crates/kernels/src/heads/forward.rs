//! The forward pass of all attention heads on one chunk of pixels, in cache.

use pulp::{Simd, WithSimd};

use super::curves::{Curves, Power};
use super::dims::{CHUNK, Chunk, Dims};
use super::loaded::LoadedChunk;
use super::panels::{Panel, Panels};
use super::tile::{Sums, logits};
use super::weights::Weights;
use crate::curve::ToneCurve;
use crate::factor::Factor;
use crate::product::{COLUMNS, ROWS};
use crate::sigmoid::masks;

/// A thread's buffers, which it keeps between chunks.
pub(crate) struct ForwardScratch<F> {
    loaded: LoadedChunk<F>,
    /// The masks of a panel, row by row, as a curve takes them: [32, CHUNK]; empty where no curve
    /// is applied.
    masks: Vec<f32>,
    /// The same under a curve.
    curved_masks: Vec<f32>,
}

impl<F: Factor> ForwardScratch<F> {
    pub fn new(dims: &Dims, applies_curves: bool) -> Self {
        let panel = if applies_curves { COLUMNS * CHUNK } else { 0 };
        Self {
            loaded: LoadedChunk::forward(dims),
            masks: vec![0f32; panel],
            curved_masks: vec![0f32; panel],
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
        let (mut sums, mut gathered) = (Sums::default(), [0f32; COLUMNS]);
        for pixel in 0..chunk.pixels {
            let mask = std::array::from_fn(|j| self.curved_masks[j * CHUNK + pixel]);
            let pixel = &self.loaded.u[pixel * dims.pitch()..][..dims.pitch()];
            sums.add::<S>(&mask, panel.features(pixel, &mut gathered));
        }
        sums
    }
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
    pub scratch: &'a mut ForwardScratch<F>,
}

impl<F: Factor> WithSimd for ForwardChunk<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { dims, panels, chunk, weights, curves, sums, scratch, .. } = self;
        scratch.loaded.load(dims, chunk, self.u);
        let each = curves.sums() * 2 * COLUMNS;
        for (panel, sums) in panels.iter().zip(sums.chunks_exact_mut(each)) {
            let mut powers: [Sums; 3] = Default::default();
            let mut gathered = [0f32; COLUMNS];
            for pixel in (0..chunk.pixels).step_by(ROWS) {
                let valid = ROWS.min(chunk.pixels - pixel);
                let mut tile = logits(simd, dims, weights, &scratch.loaded, (pixel, valid), panel);
                for (r, mask) in tile[..valid].iter_mut().enumerate() {
                    masks::<S>(mask);
                    let at = (pixel + r) * dims.pitch();
                    let z = &scratch.loaded.u[at..][..dims.pitch()];
                    let z = panel.features(z, &mut gathered);
                    for (power, sums) in curves.powers.iter().zip(&mut powers) {
                        match power {
                            Power::One => sums.add::<S>(mask, z),
                            other => sums.add::<S>(&other.apply(mask), z),
                        }
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
