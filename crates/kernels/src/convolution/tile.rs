//! The inner loop of the products: a tile of sums that stays in registers.

use std::array::from_fn;

use pulp::{Simd, WithSimd};

use crate::factor::{Factor, multiply_add};
use crate::isa::Instructions;

/// Rows and columns of a tile, as many as there are registers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TileShape {
    pub rows: usize,
    pub columns: usize,
    /// Columns of a vector.
    pub lanes: usize,
}

impl TileShape {
    /// The shape for few rows, at most [`FEW_ROWS`], or for many.
    pub fn new(instructions: Instructions, few: bool) -> Self {
        instructions.dispatch(ShapeOf { few })
    }
}

struct ShapeOf {
    few: bool,
}

impl WithSimd for ShapeOf {
    type Output = TileShape;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> TileShape {
        let (_, lanes) = (simd, S::F32_LANES);
        with_tile!(S, self.few, R, N => TileShape { rows: R, columns: N * lanes, lanes })
    }
}

/// Rows that a tile of few rows has.
pub(super) const FEW_ROWS: usize = 3;

/// Evaluates an expression in which `$R` is the number of rows of a tile, and `$N` that of vectors
/// in a row.
macro_rules! with_tile {
    ($S:ident, $few:expr, $R:ident, $N:ident => $value:expr) => {
        match ($S::F32_LANES, $few) {
            (16, false) => with_tile!($R = 8, $N = 2, $value),
            (8, false) => with_tile!($R = 6, $N = 2, $value),
            (4, false) => with_tile!($R = 6, $N = 4, $value),
            (_, false) => with_tile!($R = 2, $N = 16, $value),
            (8, true) => with_tile!($R = 3, $N = 3, $value),
            (_, true) => with_tile!($R = 3, $N = 5, $value),
        }
    };
    ($R:ident = $rows:literal, $N:ident = $vectors:literal, $value:expr) => {{
        const $R: usize = $rows;
        const $N: usize = $vectors;
        $value
    }};
}
pub(super) use with_tile;

/// Adds Σ_k a[k·R + r]·b[k·C + j] to row r, column j of the sums, C the columns of a tile.
#[inline(always)]
pub(super) fn add_product<S: Simd, const R: usize, const N: usize>(
    simd: S,
    a: &[f32],
    b: &[f32],
    sums: &mut [[S::f32s; N]; R],
) {
    let columns = N * S::F32_LANES;
    let steps = a.len() / R;
    assert!(b.len() >= steps * columns, "the right operand ends before the product");
    let mut in_registers = *sums;
    let (mut a, mut b) = (a.as_ptr(), b.as_ptr());
    for _ in 0..steps {
        // SAFETY: both operands have `steps` steps (checked above).
        unsafe { f32::step(simd, a, 1, b, &mut in_registers) };
        a = a.wrapping_add(R);
        b = b.wrapping_add(columns);
    }
    *sums = in_registers;
}

/// What a product reads of planes of pixels: vector n of term k begins at
/// `values[starts[n] + offsets[k]]`.
#[derive(Clone, Copy)]
pub(super) struct InPlace<'a, const N: usize> {
    pub values: &'a [f32],
    pub starts: [usize; N],
    pub offsets: &'a [usize],
    /// No offset is larger.
    pub reach: usize,
}

/// [`add_product`] with vectors that lie in planes of pixels. If `PACKS`, they are also copied to
/// `packed`, where `add_product` finds them.
///
/// # Safety
/// No offset is larger than `reach`.
#[inline(always)]
pub(super) unsafe fn add_product_in_place<
    S: Simd,
    const R: usize,
    const N: usize,
    const PACKS: bool,
>(
    simd: S,
    a: &[f32],
    b: InPlace<'_, N>,
    packed: &mut [f32],
    sums: &mut [[S::f32s; N]; R],
) {
    let columns = N * S::F32_LANES;
    let last = b.starts.iter().fold(0, |last, &start| last.max(start));
    assert!(last + b.reach + S::F32_LANES <= b.values.len(), "a vector ends behind the planes");
    assert!(a.len() >= b.offsets.len() * R, "the left operand ends before the product");
    assert!(!PACKS || packed.len() >= b.offsets.len() * columns, "too little room to pack");
    let mut in_registers = *sums;
    let starts = b.starts.map(|start| b.values.as_ptr().wrapping_add(start));
    let (mut a, mut packed) = (a.as_ptr(), packed.as_mut_ptr());
    for &offset in b.offsets {
        // SAFETY: the left operand and the packed vectors have a step for each offset, and the
        // planes what it leads to (checked above).
        unsafe {
            let b: [S::f32s; N] =
                from_fn(|n| starts[n].add(offset).cast::<S::f32s>().read_unaligned());
            if PACKS {
                for (n, &b) in b.iter().enumerate() {
                    packed.add(n * S::F32_LANES).cast::<S::f32s>().write_unaligned(b);
                }
                packed = packed.wrapping_add(columns);
            }
            multiply_add(simd, |r| *a.add(r), &b, &mut in_registers);
        }
        a = a.wrapping_add(R);
    }
    *sums = in_registers;
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
            multiply_add(simd, |r| *rows[r].add(k), &vectors, sums);
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
