//! Structural similarity of two maps (SSIM; Wang et al., 2004).

use candle_core::Tensor;

use crate::error::{Error, Result};
use crate::tensors::{check_finite, to_f64};

/// Side of a window.
const WINDOW: usize = 7;
/// The constants of SSIM for a range of 1.
const C1: f64 = 0.01 * 0.01;
const C2: f64 = 0.03 * 0.03;

/// SSIM of two batches of maps [B, H, W], the mean over all windows of 7×7 pixels inside of the
/// maps of (2·μ_a·μ_b + C₁)(2·σ_ab + C₂)/((μ_a² + μ_b² + C₁)(σ_a² + σ_b² + C₂)), with means μ, and
/// variances σ with divisor 48. C₁ = (0.01·R)² and C₂ = (0.03·R)², where R is the range of both
/// maps together. In [-1, 1], and 1 for equal maps. `None` where R is 0: both maps are one same
/// constant. This is scikit-image's `structural_similarity`.
///
/// Rows of numbers [B, D] have windows of 7 numbers. So does Quantus with maps, which it flattens
/// first: its windows then lie in one row of pixels, or across the end of one.
///
/// # Errors
/// If the shapes differ or have a side below 7, or a value is not finite.
pub fn structural_similarity(a: &Tensor, b: &Tensor) -> Result<Vec<Option<f64>>> {
    if a.dims() != b.dims() {
        let expected = format!("{:?}, as the first has,", a.dims());
        return Err(Error::shape("the second attribution", b.dims(), expected));
    }
    let windows = match *a.dims() {
        [_, d] if d >= WINDOW => Windows { size: [1, d], side: [1, WINDOW] },
        [_, h, w] if h.min(w) >= WINDOW => Windows { size: [h, w], side: [WINDOW; 2] },
        _ => {
            let expected = "[B, H, W] or [B, D] with sides from 7";
            return Err(Error::shape("the attribution", a.dims(), expected));
        }
    };
    let numbers = |t: &Tensor| to_f64(&check_finite(t.clone(), || "the attribution".into())?);
    let (a, b) = (numbers(a)?, numbers(b)?);
    let map = windows.size[0] * windows.size[1];
    Ok(a.chunks(map).zip(b.chunks(map)).map(|(a, b)| windows.similarity(a, b)).collect())
}

/// The windows of a map.
struct Windows {
    size: [usize; 2],
    side: [usize; 2],
}

impl Windows {
    fn similarity(&self, a: &[f64], b: &[f64]) -> Option<f64> {
        let both = || a.iter().chain(b).copied();
        let range = both().fold(f64::NEG_INFINITY, f64::max) - both().fold(f64::INFINITY, f64::min);
        if range <= 0. {
            return None;
        }
        // SSIM does not depend on the unit. With a range of 1, no square is too small or too great.
        let scaled = |map: &[f64]| map.iter().map(|v| v / range).collect::<Vec<_>>();
        let (a, b) = (scaled(a), scaled(b));
        let rows = self.size[0] - self.side[0] + 1;
        let columns = self.size[1] - self.side[1] + 1;
        let corners = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let sum: f64 = corners.map(|(row, column)| self.at(&a, &b, row, column)).sum();
        Some(sum / (rows * columns) as f64)
    }

    /// SSIM of the window whose first pixel this is.
    fn at(&self, a: &[f64], b: &[f64], row: usize, column: usize) -> f64 {
        let pixels = || {
            (row..row + self.side[0]).flat_map(move |r| {
                let start = r * self.size[1] + column;
                a[start..start + self.side[1]].iter().zip(&b[start..start + self.side[1]])
            })
        };
        let n = (self.side[0] * self.side[1]) as f64;
        let (sum_a, sum_b) = pixels().fold((0., 0.), |(x, y), (a, b)| (x + a, y + b));
        let (mean_a, mean_b) = (sum_a / n, sum_b / n);
        let (mut aa, mut ab, mut bb) = (0., 0., 0.);
        for (a, b) in pixels() {
            aa += (a - mean_a) * (a - mean_a);
            ab += (a - mean_a) * (b - mean_b);
            bb += (b - mean_b) * (b - mean_b);
        }
        let means = (2. * mean_a * mean_b + C1) / (mean_a * mean_a + mean_b * mean_b + C1);
        means * (2. * ab / (n - 1.) + C2) / ((aa + bb) / (n - 1.) + C2)
    }
}
