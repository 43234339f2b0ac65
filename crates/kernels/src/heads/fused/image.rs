//! The fused pass of one image, group by group.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::{CHUNK_MASKS, LossOfMeans};
use crate::factor::Factor;
use crate::heads::backward::{GroupBackward, LogitGradients, Masks, at_row, has_gradient};
use crate::heads::dims::{CHUNK, Chunk, Dims};
use crate::heads::loaded::LoadedChunk;
use crate::heads::panels::{GROUP, Panels};
use crate::heads::tile::{Sums, tile_of_masks};
use crate::heads::weights::{WeightSums, Weights};
use crate::product::{COLUMNS, ROWS};

/// What all images share.
pub(super) struct Shared<'a, F> {
    pub dims: &'a Dims,
    pub panels: &'a Panels,
    /// [B, P, D].
    pub u: &'a [f32],
    pub weights: &'a Weights<F>,
    pub loss: &'a dyn LossOfMeans,
}

/// A thread's buffers, which it keeps between images.
pub(super) struct Scratch<F> {
    /// All chunks of an image.
    loaded: Vec<LoadedChunk<F>>,
    /// The masks of a group, [chunks, GROUP, CHUNK, 32].
    kept: Vec<f32>,
    da: LogitGradients<F>,
    /// Sums over the pixels of a group's masks, [GROUP, 2, 32].
    sums: Vec<f32>,
    /// Means of an image, [K, 2, C]; 0 for rows that are left out.
    means: Vec<f32>,
    /// Their gradient.
    g: Vec<f32>,
}

impl<F: Factor> Scratch<F> {
    pub fn new(dims: &Dims, needs_weights: bool) -> Self {
        let chunks = dims.pixels.div_ceil(CHUNK);
        let means = dims.attributes * 2 * dims.channels;
        let chunk = || LoadedChunk::with_one_sum(dims, needs_weights);
        Self {
            loaded: (0..chunks).map(|_| chunk()).collect(),
            kept: vec![0f32; chunks * CHUNK_MASKS],
            da: LogitGradients::new(needs_weights),
            sums: vec![0f32; GROUP * 2 * COLUMNS],
            means: vec![0f32; means],
            g: vec![0f32; means],
        }
    }

    /// The means of the last image, [K, 2, C], of the attributes that were computed.
    pub fn means(&self) -> &[f32] {
        &self.means
    }

    /// Keeps the masks of a group, and adds them up.
    #[inline(always)]
    fn forward<S: Simd>(&mut self, simd: S, shared: &Shared<F>, chunks: &[Chunk], group: usize) {
        let Shared { dims, panels, weights, .. } = *shared;
        self.sums.fill(0.);
        let each = self.loaded.iter().zip(chunks).zip(self.kept.chunks_exact_mut(CHUNK_MASKS));
        for ((loaded, chunk), kept) in each {
            for (place, panel) in panels.of_group(group).enumerate() {
                let (mut sums, mut gathered) = (Sums::default(), [0f32; COLUMNS]);
                for pixel in (0..chunk.pixels).step_by(ROWS) {
                    let valid = ROWS.min(chunk.pixels - pixel);
                    let tile = tile_of_masks(simd, dims, weights, loaded, (pixel, valid), panel);
                    for (r, masks) in tile[..valid].iter().enumerate() {
                        let at = (pixel + r) * dims.pitch();
                        let pixel = &loaded.u[at..][..dims.pitch()];
                        let z = panel.features(pixel, &mut gathered);
                        sums.add::<S>(masks, z);
                    }
                    kept.as_chunks_mut().0[place * CHUNK + pixel..][..ROWS].copy_from_slice(&tile);
                }
                sums.add_to(&mut self.sums[place * 2 * COLUMNS..][..2 * COLUMNS]);
            }
        }
    }

    /// The means of a group's rows from their sums, and the gradient of the loss.
    fn compare(&mut self, shared: &Shared<F>, image: usize, group: usize) {
        let Shared { dims, panels, loss, .. } = *shared;
        let Dims { channels, pixels, .. } = *dims;
        let sums = self.sums.chunks_exact(2 * COLUMNS);
        for (panel, sums) in panels.of_group(group).zip(sums) {
            for (lane, &row) in panel.rows.iter().enumerate() {
                let at = at_row(dims, row);
                self.means[at] = sums[lane] / pixels as f32;
                self.means[at + channels] = sums[COLUMNS + lane] / pixels as f32;
            }
        }
        for rows in panels.rows_of_group(group).chunk_by(|a, b| a.0 == b.0) {
            let k = rows[0].0;
            let means = &self.means[at_row(dims, (k, 0))..][..2 * channels];
            let g = &mut self.g[at_row(dims, (k, 0))..][..2 * channels];
            let (means, g) = (means.split_at(channels), g.split_at_mut(channels));
            loss.gradient(image, k, [means.0, means.1], [g.0, g.1]);
        }
    }

    /// Takes the gradient back through the masks of a group. The last chunks of the forward pass
    /// are still in cache, so that they come first.
    #[inline(always)]
    fn backward<S: Simd>(
        &mut self,
        simd: S,
        shared: &Shared<F>,
        chunks: &[Chunk],
        group: usize,
        mut weight_sums: Option<&mut WeightSums>,
    ) {
        let Shared { dims, panels, weights, .. } = *shared;
        let Self { loaded, kept, da, g, .. } = self;
        if !has_gradient(dims, g, panels.rows_of_group(group)) {
            return;
        }
        let each = loaded.iter_mut().zip(chunks).zip(kept.chunks_exact(CHUNK_MASKS));
        for ((loaded, chunk), kept) in each.rev() {
            let step = GroupBackward { dims, panels, group, chunk, weights, g: &g[..] };
            step.run(simd, Masks::Kept(kept), loaded, da, weight_sums.as_deref_mut());
        }
    }
}

/// The fused pass of some groups of one image.
pub(super) struct Image<'a, F> {
    pub shared: &'a Shared<'a, F>,
    pub image: usize,
    pub groups: Range<usize>,
    /// The gradient of the image's inputs, [P, D], which is overwritten.
    pub du: &'a mut [f32],
    /// The sums that the image's part of the weights' gradients is added to, if they are needed.
    pub weight_sums: Option<&'a mut WeightSums>,
    pub scratch: &'a mut Scratch<F>,
}

impl<F: Factor> WithSimd for Image<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { shared, image, groups, du, mut weight_sums, scratch } = self;
        let dims = shared.dims;
        let chunks: Vec<Chunk> = dims.chunks_of(image).collect();
        for (loaded, chunk) in scratch.loaded.iter_mut().zip(&chunks) {
            loaded.load(dims, chunk, shared.u);
        }
        for group in groups {
            scratch.forward(simd, shared, &chunks, group);
            scratch.compare(shared, image, group);
            scratch.backward(simd, shared, &chunks, group, weight_sums.as_deref_mut());
        }
        for (du, loaded) in du.chunks_mut(CHUNK * dims.inputs).zip(&scratch.loaded) {
            loaded.write_gradient(dims, du);
        }
    }
}
