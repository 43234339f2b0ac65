//! The images of a convolution as left operands over their pixels.

use rayon::prelude::*;

use super::geometry::Geometry;
use crate::factor::Factor;
use crate::product::{Left, ROW_GROUP};

/// Pixels that are transposed at a time: a cache line of each channel.
const BLOCK: usize = 16;

/// Images with zero padding as left operands over their pixels.
///
/// Where a factor holds one term, they lie pixel by pixel. Pairs lie channel by channel, and a
/// channel has two rows: pairs of its padded pixels from the first on, and from the second on, as
/// the pixel that a tap begins with may have an even or an odd number.
pub(super) struct OverPixels<F> {
    values: Vec<F>,
    /// Factors of an image.
    image: usize,
    /// Factors of one of the two rows of a channel; 0 where they lie pixel by pixel.
    pairs: usize,
}

impl<F: Factor> OverPixels<F> {
    /// The operands of images x [B, H, W, I].
    pub fn new(geometry: &Geometry, x: &[f32]) -> Self {
        let inputs = geometry.inputs;
        if F::TERMS == 1 {
            let values = geometry.pad(x, inputs, |row, out| {
                out.iter_mut().zip(row).for_each(|(out, &v)| *out = F::of(&[v]));
            });
            return Self { values, image: geometry.padded_image(inputs), pairs: 0 };
        }
        let pixels = geometry.padded_image(1);
        let pairs = pixels.div_ceil(2);
        // Tiles read whole groups of channels.
        let image = inputs.next_multiple_of(ROW_GROUP) * 2 * pairs;
        let mut values = vec![F::default(); geometry.images * image];
        values
            .par_chunks_exact_mut(image)
            .zip(x.par_chunks_exact(inputs * geometry.pixels()))
            .for_each_init(
                || vec![0f32; inputs * (2 * pairs + 1)],
                |planes, (out, x)| {
                    transpose(geometry, x, planes, 2 * pairs + 1);
                    let rows = out.chunks_exact_mut(2 * pairs).zip(planes.chunks(2 * pairs + 1));
                    for (rows, plane) in rows {
                        let (even, odd) = rows.split_at_mut(pairs);
                        write_pairs(even, plane);
                        write_pairs(odd, &plane[1..]);
                    }
                },
            );
        Self { values, image, pairs }
    }

    /// The operand of an image.
    pub fn image(&self, geometry: &Geometry, image: usize) -> Left<'_, F> {
        let values = &self.values[image * self.image..][..self.image];
        match self.pairs {
            0 => Left { values, row: 1, step: geometry.inputs },
            pairs => Left { values, row: 2 * pairs, step: 1 },
        }
    }

    /// Where the input `i` that a tap reads for the first pixel of row `y` lies in an image.
    pub fn offset(&self, geometry: &Geometry, y: usize, tap: usize, i: usize) -> usize {
        match self.pairs {
            0 => geometry.offset(y, 0, tap, geometry.inputs) + i,
            pairs => {
                let pixel = geometry.offset(y, 0, tap, 1);
                (2 * i + pixel % 2) * pairs + pixel / 2
            }
        }
    }
}

/// Writes an image x [H, W, I] to padded planes, `each` values a channel, whose padding is 0.
fn transpose(geometry: &Geometry, x: &[f32], planes: &mut [f32], each: usize) {
    let Geometry { inputs, w, .. } = *geometry;
    for (y, row) in x.chunks_exact(w * inputs).enumerate() {
        let start = (y + geometry.padding()) * geometry.padded_width() + geometry.padding();
        for (block, pixels) in row.chunks(BLOCK * inputs).enumerate() {
            for (i, plane) in planes.chunks_exact_mut(each).enumerate() {
                let out = &mut plane[start + block * BLOCK..];
                let values = pixels[i..].iter().step_by(inputs);
                out.iter_mut().zip(values).for_each(|(out, &v)| *out = v);
            }
        }
    }
}

/// Writes pairs of neighbouring values.
fn write_pairs<F: Factor>(out: &mut [F], values: &[f32]) {
    let pairs = values.as_chunks::<2>().0;
    out.iter_mut().zip(pairs).for_each(|(out, pair)| *out = F::of(pair));
}
