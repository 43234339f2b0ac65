//! Dilated convolution of tensors [B, H, W, I] on a CUDA device.

use candle_core::{CpuStorage, CudaStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::{first, run, run_on, view};
use crate::cuda::conv::Conv;
use crate::factor::Precision;

/// x [B, H, W, I], weight [O, I, n, n], bias `[O]` → [B, H, W, O].
pub(crate) struct DilatedConv {
    pub dilation: usize,
    pub precision: Precision,
}

impl DilatedConv {
    /// The gradients of the weight and of the bias, from those of the result.
    pub fn of_weights(&self, x: &Tensor, w: &Tensor, g: &Tensor) -> Result<[Tensor; 2]> {
        let conv = self.sizes(x.shape(), w.shape())?;
        run_on(&conv.weight_gradient(), &[x, g], [w.shape().clone(), conv.outputs.into()])
    }

    /// The gradient of x.
    pub fn of_input(&self, x: &Tensor, w: &Tensor, g: &Tensor) -> Result<Tensor> {
        let conv = self.sizes(x.shape(), w.shape())?;
        let [dx] = run_on(&conv.input_gradient(), &[g, w], [x.shape().clone()])?;
        Ok(dx)
    }

    fn sizes(&self, x: &Shape, weight: &Shape) -> Result<Conv> {
        let Self { dilation, precision } = *self;
        let (images, h, w, inputs) = x.dims4()?;
        let (outputs, _, n, _) = weight.dims4()?;
        Ok(Conv { images, h, w, inputs, outputs, n, dilation, precision })
    }
}

impl CustomOp3 for DilatedConv {
    fn name(&self) -> &'static str {
        "dilated-conv2d-cuda"
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
        w: &CudaStorage,
        wl: &Layout,
        b: &CudaStorage,
        bl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let conv = self.sizes(xl.shape(), wl.shape())?;
        let made = run(&conv.forward(), &x.device, &[view(x, xl)?, view(w, wl)?, view(b, bl)?])?;
        Ok((first(made, &x.device), (conv.images, conv.h, conv.w, conv.outputs).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _out: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let needs_weights = w.track_op() || b.track_op();
        let of_weights = needs_weights.then(|| self.of_weights(x, w, g)).transpose()?;
        let dx = x.track_op().then(|| self.of_input(x, w, g)).transpose()?;
        let [dw, db] = of_weights.map_or([None, None], |[dw, db]| [Some(dw), Some(db)]);
        Ok((dx, dw, db))
    }
}
