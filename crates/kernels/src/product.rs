//! The inner loop that all matrix products share: a tile of up to 32×32 sums, of which as many stay
//! in registers as there are.

use std::array::from_fn;

use pulp::Simd;

use crate::factor::Factor;
pub(crate) use crate::operands::{COLUMNS, Left, ROW_GROUP, ROWS, Stretch, Tile};

/// `n` columns, rounded up to whole panels.
pub(crate) fn columns_padded(n: usize) -> usize {
    n.next_multiple_of(COLUMNS)
}

/// Distance of rows of `n` values in memory: whole panels, and half of one. The odd multiple of a
/// cache line spreads a column over all sets of the first-level cache.
pub(crate) fn pitch(n: usize) -> usize {
    columns_padded(n) + 16
}

/// Adds Σᵢ a(r, i)·b(i, j) over all stretches to the tile. The right operand's column j of step i
/// lies at `start + 32·i + j`.
///
/// # Safety
/// Within a job that [`Factor::dispatch`] of this factor runs. A clone of `stretches` gives the
/// same stretches.
#[inline(always)]
pub(crate) unsafe fn add_product<F: Factor, S: Simd>(
    simd: S,
    stretches: impl Iterator<Item = Stretch> + Clone,
    a: Left<F>,
    b: &[F],
    mut c: Tile,
) {
    let rows = c.rows.next_multiple_of(ROW_GROUP);
    assert!(0 < rows && rows <= ROWS, "a tile has from 1 to {ROWS} rows");
    for s in stretches.clone().filter(|s| s.steps > 0) {
        assert!(
            s.a + (rows - 1) * a.row + (s.steps - 1) * a.step < a.values.len(),
            "the left operand ends before the product"
        );
        assert!(s.b + s.steps * COLUMNS <= b.len(), "the right operand ends before the product");
    }
    assert!(
        c.start + (rows - 1) * c.row + COLUMNS <= c.values.len(),
        "the tile reaches past its slice"
    );
    // SAFETY: all that is read and written lies inside the slices (checked above), `c` is borrowed
    // mutably, and the job is dispatched by its factor, as the caller promises.
    unsafe {
        let block =
            if F::add_blocks(stretches.clone(), a, b, &mut c) { F::BLOCK } else { usize::MAX };
        let stretches = stretches.map(move |s| s.after_blocks(block));
        match S::F32_LANES {
            16 => tile::<_, _, _, 8, 2>(simd, stretches, a, b, c),
            8 => tile::<_, _, _, 2, 4>(simd, stretches, a, b, c),
            4 => tile::<_, _, _, 2, 8>(simd, stretches, a, b, c),
            _ => tile::<_, _, _, 1, 32>(simd, stretches, a, b, c),
        }
    }
}

/// The tile by groups of R rows of N vectors, which are as many as there are registers for.
///
/// # Safety
/// All stretches that have a step and the tile lie inside their slices, N vectors are as wide as a
/// tile, and [`Factor::dispatch`] runs the job.
#[inline(always)]
unsafe fn tile<
    F: Factor,
    S: Simd,
    I: Iterator<Item = Stretch> + Clone,
    const R: usize,
    const N: usize,
>(
    simd: S,
    stretches: I,
    a: Left<F>,
    b: &[F],
    c: Tile,
) {
    if stretches.clone().all(|s| s.steps == 0) {
        return;
    }
    for group in (0..c.rows).step_by(R) {
        // SAFETY: rows group..group + R, which are there since R divides ROW_GROUP.
        unsafe {
            let out = c.values.as_mut_ptr().add(c.start + group * c.row);
            let place =
                |r: usize, n: usize| out.add(r * c.row + n * S::F32_LANES).cast::<S::f32s>();
            let mut sums: [[S::f32s; N]; R] =
                from_fn(|r| from_fn(|n| place(r, n).read_unaligned()));
            for s in stretches.clone() {
                let mut a_at = a.values.as_ptr().wrapping_add(s.a + group * a.row);
                let mut b_at = b.as_ptr().wrapping_add(s.b);
                for _ in 0..s.steps {
                    F::step(simd, a_at, a.row, b_at, &mut sums);
                    a_at = a_at.wrapping_add(a.step);
                    b_at = b_at.wrapping_add(COLUMNS);
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                for (n, &sum) in sums.iter().enumerate() {
                    place(r, n).write_unaligned(sum);
                }
            }
        }
    }
}

/// How many factors hold this many terms.
pub(crate) fn steps<F: Factor>(terms: usize) -> usize {
    terms.div_ceil(F::TERMS)
}

/// Packs a matrix of terms by columns (term t of column c at `t·row + c·column`) into panels of 32
/// columns: [columns/32, steps, 32], zeros beyond the last term and column.
pub(crate) fn pack<F: Factor>(
    values: &[f32],
    terms: usize,
    columns: usize,
    row: usize,
    column: usize,
    out: &mut [F],
) {
    for (panel, out) in out.chunks_exact_mut(steps::<F>(terms) * COLUMNS).enumerate() {
        let first = panel * COLUMNS;
        for (step, out) in out.chunks_exact_mut(COLUMNS).enumerate() {
            let start = step * F::TERMS;
            for (j, out) in out.iter_mut().take(columns - first).enumerate() {
                let mut factor = [0f32; 2];
                let factor = &mut factor[..F::TERMS.min(terms - start)];
                for (t, v) in factor.iter_mut().enumerate() {
                    *v = values[(start + t) * row + (first + j) * column];
                }
                *out = F::of(factor);
            }
        }
    }
}

/// Packs a row of terms as a row of a left operand.
#[inline(always)]
pub(crate) fn pack_row<F: Factor>(values: &[f32], out: &mut [F]) {
    out.iter_mut().zip(values.chunks(F::TERMS)).for_each(|(out, terms)| *out = F::of(terms));
}

/// Packs each column of a matrix of two-term factors as a row of a left operand: `out[c·out_row +
/// step]` holds `values[2·step.., c]`. Rows of `values` are `row` values apart; those beyond `rows`
/// are not written.
#[inline(always)]
pub(crate) fn pack_transposed<F: Factor>(
    values: &[f32],
    rows: usize,
    row: usize,
    out: &mut [F],
    out_row: usize,
) {
    for (step, pair) in values[..rows * row].chunks_exact(2 * row).enumerate() {
        let (first, second) = pair.split_at(row);
        for ((out, &a), &b) in out.chunks_exact_mut(out_row).zip(first).zip(second) {
            out[step] = F::of(&[a, b]);
        }
    }
}

/// Packs each column of a matrix of terms: `out[step, c]` holds `values[TERMS·step.., c]`. Rows of
/// `values` are `row` values apart, those of `out` `out_row` factors; rows beyond `rows` are zero.
#[inline(always)]
pub(crate) fn pack_columns<F: Factor>(
    values: &[f32],
    rows: usize,
    row: usize,
    columns: usize,
    out: &mut [F],
    out_row: usize,
) {
    for step in 0..steps::<F>(rows) {
        let first = &values[step * F::TERMS * row..][..columns];
        let second =
            (step * F::TERMS + 1 < rows).then(|| &values[(step * F::TERMS + 1) * row..][..columns]);
        let out = &mut out[step * out_row..][..columns];
        match second {
            Some(second) if F::TERMS == 2 => {
                out.iter_mut()
                    .zip(first)
                    .zip(second)
                    .for_each(|((out, &a), &b)| *out = F::of(&[a, b]));
            }
            _ => out.iter_mut().zip(first).for_each(|(out, &a)| *out = F::of(&[a])),
        }
    }
}
