//! Linear imputation of pixels (Rong et al., 2022).

use candle_core::Tensor;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::tensors::{check_finite, check_float, to_f64};

/// Weight of a neighbour at an edge of a pixel, and of one at a corner.
const EDGE: f64 = 1. / 6.;
const CORNER: f64 = 1. / 12.;

/// Fills removed pixels of images x [B, C, H, W] from those around them: the value of each is the
/// weighted mean of its eight neighbours, removed ones included, so that all follow from one linear
/// system. Neighbours at an edge weigh 1/6 and those at a corner 1/12; at the border the weights of
/// the pixels inside of the image are scaled to the sum 1. Pixels are removed where `removed` [B,
/// H, W] is above 0, in all channels.
///
/// This is the imputation of [`road`](crate::road()) without its noise, as in the authors' code,
/// Quantus and pytorch-grad-cam. Its system is solved by Cholesky's method for band matrices, in
/// `f64`: of images of N pixels in rows of W, in about N·W² operations.
///
/// # Errors
/// If the shapes do not fit, a value is not finite, or no pixel of an image is left.
pub fn linear_imputation(x: &Tensor, removed: &Tensor) -> Result<Tensor> {
    check_float("the images", x)?;
    let (h, w) = match *x.dims() {
        [_, _, h, w] if x.elem_count() > 0 => (h, w),
        _ => return Err(Error::shape("the images", x.dims(), "[B, C, H, W], from one pixel,")),
    };
    if removed.dims() != [x.dims()[0], h, w] {
        let expected = format!("[B, H, W] of images, which are {:?},", x.dims());
        return Err(Error::shape("what is removed", removed.dims(), expected));
    }
    let image = x.elem_count() / x.dims()[0];
    let values = to_f64(&check_finite(x.detach(), || "the image".into())?)?;
    let filled = values
        .par_chunks(image)
        .zip(to_f64(removed)?.par_chunks(h * w))
        .map(|(image, removed)| fill(image, removed, h, w))
        .collect::<Result<Vec<_>>>()?;
    Ok(Tensor::from_vec(filled.concat(), x.shape(), x.device())?.to_dtype(x.dtype())?)
}

/// One image [C, H, W] with the removed pixels filled.
fn fill(image: &[f64], removed: &[f64], h: usize, w: usize) -> Result<Vec<f64>> {
    let pixels: Vec<usize> = (0..h * w).filter(|&pixel| removed[pixel] > 0.).collect();
    if pixels.len() == h * w {
        return Err(Error::Degenerate(
            "all pixels of an image are removed: none is left to impute",
        ));
    }
    let mut unknown = vec![None; h * w];
    pixels.iter().enumerate().for_each(|(i, &pixel)| unknown[pixel] = Some(i));
    let system = Band::new(&pixels, &unknown, h, w);
    let mut filled = image.to_vec();
    for channel in filled.chunks_mut(h * w) {
        let known = |pixel: usize| -> f64 {
            let known = neighbours(pixel, h, w).filter(|(at, _)| unknown[*at].is_none());
            known.map(|(at, weight)| weight * channel[at]).sum()
        };
        let solution = system.solve(pixels.iter().map(|&pixel| known(pixel)).collect());
        pixels.iter().zip(solution).for_each(|(&pixel, value)| channel[pixel] = value);
    }
    Ok(filled)
}

/// The pixels around one, with their weights.
fn neighbours(pixel: usize, h: usize, w: usize) -> impl Iterator<Item = (usize, f64)> {
    let (row, column) = (pixel / w, pixel % w);
    let rows = row.saturating_sub(1)..(row + 2).min(h);
    let columns = column.saturating_sub(1)..(column + 2).min(w);
    rows.flat_map(move |r| columns.clone().map(move |c| (r, c)))
        .filter(move |&at| at != (row, column))
        .map(move |(r, c)| (r * w + c, if r == row || c == column { EDGE } else { CORNER }))
}

/// Cholesky's factor L of the system's matrix: its diagonal has the sum of each removed pixel's
/// weights, and beside it each weight of another removed pixel stands with a minus. The matrix is
/// symmetric, and positive definite since each group of removed pixels touches one that is left.
struct Band {
    /// Row by row, columns i - band to i of row i.
    rows: Vec<f64>,
    band: usize,
}

impl Band {
    /// For removed pixels, and the number of each pixel among them.
    fn new(pixels: &[usize], unknown: &[Option<usize>], h: usize, w: usize) -> Self {
        let before = |i: usize| {
            neighbours(pixels[i], h, w)
                .filter_map(move |(at, weight)| unknown[at].map(|j| (j, weight)))
                .filter(move |(j, _)| *j < i)
        };
        let count = pixels.len();
        let band = (0..count).flat_map(|i| before(i).map(move |(j, _)| i - j)).max().unwrap_or(0);
        let mut rows = vec![0.; count * (band + 1)];
        for (i, row) in rows.chunks_mut(band + 1).enumerate() {
            before(i).for_each(|(j, weight)| row[band + j - i] = -weight);
            row[band] = neighbours(pixels[i], h, w).map(|(_, weight)| weight).sum();
        }
        let mut matrix = Self { rows, band };
        matrix.factor();
        matrix
    }

    /// Replaces the matrix by its factor.
    fn factor(&mut self) {
        let (band, width) = (self.band, self.band + 1);
        for i in 0..self.rows.len() / width {
            let (above, from_i) = self.rows.split_at_mut(i * width);
            let row = &mut from_i[..width];
            let first = i.saturating_sub(band);
            for j in first..i {
                let other = &above[j * width..(j + 1) * width];
                let common =
                    dot(&row[band + first - i..band + j - i], &other[band + first - j..band]);
                row[band + j - i] = (row[band + j - i] - common) / other[band];
            }
            row[band] = (row[band] - dot(&row[..band], &row[..band])).sqrt();
        }
    }

    /// v of L·Lᵀ·v = b.
    fn solve(&self, mut b: Vec<f64>) -> Vec<f64> {
        let (band, width) = (self.band, self.band + 1);
        for (i, row) in self.rows.chunks(width).enumerate() {
            let first = i.saturating_sub(band);
            b[i] = (b[i] - dot(&row[band + first - i..band], &b[first..i])) / row[band];
        }
        for (i, row) in self.rows.chunks(width).enumerate().rev() {
            let first = i.saturating_sub(band);
            let (before, from_i) = b.split_at_mut(i);
            let value = from_i[0] / row[band];
            from_i[0] = value;
            let factors = &row[band + first - i..band];
            before[first..].iter_mut().zip(factors).for_each(|(b, factor)| *b -= factor * value);
        }
        b
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
