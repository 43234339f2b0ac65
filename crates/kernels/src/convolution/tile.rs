//! The inner loop of the products: a tile of sums that stays in registers.

use std::array::from_fn;

use pulp::{Simd, WithSimd};

use crate::factor::Factor;
use crate::isa::Instructions;

/// The most sums of a tile.
pub(super) const LARGEST: usize = 256;

/// Rows and columns of a tile, as many as there are registers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TileShape {
    pub rows: usize,
    pub columns: usize,
}

impl TileShape {
    pub fn new(instructions: Instructions) -> Self {
        instructions.dispatch(ShapeOf)
    }
}

struct ShapeOf;

impl WithSimd for ShapeOf {
    type Output = TileShape;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> TileShape {
        let _ = simd;
        with_tile!(S, R, N => TileShape { rows: R, columns: N * S::F32_LANES })
    }
}

/// Evaluates an expression in which `$R` is the number of rows of a tile, and `$N` that of vectors
/// in a row.
macro_rules! with_tile {
    ($S:ident, $R:ident, $N:ident => $value:expr) => {
        match $S::F32_LANES {
            16 => {
                const $R: usize = 8;
                const $N: usize = 2;
                $value
            }
            8 => {
                const $R: usize = 6;
                const $N: usize = 2;
                $value
            }
            4 => {
                const $R: usize = 6;
                const $N: usize = 4;
                $value
            }
            _ => {
                const $R: usize = 2;
                const $N: usize = 16;
                $value
            }
        }
    };
}
pub(super) use with_tile;

/// Adds Σ_k a[k·R + r]·b[k·C + j] to `tile[r·C + j]`, C the columns of a tile.
#[inline(always)]
pub(super) fn add_product<S: Simd, const R: usize, const N: usize>(
    simd: S,
    a: &[f32],
    b: &[f32],
    tile: &mut [f32],
) {
    let columns = N * S::F32_LANES;
    let steps = a.len() / R;
    assert!(b.len() >= steps * columns, "the right operand ends before the product");
    let mut sums = load::<S, R, N>(tile);
    let (mut a, mut b) = (a.as_ptr(), b.as_ptr());
    for _ in 0..steps {
        // SAFETY: both operands have `steps` steps (checked above).
        unsafe { f32::step(simd, a, 1, b, &mut sums) };
        a = a.wrapping_add(R);
        b = b.wrapping_add(columns);
    }
    store::<S, R, N>(&sums, tile);
}

/// Adds Σ_k `a[rows[r] + k]`·b[k·C + j] to row r, column j of the sums, for so many steps.
#[inline(always)]
pub(super) fn add_product_of_rows<S: Simd, const R: usize, const N: usize>(
    simd: S,
    a: &[f32],
    rows: [usize; R],
    b: &[f32],
    steps: usize,
    sums: &mut [[S::f32s; N]; R],
) {
    let columns = N * S::F32_LANES;
    let last = rows.iter().fold(0, |last, &row| last.max(row));
    assert!(last + steps <= a.len(), "the left operand ends before the product");
    assert!(b.len() >= steps * columns, "the right operand ends before the product");
    let rows: [*const f32; R] = rows.map(|row| a.as_ptr().wrapping_add(row));
    let mut b = b.as_ptr();
    for k in 0..steps {
        // SAFETY: both operands have `steps` steps (checked above).
        unsafe {
            let vectors: [S::f32s; N] =
                from_fn(|n| b.add(n * S::F32_LANES).cast::<S::f32s>().read_unaligned());
            for (sums, row) in sums.iter_mut().zip(&rows) {
                let factor = simd.splat_f32s(*row.add(k));
                for (sum, &vector) in sums.iter_mut().zip(&vectors) {
                    *sum = simd.mul_add_e_f32s(factor, vector, *sum);
                }
            }
        }
        b = b.wrapping_add(columns);
    }
}

#[inline(always)]
pub(super) fn load<S: Simd, const R: usize, const N: usize>(tile: &[f32]) -> [[S::f32s; N]; R] {
    assert!(tile.len() >= R * N * S::F32_LANES, "a tile is too small");
    let at = |r, n| tile.as_ptr().wrapping_add((r * N + n) * S::F32_LANES).cast::<S::f32s>();
    // SAFETY: the tile has R·N vectors (checked above).
    from_fn(|r| from_fn(|n| unsafe { at(r, n).read_unaligned() }))
}

#[inline(always)]
pub(super) fn store<S: Simd, const R: usize, const N: usize>(
    sums: &[[S::f32s; N]; R],
    tile: &mut [f32],
) {
    assert!(tile.len() >= R * N * S::F32_LANES, "a tile is too small");
    for (r, sums) in sums.iter().enumerate() {
        for (n, &sum) in sums.iter().enumerate() {
            let at = tile.as_mut_ptr().wrapping_add((r * N + n) * S::F32_LANES);
            // SAFETY: the tile has R·N vectors (checked above).
            unsafe { at.cast::<S::f32s>().write_unaligned(sum) };
        }
    }
}

/// Copies N vectors.
#[inline(always)]
pub(super) fn copy_vectors<S: Simd, const N: usize>(source: &[f32], out: &mut [f32]) {
    assert!(source.len() >= N * S::F32_LANES && out.len() >= N * S::F32_LANES);
    for n in 0..N {
        let from = source.as_ptr().wrapping_add(n * S::F32_LANES).cast::<S::f32s>();
        let to = out.as_mut_ptr().wrapping_add(n * S::F32_LANES).cast::<S::f32s>();
        // SAFETY: both have N vectors (checked above).
        unsafe { to.write_unaligned(from.read_unaligned()) };
    }
}
