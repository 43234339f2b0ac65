//! The factors of matrix products: single `f32` values, as they are or rounded to bfloat16, or
//! pairs of bfloat16 values. Sums are always `f32`.

use std::array::from_fn;

use pulp::{Simd, WithSimd};
use serde::{Deserialize, Serialize};

#[cfg(target_arch = "x86_64")]
use crate::amx;
use crate::isa::Instructions;
use crate::operands::{Left, Stretch, Tile};

/// How the factors of matrix products are held. Sums, masks and statistics are `f32` in either
/// case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// bfloat16, 8 bits of precision. Faster where the processor multiplies pairs of them
    /// (AVX512-BF16) or blocks of pairs (AMX); elsewhere the rounded factors are multiplied in
    /// `f32`.
    Bf16,
}

/// Evaluates an expression in which `$F` is the type of factors for a precision on this machine.
macro_rules! with_factors {
    ($precision:expr, $instructions:expr, $F:ident => $value:expr) => {
        match $precision {
            $crate::factor::Precision::F32 => {
                type $F = f32;
                $value
            }
            #[cfg(target_arch = "x86_64")]
            $crate::factor::Precision::Bf16 if $instructions.has_amx() => {
                type $F = $crate::factor::Pair<true>;
                $value
            }
            #[cfg(target_arch = "x86_64")]
            $crate::factor::Precision::Bf16 if $instructions.has_bf16() => {
                type $F = $crate::factor::Pair<false>;
                $value
            }
            $crate::factor::Precision::Bf16 => {
                type $F = $crate::factor::Rounded;
                $value
            }
        }
    };
}
pub(crate) use with_factors;

/// One or more neighbouring terms of a sum of products.
pub(crate) trait Factor: Copy + Default + Send + Sync + 'static {
    /// How many terms a factor holds.
    const TERMS: usize;
    /// How many steps the instructions take at once, if there are as many; see
    /// [`add_blocks`](Self::add_blocks).
    const BLOCK: usize = 1;

    /// A factor of [`TERMS`](Self::TERMS) terms or, at the end of a row, fewer.
    fn of(terms: &[f32]) -> Self;

    /// The values as factors without a copy, if a factor is a single `f32` value.
    fn same(_values: &[f32]) -> Option<&[Self]> {
        None
    }

    /// Runs a job whose products are of these factors, with the instructions that
    /// [`step`](Self::step) needs.
    #[inline(always)]
    fn dispatch<J: WithSimd>(instructions: Instructions, job: J) -> J::Output {
        instructions.dispatch(job)
    }

    /// Adds the products of all steps that come in whole blocks, where the instructions take blocks
    /// and the left operand's steps are neighbours. Returns whether it did.
    ///
    /// # Safety
    /// All stretches that have a step and the tile lie inside their slices, and
    /// [`dispatch`](Self::dispatch) runs the job.
    #[inline(always)]
    unsafe fn add_blocks(
        _stretches: impl Iterator<Item = Stretch> + Clone,
        _a: Left<Self>,
        _b: &[Self],
        _c: &mut Tile,
    ) -> bool {
        false
    }

    /// Adds one step's products to R rows of N vectors of sums: factor r of the left operand lies
    /// at `a + r·row`, the right operand's at `b`.
    ///
    /// # Safety
    /// These places can be read, and [`dispatch`](Self::dispatch) runs the job.
    unsafe fn step<S: Simd, const R: usize, const N: usize>(
        simd: S,
        a: *const Self,
        row: usize,
        b: *const Self,
        sums: &mut [[S::f32s; N]; R],
    );
}

impl Factor for f32 {
    const TERMS: usize = 1;

    #[inline(always)]
    fn of(terms: &[f32]) -> Self {
        terms[0]
    }

    #[inline(always)]
    fn same(values: &[f32]) -> Option<&[Self]> {
        Some(values)
    }

    #[inline(always)]
    unsafe fn step<S: Simd, const R: usize, const N: usize>(
        simd: S,
        a: *const Self,
        row: usize,
        b: *const Self,
        sums: &mut [[S::f32s; N]; R],
    ) {
        // SAFETY: as the caller promises.
        unsafe {
            let b = from_fn(|n| b.add(n * S::F32_LANES).cast::<S::f32s>().read_unaligned());
            multiply_add(simd, |r| *a.add(r * row), &b, sums);
        }
    }
}

/// Adds the product of each row's factor and the vectors of the right operand to the sums.
#[inline(always)]
pub(crate) fn multiply_add<S: Simd, const R: usize, const N: usize>(
    simd: S,
    a: impl Fn(usize) -> f32,
    b: &[S::f32s; N],
    sums: &mut [[S::f32s; N]; R],
) {
    for (r, sums) in sums.iter_mut().enumerate() {
        let factor = simd.splat_f32s(a(r));
        for (sum, &b) in sums.iter_mut().zip(b) {
            *sum = simd.mul_add_e_f32s(factor, b, *sum);
        }
    }
}

/// Rounds to the nearest bfloat16, ties to even; NaN stays NaN. The result is in the low bits.
#[inline(always)]
pub(crate) fn bf16(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) >> 16;
    if x.is_nan() { bits >> 16 | 0x40 } else { rounded }
}

/// A bfloat16 value in the upper bits of an `f32`, for processors that do not multiply bfloat16.
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub(crate) struct Rounded(f32);

impl Factor for Rounded {
    const TERMS: usize = 1;

    #[inline(always)]
    fn of(terms: &[f32]) -> Self {
        Self(f32::from_bits(bf16(terms[0]) << 16))
    }

    #[inline(always)]
    unsafe fn step<S: Simd, const R: usize, const N: usize>(
        simd: S,
        a: *const Self,
        row: usize,
        b: *const Self,
        sums: &mut [[S::f32s; N]; R],
    ) {
        // SAFETY: as the caller promises; it lies in memory as the `f32` that it is.
        unsafe { f32::step(simd, a.cast(), row, b.cast(), sums) }
    }
}

/// Two bfloat16 values, the first in the low bits, for processors that multiply pairs in one
/// instruction, or whole blocks of pairs (AMX).
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub(crate) struct Pair<const BLOCKS: bool>(u32);

#[cfg(target_arch = "x86_64")]
impl<const BLOCKS: bool> Factor for Pair<BLOCKS> {
    const TERMS: usize = 2;
    const BLOCK: usize = if BLOCKS { amx::STEPS } else { 1 };

    #[inline(always)]
    fn of(terms: &[f32]) -> Self {
        Self(bf16(terms[0]) | terms.get(1).map_or(0, |&x| bf16(x) << 16))
    }

    fn dispatch<J: WithSimd>(instructions: Instructions, job: J) -> J::Output {
        if BLOCKS { instructions.dispatch_amx(job) } else { instructions.dispatch_bf16(job) }
    }

    #[inline(always)]
    unsafe fn add_blocks(
        stretches: impl Iterator<Item = Stretch> + Clone,
        a: Left<Self>,
        b: &[Self],
        c: &mut Tile,
    ) -> bool {
        if !BLOCKS || a.step != 1 || stretches.clone().all(|s| s.steps < amx::STEPS) {
            return false;
        }
        let a = amx::Pairs { start: a.values.as_ptr().cast(), row: a.row };
        let sums = amx::Sums { start: c.values.as_mut_ptr().wrapping_add(c.start), row: c.row };
        let b = b.as_ptr().cast();
        // SAFETY: as the caller promises, and the tile's slice is borrowed mutably.
        unsafe {
            match c.rows > amx::ROWS {
                true => amx::add_blocks::<true>(stretches, a, b, sums),
                false => amx::add_blocks::<false>(stretches, a, b, sums),
            }
        }
        true
    }

    #[inline(always)]
    unsafe fn step<S: Simd, const R: usize, const N: usize>(
        _: S,
        a: *const Self,
        row: usize,
        b: *const Self,
        sums: &mut [[S::f32s; N]; R],
    ) {
        use std::arch::x86_64::{__m512, __m512bh, _mm512_dpbf16_ps, _mm512_set1_epi32};
        use std::mem::{transmute, transmute_copy};
        assert!(size_of::<S::f32s>() == size_of::<__m512>());
        // SAFETY: as the caller promises, so that the processor has the instruction; the vectors
        // are of the same size, and any bits are values of them.
        unsafe {
            let b: [__m512bh; N] =
                from_fn(|n| b.add(n * S::F32_LANES).cast::<__m512bh>().read_unaligned());
            for (r, sums) in sums.iter_mut().enumerate() {
                let factor: __m512bh =
                    transmute(_mm512_set1_epi32((*a.add(r * row)).0.cast_signed()));
                for (sum, &b) in sums.iter_mut().zip(&b) {
                    let before: __m512 = transmute_copy(sum);
                    *sum = transmute_copy(&_mm512_dpbf16_ps(before, factor, b));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_rounds_to_the_nearest() {
        assert_eq!(
            [1., 1. + 1. / 256., 1. + 3. / 256., -2., 0.].map(bf16),
            [0x3F80, 0x3F80, 0x3F82, 0xC000, 0]
        );
        assert_eq!(bf16(f32::INFINITY), 0x7F80);
        assert_eq!(bf16(f32::MAX), 0x7F80);
        assert!(
            f32::from_bits(bf16(f32::NAN) << 16).is_nan()
                && f32::from_bits(bf16(f32::from_bits(0x7F80_0001)) << 16).is_nan()
        );
    }
}
