//! Batch norm and leaky ReLU of tensors [B, H, W, C] on a CUDA device.

use candle_core::{CpuStorage, CudaStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::{first, run, run_on, view, view_of};
use crate::cuda::norm::{backward, forward, input_gradient, moments};

/// Mean and variance, `[C]` each, of contiguous x [B, H, W, C].
pub(crate) fn channel_moments(x: &Tensor) -> Result<[Tensor; 2]> {
    let (pixels, channels) = counts(x.shape())?;
    run_on(&moments(pixels, channels), &[x], [channels.into(), channels.into()])
}

/// leaky_relu(γ·(x - mean)/√(variance + ε) + β, slope).
pub(crate) struct NormLeakyRelu {
    pub mean: Tensor,
    pub variance: Tensor,
    pub epsilon: f32,
    pub slope: f32,
    /// Whether the moments are functions of x.
    pub training: bool,
}

/// Pixels and channels of [B, H, W, C].
fn counts(x: &Shape) -> Result<(usize, usize)> {
    let (b, h, w, c) = x.dims4()?;
    Ok((b * h * w, c))
}

impl CustomOp3 for NormLeakyRelu {
    fn name(&self) -> &'static str {
        "norm-leaky-relu-cuda"
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
        bail!("{}: tensors on a CUDA device are needed", self.name())
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        xl: &Layout,
        gamma: &CudaStorage,
        gl: &Layout,
        beta: &CudaStorage,
        bl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (pixels, channels) = counts(xl.shape())?;
        let plan = forward(pixels, channels, self.epsilon, self.slope);
        let mean = self.mean.storage_and_layout();
        let variance = self.variance.storage_and_layout();
        let inputs =
            [view(x, xl)?, view_of(&mean)?, view_of(&variance)?, view(gamma, gl)?, view(beta, bl)?];
        Ok((first(run(&plan, &x.device, &inputs)?, &x.device), xl.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        _out: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (pixels, channels) = counts(x.shape())?;
        let inputs = [x, &self.mean, &self.variance, gamma, beta, g];
        let needs_weights = gamma.track_op() || beta.track_op();
        if !self.training && !needs_weights {
            let plan = input_gradient(pixels, channels, self.epsilon, self.slope);
            let [dx] = run_on(&plan, &inputs, [x.shape().clone()])?;
            return Ok((Some(dx), None, None));
        }
        let plan = backward(pixels, channels, self.epsilon, self.slope, self.training);
        let shapes = [x.shape().clone(), gamma.shape().clone(), beta.shape().clone()];
        let [dx, dgamma, dbeta] = run_on(&plan, &inputs, shapes)?;
        Ok((Some(dx), needs_weights.then_some(dgamma), needs_weights.then_some(dbeta)))
    }
}
