//! The highest arithmetic rate of this machine, which benchmarks compare with.

use std::array::from_fn;
use std::time::{Duration, Instant};

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::isa::Instructions;

/// Independent chains of multiply-adds: enough to fill every unit, and with their two operands not
/// more than the 16 registers of AVX2.
const CHAINS: usize = 12;
const STEPS: usize = 100_000;

/// Measures the highest rate of `f32` multiply-adds in registers, in floating point operations a
/// second (two for a multiply-add). All threads of rayon's pool work with the kernels' instructions
/// for about `duration`; the best of many short rounds counts.
pub fn measure_peak(duration: Duration) -> f64 {
    let instructions = Instructions::current();
    let threads = rayon::current_num_threads();
    let start = Instant::now();
    let mut best = 0f64;
    while start.elapsed() < duration {
        let round = Instant::now();
        let operations: f64 =
            (0..threads).into_par_iter().map(|_| instructions.dispatch(MultiplyAdds)).sum();
        best = best.max(operations / round.elapsed().as_secs_f64());
    }
    best
}

struct MultiplyAdds;

impl WithSimd for MultiplyAdds {
    /// The number of floating point operations.
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let factor = std::hint::black_box(0.999_f32);
        let factor = simd.splat_f32s(factor);
        let term = simd.splat_f32s(std::hint::black_box(0.001));
        let mut sums: [S::f32s; CHAINS] = from_fn(|i| simd.splat_f32s(i as f32));
        for _ in 0..STEPS {
            sums.iter_mut().for_each(|sum| *sum = simd.mul_add_e_f32s(*sum, factor, term));
        }
        std::hint::black_box(sums);
        (2 * CHAINS * STEPS * S::F32_LANES) as f64
    }
}
