//! Eq. 9 and 13: K attribute heads, each with a mask for every channel, pooled over the pixels, without storing a mask.

use candle_core::{CpuStorage, CustomOp3, Device, Layout, Shape, Tensor};
use pulp::Arch;
use rayon::prelude::*;

use crate::curve::{Identity, ToneCurve};
use crate::error::{Error, Result, shape};
use crate::matmul::{View, matmul};
use crate::sigmoid::{Masks, RowGradient, Sums};
use crate::{fused, reference};

/// Pixels whose masks are held at a time: C×256 values and as many features fit the second-level cache for C = 128.
const TILE: usize = 256;
/// Into how many parts the attributes are cut in the backward pass, whatever the number of threads: the order of sums, and so every bit, depends on it.
const PARTS: usize = 14;

/// What a head sees of an image: averages over its pixels.
#[derive(Debug, Clone)]
pub struct Pooled {
    /// mean over H×W of mask ⊗ feature, [B, K, C].
    pub features: Tensor,
    /// mean over H×W of the mask, [B, K, C]. Times H·W and summed over K and C, it is ‖M‖₁ of an image (Eq. 10).
    pub masks: Tensor,
}

/// Fused multi-attribute attention (Eq. 9): with M^k = sigmoid(conv_k(z) + b_k), the averages over all pixels of M^k ⊗ z and of M^k.
///
/// * `z`: features [B, C, H, W].
/// * `weight`: the masks' convolution [K·C, C, n, n], n odd (1 in the paper), row k·C + c for attribute k and channel c; stride 1, zero padding (n-1)/2.
/// * `bias`: `[K·C]`.
///
/// Differentiable in all three. On the CPU in `f32` no mask is stored, and the backward pass computes them again; other tensors take
/// [`reference::attention_heads`].
///
/// # Errors
/// If the shapes do not fit each other.
pub fn attention_heads(z: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Pooled> {
    let dims = Dims::of("attention_heads", z, weight, bias)?;
    if !fused(&[z, weight, bias]) {
        return reference::attention_heads(z, weight, bias, &Identity);
    }
    let (u, w) = as_products(z, weight)?;
    let out = u.apply_op3(&w, &bias.contiguous()?, Heads { dims })?;
    Ok(Pooled { features: out.narrow(2, 0, 1)?.squeeze(2)?, masks: out.narrow(2, 1, 1)?.squeeze(2)? })
}

/// The same under several transformations of the masks (Eq. 13): one [`Pooled`] for each of `curves`, the masks being computed once for all of them.
///
/// Not differentiable. [`Pooled::masks`] holds the means of the transformed masks.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn attention_heads_under(z: &Tensor, weight: &Tensor, bias: &Tensor, curves: &[&dyn ToneCurve]) -> Result<Vec<Pooled>> {
    let dims = Dims::of("attention_heads_under", z, weight, bias)?;
    if !fused(&[z, weight, bias]) {
        return curves.iter().map(|curve| reference::attention_heads(z, weight, bias, *curve)).collect();
    }
    let (u, w) = as_products(&z.detach(), &weight.detach())?;
    let out = with_slice(&u, |u| with_slice(&w, |w| with_slice(bias, |b| forward(&dims, u, w, b, curves))))???;
    let out = Tensor::from_vec(out, (dims.images, dims.attributes, curves.len(), 2, dims.channels), &Device::Cpu)?;
    let part = |i: usize, j: usize| out.narrow(2, i, 1)?.narrow(3, j, 1)?.squeeze(3)?.squeeze(2)?.contiguous();
    (0..curves.len()).map(|i| Ok(Pooled { features: part(i, 0)?, masks: part(i, 1)? })).collect()
}

/// The masks themselves, [B, A, C, H, W], for the chosen attributes only. Not differentiable.
///
/// # Errors
/// If the shapes do not fit each other or an attribute does not exist.
pub fn attention_masks(z: &Tensor, weight: &Tensor, bias: &Tensor, attributes: &[usize]) -> Result<Tensor> {
    let dims = Dims::of("attention_masks", z, weight, bias)?;
    let rows: Vec<u32> = attributes
        .iter()
        .map(|&k| match k < dims.attributes {
            true => Ok((k * dims.channels) as u32..((k + 1) * dims.channels) as u32),
            false => Err(Error::Attribute { operation: "attention_masks", index: k, attributes: dims.attributes }),
        })
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect();
    let rows = Tensor::from_vec(rows, attributes.len() * dims.channels, z.device())?;
    reference::masks(&z.detach(), &weight.detach().index_select(&rows, 0)?, &bias.detach().index_select(&rows, 0)?)
}

#[derive(Debug, Clone, Copy)]
struct Dims {
    images: usize,
    attributes: usize,
    channels: usize,
    /// Inputs of a mask: C for a 1×1 convolution, n²·C for n×n. The first C of them are the features themselves.
    inputs: usize,
    pixels: usize,
}

impl Dims {
    fn of(operation: &'static str, z: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Self> {
        let &[images, channels, h, w] = z.dims() else {
            return Err(shape(operation, "z", "[B, C, H, W]", z));
        };
        let &[rows, inputs, n, m] = weight.dims() else {
            return Err(shape(operation, "weight", "[K·C, C, n, n]", weight));
        };
        if inputs != channels || channels == 0 || rows % channels != 0 || n != m || n % 2 == 0 {
            return Err(shape(operation, "weight", format!("[K·{channels}, {channels}, n, n] with odd n"), weight));
        }
        if bias.dims() != [rows] {
            return Err(shape(operation, "bias", format!("[{rows}]"), bias));
        }
        if h * w == 0 {
            return Err(shape(operation, "z", "at least one pixel", z));
        }
        Ok(Self { images, attributes: rows / channels, channels, inputs: n * n * channels, pixels: h * w })
    }
}

/// The masks' convolution as a matrix product: inputs u [B, D, P] with the features in the first C rows, weights [K·C, D].
fn as_products(z: &Tensor, weight: &Tensor) -> Result<(Tensor, Tensor)> {
    let (rows, c, n, _) = weight.dims4()?;
    if n == 1 {
        return Ok((z.flatten_from(2)?.contiguous()?, weight.reshape((rows, c))?.contiguous()?));
    }
    let (_, _, h, w) = z.dims4()?;
    let centre = n * n / 2;
    let taps: Vec<usize> = std::iter::once(centre).chain((0..n * n).filter(|&t| t != centre)).collect();
    let padded = z.pad_with_zeros(2, n / 2, n / 2)?.pad_with_zeros(3, n / 2, n / 2)?;
    let shifted = taps.iter().map(|t| padded.narrow(2, t / n, h)?.narrow(3, t % n, w)).collect::<candle_core::Result<Vec<_>>>()?;
    let u = Tensor::cat(&shifted, 1)?.flatten_from(2)?.contiguous()?;
    let order = Tensor::from_vec(taps.iter().map(|&t| t as u32).collect::<Vec<_>>(), n * n, z.device())?;
    let weight = weight.flatten_from(2)?.transpose(1, 2)?.contiguous()?.index_select(&order, 1)?.reshape((rows, n * n * c))?;
    Ok((u, weight))
}

struct Heads {
    dims: Dims,
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
        let out = forward(&self.dims, slice(u, ul)?, slice(w, wl)?, slice(b, bl)?, &[&Identity]);
        Ok((CpuStorage::F32(out), (self.dims.images, self.dims.attributes, 2, self.dims.channels).into()))
    }

    fn bwd(
        &self,
        u: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _out: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let g = g.contiguous()?;
        let (du, dw, db) = with_slice(u, |u| with_slice(w, |w| with_slice(b, |b| with_slice(&g, |g| backward(&self.dims, u, w, b, g)))))????;
        let cpu = &Device::Cpu;
        Ok((Some(Tensor::from_vec(du, u.shape(), cpu)?), Some(Tensor::from_vec(dw, w.shape(), cpu)?), Some(Tensor::from_vec(db, b.shape(), cpu)?)))
    }
}

/// The values of contiguous `f32` storage.
pub(crate) fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => candle_core::bail!("a contiguous tensor is needed"),
    }
}

/// Calls `f` with the values of a contiguous `f32` tensor on the CPU.
pub(crate) fn with_slice<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> R) -> candle_core::Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        candle_core::Storage::Cpu(cpu) => Ok(f(slice(cpu, layout)?)),
        _ => candle_core::bail!("a tensor on the CPU is needed"),
    }
}

/// Means [B, K, curves, 2, C]: of mask ⊗ feature, then of the mask.
fn forward(dims: &Dims, u: &[f32], w: &[f32], bias: &[f32], curves: &[&dyn ToneCurve]) -> Vec<f32> {
    let Dims { images, attributes, channels: c, inputs: d, pixels } = *dims;
    let each = curves.len() * 2 * c;
    let mut out = vec![0f32; images * attributes * each];
    if out.is_empty() {
        return out;
    }
    out.par_chunks_mut(each).enumerate().for_each_init(
        || (vec![0f32; c * TILE], vec![0f32; TILE]),
        |(mask, row), (task, out)| {
            let (image, k) = (task / attributes, task % attributes);
            let u = &u[image * d * pixels..(image + 1) * d * pixels];
            for start in (0..pixels).step_by(TILE) {
                let n = TILE.min(pixels - start);
                masks(dims, u, w, bias, k, start, &mut mask[..c * n]);
                for (curve, out) in curves.iter().zip(out.chunks_exact_mut(2 * c)) {
                    pool(mask, n, k, u, pixels, start, *curve, row, out);
                }
            }
            out.iter_mut().for_each(|v| *v /= pixels as f32);
        },
    );
    out
}

/// The masks [C, n] of attribute k for the n pixels from `start`.
fn masks(dims: &Dims, u: &[f32], w: &[f32], bias: &[f32], k: usize, start: usize, out: &mut [f32]) {
    let Dims { channels: c, inputs: d, pixels, .. } = *dims;
    let n = out.len() / c;
    matmul((c, d, n), (w, View::rows(k * c * d, d)), (u, View::rows(start, pixels)), (out, View::rows(0, n)), false);
    Arch::new().dispatch(Masks { logits: out, bias: &bias[k * c..(k + 1) * c], pixels: n });
}

/// Adds the sums of one tile, under one curve, to `out` [2, C].
#[allow(clippy::too_many_arguments, reason = "one tile and where it lies")]
fn pool(mask: &[f32], n: usize, k: usize, u: &[f32], pixels: usize, start: usize, curve: &dyn ToneCurve, row: &mut [f32], out: &mut [f32]) {
    let arch = Arch::new();
    let c = out.len() / 2;
    for channel in 0..c {
        let z = &u[channel * pixels + start..][..n];
        let mut mask = &mask[channel * n..(channel + 1) * n];
        if !curve.is_identity() {
            row[..n].copy_from_slice(mask);
            curve.apply(k, channel, &mut row[..n]);
            mask = &row[..n];
        }
        let (sum, product) = arch.dispatch(Sums { mask, z });
        out[channel] += product;
        out[c + channel] += sum;
    }
}

/// Gradients of some attributes, and the features' gradient [D, P] of the image at hand that comes from them.
struct Part<'a> {
    attributes: std::ops::Range<usize>,
    dw: &'a mut [f32],
    db: &'a mut [f32],
    du: Vec<f32>,
    mask: Vec<f32>,
}

type Gradients = (Vec<f32>, Vec<f32>, Vec<f32>);

fn backward(dims: &Dims, u: &[f32], w: &[f32], bias: &[f32], g: &[f32]) -> Gradients {
    let Dims { images, attributes, channels: c, inputs: d, pixels } = *dims;
    let (mut du, mut dw, mut db) = (vec![0f32; u.len()], vec![0f32; w.len()], vec![0f32; bias.len()]);
    if du.is_empty() || dw.is_empty() {
        return (du, dw, db);
    }
    let per_part = attributes.div_ceil(PARTS);
    let mut parts: Vec<Part> = dw
        .chunks_mut(per_part * c * d)
        .zip(db.chunks_mut(per_part * c))
        .enumerate()
        .map(|(i, (dw, db))| Part {
            attributes: i * per_part..(i * per_part + db.len() / c),
            dw,
            db,
            du: vec![0f32; d * pixels],
            mask: vec![0f32; c * TILE],
        })
        .collect();
    for image in 0..images {
        let u = &u[image * d * pixels..(image + 1) * d * pixels];
        let g = &g[image * attributes * 2 * c..(image + 1) * attributes * 2 * c];
        parts.par_iter_mut().for_each(|part| backward_image(dims, u, w, bias, g, part));
        let du = &mut du[image * d * pixels..(image + 1) * d * pixels];
        du.par_chunks_mut(4096).enumerate().for_each(|(i, out)| {
            for part in &parts {
                out.iter_mut().zip(&part.du[i * 4096..]).for_each(|(o, v)| *o += v);
            }
        });
    }
    (du, dw, db)
}

/// Adds one image's gradients to a part, whose `du` becomes this image's.
fn backward_image(dims: &Dims, u: &[f32], w: &[f32], bias: &[f32], g: &[f32], part: &mut Part) {
    let Dims { channels: c, inputs: d, pixels, .. } = *dims;
    let arch = Arch::new();
    part.du.fill(0.);
    for start in (0..pixels).step_by(TILE) {
        let n = TILE.min(pixels - start);
        for (i, k) in part.attributes.clone().enumerate() {
            let mask = &mut part.mask[..c * n];
            masks(dims, u, w, bias, k, start, mask);
            let g = &g[k * 2 * c..(k + 1) * 2 * c];
            for channel in 0..c {
                let at = channel * pixels + start;
                part.db[i * c + channel] += arch.dispatch(RowGradient {
                    mask: &mut mask[channel * n..(channel + 1) * n],
                    z: &u[at..at + n],
                    dz: &mut part.du[at..at + n],
                    g_features: g[channel] / pixels as f32,
                    g_mask: g[c + channel] / pixels as f32,
                });
            }
            let gradient = (&*mask, View::rows(0, n));
            matmul((c, n, d), gradient, (u, View::columns(start, pixels)), (part.dw, View::rows(i * c * d, d)), true);
            let (w, wt) = (w, View::columns(k * c * d, d));
            matmul((d, c, n), (w, wt), gradient, (&mut part.du, View::rows(start, pixels)), true);
        }
    }
}
