//! Elementwise work of the attention heads on rows of pixels, written so that the compiler vectorises it for the instruction set found at run time.

use pulp::{Simd, WithSimd};

const LANES: usize = 16;

/// exp(x) for |x| ≤ 87 to a relative error of about 3e-7 + 1e-7·|x|: 2^i by the exponent bits, 2^f by a polynomial on [-1/2, 1/2].
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding 1.5·2^23 rounds to an integer and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let t = x * std::f32::consts::LOG2_E;
    let shifted = t + ROUND;
    let f = t - (shifted - ROUND);
    let mut p = 1.535_336_2e-4;
    p = p * f + 1.339_887_4e-3;
    p = p * f + 9.618_437e-3;
    p = p * f + 5.550_332_4e-2;
    p = p * f + 2.402_265e-1;
    p = p * f + 6.931_472e-1;
    p = p * f + 1.0;
    f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23))
}

/// 1 / (1 + exp(-x)), finite for every finite x, NaN for NaN.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    let s = 1.0 / (1.0 + exp(-(x.clamp(-87.0, 87.0))));
    if x.is_nan() { x } else { s }
}

/// Runs the body for each index below `$n`, in vectors of LANES, with the lane it adds to; the tail that fills no vector adds to lane 0.
macro_rules! lanes {
    ($n:expr, |$i:ident, $lane:ident| $body:block) => {{
        let n = $n;
        let whole = n - n % LANES;
        let mut start = 0;
        while start < whole {
            for $lane in 0..LANES {
                let $i = start + $lane;
                $body
            }
            start += LANES;
        }
        for $i in whole..n {
            let $lane = 0;
            $body
        }
    }};
}

/// Turns logits into masks: `a[c, p] ← sigmoid(a[c, p] + bias[c])`.
pub(crate) struct Masks<'a> {
    pub logits: &'a mut [f32],
    pub bias: &'a [f32],
    pub pixels: usize,
}

impl WithSimd for Masks<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (row, &bias) in self.logits.chunks_exact_mut(self.pixels).zip(self.bias) {
            for a in row {
                *a = sigmoid(*a + bias);
            }
        }
    }
}

/// Adds up, for one row of pixels, the masks and their products with the features: `(Σ m, Σ m·z)`.
pub(crate) struct Sums<'a> {
    pub mask: &'a [f32],
    pub z: &'a [f32],
}

impl WithSimd for Sums<'_> {
    type Output = (f32, f32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> (f32, f32) {
        let (mut sum, mut product) = ([0f32; LANES], [0f32; LANES]);
        let (mask, z) = (self.mask, &self.z[..self.mask.len()]);
        lanes!(mask.len(), |i, lane| {
            sum[lane] += mask[i];
            product[lane] += mask[i] * z[i];
        });
        (sum.iter().sum(), product.iter().sum())
    }
}

/// The gradient through one row of masks. With dL/dm = g_mask + g_features·z: replaces the masks by dL/da = dL/dm · m(1-m), adds m·g_features to dz,
/// returns Σ dL/da.
pub(crate) struct RowGradient<'a> {
    pub mask: &'a mut [f32],
    pub z: &'a [f32],
    pub dz: &'a mut [f32],
    pub g_features: f32,
    pub g_mask: f32,
}

impl WithSimd for RowGradient<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f32 {
        let n = self.mask.len();
        let (mask, z, dz) = (self.mask, &self.z[..n], &mut self.dz[..n]);
        let mut sum = [0f32; LANES];
        lanes!(n, |i, lane| {
            let m = mask[i];
            dz[i] += m * self.g_features;
            let da = (self.g_mask + self.g_features * z[i]) * (m * (1.0 - m));
            mask[i] = da;
            sum[lane] += da;
        });
        sum.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sigmoid_is_accurate_and_finite() {
        for i in -2_000_000..2_000_000 {
            let x = i as f32 * 1e-5;
            let expected = 1.0 / (1.0 + (-x as f64).exp());
            let tolerance = 3e-7 + 1.2e-7 * f64::from(x.abs());
            assert!((f64::from(sigmoid(x)) - expected).abs() <= tolerance * expected, "{x}");
        }
        assert_eq!(sigmoid(1e4), 1.0);
        assert!((0.0..1e-37).contains(&sigmoid(-1e4)));
        assert_eq!(sigmoid(f32::INFINITY), 1.0);
        assert!(sigmoid(f32::NAN).is_nan());
    }
}
