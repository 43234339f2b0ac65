//! Pools on the CPU, plane by plane: each is one thread's, so that no bit depends on their number.

use candle_core::WithDType;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::{Axis, Window};
use crate::isa::Instructions;

/// The windows of planes [H, W].
#[derive(Clone, Copy)]
pub(super) struct Planes<'a> {
    pub rows: &'a Axis,
    pub columns: &'a Axis,
    pub instructions: Instructions,
}

impl Planes<'_> {
    fn inputs(&self) -> usize {
        self.rows.inputs * self.columns.inputs
    }

    fn outputs(&self) -> usize {
        self.rows.windows.len() * self.columns.windows.len()
    }

    /// The maxima of so many planes.
    pub fn max<T: WithDType>(self, x: &[T], planes: usize) -> Vec<T> {
        self.forward(x, planes, greater, |best, _| best)
    }

    /// The means of so many planes.
    pub fn average<T: WithDType>(self, x: &[T], planes: usize, count_include_pad: bool) -> Vec<T> {
        let shares = self.shares::<T>(count_include_pad);
        self.forward(x, planes, |sum, v| sum + v, |sum, output| sum * shares[output])
    }

    fn forward<T: WithDType>(
        self,
        x: &[T],
        planes: usize,
        merge: impl Fn(T, T) -> T + Sync,
        finish: impl Fn(T, usize) -> T + Sync,
    ) -> Vec<T> {
        let mut out = vec![T::zero(); planes * self.outputs()];
        if !out.is_empty() {
            let planes = x.par_chunks_exact(self.inputs());
            planes.zip(out.par_chunks_exact_mut(self.outputs())).for_each(|(x, out)| {
                let (merge, finish) = (&merge, &finish);
                self.instructions.dispatch(Merge { planes: self, x, out, merge, finish });
            });
        }
        out
    }

    /// The gradient of x from that of the maxima.
    pub fn max_gradient<T: WithDType>(self, x: &[T], g: &[T]) -> Vec<T> {
        let mut dx = vec![T::zero(); x.len()];
        if !x.is_empty() && !g.is_empty() {
            let planes =
                dx.par_chunks_exact_mut(self.inputs()).zip(x.par_chunks_exact(self.inputs()));
            planes.zip(g.par_chunks_exact(self.outputs())).for_each(|((dx, x), g)| {
                self.instructions.dispatch(SendToMaxima { planes: self, dx, x, g });
            });
        }
        dx
    }

    /// The gradient of x, of so many values, from that of the means.
    pub fn average_gradient<T: WithDType>(
        self,
        values: usize,
        g: &[T],
        count_include_pad: bool,
    ) -> Vec<T> {
        let mut dx = vec![T::zero(); values];
        if values > 0 && !g.is_empty() {
            let shares = &self.shares::<T>(count_include_pad);
            let planes = dx.par_chunks_exact_mut(self.inputs());
            planes.zip(g.par_chunks_exact(self.outputs())).for_each(|(dx, g)| {
                self.instructions.dispatch(Spread { planes: self, dx, g, shares });
            });
        }
        dx
    }

    /// One over the number of values of each window.
    fn shares<T: WithDType>(&self, count_include_pad: bool) -> Vec<T> {
        let count = |window: &Window| window.count(count_include_pad) as f64;
        let of = |row: &Window| {
            let rows = count(row);
            self.columns.windows.iter().map(move |column| T::from_f64(1. / (rows * count(column))))
        };
        self.rows.windows.iter().flat_map(of).collect()
    }
}

/// The greater of two numbers; NaN if one is.
#[inline(always)]
fn greater<T: WithDType>(best: T, v: T) -> T {
    if (v > best) | is_nan(v) { v } else { best }
}

/// Whether a number is greater than another; NaN is greater than all others.
#[inline(always)]
fn is_greater<T: WithDType>(v: T, best: T) -> bool {
    (v > best) | (is_nan(v) & !is_nan(best))
}

#[inline(always)]
fn is_nan<T: PartialOrd>(v: T) -> bool {
    v.partial_cmp(&v).is_none()
}

/// Merges the values of each window of a plane: rows first, then columns.
struct Merge<'a, T, M, F> {
    planes: Planes<'a>,
    x: &'a [T],
    out: &'a mut [T],
    merge: &'a M,
    finish: &'a F,
}

impl<T: WithDType, M: Fn(T, T) -> T, F: Fn(T, usize) -> T> WithSimd for Merge<'_, T, M, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { planes: Planes { rows, columns, .. }, x, out, merge, finish } = self;
        let width = columns.inputs;
        let mut merged = vec![T::zero(); width];
        let windows = columns.windows.len();
        for (i, (row, out)) in rows.windows.iter().zip(out.chunks_exact_mut(windows)).enumerate() {
            merged.copy_from_slice(&x[row.start * width..][..width]);
            for tap in 1..row.pixels {
                let x = &x[(row.start + tap * rows.step) * width..][..width];
                merged.iter_mut().zip(x).for_each(|(all, &v)| *all = merge(*all, v));
            }
            for (j, (column, out)) in columns.windows.iter().zip(out).enumerate() {
                let mut all = merged[column.start];
                for tap in 1..column.pixels {
                    all = merge(all, merged[column.start + tap * columns.step]);
                }
                *out = finish(all, i * windows + j);
            }
        }
    }
}

/// Adds each window's gradient times its share to its pixels'.
struct Spread<'a, T> {
    planes: Planes<'a>,
    dx: &'a mut [T],
    g: &'a [T],
    shares: &'a [T],
}

impl<T: WithDType> WithSimd for Spread<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { planes: Planes { rows, columns, .. }, dx, g, shares } = self;
        let width = columns.inputs;
        let mut spread = vec![T::zero(); width];
        let windows = columns.windows.len();
        let outputs = g.chunks_exact(windows).zip(shares.chunks_exact(windows));
        for (row, (g, shares)) in rows.windows.iter().zip(outputs) {
            spread.fill(T::zero());
            for (column, (&g, &share)) in columns.windows.iter().zip(g.iter().zip(shares)) {
                for tap in 0..column.pixels {
                    spread[column.start + tap * columns.step] += g * share;
                }
            }
            for tap in 0..row.pixels {
                let dx = &mut dx[(row.start + tap * rows.step) * width..][..width];
                dx.iter_mut().zip(&spread).for_each(|(dx, &v)| *dx += v);
            }
        }
    }
}

/// Adds each window's gradient to that of its first maximum, row by row.
struct SendToMaxima<'a, T> {
    planes: Planes<'a>,
    dx: &'a mut [T],
    x: &'a [T],
    g: &'a [T],
}

impl<T: WithDType> WithSimd for SendToMaxima<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { planes: Planes { rows, columns, .. }, dx, x, g } = self;
        let width = columns.inputs;
        // The maximum of each column over the rows of a window, and the first row that has it.
        let mut best = vec![T::zero(); width];
        let mut first = vec![0u32; width];
        for (row, g) in rows.windows.iter().zip(g.chunks_exact(columns.windows.len())) {
            best.copy_from_slice(&x[row.start * width..][..width]);
            first.fill(0);
            for tap in 1..row.pixels {
                let x = &x[(row.start + tap * rows.step) * width..][..width];
                for ((best, first), &v) in best.iter_mut().zip(&mut first).zip(x) {
                    let is_better = is_greater(v, *best);
                    *best = if is_better { v } else { *best };
                    *first = if is_better { tap as u32 } else { *first };
                }
            }
            for (column, &g) in columns.windows.iter().zip(g) {
                let mut at = column.start;
                for tap in 1..column.pixels {
                    let other = column.start + tap * columns.step;
                    let is_before = !is_greater(best[at], best[other]) & (first[other] < first[at]);
                    at = if is_greater(best[other], best[at]) | is_before { other } else { at };
                }
                dx[(row.start + first[at] as usize * rows.step) * width + at] += g;
            }
        }
    }
}
