//! The device that is measured: its name, and what it can do at most.

use std::time::{Duration, Instant};

use anyhow::Result;
use candle_core::cuda::set_gemm_reduced_precision_f32;
use candle_core::{DType, Device, Tensor};
use foresee_model::Precision;

use super::cases::{Case, Work};

/// Rows and columns of the products that tell a GPU's peak, and bytes of the copy that tells its
/// bandwidth.
const PRODUCT: usize = 8192;
const COPY: usize = 1 << 30;

/// The most that was measured, of matrix products (GPU) or multiply-adds (CPU) in FLOP/s and of
/// copies in bytes/s (GPU only).
pub struct Peaks {
    pub f32: f64,
    pub bf16: f64,
    /// GPU only.
    pub tf32: Option<f64>,
    pub bandwidth: Option<f64>,
}

impl Peaks {
    pub fn measure(device: &Device) -> Result<Self> {
        if device.is_cpu() {
            // Cases in bf16 are set against the peak of f32 too: a share above 1 is then the gain.
            let peak = foresee_kernels::measure_peak(Duration::from_secs(2));
            return Ok(Self { f32: peak, bf16: peak, tf32: None, bandwidth: None });
        }
        // Random factors: of constants a GPU needs less power, and can be faster than with any
        // network's.
        let product = |dtype| -> Result<f64> {
            let x = Tensor::randn(0f32, 1., (PRODUCT, PRODUCT), device)?.to_dtype(dtype)?;
            Ok(2. * (PRODUCT as f64).powi(3) / best(device, || Ok(x.matmul(&x)?))?)
        };
        let source = Tensor::zeros(COPY / 4, DType::F32, device)?;
        // Every byte is read once and written once.
        let bandwidth = 2. * COPY as f64 / best(device, || Ok(source.copy()?))?;
        Ok(Self {
            f32: product(DType::F32)?,
            bf16: product(DType::BF16)?,
            tf32: tf32(device, || product(DType::F32))?,
            bandwidth: Some(bandwidth),
        })
    }

    /// That of a case's factors. The heads alone make each product of `f32` from three of TF32.
    pub fn of(&self, case: &Case) -> f64 {
        match (case.precision, case.work, self.tf32) {
            (Precision::F32, Work::Heads, Some(tf32)) => tf32 / 3.,
            (Precision::F32, ..) => self.f32,
            (Precision::Bf16, ..) => self.bf16,
        }
    }

    pub fn text(&self) -> String {
        let mut text = format!("f32 peak {:.0} GFLOP/s", 1e-9 * self.f32);
        if let Some(tf32) = self.tf32 {
            text.push_str(&format!(", TF32 peak {:.0} GFLOP/s", 1e-9 * tf32));
        }
        if let Some(bandwidth) = self.bandwidth {
            text.push_str(&format!(
                ", bf16 peak {:.0} GFLOP/s, memory {:.0} GB/s",
                1e-9 * self.bf16,
                1e-9 * bandwidth
            ));
        }
        text
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

/// The shortest of twenty rounds, after one to warm up.
fn best<T>(device: &Device, mut round: impl FnMut() -> Result<T>) -> Result<f64> {
    round()?;
    device.synchronize()?;
    let times = (0..20).map(|_| {
        let start = Instant::now();
        round()?;
        device.synchronize()?;
        Ok(start.elapsed().as_secs_f64())
    });
    times.collect::<Result<Vec<f64>>>().map(|times| times.into_iter().fold(f64::INFINITY, f64::min))
}

/// The device's name, where it has one of its own.
pub fn name(device: &Device) -> Option<String> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => device.cuda_stream().context().name().ok(),
        _ => None,
    }
}
