//! Eq. 9 and 13: K attribute heads, each with a mask for every channel, pooled over the pixels
//! without storing a mask.

mod backward;
mod batch;
mod curves;
mod cuts;
mod dims;
mod forward;
mod fused;
mod loaded;
mod panels;
mod tile;
mod weights;

use candle_core::{CpuStorage, CustomOp3, Device, Layout, Shape, Tensor};

use self::batch::Inputs;
pub use self::cuts::{ChannelCut, HeadWeights, StandIn, attention_logits_of_cuts};
use self::dims::Dims;
pub use self::fused::{LossOfMeans, PooledWithGradients, attention_heads_with_loss, keeps_masks};
use self::panels::Panels;
use self::weights::Gradients;
use crate::curve::{Identity, ToneCurve};
use crate::error::{Error, Result};
use crate::factor::{Precision, with_factors};
use crate::isa::Instructions;
use crate::layout::{to_channels_first, to_channels_last};
use crate::pooled::Pooled;
use crate::reference;
use crate::rows::Rows;
use crate::storage::{slice, with_slices};

/// Fused multi-attribute attention (Eq. 9): with M^k = sigmoid(conv_k(z) + b_k), the averages over
/// all pixels of M^k ⊗ z and of M^k.
///
/// * `z`: features [B, C, H, W].
/// * `weight`: the masks' convolution [K·C, C, n, n], n odd (1 in the paper), row k·C + c for
///   attribute k and channel c; stride 1, zero padding (n-1)/2.
/// * `bias`: `[K·C]`.
/// * `precision`: how the factors of matrix products are held in the fused operation.
///
/// Differentiable in `z`, `weight` and `bias`. In `f32` on the CPU, or on a CUDA device with the
/// feature `cuda`, no mask is stored: the backward pass computes the masks again. Other tensors
/// take [`reference::attention_heads`].
///
/// With n = 1, features that lie in memory pixel by pixel (what [`conv2d`](crate::conv2d) returns)
/// are read where they are; others are copied. n > 1 makes n² shifted copies.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use foresee_kernels::{Precision, attention_heads};
///
/// // One channel of two pixels, and one attribute whose masks are sigmoid(0) = 1/2 everywhere.
/// let z = Tensor::new(&[[[[2f32, 4.]]]], &Device::Cpu)?;
/// let weight = Tensor::zeros((1, 1, 1, 1), DType::F32, &Device::Cpu)?;
/// let bias = Tensor::zeros(1, DType::F32, &Device::Cpu)?;
/// let pooled = attention_heads(&z, &weight, &bias, Precision::F32)?;
/// // The mean of 1/2·2 and 1/2·4.
/// let feature = pooled.features.to_vec3::<f32>()?[0][0][0];
/// let mask = pooled.masks.to_vec3::<f32>()?[0][0][0];
/// assert!((feature - 1.5).abs() < 1e-5 && (mask - 0.5).abs() < 1e-5);
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit each other.
pub fn attention_heads(
    z: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    precision: Precision,
) -> Result<Pooled> {
    let rows = all_rows(weight);
    attention_heads_of_rows(z, weight, bias, &rows, precision)
}

/// [`attention_heads`] of which only some rows have masks. The masks of the others are 0: their
/// means are 0, and so are the gradients of their weights. They cost nothing on the CPU and,
/// with the feature `cuda`, on a CUDA device.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use foresee_kernels::{Precision, Rows, attention_heads_of_rows};
///
/// // One channel of two pixels, and two attributes; the first has no mask.
/// let z = Tensor::new(&[[[[2f32, 4.]]]], &Device::Cpu)?;
/// let weight = Tensor::zeros((2, 1, 1, 1), DType::F32, &Device::Cpu)?;
/// let bias = Tensor::zeros(2, DType::F32, &Device::Cpu)?;
/// let rows = Rows::new(1, vec![vec![], vec![0]])?;
/// let pooled = attention_heads_of_rows(&z, &weight, &bias, &rows, Precision::F32)?;
/// let features = pooled.features.to_vec3::<f32>()?;
/// assert!(features[0][0][0] == 0. && (features[0][1][0] - 1.5).abs() < 1e-5);
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit each other.
pub fn attention_heads_of_rows(
    z: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    rows: &Rows,
    precision: Precision,
) -> Result<Pooled> {
    let dims = Dims::new("attention_heads", z, weight, bias)?;
    dims.check(rows)?;
    if !dims.kernel_takes(&[z, weight, bias], precision) {
        return reference::attention_heads(z, weight, bias, rows, &Identity);
    }
    let (u, w) = as_products(z, weight)?;
    pool(&u, &w, bias, rows, dims, precision)
}

/// [`attention_heads_of_rows`] of z [B, H, W, C].
///
/// # Errors
/// If the shapes do not fit each other.
pub fn attention_heads_channels_last(
    z: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    rows: &Rows,
    precision: Precision,
) -> Result<Pooled> {
    if z.rank() != 4 || weight.dims().last() != Some(&1) {
        return attention_heads_of_rows(&to_channels_first(z)?, weight, bias, rows, precision);
    }
    let dims = Dims::new("attention_heads", &to_channels_first(&z.detach())?, weight, bias)?;
    dims.check(rows)?;
    if !dims.kernel_takes(&[z, weight, bias], precision) {
        return attention_heads_of_rows(&to_channels_first(z)?, weight, bias, rows, precision);
    }
    let w = weight.reshape((weight.dim(0)?, dims.channels))?.contiguous()?;
    pool(&z.contiguous()?, &w, bias, rows, dims, precision)
}

/// All rows of such weights; if their shape is none of heads', what the operation then refuses.
fn all_rows(weight: &Tensor) -> Rows {
    let (rows, channels) = match *weight.dims() {
        [rows, channels, ..] => (rows, channels),
        _ => (0, 0),
    };
    Rows::all(rows.checked_div(channels).unwrap_or(0), channels)
}

/// [`attention_heads_of_rows`] under several transformations of the masks (Eq. 13), without
/// gradients: one [`Pooled`] for each of `curves`. The masks are computed once for all of them, and
/// curves of Eq. 11 with the same n = 1, 2 or 3 share one sum. [`Pooled::masks`] holds the means of
/// the transformed masks. The masks of rows that are left out are g(0).
///
/// # Errors
/// If the shapes do not fit each other.
pub fn attention_heads_with_curves(
    z: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    rows: &Rows,
    curves: &[&dyn ToneCurve],
    precision: Precision,
) -> Result<Vec<Pooled>> {
    let dims = Dims::new("attention_heads_with_curves", z, weight, bias)?;
    dims.check(rows)?;
    let Some(means) = means_with_curves(z, weight, bias, rows, dims, curves, precision)? else {
        let composed =
            |curve: &&dyn ToneCurve| reference::attention_heads(z, weight, bias, rows, *curve);
        // A GPU's kernels know no curve but Eq. 11, clipped or not: one that they do not know must
        // not keep the others from them.
        let (known, unknown): (Vec<usize>, Vec<usize>) =
            (0..curves.len()).partition(|&i| has_closed_form(curves[i], dims));
        if known.is_empty() || unknown.is_empty() {
            return curves.iter().map(composed).collect();
        }
        let of_known: Vec<&dyn ToneCurve> = known.iter().map(|&i| curves[i]).collect();
        let pooled = attention_heads_with_curves(z, weight, bias, rows, &of_known, precision)?;
        let mut each: Vec<(usize, Pooled)> = known.into_iter().zip(pooled).collect();
        for i in unknown {
            each.push((i, composed(&curves[i])?));
        }
        each.sort_by_key(|(i, _)| *i);
        return Ok(each.into_iter().map(|(_, pooled)| pooled).collect());
    };
    let part = |i: usize, j: usize| {
        means.narrow(2, i, 1)?.narrow(3, j, 1)?.squeeze(3)?.squeeze(2)?.contiguous()
    };
    (0..curves.len()).map(|i| Ok(Pooled { features: part(i, 0)?, masks: part(i, 1)? })).collect()
}

/// Whether a curve is one of Eq. 11 on every mask, clipped or not.
fn has_closed_form(curve: &dyn ToneCurve, dims: Dims) -> bool {
    let of_attribute = |k: usize| (0..dims.channels).all(|c| curve.closed_form(k, c).is_some());
    (0..dims.attributes).all(of_attribute)
}

/// The masks of the chosen attributes, [B, A, C, H, W]; 0 for rows that are left out. Not
/// differentiable; products are of `f32` factors.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use foresee_kernels::{Rows, attention_masks};
///
/// // One channel of two pixels, and two attributes with the logits z and -z.
/// let z = Tensor::new(&[[[[0f32, 3.]]]], &Device::Cpu)?;
/// let weight = Tensor::new(&[1f32, -1.], &Device::Cpu)?.reshape((2, 1, 1, 1))?;
/// let bias = Tensor::zeros(2, DType::F32, &Device::Cpu)?;
/// // Those of the second attribute: sigmoid(0) and sigmoid(-3).
/// let masks = attention_masks(&z, &weight, &bias, &Rows::all(2, 1), &[1])?;
/// assert_eq!(masks.dims(), [1, 1, 1, 1, 2]);
/// let masks = masks.flatten_all()?.to_vec1::<f32>()?;
/// assert!((masks[0] - 0.5).abs() < 1e-5 && (masks[1] - 0.047426).abs() < 1e-5);
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit each other or an attribute does not exist.
pub fn attention_masks(
    z: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    rows: &Rows,
    attributes: &[usize],
) -> Result<Tensor> {
    let operation = "attention_masks";
    let dims = Dims::new(operation, z, weight, bias)?;
    dims.check(rows)?;
    if let Some(&index) = attributes.iter().find(|&&k| k >= dims.attributes) {
        return Err(Error::Attribute { operation, index, attributes: dims.attributes });
    }
    let c = dims.channels;
    let index: Vec<u32> =
        attributes.iter().flat_map(|&k| (k * c) as u32..((k + 1) * c) as u32).collect();
    let index = Tensor::from_vec(index, attributes.len() * c, z.device())?;
    reference::masks(
        &z.detach().contiguous()?,
        &weight.detach().index_select(&index, 0)?,
        &bias.detach().index_select(&index, 0)?,
        &rows.on_attributes(attributes),
    )
}

/// The fused operation on inputs u [B, H, W, D] and weights w [K·C, D].
fn pool(
    u: &Tensor,
    w: &Tensor,
    bias: &Tensor,
    rows: &Rows,
    dims: Dims,
    precision: Precision,
) -> Result<Pooled> {
    let means = match u.device() {
        #[cfg(feature = "cuda")]
        Device::Cuda(_) => {
            use crate::cuda::ops::{aligned, heads::Heads};
            let op = Heads { counts: dims.counts(), rows: rows.clone(), precision };
            aligned(u)?.apply_op3(&aligned(w)?, &aligned(bias)?, op)?
        }
        _ => u.apply_op3(w, &bias.contiguous()?, Heads::new(dims, rows, precision))?,
    };
    Ok(Pooled::of_means(&means)?)
}

/// Means [B, K, curves, 2, C] by the fused kernels, or `None` where they cannot take the tensors or
/// the curves.
fn means_with_curves(
    z: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    rows: &Rows,
    dims: Dims,
    curves: &[&dyn ToneCurve],
    precision: Precision,
) -> Result<Option<Tensor>> {
    if !dims.kernel_takes(&[z, weight, bias], precision) || curves.is_empty() {
        return Ok(None);
    }
    let (u, w) = as_products(&z.detach(), &weight.detach())?;
    #[cfg(feature = "cuda")]
    if u.device().is_cuda() {
        use crate::cuda::ops::heads::forward_with_curves;
        let of = (&dims.counts(), rows);
        return Ok(forward_with_curves(&u, &w, &bias.detach(), of, precision, curves)?);
    }
    let op = Heads::new(dims, rows, precision);
    let means =
        with_slices([&u, &w, bias], |[u, w, bias]| op.forward(Inputs { u, w, bias }, curves))?;
    let shape = (dims.images, dims.attributes, curves.len(), 2, dims.channels);
    Ok(Some(Tensor::from_vec(means, shape, &Device::Cpu)?))
}

/// The masks' convolution as a matrix product: inputs u [B, H, W, D] with the features in the first
/// C of D, weights [K·C, D].
fn as_products(z: &Tensor, weight: &Tensor) -> Result<(Tensor, Tensor)> {
    let (rows, c, n, _) = weight.dims4()?;
    if n == 1 {
        return Ok((to_channels_last(z)?, weight.reshape((rows, c))?.contiguous()?));
    }
    let (_, _, h, w) = z.dims4()?;
    // The features themselves come first.
    let centre = n * n / 2;
    let others = (0..n * n).filter(|&tap| tap != centre);
    let taps: Vec<usize> = std::iter::once(centre).chain(others).collect();
    let padded = z.pad_with_zeros(2, n / 2, n / 2)?.pad_with_zeros(3, n / 2, n / 2)?;
    let shifted = taps
        .iter()
        .map(|tap| padded.narrow(2, tap / n, h)?.narrow(3, tap % n, w))
        .collect::<candle_core::Result<Vec<_>>>()?;
    let u = to_channels_last(&Tensor::cat(&shifted, 1)?)?;
    let order: Vec<u32> = taps.iter().map(|&tap| tap as u32).collect();
    let order = Tensor::from_vec(order, n * n, z.device())?;
    let weight = weight
        .flatten_from(2)?
        .transpose(1, 2)?
        .contiguous()?
        .index_select(&order, 1)?
        .reshape((rows, n * n * c))?;
    Ok((u, weight))
}

/// u [B, H, W, D], w [K·C, D], biases `[K·C]` → means [B, K, 2, C] of mask ⊗ feature, then of the
/// mask.
struct Heads {
    dims: Dims,
    panels: Panels,
    precision: Precision,
    instructions: Instructions,
}

impl Heads {
    fn new(dims: Dims, rows: &Rows, precision: Precision) -> Self {
        let instructions = Instructions::current();
        Self { dims, panels: Panels::new(rows), precision, instructions }
    }

    /// Means [B, K, curves, 2, C].
    fn forward(&self, inputs: Inputs, curves: &[&dyn ToneCurve]) -> Vec<f32> {
        with_factors!(self.precision, self.instructions, F => {
            batch::forward::<F>(&self.dims, &self.panels, self.instructions, inputs, curves)
        })
    }

    fn backward(&self, inputs: Inputs, g: &[f32], needs_weights: bool) -> Gradients {
        with_factors!(self.precision, self.instructions, F => {
            batch::backward::<F>(
                &self.dims,
                &self.panels,
                self.instructions,
                inputs,
                g,
                needs_weights,
            )
        })
    }
}

impl CustomOp3 for Heads {
    fn name(&self) -> &'static str {
        "attention-heads"
    }

    fn cpu_fwd(
        &self,
        u: &CpuStorage,
        ul: &Layout,
        w: &CpuStorage,
        wl: &Layout,
        b: &CpuStorage,
        bl: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let inputs = Inputs { u: slice(u, ul)?, w: slice(w, wl)?, bias: slice(b, bl)? };
        let means = self.forward(inputs, &[&Identity]);
        let Dims { images, attributes, channels, .. } = self.dims;
        Ok((CpuStorage::F32(means), (images, attributes, 2, channels).into()))
    }

    fn bwd(
        &self,
        u: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _out: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let needs_weights = w.track_op() || b.track_op();
        let gradients = with_slices([u, w, b, g], |[u, w, bias, g]| {
            self.backward(Inputs { u, w, bias }, g, needs_weights)
        })?;
        gradients.into_tensors([u, w, b], 1.)
    }
}
