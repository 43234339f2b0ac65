//! Results whose gradients are known. candle would compute the gradients of constants, too, which
//! of a convolution's or a product's weights take as long as the result itself.

use std::sync::{Mutex, PoisonError};

use candle_core::{
    CpuStorage, CudaStorage, CustomOp3, Layout, MetalStorage, Result, Shape, Storage, Tensor,
    backend::BackendStorage, bail,
};

use super::Forward;
use super::elementwise::memory_order;
use crate::dims::inverse;

/// Computes the gradient for one of three inputs, by its number, from the inputs, none of which is
/// differentiable, and the gradient of the result.
type Gradient = dyn Fn([&Tensor; 3], &Tensor, usize) -> Forward<Tensor> + Send + Sync;

/// `result`, computed from three inputs without a gradient, as a differentiable function of those
/// of them that are. `gradient` is called for these alone.
pub(super) fn with_gradients(
    inputs: [&Tensor; 3],
    result: Tensor,
    gradient: impl Fn([&Tensor; 3], &Tensor, usize) -> Forward<Tensor> + Send + Sync + 'static,
) -> Forward<Tensor> {
    if !inputs.iter().any(|input| input.track_op()) {
        return Ok(result);
    }
    let order = memory_order(&result).unwrap_or_else(|| (0..result.rank()).collect());
    let back = inverse(&order);
    let mut dense = result.permute(&order[..])?.contiguous()?;
    if dense.layout().start_offset() > 0 {
        dense = dense.force_contiguous()?;
    }
    let op =
        Known { result: Mutex::new(Some(dense)), back: back.clone(), gradient: Box::new(gradient) };
    let [a, b, c] = inputs;
    Ok(a.apply_op3(b, c, op)?.permute(&back[..])?)
}

struct Known {
    /// Until it is taken.
    result: Mutex<Option<Tensor>>,
    /// From its order in memory to that of its dimensions.
    back: Vec<usize>,
    gradient: Box<Gradient>,
}

impl Known {
    fn take(&self) -> Result<Tensor> {
        let result = self.result.lock().unwrap_or_else(PoisonError::into_inner).take();
        result.ok_or_else(|| candle_core::Error::msg("the result was taken already"))
    }
}

impl CustomOp3 for Known {
    fn name(&self) -> &'static str {
        "known-gradient"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let result = self.take()?;
        let (storage, layout) = result.storage_and_layout();
        let (start, end) = layout.contiguous_offsets().unwrap_or((0, 0));
        let copy = match &*storage {
            Storage::Cpu(CpuStorage::F32(values)) => CpuStorage::F32(values[start..end].to_vec()),
            Storage::Cpu(CpuStorage::F64(values)) => CpuStorage::F64(values[start..end].to_vec()),
            Storage::Cpu(CpuStorage::F16(values)) => CpuStorage::F16(values[start..end].to_vec()),
            Storage::Cpu(CpuStorage::BF16(values)) => CpuStorage::BF16(values[start..end].to_vec()),
            _ => bail!("numbers with a fraction on the CPU are needed"),
        };
        Ok((copy, result.shape().clone()))
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let result = self.take()?;
        let (storage, layout) = result.storage_and_layout();
        match &*storage {
            Storage::Cuda(storage) => Ok((storage.try_clone(layout)?, result.shape().clone())),
            _ => bail!("a tensor on the GPU is needed"),
        }
    }

    fn metal_fwd(
        &self,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
    ) -> Result<(MetalStorage, Shape)> {
        let result = self.take()?;
        let (storage, layout) = result.storage_and_layout();
        match &*storage {
            Storage::Metal(storage) => Ok((storage.try_clone(layout)?, result.shape().clone())),
            _ => bail!("a tensor on the GPU is needed"),
        }
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        _result: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let inputs = [a, b, c];
        let constants = inputs.map(Tensor::detach);
        let constants = constants.each_ref();
        let g = g.permute(&self.back[..])?;
        let of = |which: usize| {
            let gradient = || (self.gradient)(constants, &g, which);
            let gradient = inputs[which].track_op().then(gradient).transpose();
            gradient.map_err(candle_core::Error::wrap)
        };
        Ok((of(0)?, of(1)?, of(2)?))
    }
}
