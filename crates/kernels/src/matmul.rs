//! One matrix product on slices: every product of this crate goes through here, so that bounds are checked in one place.

use gemm::Parallelism;

/// A matrix inside a slice: element (r, c) is at `start + r·row + c·column`.
#[derive(Clone, Copy)]
pub(crate) struct View {
    pub start: usize,
    pub row: usize,
    pub column: usize,
}

impl View {
    /// Rows one after the other, `stride` apart, from `start`.
    pub fn rows(start: usize, stride: usize) -> Self {
        Self { start, row: stride, column: 1 }
    }

    /// The transpose of [`View::rows`].
    pub fn columns(start: usize, stride: usize) -> Self {
        Self { start, row: 1, column: stride }
    }

    fn check(self, rows: usize, columns: usize, length: usize) {
        let last = self.start + (rows - 1) * self.row + (columns - 1) * self.column;
        assert!(last < length, "matrix of {rows}×{columns} reaches past its slice of {length}");
    }
}

/// `out = a · b` (or `out += a · b`), with a [m, k], b [k, n], out [m, n], on this thread alone.
pub(crate) fn matmul(
    (m, k, n): (usize, usize, usize),
    (a, av): (&[f32], View),
    (b, bv): (&[f32], View),
    (out, ov): (&mut [f32], View),
    accumulate: bool,
) {
    if m == 0 || k == 0 || n == 0 {
        return;
    }
    av.check(m, k, a.len());
    bv.check(k, n, b.len());
    ov.check(m, n, out.len());
    // SAFETY: the three views lie inside their slices (checked above), and `out` is borrowed mutably, so it overlaps neither `a` nor `b`.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr().add(ov.start),
            ov.column as isize,
            ov.row as isize,
            accumulate,
            a.as_ptr().add(av.start),
            av.column as isize,
            av.row as isize,
            b.as_ptr().add(bv.start),
            bv.column as isize,
            bv.row as isize,
            1.,
            1.,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
