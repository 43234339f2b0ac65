//! Plans on candle's CUDA device, as differentiable operations of its tensors.

pub(crate) mod conv;
pub(crate) mod heads;
pub(crate) mod norm;

use candle_core::cuda_backend::cudarc::driver::{
    CudaSlice, CudaView, LaunchConfig, PushKernelArg, sys,
};
use candle_core::cuda_backend::{CudaDevice, WrapErr};
use candle_core::op::BackpropOp;
use candle_core::{
    CudaStorage, DType, Device, Layout, Result, Shape, Storage, StorageRef, Tensor, bail,
};

use super::{Argument, Launch, MOST, Plan};

/// The most shared memory that a block can have on a device.
const MAX_SHARED_OF_DEVICE: sys::CUdevice_attribute_enum =
    sys::CUdevice_attribute_enum::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN;
/// The most shared memory that a kernel asks for.
const MAX_SHARED_OF_KERNEL: sys::CUfunction_attribute_enum =
    sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;

/// Bytes of shared memory that a kernel can have without asking for more.
const SHARED: u32 = 48 << 10;

/// Values of `f32` that a kernel reads at once.
const ALIGNED: usize = 4;

/// The modules as PTX, which the driver compiles for its device when a kernel is first used.
const MODULES: [(&str, &str); 3] = [
    ("conv", include_str!(concat!(env!("OUT_DIR"), "/conv.ptx"))),
    ("heads", include_str!(concat!(env!("OUT_DIR"), "/heads.ptx"))),
    ("norm", include_str!(concat!(env!("OUT_DIR"), "/norm.ptx"))),
];

/// Whether the kernels can take these tensors: `f32` on a CUDA device, of no more elements than
/// they count.
pub(crate) fn takes(tensors: &[&Tensor]) -> bool {
    tensors.iter().all(|t| t.device().is_cuda() && t.dtype() == DType::F32 && t.elem_count() < MOST)
}

/// Whether a block can have this many bytes of shared memory on the device: 99 KiB on most GPUs of
/// compute capability 8.6, 8.9 and 12.0, more on larger ones.
pub(crate) fn have_shared(device: &Device, bytes: u32) -> bool {
    let Device::Cuda(device) = device else { return false };
    let most = device.cuda_stream().context().attribute(MAX_SHARED_OF_DEVICE);
    bytes <= most.map_or(SHARED, |most| most.max(0) as u32)
}

/// Runs a plan and returns the buffers that it allocated.
pub(crate) fn run(
    plan: &Plan,
    device: &CudaDevice,
    inputs: &[CudaView<'_, f32>],
) -> Result<Vec<CudaSlice<f32>>> {
    let allocated = |(at, &words): (usize, &usize)| {
        if let Some((_, words)) = plan.tables.iter().find(|(of, _)| *of == at) {
            let words: Vec<f32> = words.iter().map(|&word| f32::from_bits(word)).collect();
            return device.clone_htod(&words);
        }
        // SAFETY: the plan's first launch that reads a buffer comes after one that writes it.
        unsafe { device.alloc::<f32>(words.max(1)) }
    };
    let made = plan.made.iter().enumerate().map(allocated).collect::<Result<Vec<_>>>()?;
    plan.launches
        .iter()
        .try_for_each(|launch| start(plan.module, launch, device, inputs, &made))?;
    Ok(made)
}

fn start(
    module: &'static str,
    launch: &Launch,
    device: &CudaDevice,
    inputs: &[CudaView<'_, f32>],
    made: &[CudaSlice<f32>],
) -> Result<()> {
    let Some((_, ptx)) = MODULES.iter().find(|(name, _)| *name == module) else {
        bail!("there is no module {module}")
    };
    let function =
        device.get_or_load_custom_func(launch.kernel, &format!("foresee-{module}"), ptx)?;
    if launch.shared > SHARED {
        function.set_attribute(MAX_SHARED_OF_KERNEL, launch.shared as i32).w()?;
    }
    let mut builder = function.builder();
    for argument in &launch.arguments {
        match argument {
            Argument::Buffer(at) if *at < inputs.len() => builder.arg(&inputs[*at]),
            Argument::Buffer(at) => builder.arg(&made[at - inputs.len()]),
            Argument::U32(value) => builder.arg(value),
            Argument::F32(value) => builder.arg(value),
        };
    }
    let config = LaunchConfig {
        grid_dim: launch.grid,
        block_dim: launch.block,
        shared_mem_bytes: launch.shared,
    };
    // SAFETY: the arguments are those of the kernel, and it stays inside of the buffers: tests run
    // every plan on the CPU under the address sanitizer.
    unsafe { builder.launch(config) }.w()?;
    Ok(())
}

/// The tensor as kernels take it: contiguous, and beginning at a multiple of 16 bytes. A view that
/// begins elsewhere is copied.
pub(crate) fn aligned(t: &Tensor) -> Result<Tensor> {
    let t = t.contiguous()?;
    match t.layout().start_offset().is_multiple_of(ALIGNED) {
        true => Ok(t),
        false => t.force_contiguous(),
    }
}

/// The values of [`aligned`] `f32` storage on the device.
pub(crate) fn view<'a>(storage: &'a CudaStorage, layout: &Layout) -> Result<CudaView<'a, f32>> {
    match layout.contiguous_offsets() {
        Some((start, end)) if start.is_multiple_of(ALIGNED) => {
            Ok(storage.as_cuda_slice::<f32>()?.slice(start..end))
        }
        Some((start, _)) => bail!(
            "a tensor that begins at a multiple of {ALIGNED} values is needed, not at {start}"
        ),
        None => bail!("a contiguous tensor is needed"),
    }
}

/// [`view`] of a tensor's storage and layout.
pub(crate) fn view_of<'a>(
    (storage, layout): &'a (StorageRef<'_>, &Layout),
) -> Result<CudaView<'a, f32>> {
    match &**storage {
        Storage::Cuda(storage) => view(storage, layout),
        _ => bail!("a tensor on the CUDA device is needed"),
    }
}

/// Runs a plan on tensors and returns the first buffers that it allocates as tensors of these
/// shapes.
pub(crate) fn run_on<const N: usize>(
    plan: &Plan,
    inputs: &[&Tensor],
    shapes: [Shape; N],
) -> Result<[Tensor; N]> {
    let inputs = inputs.iter().map(|t| aligned(t)).collect::<Result<Vec<_>>>()?;
    let stored: Vec<_> = inputs.iter().map(Tensor::storage_and_layout).collect();
    let views = stored.iter().map(view_of).collect::<Result<Vec<_>>>()?;
    let device = inputs[0].device().as_cuda_device()?;
    let mut made = run(plan, device, &views)?.into_iter();
    Ok(shapes.map(|shape| {
        let storage = CudaStorage::wrap_cuda_slice(
            made.next().expect("a plan makes at least its results"),
            device.clone(),
        );
        Tensor::from_storage(Storage::Cuda(storage), shape, BackpropOp::none(), false)
    }))
}

/// The storage of a plan's first result.
pub(crate) fn first(made: Vec<CudaSlice<f32>>, device: &CudaDevice) -> CudaStorage {
    CudaStorage::wrap_cuda_slice(
        made.into_iter().next().expect("a plan makes at least its results"),
        device.clone(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a view is copied does not depend on the device.
    #[test]
    fn only_views_that_begin_between_16_bytes_are_copied() -> Result<()> {
        let x = Tensor::arange(0f32, 24., &Device::Cpu)?.reshape((8, 3))?;
        for (start, copied) in [(0, false), (1, true), (4, false), (5, true)] {
            let view = x.narrow(0, start, 3)?;
            let own = aligned(&view)?;
            assert_eq!(own.layout().start_offset(), if copied { 0 } else { 3 * start });
            assert_eq!(own.to_vec2::<f32>()?, view.to_vec2::<f32>()?);
        }
        let across = aligned(&x.t()?.narrow(0, 1, 2)?)?;
        assert!(across.is_contiguous() && across.layout().start_offset() == 0);
        Ok(())
    }
}
