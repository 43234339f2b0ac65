//! The sizes of a convolution, and its images with their zero padding.

use candle_core::Shape;
use rayon::prelude::*;

use crate::factor::Factor;
use crate::product::{ROWS, pack_row, steps};

/// Pixels of a chunk, as far as whole rows of the image allow.
const CHUNK: usize = 128;

/// The sizes of a convolution with stride 1 and "same" padding.
#[derive(Clone, Copy)]
pub(crate) struct Geometry {
    /// B.
    pub images: usize,
    /// I.
    pub inputs: usize,
    /// O.
    pub outputs: usize,
    /// H.
    pub h: usize,
    /// W.
    pub w: usize,
    /// Height and width of the kernel, odd.
    pub n: usize,
    /// Distance of two taps of the kernel.
    pub dilation: usize,
}

/// Some rows of one image.
#[derive(Clone, Copy)]
pub(crate) struct Chunk {
    pub image: usize,
    /// The first row.
    pub first: usize,
    /// The number of rows.
    pub rows: usize,
}

impl Geometry {
    /// The sizes for x [B, H, W, I] and weight [O, I, n, n].
    pub fn new(x: &Shape, weight: &Shape, dilation: usize) -> candle_core::Result<Self> {
        let (images, h, w, inputs) = x.dims4()?;
        let (outputs, _, n, _) = weight.dims4()?;
        Ok(Self { images, inputs, outputs, h, w, n, dilation })
    }

    /// Pixels of an image.
    pub fn pixels(&self) -> usize {
        self.h * self.w
    }

    /// Taps of the kernel.
    pub fn taps(&self) -> usize {
        self.n * self.n
    }

    /// Zeros on each side of an image.
    pub fn padding(&self) -> usize {
        self.n / 2 * self.dilation
    }

    pub fn padded_width(&self) -> usize {
        self.w + 2 * self.padding()
    }

    /// Factors of a padded image with `each` factors a pixel. Tiles reach past the end of its last
    /// row, hence the rest.
    pub fn padded_image(&self, each: usize) -> usize {
        (self.padded_width() * (self.h + 2 * self.padding()) + ROWS) * each + ROWS
    }

    /// Rows of a chunk.
    pub fn rows(&self) -> usize {
        (CHUNK / self.w).clamp(1, self.h)
    }

    /// All rows of a batch, image by image.
    pub fn chunks(&self) -> Vec<Chunk> {
        let of_image = |image: usize| {
            (0..self.h).step_by(self.rows()).map(move |first| Chunk {
                image,
                first,
                rows: self.rows().min(self.h - first),
            })
        };
        (0..self.images).flat_map(of_image).collect()
    }

    /// Where the input that a tap reads for output pixel (y, x) lies in a padded image with `each`
    /// factors a pixel.
    pub fn offset(&self, y: usize, x: usize, tap: usize, each: usize) -> usize {
        let row = y + tap / self.n * self.dilation;
        let column = x + tap % self.n * self.dilation;
        (row * self.padded_width() + column) * each
    }

    /// Images [B, H, W, I] with zero padding, as left operands over their channels: for each pixel,
    /// as many factors as hold its channels.
    pub fn pad_over_channels<F: Factor>(&self, x: &[f32]) -> Vec<F> {
        let each = steps::<F>(self.inputs);
        self.pad(x, each, |row, out| {
            row.chunks_exact(self.inputs)
                .zip(out.chunks_exact_mut(each))
                .for_each(|(pixel, out)| pack_row(pixel, out))
        })
    }

    /// Copies each row of the images into an image with zero padding, by `copy`.
    pub fn pad<F: Factor>(
        &self,
        x: &[f32],
        each: usize,
        copy: impl Fn(&[f32], &mut [F]) + Sync,
    ) -> Vec<F> {
        let row = self.w * self.inputs;
        let padding = self.padding();
        let mut out = vec![F::default(); self.images * self.padded_image(each)];
        let images = x.par_chunks_exact(self.h * row);
        out.par_chunks_exact_mut(self.padded_image(each)).zip(images).for_each(|(out, x)| {
            for (y, x) in x.chunks_exact(row).enumerate() {
                let at = ((y + padding) * self.padded_width() + padding) * each;
                copy(x, &mut out[at..at + self.w * each]);
            }
        });
        out
    }
}
