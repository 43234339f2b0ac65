//! Values of candle's CPU storage as slices.

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, WithDType, bail};

/// The values of contiguous storage.
pub(crate) fn slice<'a, T: WithDType>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&T::cpu_storage_as_slice(storage)?[start..end]),
        None => bail!("a contiguous tensor is needed"),
    }
}

/// The values of contiguous `f32` storage, to be changed in place.
pub(crate) fn slice_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (layout.contiguous_offsets(), storage) {
        (Some((start, end)), CpuStorage::F32(values)) => Ok(&mut values[start..end]),
        _ => bail!("a contiguous f32 tensor is needed"),
    }
}

/// Calls `f` with the values of tensors on the CPU, each in the order of its indices.
pub(crate) fn with_slices<T: WithDType, R, const N: usize>(
    tensors: [&Tensor; N],
    f: impl FnOnce([&[T]; N]) -> R,
) -> Result<R> {
    let tensors = tensors.into_iter().map(Tensor::contiguous).collect::<Result<Vec<_>>>()?;
    let stored: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
    let mut slices = [&[][..]; N];
    for (values, (storage, layout)) in slices.iter_mut().zip(&stored) {
        *values = match &**storage {
            Storage::Cpu(storage) => slice(storage, layout)?,
            _ => bail!("a tensor on the CPU is needed"),
        };
    }
    Ok(f(slices))
}
