//! Convolutions of two dimensions with any kernel, stride, padding, dilation and groups, and their
//! gradients, for any network. Those of the paper's network, channels last and with "same" padding,
//! are in [`dilated`](crate::dilated).
//!
//! All three are products of `f32` tiles. Images stay as they lie in memory, plane by plane: a tile
//! has some channels of neighbouring pixels. Groups of few channels have no tiles; there whole
//! planes are added up ([`direct`]).

mod axis;
mod composed;
mod direct;
mod planes;
mod products;
mod tile;
mod vectors;
mod weight_gradient;

use std::marker::PhantomData;

use candle_core::{CpuStorage, CustomOp3, DType, Device, Layout, Shape, Tensor};
use rayon::prelude::*;

use self::axis::Axis;
use self::planes::Grid;
use crate::dispatch::cpu_kernel_takes;
use crate::error::{Error, Result, floats, shape};
use crate::isa::Instructions;
use crate::storage::{slice, with_slices};

const NAME: &str = "convolution";
/// Groups of at most so many results a pixel fill too little of a tile.
const FEW: usize = 4;

/// How a [`convolution`] steps over its images, (height, width) each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvOptions {
    /// Pixels from one window to the next, from 1.
    pub stride: (usize, usize),
    /// Zeros above, below, to the left and to the right of an image.
    pub padding: [usize; 4],
    /// Pixels from one tap of a window to the next, from 1.
    pub dilation: (usize, usize),
    /// Into how many groups the channels are cut, from 1. Outputs read the inputs of their group.
    pub groups: usize,
}

impl Default for ConvOptions {
    /// One step at a time, without padding, dilation and groups: PyTorch's defaults.
    fn default() -> Self {
        Self { stride: (1, 1), padding: [0; 4], dilation: (1, 1), groups: 1 }
    }
}

impl ConvOptions {
    fn axes(&self, x: &Tensor, weight: &Tensor) -> Result<[Axis; 2]> {
        let (_, _, h, w) = x.dims4()?;
        let (_, _, n, m) = weight.dims4()?;
        let [top, bottom, left, right] = self.padding;
        let axis = |inputs, kernel, stride, dilation, padding: [usize; 2]| {
            Axis::new(inputs, kernel, stride, dilation, padding).ok_or(Error::Convolution {
                operation: NAME,
                inputs,
                kernel,
                stride,
                dilation,
                padding: padding.into(),
            })
        };
        Ok([
            axis(h, n, self.stride.0, self.dilation.0, [top, bottom])?,
            axis(w, m, self.stride.1, self.dilation.1, [left, right])?,
        ])
    }
}

/// ```text
/// y[b, o, p, q] = bias[o] + Σ weight[o, i, s, t]·x[b, i + first, p·stride + s·dilation - top,
/// q·stride + t·dilation - left], a sum over the inputs i of the output's group, of which `first`
/// is the first, and the taps (s, t); pixels outside of an image are 0.
/// ```
///
/// x [B, I, H, W], weight [O, I/groups, n, m], bias `[O]` → [B, O, H', W'], contiguous.
/// Differentiable in `x`, `weight` and `bias`; gradients are computed of those that are, or depend
/// on, variables. An x that is contiguous is not copied.
///
/// Tensors other than `f32` on the CPU take a composition of candle's operations, which needs
/// memory for the padded images and for what every tap reads.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use foresee_kernels::{ConvOptions, convolution};
///
/// // Sums of 2×2 pixels, two apart, of an image of ones with one row of zeros above it.
/// let x = Tensor::ones((1, 1, 3, 4), DType::F32, &Device::Cpu)?;
/// let weight = Tensor::ones((1, 1, 2, 2), DType::F32, &Device::Cpu)?;
/// let options = ConvOptions { stride: (2, 2), padding: [1, 0, 0, 0], ..ConvOptions::default() };
/// let y = convolution(&x, &weight, None, &options)?;
/// assert_eq!(y.dims(), [1, 1, 2, 2]);
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [2., 2., 4., 4.]);
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit each other and the groups, a window does not fit the padded image, or
/// the result (in the composition also the padded images) is too large.
pub fn convolution(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: &ConvOptions,
) -> Result<Tensor> {
    check(x, weight, bias, options)?;
    let axes = options.axes(x, weight)?;
    let (outputs, ..) = weight.dims4()?;
    let pixels = axes[0].outputs.checked_mul(axes[1].outputs);
    let values = pixels.and_then(|pixels| pixels.checked_mul(outputs)?.checked_mul(x.dims()[0]));
    if values.is_none_or(|values| values > isize::MAX as usize / 8) {
        return Err(shape(NAME, "x", "fewer outputs than memory can hold", x));
    }
    let no_bias = || Tensor::zeros(outputs, DType::F32, &Device::Cpu);
    match bias {
        Some(b) if !cpu_kernel_takes(&[x, weight, b]) => {
            composed::convolution(x, weight, bias, options, axes)
        }
        None if !cpu_kernel_takes(&[x, weight]) => {
            composed::convolution(x, weight, bias, options, axes)
        }
        _ => {
            let bias = bias.map_or_else(no_bias, Tensor::contiguous)?;
            let op = Conv { axes, groups: options.groups, instructions: Instructions::current() };
            Ok(x.contiguous()?.apply_op3(&weight.contiguous()?, &bias, op)?)
        }
    }
}

fn check(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, options: &ConvOptions) -> Result<()> {
    let &[_, inputs, h, w] = x.dims() else {
        return Err(shape(NAME, "x", "[B, I, H, W]", x));
    };
    if inputs == 0 || h == 0 || w == 0 {
        return Err(shape(NAME, "x", "at least one channel and one pixel", x));
    }
    if options.groups == 0 || inputs % options.groups != 0 {
        let expected = format!("channels that can be cut into {} groups", options.groups);
        return Err(shape(NAME, "x", expected, x));
    }
    let of_group = inputs / options.groups;
    match *weight.dims() {
        [o, i, _, _] if i == of_group && o > 0 && o % options.groups == 0 => {}
        _ => {
            let groups = options.groups;
            let expected = format!("[O, {of_group}, n, m] with O a multiple of {groups}");
            return Err(shape(NAME, "weight", expected, weight));
        }
    }
    floats(NAME, &[x, weight])?;
    let outputs = weight.dim(0)?;
    match bias {
        Some(bias) if bias.dims() != [outputs] => {
            Err(shape(NAME, "bias", format!("[{outputs}]"), bias))
        }
        _ => Ok(()),
    }
}

/// x [B, I, H, W], weight [O, I/groups, n, m], bias `[O]` → [B, O, H', W'].
struct Conv {
    axes: [Axis; 2],
    groups: usize,
    instructions: Instructions,
}

/// The sizes of products: results of some rows a group, each a sum over the group's channels.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    images: usize,
    groups: usize,
    /// Channels that a group of results reads.
    channels: usize,
    /// Channels of a group of results.
    rows: usize,
}

/// Weights as factors of products.
#[derive(Debug, Clone, Copy)]
struct Weights<'a> {
    values: &'a [f32],
    /// From one group's, row's or channel's kernel to that of the next.
    group: usize,
    row: usize,
    channel: usize,
}

impl Weights<'_> {
    /// Where the kernel of a group's row and channel begins.
    fn at(&self, group: usize, row: usize, channel: usize) -> usize {
        group * self.group + row * self.row + channel * self.channel
    }
}

/// Results that several threads write, each some of its own.
struct Shared<'a> {
    values: *mut f32,
    length: usize,
    lifetime: PhantomData<&'a mut [f32]>,
}

// SAFETY: `part` is all that reaches the values, and its callers take none twice.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    fn new(values: &'a mut [f32]) -> Self {
        Self { values: values.as_mut_ptr(), length: values.len(), lifetime: PhantomData }
    }

    /// A part of the values.
    ///
    /// # Safety
    /// No value of it is in another part that lives as long as this one and is read or written.
    #[expect(clippy::mut_from_ref, reason = "the caller takes no value twice")]
    unsafe fn part(&self, start: usize, length: usize) -> &mut [f32] {
        assert!(start + length <= self.length, "a part reaches past its values");
        // SAFETY: it lies inside (checked above), and is the caller's alone.
        unsafe { std::slice::from_raw_parts_mut(self.values.add(start), length) }
    }
}

impl Conv {
    /// The sizes for so many images and these weights.
    fn sizes(&self, images: usize, weight: &Shape) -> candle_core::Result<Sizes> {
        let (outputs, channels, _, _) = weight.dims4()?;
        Ok(Sizes { images, groups: self.groups, channels, rows: outputs / self.groups })
    }

    fn taps(&self) -> usize {
        self.axes[0].kernel * self.axes[1].kernel
    }

    /// What the outputs read.
    fn outputs(&self) -> Grid {
        let [rows, columns] = self.axes.map(|axis| axis.outputs_of_inputs());
        Grid::new(rows, columns, self.axes[1].kernel)
    }

    fn forward(&self, sizes: Sizes, x: &[f32], w: &[f32], bias: &[f32]) -> Vec<f32> {
        let grid = self.outputs();
        let taps = self.taps();
        let mut out = vec![0f32; sizes.images * sizes.groups * sizes.rows * grid.results()];
        let row = sizes.channels * taps;
        let weights = Weights { values: w, group: sizes.rows * row, row, channel: taps };
        self.write(&grid, sizes, x, weights, bias, &mut out);
        out
    }

    /// The gradient of x from that of the outputs, one remainder of a pixel's place by the stride
    /// at a time.
    fn input_gradient(&self, sizes: Sizes, w: &[f32], g: &[f32]) -> Vec<f32> {
        let [rows, columns] = self.axes;
        let taps = self.taps();
        let Sizes { images, groups, channels, rows: of_group } = sizes;
        let swapped = Sizes { images, groups, channels: of_group, rows: channels };
        let channel = channels * taps;
        let weights = Weights { values: w, group: of_group * channel, row: taps, channel };
        let no_bias = vec![0f32; groups * channels];
        let mut out = vec![0f32; images * groups * channels * rows.inputs * columns.inputs];
        for y in 0..rows.stride.min(rows.inputs) {
            for x in 0..columns.stride.min(columns.inputs) {
                let (rows, width) = (rows.inputs_of_outputs(y), columns.kernel);
                let grid = Grid::new(rows, columns.inputs_of_outputs(x), width);
                if !grid.taps.is_empty() {
                    self.write(&grid, swapped, g, weights, &no_bias, &mut out);
                }
            }
        }
        out
    }

    fn write(
        &self,
        grid: &Grid,
        sizes: Sizes,
        source: &[f32],
        weights: Weights,
        bias: &[f32],
        out: &mut [f32],
    ) {
        let write = if is_thin(sizes) { direct::sums } else { products::products };
        if !out.is_empty() {
            write(self.instructions, grid, sizes, source, weights, bias, out);
        }
    }

    fn weight_gradient(&self, sizes: Sizes, x: &[f32], g: &[f32]) -> Vec<f32> {
        let gradient = match is_thin(sizes) {
            true => direct::weight_gradient,
            false => weight_gradient::weight_gradient,
        };
        gradient(self.instructions, &self.outputs(), sizes, self.taps(), x, g)
    }
}

/// Whether tiles would be mostly empty.
fn is_thin(sizes: Sizes) -> bool {
    sizes.groups > 1 && sizes.rows <= FEW
}

/// The gradient of the biases from g [B, O, pixels].
fn bias_gradient(outputs: usize, pixels: usize, g: &[f32]) -> Vec<f32> {
    if g.is_empty() {
        return vec![0.; outputs];
    }
    let planes: Vec<f64> = g.par_chunks_exact(pixels).map(sum).collect();
    let of_output = |o: usize| planes[o..].iter().step_by(outputs).sum::<f64>();
    (0..outputs).map(|o| of_output(o) as f32).collect()
}

/// The sum of many values, of which the compiler can add several at a time.
fn sum(values: &[f32]) -> f64 {
    let mut sums = [0f64; 8];
    for values in values.chunks(8) {
        sums.iter_mut().zip(values).for_each(|(sum, &v)| *sum += f64::from(v));
    }
    sums.iter().sum()
}

impl CustomOp3 for Conv {
    fn name(&self) -> &'static str {
        NAME
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
        let sizes = self.sizes(xl.dims()[0], wl.shape())?;
        let out = self.forward(sizes, slice(x, xl)?, slice(w, wl)?, slice(b, bl)?);
        let [h, w] = self.axes.map(|axis| axis.outputs);
        Ok((CpuStorage::F32(out), (sizes.images, sizes.groups * sizes.rows, h, w).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _out: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let sizes = self.sizes(x.dim(0)?, w.shape())?;
        let tensor =
            |values: Vec<f32>, like: &Tensor| Tensor::from_vec(values, like.shape(), &Device::Cpu);
        let g = &g.contiguous()?;
        let mut gradients = (None, None, None);
        if x.track_op() {
            let dx = with_slices([w, g], |[w, g]| self.input_gradient(sizes, w, g))?;
            gradients.0 = Some(tensor(dx, x)?);
        }
        if w.track_op() {
            let dw = with_slices([x, g], |[x, g]| self.weight_gradient(sizes, x, g))?;
            gradients.1 = Some(tensor(dw, w)?);
        }
        if b.track_op() {
            let [h, w] = self.axes.map(|axis| axis.outputs);
            let db = with_slices([g], |[g]| bias_gradient(b.elem_count(), h * w, g))?;
            gradients.2 = Some(tensor(db, b)?);
        }
        Ok(gradients)
    }
}
