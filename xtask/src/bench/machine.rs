//! The device that is measured: what it can do at most, its memory, and when its work is done.

use std::time::{Duration, Instant};

use anyhow::Result;
use candle_core::{DType, Device, Tensor};

use crate::memory;

/// Rows and columns of the products that tell a GPU's peak, and bytes of the copy that tells its bandwidth.
const PRODUCT: usize = 8192;
const COPY: usize = 1 << 30;

/// The most that was measured, of matrix products (GPU) or multiply-adds (CPU) in FLOP/s and of copies in bytes/s (GPU only).
pub struct Peaks {
    pub f32: f64,
    pub bf16: f64,
    pub bandwidth: Option<f64>,
}

impl Peaks {
    pub fn measure(device: &Device) -> Result<Self> {
        if device.is_cpu() {
            // Cases in bf16 are set against the peak of f32 too: a share above 1 is then the gain.
            let peak = foresee_kernels::measure_peak(Duration::from_secs(2));
            return Ok(Self { f32: peak, bf16: peak, bandwidth: None });
        }
        let product = |dtype| -> Result<f64> {
            let x = Tensor::zeros((PRODUCT, PRODUCT), DType::F32, device)?.affine(0., 0.5)?.to_dtype(dtype)?;
            Ok(2. * (PRODUCT as f64).powi(3) / best(device, || Ok(x.matmul(&x)?))?)
        };
        let source = Tensor::zeros(COPY / 4, DType::F32, device)?;
        // Every byte is read once and written once.
        let bandwidth = 2. * COPY as f64 / best(device, || Ok(source.copy()?))?;
        Ok(Self { f32: product(DType::F32)?, bf16: product(DType::BF16)?, bandwidth: Some(bandwidth) })
    }

    pub fn text(&self) -> String {
        let matrices = format!("f32 peak {:.0} GFLOP/s", 1e-9 * self.f32);
        match self.bandwidth {
            None => matrices,
            Some(bandwidth) => format!("{matrices}, bf16 peak {:.0} GFLOP/s, memory {:.0} GB/s", 1e-9 * self.bf16, 1e-9 * bandwidth),
        }
    }
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

/// The peak since [`reset_peak_memory`] in bytes, of the process or of its tensors on a GPU, where the system tells it.
pub fn peak_memory(device: &Device) -> Option<u64> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => pool::peak(device),
        Device::Cpu => memory::peak_memory(),
        _ => None,
    }
}

pub fn reset_peak_memory(device: &Device) {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => pool::reset(device),
        _ => memory::reset_peak_memory(),
    }
}

/// The pool that candle's tensors come from.
#[cfg(feature = "cuda")]
mod pool {
    use candle_core::CudaDevice;
    use candle_core::cuda_backend::cudarc::driver::sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH;
    use candle_core::cuda_backend::cudarc::driver::sys::{
        CUmemoryPool, CUresult, cuDeviceGetDefaultMemPool, cuMemPoolGetAttribute, cuMemPoolSetAttribute,
    };

    fn of(device: &CudaDevice) -> Option<CUmemoryPool> {
        let mut pool = std::ptr::null_mut();
        let context = device.cuda_stream().context().clone();
        // SAFETY: the device exists as long as its context, and the pool is the device's.
        let result = unsafe { cuDeviceGetDefaultMemPool(&mut pool, context.cu_device()) };
        (result == CUresult::CUDA_SUCCESS).then_some(pool)
    }

    pub fn peak(device: &CudaDevice) -> Option<u64> {
        let mut bytes = 0u64;
        // SAFETY: this attribute is a u64.
        let result = unsafe { cuMemPoolGetAttribute(of(device)?, CU_MEMPOOL_ATTR_USED_MEM_HIGH, (&raw mut bytes).cast()) };
        (result == CUresult::CUDA_SUCCESS).then_some(bytes)
    }

    pub fn reset(device: &CudaDevice) {
        let (Some(pool), mut zero) = (of(device), 0u64) else { return };
        // SAFETY: this attribute is a u64, of which only zero can be set. If it cannot be, the peak is that of the whole process.
        let _ = unsafe { cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, (&raw mut zero).cast()) };
    }
}
