//! The device that is measured: its name, what it can do at most, and the memory of a case.

use candle_core::Device;
#[cfg(feature = "cuda")]
use foresee::device::pool;
use foresee::memory;
use foresee_kernels::Peaks;
use foresee_model::Precision;

use super::cases::{Case, Work};

/// That of a case's factors. The heads alone make each product of `f32` from three of TF32.
pub fn peak_of(peaks: &Peaks, case: &Case) -> f64 {
    match (case.precision, case.work, peaks.tf32) {
        (Precision::F32, Work::Heads, Some(tf32)) => tf32 / 3.,
        (Precision::F32, ..) => peaks.f32,
        (Precision::Bf16, ..) => peaks.bf16,
    }
}

/// The device's name, where it has one of its own.
pub fn name(device: &Device) -> Option<String> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => device.cuda_stream().context().name().ok(),
        _ => None,
    }
}

/// The peak since [`reset_peak_memory`] in bytes, of the process or of its tensors on a GPU, where
/// the system tells it.
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
        Device::Cuda(device) => pool::reset_peak(device),
        _ => memory::reset_peak_memory(),
    }
}
