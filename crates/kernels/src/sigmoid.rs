//! The elementwise part of the attention heads on rows of 32 channels: masks, their sums and their
//! gradients. The compiler turns these loops of fixed length into the vector instructions of the
//! caller's instruction set.

use pulp::Simd;

use crate::product::COLUMNS;

pub(crate) type Row = [f32; COLUMNS];

/// 32 values from `start`.
#[inline(always)]
pub(crate) fn row(values: &[f32], start: usize) -> &Row {
    values[start..].first_chunk().expect("buffers are whole panels")
}

#[inline(always)]
pub(crate) fn row_mut(values: &mut [f32], start: usize) -> &mut Row {
    values[start..].first_chunk_mut().expect("buffers are whole panels")
}

/// a·b + c, in one rounding where the instructions have it.
#[inline(always)]
pub(crate) fn fma<S: Simd>(a: f32, b: f32, c: f32) -> f32 {
    if S::F32_LANES == 1 { a * b + c } else { a.mul_add(b, c) }
}

/// 1 / (1 + exp(-x)) to a relative error of about 3e-7 + 1e-7·|x|, finite for every finite x, NaN
/// for NaN: exp(-x) = 2^n·2^f, 2^n by the exponent bits, 2^f by a polynomial on [-1/2, 1/2]
/// (relative error 1.6e-7).
#[inline(always)]
fn sigmoid<S: Simd>(x: f32) -> f32 {
    // Adding 1.5·2^23 rounds to an integer and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const ONE: u32 = 127 << 23;
    let t = (x * -std::f32::consts::LOG2_E).clamp(-124.0, 124.0);
    let shifted = t + ROUND;
    let f = t - (shifted - ROUND);
    let mut p = 1.327_647_1e-3;
    for c in [9.675_541e-3, 5.550_713e-2, 2.402_212e-1, 6.931_469_4e-1, 1.000_000_1] {
        p = fma::<S>(p, f, c);
    }
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(ONE));
    reciprocal::<S>(fma::<S>(p, power, 1.0))
}

/// 1 / q for q from 1 to 2^125, NaN for NaN: a guess by the exponent bits and two steps of third
/// order. Faster here than a division, whose unit is slow.
#[inline(always)]
fn reciprocal<S: Simd>(q: f32) -> f32 {
    let mut r = f32::from_bits(0x7EF3_11C3_u32.wrapping_sub(q.to_bits()));
    for _ in 0..2 {
        let rest = fma::<S>(-q, r, 1.0);
        r = fma::<S>(r, fma::<S>(rest, rest, rest), r);
    }
    r
}

/// Turns a row of logits into masks.
#[inline(always)]
pub(crate) fn masks<S: Simd>(logits: &mut Row) {
    logits.iter_mut().for_each(|a| *a = sigmoid::<S>(*a));
}

/// Adds a row of masks to `sums`, and its products with the features to `products`.
#[inline(always)]
pub(crate) fn add_sums<S: Simd>(mask: &Row, z: &Row, products: &mut Row, sums: &mut Row) {
    for j in 0..COLUMNS {
        products[j] = fma::<S>(mask[j], z[j], products[j]);
        sums[j] += mask[j];
    }
}

/// Adds the products of a row of masks with the features to `products`.
#[inline(always)]
pub(crate) fn add_products<S: Simd>(mask: &Row, z: &Row, products: &mut Row) {
    for j in 0..COLUMNS {
        products[j] = fma::<S>(mask[j], z[j], products[j]);
    }
}

/// The gradients with respect to a pixel's mask sums, by channel: dL/dm = `masks` + `features`·z.
pub(crate) struct Upstream {
    pub features: Row,
    pub masks: Row,
}

/// The gradient through one row of masks, dL/da = dL/dm · m(1-m) for their logits a. It is added to
/// the biases' gradient.
#[inline(always)]
pub(crate) fn gradient<S: Simd>(masks: &Row, z: &Row, g: &Upstream, db: &mut Row) -> Row {
    let mut da = [0f32; COLUMNS];
    for j in 0..COLUMNS {
        let m = masks[j];
        da[j] = fma::<S>(g.features[j], z[j], g.masks[j]) * (m * (1.0 - m));
        db[j] += da[j];
    }
    da
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sigmoid: impl Fn(f32) -> f32) {
        for i in -2_000_000..2_000_000 {
            let x = i as f32 * 1e-5;
            let expected = 1.0 / (1.0 + (-x as f64).exp());
            let tolerance = 3e-7 + 1.2e-7 * f64::from(x.abs());
            assert!((f64::from(sigmoid(x)) - expected).abs() <= tolerance * expected, "{x}");
        }
        assert_eq!(sigmoid(1e4), 1.0);
        assert!((0.0..1e-37).contains(&sigmoid(-1e4)));
        assert_eq!(sigmoid(f32::INFINITY), 1.0);
        assert!(sigmoid(f32::NAN).is_nan() && sigmoid(f32::from_bits(0xFFC0_1235)).is_nan());
    }

    /// A vector type in name, so that the fused multiply-add is tested on every machine.
    #[test]
    fn sigmoid_is_accurate_and_finite() {
        check(sigmoid::<pulp::Scalar>);
        check(sigmoid::<pulp::Scalar128b>);
    }
}
