//! A device that is measured: its name, and the memory that work on it needs.

use candle_core::Device;

#[cfg(feature = "cuda")]
use super::pool;
use crate::memory;

/// The device's name, where it has one of its own.
pub fn name(device: &Device) -> Option<String> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => device.cuda_stream().context().name().ok(),
        _ => None,
    }
}

/// The version of CUDA that a GPU's driver has, such as 13000.
pub fn driver(device: &Device) -> Option<i32> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(_) => {
            use candle_core::cuda_backend::cudarc::driver::sys::{CUresult, cuDriverGetVersion};
            let mut version = 0;
            // SAFETY: the driver writes a number.
            let result = unsafe { cuDriverGetVersion(&mut version) };
            (result == CUresult::CUDA_SUCCESS).then_some(version)
        }
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

/// Forgets the peak so far.
pub fn reset_peak_memory(device: &Device) {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => pool::reset_peak(device),
        _ => memory::reset_peak_memory(),
    }
}
