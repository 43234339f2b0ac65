//! Which implementation takes an operation's tensors: the kernels of the CPU, those of a CUDA
//! device, or the plain composition in [`reference`](crate::reference).

use candle_core::{DType, Tensor};

use crate::error::{Error, Result};

/// Whether the CPU's kernels can take these tensors: `f32` in the CPU's memory.
pub(crate) fn cpu_kernel_takes(tensors: &[&Tensor]) -> bool {
    tensors.iter().all(|t| t.device().is_cpu() && t.dtype() == DType::F32)
}

/// Whether the kernels of the CPU or of a CUDA device can take these tensors.
pub(crate) fn kernel_takes(tensors: &[&Tensor]) -> bool {
    #[cfg(feature = "cuda")]
    if crate::cuda::ops::takes(tensors) {
        return true;
    }
    cpu_kernel_takes(tensors)
}

/// Refuses tensors that the kernels take nowhere.
pub(crate) fn kernel_floats(operation: &'static str, tensors: &[&Tensor]) -> Result<()> {
    match kernel_takes(tensors) {
        true => Ok(()),
        false => Err(Error::NoKernel { operation }),
    }
}
