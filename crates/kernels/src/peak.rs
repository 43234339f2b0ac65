//! The highest rates of this machine, which benchmarks compare with.

use std::array::from_fn;
use std::fmt;
use std::time::{Duration, Instant};

use candle_core::cuda::set_gemm_reduced_precision_f32;
use candle_core::{DType, Device, Tensor};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::error::Result;
use crate::isa::Instructions;

/// Independent chains of multiply-adds: enough to fill every unit, and with their two operands not
/// more than the 16 registers of AVX2.
const CHAINS: usize = 12;
const STEPS: usize = 100_000;
/// Rows and columns of the products that tell a GPU's peak, and bytes of the copy that tells its
/// bandwidth.
const PRODUCT: usize = 8192;
const COPY: usize = 1 << 30;

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

/// The highest rates of a device: of matrix products (GPU) or multiply-adds (CPU) in floating point
/// operations a second, and of copies in bytes a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peaks {
    /// Of factors in `f32`.
    pub f32: f64,
    /// Of factors in bfloat16. On a CPU it is that of `f32`: a share above 1 is then the gain.
    pub bf16: f64,
    /// Of factors in TF32; CUDA only.
    pub tf32: Option<f64>,
    /// Of copies, of which every byte is read once and written once; GPU only.
    pub bandwidth: Option<f64>,
}

impl Peaks {
    /// Measures a device: two seconds on a CPU ([`measure_peak`]), the best of twenty rounds on a
    /// GPU, which needs 3 GB for that.
    ///
    /// # Errors
    /// If candle fails, such as on a GPU without so much memory.
    pub fn measure(device: &Device) -> Result<Self> {
        if device.is_cpu() {
            let peak = measure_peak(Duration::from_secs(2));
            return Ok(Self { f32: peak, bf16: peak, tf32: None, bandwidth: None });
        }
        // Random factors: of constants a GPU needs less power, and can be faster than with any
        // network's.
        let product = |dtype| -> Result<f64> {
            let x = Tensor::randn(0f32, 1., (PRODUCT, PRODUCT), device)?.to_dtype(dtype)?;
            Ok(2. * (PRODUCT as f64).powi(3) / shortest(device, || Ok(x.matmul(&x)?))?)
        };
        let source = Tensor::zeros(COPY / 4, DType::F32, device)?;
        let bandwidth = 2. * COPY as f64 / shortest(device, || Ok(source.copy()?))?;
        Ok(Self {
            f32: product(DType::F32)?,
            bf16: product(DType::BF16)?,
            tf32: tf32(device, || product(DType::F32))?,
            bandwidth: Some(bandwidth),
        })
    }
}

/// Such as `f32 peak 523 GFLOP/s`, with what else a GPU has.
impl fmt::Display for Peaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "f32 peak {:.0} GFLOP/s", 1e-9 * self.f32)?;
        if let Some(tf32) = self.tf32 {
            write!(f, ", TF32 peak {:.0} GFLOP/s", 1e-9 * tf32)?;
        }
        if let Some(bandwidth) = self.bandwidth {
            let (bf16, bandwidth) = (1e-9 * self.bf16, 1e-9 * bandwidth);
            write!(f, ", bf16 peak {bf16:.0} GFLOP/s, memory {bandwidth:.0} GB/s")?;
        }
        Ok(())
    }
}

/// What is measured while products of `f32` are those of TF32; `None` on a device that has none.
fn tf32(device: &Device, measure: impl FnOnce() -> Result<f64>) -> Result<Option<f64>> {
    if !device.is_cuda() {
        return Ok(None);
    }
    set_gemm_reduced_precision_f32(true);
    let peak = measure();
    set_gemm_reduced_precision_f32(false);
    peak.map(Some)
}

/// Seconds of the shortest of twenty rounds, after one to warm up.
fn shortest<T>(device: &Device, mut round: impl FnMut() -> Result<T>) -> Result<f64> {
    round()?;
    device.synchronize()?;
    let mut shortest = f64::INFINITY;
    for _ in 0..20 {
        let start = Instant::now();
        round()?;
        device.synchronize()?;
        shortest = shortest.min(start.elapsed().as_secs_f64());
    }
    Ok(shortest)
}
