//! Batch norm and leaky ReLU of tensors [B, H, W, C] on a CUDA device.

use candle_core::{CpuStorage, CudaStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::{first, run, run_on, view, view_of};
use crate::cuda::norm::{backward, forward, input_gradient, moments};
use crate::norm::Moments;

/// The moments of contiguous x [B, H, W, C].
pub(crate) fn channel_moments(x: &Tensor) -> Result<Moments> {
    let (b, h, w, c) = x.dims4()?;
    let [mean, variance] = run_on(&moments(b * h * w, c), &[x], [c.into(), c.into()])?;
    Ok(Moments { mean, variance, count: b * h * w })
}

/// leaky_relu(γ·(x - mean)/√(variance + ε) + β, slope).
pub(crate) struct NormLeakyRelu {
    pub mean: Tensor,
    pub variance: Tensor,
    pub epsilon: f32,
    pub slope: f32,
    /// The moments are functions of x.
    pub own: bool,
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
        let (mean, variance) = (self.mean.storage_and_layout(), self.variance.storage_and_layout());
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
        let of_weights = gamma.track_op() || beta.track_op();
        if !self.own && !of_weights {
            let [dx] = run_on(
                &input_gradient(pixels, channels, self.epsilon, self.slope),
                &inputs,
                [x.shape().clone()],
            )?;
            return Ok((Some(dx), None, None));
        }
        let plan = backward(pixels, channels, self.epsilon, self.slope, self.own);
        let [dx, dgamma, dbeta] = run_on(
            &plan,
            &inputs,
            [x.shape().clone(), gamma.shape().clone(), beta.shape().clone()],
        )?;
        Ok((Some(dx), of_weights.then_some(dgamma), of_weights.then_some(dbeta)))
    }
}
