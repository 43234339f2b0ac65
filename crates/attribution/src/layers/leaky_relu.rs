//! The leaky ReLU, and its gradient, in one pass over an activation each.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, DType, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// Numbers that a thread takes at a time.
const BLOCK: usize = 1 << 14;

/// max(x, 0) + slope·min(x, 0). Its gradient at 0 is the slope.
pub(crate) fn leaky_relu(x: &Tensor, slope: f64) -> Result<Tensor> {
    match is_taken(x) {
        true => x.apply_op1(LeakyRelu { slope }),
        // By a product whose gradient is right, also at 0.
        false => x * leaky_relu_gradient(x, slope)?,
    }
}

/// The leaky ReLU's derivative at x.
pub(crate) fn leaky_relu_gradient(x: &Tensor, slope: f64) -> Result<Tensor> {
    let x = x.detach();
    x.gt(&x.zeros_like()?)?.to_dtype(x.dtype())?.affine(1. - slope, slope)
}

/// The gradient g in the output times the derivative at x. Not differentiable.
pub(crate) fn leaky_relu_backward(x: &Tensor, g: &Tensor, slope: f64) -> Result<Tensor> {
    let g = g.contiguous()?;
    match is_taken(x) && is_taken(&g) && x.dims() == g.dims() {
        true => x.detach().apply_op2_no_bwd(&g.detach(), &LeakyReluBackward { slope }),
        false => g * leaky_relu_gradient(x, slope)?,
    }
}

fn is_taken(x: &Tensor) -> bool {
    x.dtype() == DType::F32 && x.device().is_cpu() && x.is_contiguous()
}

struct LeakyRelu {
    slope: f64,
}

impl CustomOp1 for LeakyRelu {
    fn name(&self) -> &'static str {
        "leaky-relu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, slope) = (slice(x, layout)?, self.slope as f32);
        let mut y = vec![0f32; x.len()];
        y.par_chunks_mut(BLOCK).zip(x.par_chunks(BLOCK)).for_each(|(y, x)| {
            y.iter_mut().zip(x).for_each(|(y, &x)| *y = if x > 0. { x } else { x * slope });
        });
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(leaky_relu_backward(x, g, self.slope)?))
    }
}

/// x and g → g times the derivative at x.
struct LeakyReluBackward {
    slope: f64,
}

impl CustomOp2 for LeakyReluBackward {
    fn name(&self) -> &'static str {
        "leaky-relu-backward"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        g: &CpuStorage,
        g_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, g, slope) = (slice(x, x_layout)?, slice(g, g_layout)?, self.slope as f32);
        let mut out = vec![0f32; g.len()];
        let inputs = x.par_chunks(BLOCK).zip(g.par_chunks(BLOCK));
        out.par_chunks_mut(BLOCK).zip(inputs).for_each(|(out, (x, g))| {
            let inputs = x.iter().zip(g);
            out.iter_mut()
                .zip(inputs)
                .for_each(|(out, (&x, &g))| *out = if x > 0. { g } else { g * slope });
        });
        Ok((CpuStorage::F32(out), g_layout.shape().clone()))
    }
}

fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("a leaky ReLU of a tensor that is not contiguous"),
    }
}
