//! Batch norm and leaky ReLU of tensors [B, H, W, C] on a CUDA device.

use candle_core::{CpuStorage, CudaStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::{first, run, run_on, view, view_of};
use crate::cuda::norm::{
    backward, forward, gradient_sums, input_gradient, input_gradient_of_part, lines, moments,
};

/// Mean and variance, `[C]` each, of contiguous x [B, H, W, C].
pub(crate) fn channel_moments(x: &Tensor) -> Result<[Tensor; 2]> {
    let (pixels, channels) = counts(x.shape())?;
    run_on(&moments(pixels, channels), &[x], [channels.into(), channels.into()])
}

/// Σ g'·x̂ and Σ g' of a part of a batch, from x, mean, variance, γ, β and g.
pub(crate) fn sums_of_part(
    inputs: &[&Tensor; 6],
    epsilon: f64,
    slope: f32,
) -> Result<[Vec<f64>; 2]> {
    let (pixels, channels) = counts(inputs[0].shape())?;
    let plan = gradient_sums(pixels, channels, epsilon as f32, slope);
    let [gamma, beta] = run_on(&plan, inputs, [channels.into(), channels.into()])?;
    let double = |sums: &Tensor| -> Result<Vec<f64>> {
        Ok(sums.to_vec1::<f32>()?.into_iter().map(f64::from).collect())
    };
    Ok([double(&gamma)?, double(&beta)?])
}

/// The gradient of a part, from the same and the sums over the whole batch.
pub(crate) fn gradient_of_part(
    inputs: &[&Tensor; 6],
    epsilon: f64,
    slope: f32,
    sums: [&[f64]; 2],
    pixels_of_batch: usize,
) -> Result<Tensor> {
    let [x, _, variance, gamma, ..] = inputs;
    let (pixels, channels) = counts(x.shape())?;
    let (variance, gamma) = (variance.to_vec1()?, gamma.to_vec1()?);
    let lines = lines(&variance, &gamma, epsilon, sums, pixels_of_batch);
    let lines = Tensor::from_vec(lines, (2, channels), x.device())?;
    let plan = input_gradient_of_part(pixels, channels, epsilon as f32, slope);
    let [dx] = run_on(&plan, &[&inputs[..], &[&lines]].concat(), [x.shape().clone()])?;
    Ok(dx)
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
