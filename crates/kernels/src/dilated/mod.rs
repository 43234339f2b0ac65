//! The paper's network's convolution (Table 1; stride 1, "same" padding, dilation, channels last)
//! and its two gradients, as products on the padded image itself: no image is unfolded. Those of
//! any network are in [`convolution`](crate::convolution()).

mod forward;
mod geometry;
mod over_pixels;
mod weight_gradient;

use candle_core::{CpuStorage, CustomOp3, DType, Device, Layout, Shape, Tensor};

use self::geometry::Geometry;
use self::weight_gradient::WeightGradients;
use crate::dispatch::{kernel_floats, kernel_takes};
use crate::error::{Result, shape};
use crate::factor::{Precision, with_factors};
use crate::isa::Instructions;
use crate::layout::{to_channels_first, to_channels_last};
use crate::reference;
use crate::storage::{slice, with_slices};

/// Convolution with stride 1, dilation `dilation` and "same" zero padding `dilation·(n-1)/2`: x [B,
/// I, H, W], weight [O, I, n, n] with odd n, bias `[O]` → [B, O, H, W].
///
/// Differentiable in `x`, `weight` and `bias`. `precision` is that of the factors of the products.
/// The result lies in memory pixel by pixel; an x that does so too is not copied.
///
/// Tensors other than `f32` on the CPU, or on a CUDA device with the feature `cuda`, take
/// [`reference::conv2d`], whose precision is that of its tensors.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use foresee_kernels::{Precision, conv2d};
///
/// // Ones in an image of 3×3 and in the filter: each pixel counts its neighbours in the image.
/// let x = Tensor::ones((1, 1, 3, 3), DType::F32, &Device::Cpu)?;
/// let weight = Tensor::ones((1, 1, 3, 3), DType::F32, &Device::Cpu)?;
/// let bias = Tensor::zeros(1, DType::F32, &Device::Cpu)?;
/// let y = conv2d(&x, &weight, &bias, 1, Precision::F32)?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [4., 6., 4., 6., 9., 6., 4., 6., 4.]);
/// // With dilation 2 only the pixels two columns and rows away are neighbours.
/// let y = conv2d(&x, &weight, &bias, 2, Precision::F32)?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [4., 2., 4., 2., 1., 2., 4., 2., 4.]);
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit each other.
pub fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    dilation: usize,
    precision: Precision,
) -> Result<Tensor> {
    check(x, weight, bias)?;
    if !kernel_takes(&[x, weight, bias]) {
        return reference::conv2d(x, weight, bias, dilation);
    }
    let y = conv2d_channels_last(&to_channels_last(x)?, weight, bias, dilation, precision)?;
    Ok(to_channels_first(&y)?)
}

/// [`conv2d`] of x [B, H, W, I] → [B, H, W, O].
///
/// # Errors
/// If the shapes do not fit each other.
pub fn conv2d_channels_last(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    dilation: usize,
    precision: Precision,
) -> Result<Tensor> {
    if !kernel_takes(&[x, weight, bias]) || x.rank() != 4 {
        let y = conv2d(&to_channels_first(x)?, weight, bias, dilation, precision)?;
        return Ok(to_channels_last(&y)?);
    }
    check(&to_channels_first(&x.detach())?, weight, bias)?;
    #[cfg(feature = "cuda")]
    if crate::cuda::ops::takes(&[x, weight, bias]) {
        use crate::cuda::ops::{aligned, conv::DilatedConv};
        let op = DilatedConv { dilation, precision };
        return Ok(aligned(x)?.apply_op3(&aligned(weight)?, &aligned(bias)?, op)?);
    }
    let op = Conv { dilation, precision, instructions: Instructions::current() };
    Ok(x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, op)?)
}

/// The gradients of a loss in [`conv2d`].
#[derive(Debug, Clone)]
pub struct ConvGradients {
    /// Of x, [B, H, W, I]; `None` if it was not asked for.
    pub x: Option<Tensor>,
    /// Of the weight, [O, I, n, n].
    pub weight: Tensor,
    /// Of the bias, `[O]`.
    pub bias: Tensor,
}

/// The gradients of [`conv2d_channels_last`] from g [B, H, W, O], that of its result, for passes
/// that are made by hand. Tensors are `f32` on the CPU, or on a CUDA device with the feature
/// `cuda`.
///
/// # Errors
/// If the shapes do not fit each other, or tensors are others.
pub fn conv2d_gradients_channels_last(
    x: &Tensor,
    weight: &Tensor,
    g: &Tensor,
    dilation: usize,
    precision: Precision,
    of_x: bool,
) -> Result<ConvGradients> {
    kernel_floats("conv2d_gradients", &[x, weight, g])?;
    let (x, weight, g) = (x.contiguous()?, weight.contiguous()?, g.contiguous()?);
    let bias = Tensor::zeros(weight.dim(0)?, DType::F32, &Device::Cpu)?;
    check(&to_channels_first(&x.detach())?, &weight, &bias)?;
    let (b, h, w, _) = x.dims4()?;
    if g.dims() != [b, h, w, weight.dim(0)?] {
        let expected = format!("[{b}, {h}, {w}, {}]", weight.dim(0)?);
        return Err(shape("conv2d_gradients", "g", expected, &g));
    }
    #[cfg(feature = "cuda")]
    if crate::cuda::ops::takes(&[&x, &weight, &g]) {
        let op = crate::cuda::ops::conv::DilatedConv { dilation, precision };
        let [of_weight, of_bias] = op.of_weights(&x, &weight, &g)?;
        let of_x = of_x.then(|| op.of_input(&x, &weight, &g)).transpose()?;
        return Ok(ConvGradients { x: of_x, weight: of_weight, bias: of_bias });
    }
    let op = Conv { dilation, precision, instructions: Instructions::current() };
    let [of_weight, of_bias] = op.of_weights(&x, &weight, &bias, &g)?;
    let of_x = of_x.then(|| op.of_input(&x, &weight, &g)).transpose()?;
    Ok(ConvGradients { x: of_x, weight: of_weight, bias: of_bias })
}

fn check(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<()> {
    let &[_, channels, _, _] = x.dims() else {
        return Err(shape("conv2d", "x", "[B, I, H, W]", x));
    };
    match *weight.dims() {
        [o, i, n, m] if i == channels && n == m && n % 2 == 1 && i > 0 && o > 0 => {}
        _ => {
            let expected = format!("[O, {channels}, n, n] with odd n, O and I at least 1");
            return Err(shape("conv2d", "weight", expected, weight));
        }
    }
    match bias.dims() == [weight.dim(0)?] {
        true => Ok(()),
        false => Err(shape("conv2d", "bias", format!("[{}]", weight.dim(0)?), bias)),
    }
}

/// x [B, H, W, I], weight [O, I, n, n], bias `[O]` → [B, H, W, O].
struct Conv {
    dilation: usize,
    precision: Precision,
    instructions: Instructions,
}

impl Conv {
    /// `weight` gives the weight of an output, an input and a tap.
    fn forward(
        &self,
        geometry: &Geometry,
        x: &[f32],
        weight: impl Fn(usize, usize, usize) -> f32,
        bias: &[f32],
    ) -> Vec<f32> {
        with_factors!(self.precision, self.instructions, F => {
            forward::forward::<F>(geometry, self.instructions, x, weight, bias)
        })
    }

    /// The gradient of x [B, H, W, I] from g [B, H, W, O]. It is the convolution of g with the
    /// weights transposed and turned by 180°.
    fn input_gradient(&self, geometry: &Geometry, w: &[f32], g: &[f32]) -> Vec<f32> {
        let inputs = geometry.inputs;
        let taps = geometry.taps();
        let swapped = Geometry { inputs: geometry.outputs, outputs: inputs, ..*geometry };
        let no_bias = vec![0f32; inputs];
        let turned = |o: usize, i: usize, tap: usize| w[(i * inputs + o) * taps + taps - 1 - tap];
        self.forward(&swapped, g, turned, &no_bias)
    }

    /// The gradients of the weight and of the bias, from contiguous g.
    fn of_weights(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<[Tensor; 2]> {
        let geometry = Geometry::new(x.shape(), w.shape(), self.dilation)?;
        let WeightGradients { dw, db } =
            with_slices([x, g], |[x, g]| self.weight_gradients(&geometry, x, g))?;
        let dw = Tensor::from_vec(dw, w.shape(), &Device::Cpu)?;
        Ok([dw, Tensor::from_vec(db, b.shape(), &Device::Cpu)?])
    }

    /// The gradient of x, from contiguous g.
    fn of_input(&self, x: &Tensor, w: &Tensor, g: &Tensor) -> candle_core::Result<Tensor> {
        let geometry = Geometry::new(x.shape(), w.shape(), self.dilation)?;
        let values = with_slices([w, g], |[w, g]| self.input_gradient(&geometry, w, g))?;
        Tensor::from_vec(values, x.shape(), &Device::Cpu)
    }

    fn weight_gradients(&self, geometry: &Geometry, x: &[f32], g: &[f32]) -> WeightGradients {
        with_factors!(self.precision, self.instructions, F => {
            weight_gradient::weight_gradients::<F>(geometry, self.instructions, x, g)
        })
    }
}

impl CustomOp3 for Conv {
    fn name(&self) -> &'static str {
        "dilated-conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
        b: &CpuStorage,
        bl: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let geometry = Geometry::new(xl.shape(), wl.shape(), self.dilation)?;
        let w = slice(w, wl)?;
        let inputs = geometry.inputs;
        let taps = geometry.taps();
        let weight = |o: usize, i: usize, tap: usize| w[(o * inputs + i) * taps + tap];
        let out = self.forward(&geometry, slice(x, xl)?, weight, slice(b, bl)?);
        let Geometry { images, h, w, outputs, .. } = geometry;
        Ok((CpuStorage::F32(out), (images, h, w, outputs).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _out: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let g = &g.contiguous()?;
        let needs_weights = w.track_op() || b.track_op();
        let of_weights = needs_weights.then(|| self.of_weights(x, w, b, g)).transpose()?;
        let dx = x.track_op().then(|| self.of_input(x, w, g)).transpose()?;
        let [dw, db] = of_weights.map_or([None, None], |[dw, db]| [Some(dw), Some(db)]);
        Ok((dx, dw, db))
    }
}
