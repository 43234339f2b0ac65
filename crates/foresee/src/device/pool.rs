//! The memory pool of a CUDA device that candle's tensors come from.

use candle_core::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::sys::CUmemPool_attribute::{
    self, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, CU_MEMPOOL_ATTR_USED_MEM_HIGH,
};
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

/// Sets an attribute, which must be one that is a u64.
fn set(device: &CudaDevice, attribute: CUmemPool_attribute, mut value: u64) {
    if let Some(pool) = of(device) {
        // SAFETY: the caller's attribute is a u64. What a driver refuses stays as it was.
        let _ = unsafe { cuMemPoolSetAttribute(pool, attribute, (&raw mut value).cast()) };
    }
}

/// Freed memory stays with the program. By default it goes back to the driver whenever somebody
/// waits for the device, and each step asks for it anew.
pub fn keep(device: &CudaDevice) {
    set(device, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, u64::MAX);
}

/// Bytes in use at most since [`reset_peak`].
pub fn peak(device: &CudaDevice) -> Option<u64> {
    let mut bytes = 0u64;
    // SAFETY: this attribute is a u64.
    let result = unsafe {
        cuMemPoolGetAttribute(of(device)?, CU_MEMPOOL_ATTR_USED_MEM_HIGH, (&raw mut bytes).cast())
    };
    (result == CUresult::CUDA_SUCCESS).then_some(bytes)
}

/// Begins a new peak. If the driver refuses, it is that of the whole process.
pub fn reset_peak(device: &CudaDevice) {
    // Only zero can be set.
    set(device, CU_MEMPOOL_ATTR_USED_MEM_HIGH, 0);
}
