//! A chunk's inputs in the order in which products read them, and the sums of their gradient.

use super::dims::{CHUNK, Chunk, Dims};
use crate::factor::Factor;
use crate::product::{Left, ROWS, pack_row, pack_transposed};

/// Distance of two inputs in operands of two terms over the pixels: the steps of a chunk, and a
/// cache line, which spreads a step over the sets of the first-level cache.
const OVER_PIXELS: usize = CHUNK / 2 + 16;

/// A chunk's inputs and their gradient.
///
/// Products read packed operands. Where a factor holds one term ([`Factor::TERMS`] = 1), operands
/// over the inputs serve as those over the pixels too, and where it is the `f32` value itself, `u`
/// serves as both: the other buffers stay empty. Those over the pixels do so too where the weights'
/// gradients are not needed.
pub(crate) struct LoadedChunk<F> {
    /// The inputs, [CHUNK, pitch]; zero beyond D.
    pub u: Vec<f32>,
    /// The same as left operands over the inputs, [CHUNK, pitch].
    u_over_inputs: Vec<F>,
    /// The same as left operands over the pixels, [D in whole panels, steps of CHUNK].
    u_over_pixels: Vec<F>,
    /// The inputs' gradient through the masks, [CHUNK, pitch]; empty in the forward pass.
    pub du: Vec<f32>,
    /// The rest of it, that of the features beside the masks; empty where `du` is the sum of both.
    direct: Vec<f32>,
}

impl<F: Factor> LoadedChunk<F> {
    /// Buffers of the forward pass.
    pub fn forward(dims: &Dims) -> Self {
        let pixels = CHUNK * dims.pitch();
        let is_u = F::same(&[]).is_some();
        Self {
            u: vec![0f32; pixels],
            u_over_inputs: vec![F::default(); if is_u { 0 } else { pixels }],
            u_over_pixels: vec![],
            du: vec![],
            direct: vec![],
        }
    }

    /// Buffers of the backward pass. `direct` is kept apart, so that in `f32` no bit depends on
    /// which rows form a group.
    pub fn backward(dims: &Dims, needs_weights: bool) -> Self {
        let pixels = CHUNK * dims.pitch();
        Self { direct: vec![0f32; pixels], ..Self::with_one_sum(dims, needs_weights) }
    }

    /// Buffers of the backward pass with one sum of the inputs' gradient.
    pub fn with_one_sum(dims: &Dims, needs_weights: bool) -> Self {
        let pixels = CHUNK * dims.pitch();
        let is_needed = F::TERMS > 1 && needs_weights;
        let over_pixels = if is_needed { dims.padded_inputs() * OVER_PIXELS } else { 0 };
        Self {
            u_over_pixels: vec![F::default(); over_pixels],
            du: vec![0f32; pixels],
            ..Self::forward(dims)
        }
    }

    /// Reads the inputs of a chunk, of u [B, P, D]. Pixels beyond its last are zero up to a whole
    /// group of rows.
    #[inline(always)]
    pub fn load(&mut self, dims: &Dims, chunk: &Chunk, u: &[f32]) {
        let d = dims.inputs;
        let pitch = dims.pitch();
        let from = &u[(chunk.image * dims.pixels + chunk.start) * d..][..chunk.pixels * d];
        for (out, from) in self.u.chunks_exact_mut(pitch).zip(from.chunks_exact(d)) {
            out[..d].copy_from_slice(from);
        }
        let pixels = chunk.pixels.next_multiple_of(ROWS);
        self.u[chunk.pixels * pitch..pixels * pitch].fill(0.);
        let rows = self.u_over_inputs.chunks_exact_mut(pitch).zip(self.u.chunks_exact(pitch));
        for (out, from) in rows.take(pixels) {
            pack_row(&from[..dims.padded_inputs()], out);
        }
        if !self.u_over_pixels.is_empty() {
            pack_transposed(&self.u, pixels, pitch, &mut self.u_over_pixels, OVER_PIXELS);
        }
        self.du.fill(0.);
        self.direct.fill(0.);
    }

    /// The inputs as left operands over the inputs.
    #[inline(always)]
    pub fn over_inputs(&self) -> &[F] {
        F::same(&self.u).unwrap_or(&self.u_over_inputs)
    }

    /// The inputs as left operands over the pixels.
    #[inline(always)]
    pub fn over_pixels(&self, dims: &Dims) -> Left<'_, F> {
        match F::TERMS {
            1 => Left { values: self.over_inputs(), row: 1, step: dims.pitch() },
            _ => Left { values: &self.u_over_pixels, row: OVER_PIXELS, step: 1 },
        }
    }

    /// The sums of the features' gradient that does not pass through the masks.
    #[inline(always)]
    pub fn direct(&mut self) -> &mut [f32] {
        if self.direct.is_empty() { &mut self.du } else { &mut self.direct }
    }

    /// Writes the inputs' gradient [pixels, D].
    #[inline(always)]
    pub fn write_gradient(&self, dims: &Dims, out: &mut [f32]) {
        let pitch = dims.pitch();
        let rows = out.chunks_exact_mut(dims.inputs).zip(self.du.chunks_exact(pitch));
        if self.direct.is_empty() {
            rows.for_each(|(out, du)| out.copy_from_slice(&du[..out.len()]));
            return;
        }
        for ((out, du), direct) in rows.zip(self.direct.chunks_exact(pitch)) {
            out.iter_mut().zip(du).zip(direct).for_each(|((out, du), direct)| *out = du + direct);
        }
    }
}
