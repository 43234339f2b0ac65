//! Eq. 9 and 13: K attribute heads, each with a mask for every channel, pooled over the pixels,
//! without storing a mask.

use candle_core::{CpuStorage, CustomOp3, Device, Layout, Shape, Tensor};
use rayon::prelude::*;

use crate::curve::{Identity, ToneCurve};
use crate::error::{Error, Result, shape};
use crate::factor::{Factor, Precision, with_factors};
use crate::heads_tile::{BackwardChunk, Chunk, ForwardChunk, Scratch, Weights};
use crate::isa::Instructions;
use crate::layout::{channels_first, pixels_first};
use crate::product::columns_padded;
use crate::{fused, reference};

/// Pixels that are worked on at a time: their features, their gradients and one attribute's masks
/// fit the second-level cache.
pub(crate) const CHUNK: usize = 128;
/// Into how many parts the pixels of a batch are cut for the weights' gradient, whatever the number
/// of threads: the order of sums, and so every bit, depends on it.
const PARTS: usize = 16;
/// Into how many parts at most the pixels of one image are cut in the forward pass. More need more
/// memory, above all with many curves.
const IMAGE_PARTS: usize = 8;

/// What a head sees of an image: averages over its pixels.
#[derive(Debug, Clone)]
pub struct Pooled {
    /// mean over H×W of mask ⊗ feature, [B, K, C].
    pub features: Tensor,
    /// mean over H×W of the mask, [B, K, C]. Times H·W and summed over K and C, it is ‖M‖₁ of an
    /// image (Eq. 10).
    pub masks: Tensor,
}

/// Fused multi-attribute attention (Eq. 9): with M^k = sigmoid(conv_k(z) + b_k), the averages over
/// all pixels of M^k ⊗ z and of M^k.
///
/// * `z`: features [B, C, H, W].
/// * `weight`: the masks' convolution [K·C, C, n, n], n odd (1 in the paper), row k·C + c for
///   attribute k and channel c; stride 1, zero padding (n-1)/2.
/// * `bias`: `[K·C]`.
///
/// Differentiable in all three. On the CPU in `f32` no mask is stored, and the backward pass
/// computes them again; other tensors take [`reference::attention_heads`]. With n = 1, features
/// that lie in memory pixel by pixel (what [`conv2d`](crate::conv2d) returns) are read where they
/// are; others are copied, and n > 1 makes n² shifted copies. `precision` is that of the factors of
/// matrix products; it is for the fused operation only. A CUDA device has its own form of it
/// (feature `cuda`), also for `f32`.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn attention_heads(
    z: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    precision: Precision,
) -> Result<Pooled> {
    let dims = Dims::of("attention_heads", z, weight, bias)?;
    if !dims.have_kernels(&[z, weight, bias], precision) {
        return reference::attention_heads(z, weight, bias, &Identity);
    }
    let (u, w) = as_products(z, weight)?;
    pool(&u, &w, bias, dims, precision)
}

/// [`attention_heads`] of z [B, H, W, C].
///
/// # Errors
/// If the shapes do not fit each other.
pub fn attention_heads_of_pixels(
    z: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    precision: Precision,
) -> Result<Pooled> {
    if z.rank() != 4 || weight.dims().last() != Some(&1) {
        return attention_heads(&channels_first(z)?, weight, bias, precision);
    }
    let dims = Dims::of("attention_heads", &channels_first(&z.detach())?, weight, bias)?;
    if !dims.have_kernels(&[z, weight, bias], precision) {
        return attention_heads(&channels_first(z)?, weight, bias, precision);
    }
    let rows = weight.dim(0)?;
    pool(
        &z.contiguous()?,
        &weight.reshape((rows, dims.channels))?.contiguous()?,
        bias,
        dims,
        precision,
    )
}

fn pool(u: &Tensor, w: &Tensor, bias: &Tensor, dims: Dims, precision: Precision) -> Result<Pooled> {
    let out = match u.device() {
        #[cfg(feature = "cuda")]
        Device::Cuda(_) => {
            use crate::cuda::ops::{aligned, heads::Heads};
            aligned(u)?.apply_op3(
                &aligned(w)?,
                &aligned(bias)?,
                Heads { counts: dims.counts(), precision },
            )?
        }
        _ => u.apply_op3(
            w,
            &bias.contiguous()?,
            Heads { dims, precision, instructions: Instructions::current() },
        )?,
    };
    Ok(Pooled {
        features: out.narrow(2, 0, 1)?.squeeze(2)?,
        masks: out.narrow(2, 1, 1)?.squeeze(2)?,
    })
}

/// The same under several transformations of the masks (Eq. 13): one [`Pooled`] for each of
/// `curves`, the masks being computed once for all of them.
///
/// Not differentiable. [`Pooled::masks`] holds the means of the transformed masks.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn attention_heads_under(
    z: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    curves: &[&dyn ToneCurve],
    precision: Precision,
) -> Result<Vec<Pooled>> {
    let dims = Dims::of("attention_heads_under", z, weight, bias)?;
    let Some(out) = means_under(z, weight, bias, dims, curves, precision)? else {
        return curves
            .iter()
            .map(|curve| reference::attention_heads(z, weight, bias, *curve))
            .collect();
    };
    let part = |i: usize, j: usize| {
        out.narrow(2, i, 1)?.narrow(3, j, 1)?.squeeze(3)?.squeeze(2)?.contiguous()
    };
    (0..curves.len()).map(|i| Ok(Pooled { features: part(i, 0)?, masks: part(i, 1)? })).collect()
}

/// Means [B, K, curves, 2, C] by the fused kernels, or `None` where they cannot take the tensors or
/// the curves.
fn means_under(
    z: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    dims: Dims,
    curves: &[&dyn ToneCurve],
    precision: Precision,
) -> Result<Option<Tensor>> {
    if !dims.have_kernels(&[z, weight, bias], precision) || curves.is_empty() {
        return Ok(None);
    }
    let (u, w) = as_products(&z.detach(), &weight.detach())?;
    #[cfg(feature = "cuda")]
    if u.device().is_cuda() {
        return Ok(crate::cuda::ops::heads::forward_under(
            &u,
            &w,
            &bias.detach(),
            &dims.counts(),
            precision,
            curves,
        )?);
    }
    let op = Heads { dims, precision, instructions: Instructions::current() };
    let out = with_slice(&u, |u| {
        with_slice(&w, |w| with_slice(bias, |b| op.forward(u, w, b, curves)))
    })???;
    Ok(Some(Tensor::from_vec(
        out,
        (dims.images, dims.attributes, curves.len(), 2, dims.channels),
        &Device::Cpu,
    )?))
}

/// The masks themselves, [B, A, C, H, W], for the chosen attributes only. Not differentiable, and
/// always of `f32` factors.
///
/// # Errors
/// If the shapes do not fit each other or an attribute does not exist.
pub fn attention_masks(
    z: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    attributes: &[usize],
) -> Result<Tensor> {
    let dims = Dims::of("attention_masks", z, weight, bias)?;
    let rows: Vec<u32> = attributes
        .iter()
        .map(|&k| match k < dims.attributes {
            true => Ok((k * dims.channels) as u32..((k + 1) * dims.channels) as u32),
            false => Err(Error::Attribute {
                operation: "attention_masks",
                index: k,
                attributes: dims.attributes,
            }),
        })
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect();
    let rows = Tensor::from_vec(rows, attributes.len() * dims.channels, z.device())?;
    reference::masks(
        &z.detach().contiguous()?,
        &weight.detach().index_select(&rows, 0)?,
        &bias.detach().index_select(&rows, 0)?,
    )
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Dims {
    pub images: usize,
    pub attributes: usize,
    pub channels: usize,
    /// Inputs of a mask: C for a 1×1 convolution, n²·C for n×n. The first C of them are the
    /// features themselves.
    pub inputs: usize,
    pub pixels: usize,
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
            return Err(shape(
                operation,
                "weight",
                format!("[K·{channels}, {channels}, n, n] with odd n"),
                weight,
            ));
        }
        if bias.dims() != [rows] {
            return Err(shape(operation, "bias", format!("[{rows}]"), bias));
        }
        if h * w == 0 {
            return Err(shape(operation, "z", "at least one pixel", z));
        }
        Ok(Self {
            images,
            attributes: rows / channels,
            channels,
            inputs: n * n * channels,
            pixels: h * w,
        })
    }

    /// Whether the CPU's or a CUDA device's kernels can take these tensors.
    #[cfg_attr(
        not(feature = "cuda"),
        allow(unused_variables, reason = "the CPU's kernels take tensors whatever the precision")
    )]
    fn have_kernels(&self, tensors: &[&Tensor], precision: Precision) -> bool {
        #[cfg(feature = "cuda")]
        if crate::cuda::ops::takes(tensors) {
            let counts = self.counts();
            return counts.fit()
                && crate::cuda::ops::have_shared(tensors[0].device(), counts.shared(precision));
        }
        fused(tensors)
    }

    #[cfg(feature = "cuda")]
    fn counts(&self) -> crate::cuda::heads::Counts {
        let Self { images, attributes, channels, inputs, pixels } = *self;
        crate::cuda::heads::Counts { images, pixels, channels, inputs, attributes }
    }

    /// C in whole panels.
    pub fn padded_channels(&self) -> usize {
        columns_padded(self.channels)
    }

    /// All chunks of a batch, image by image.
    fn chunks(&self) -> Vec<Chunk> {
        let of = |image: usize| {
            (0..self.pixels).step_by(CHUNK).map(move |start| Chunk {
                image,
                start,
                pixels: CHUNK.min(self.pixels - start),
            })
        };
        (0..self.images).flat_map(of).collect()
    }
}

/// The masks' convolution as a matrix product: inputs u [B, H, W, D] with the features in the first
/// C of D, weights [K·C, D].
fn as_products(z: &Tensor, weight: &Tensor) -> Result<(Tensor, Tensor)> {
    let (rows, c, n, _) = weight.dims4()?;
    if n == 1 {
        return Ok((pixels_first(z)?, weight.reshape((rows, c))?.contiguous()?));
    }
    let (_, _, h, w) = z.dims4()?;
    let centre = n * n / 2;
    let taps: Vec<usize> =
        std::iter::once(centre).chain((0..n * n).filter(|&t| t != centre)).collect();
    let padded = z.pad_with_zeros(2, n / 2, n / 2)?.pad_with_zeros(3, n / 2, n / 2)?;
    let shifted = taps
        .iter()
        .map(|t| padded.narrow(2, t / n, h)?.narrow(3, t % n, w))
        .collect::<candle_core::Result<Vec<_>>>()?;
    let u = pixels_first(&Tensor::cat(&shifted, 1)?)?;
    let order =
        Tensor::from_vec(taps.iter().map(|&t| t as u32).collect::<Vec<_>>(), n * n, z.device())?;
    let weight = weight
        .flatten_from(2)?
        .transpose(1, 2)?
        .contiguous()?
        .index_select(&order, 1)?
        .reshape((rows, n * n * c))?;
    Ok((u, weight))
}

struct Heads {
    dims: Dims,
    precision: Precision,
    instructions: Instructions,
}

impl Heads {
    fn forward(&self, u: &[f32], w: &[f32], bias: &[f32], curves: &[&dyn ToneCurve]) -> Vec<f32> {
        with_factors!(self.precision, self.instructions, F => forward::<F>(&self.dims, self.instructions, u, w, bias, curves))
    }

    fn backward(
        &self,
        u: &[f32],
        w: &[f32],
        bias: &[f32],
        g: &[f32],
        of_weights: bool,
    ) -> (Vec<f32>, OfWeights) {
        with_factors!(self.precision, self.instructions, F => backward::<F>(&self.dims, self.instructions, u, w, bias, g, of_weights))
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
        let out = self.forward(slice(u, ul)?, slice(w, wl)?, slice(b, bl)?, &[&Identity]);
        Ok((
            CpuStorage::F32(out),
            (self.dims.images, self.dims.attributes, 2, self.dims.channels).into(),
        ))
    }

    fn bwd(
        &self,
        u: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _out: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let of_weights = w.track_op() || b.track_op();
        let (du, of_weights) = with_slice(u, |u| {
            with_slice(w, |w| {
                with_slice(b, |b| with_slice(g, |g| self.backward(u, w, b, g, of_weights)))
            })
        })????;
        let cpu = &Device::Cpu;
        let (dw, db) = of_weights.unzip();
        let tensor = |of: Option<Vec<f32>>, like: &Tensor| {
            of.map(|of| Tensor::from_vec(of, like.shape(), cpu)).transpose()
        };
        Ok((Some(Tensor::from_vec(du, u.shape(), cpu)?), tensor(dw, w)?, tensor(db, b)?))
    }
}

/// The values of contiguous `f32` storage.
pub(crate) fn slice<'a>(
    storage: &'a CpuStorage,
    layout: &Layout,
) -> candle_core::Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => candle_core::bail!("a contiguous tensor is needed"),
    }
}

/// Calls `f` with the values of an `f32` tensor on the CPU, in the order of its indices.
pub(crate) fn with_slice<R>(
    tensor: &Tensor,
    f: impl FnOnce(&[f32]) -> R,
) -> candle_core::Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        candle_core::Storage::Cpu(cpu) => Ok(f(slice(cpu, layout)?)),
        _ => candle_core::bail!("a tensor on the CPU is needed"),
    }
}

/// Means [B, K, curves, 2, C]: of mask ⊗ feature, then of the mask.
fn forward<F: Factor>(
    dims: &Dims,
    instructions: Instructions,
    u: &[f32],
    w: &[f32],
    bias: &[f32],
    curves: &[&dyn ToneCurve],
) -> Vec<f32> {
    let c = dims.channels;
    let image = dims.attributes * curves.len() * 2 * c;
    let mut out = vec![0f32; dims.images * image];
    if out.is_empty() {
        return out;
    }
    let weights = Weights::<F>::forward(dims, w, bias);
    let chunks = dims.chunks();
    let of_image = chunks.len() / dims.images;
    let parts: Vec<&[Chunk]> =
        chunks.chunks(of_image).flat_map(|of| of.chunks(of_image.div_ceil(IMAGE_PARTS))).collect();
    let mut sums = vec![0f32; parts.len() * image];
    sums.par_chunks_exact_mut(image).zip(&parts).for_each_init(
        || Scratch::<F>::forward(dims, curves),
        |scratch, (sums, chunks)| {
            for chunk in *chunks {
                F::dispatch(
                    instructions,
                    ForwardChunk {
                        dims,
                        chunk,
                        u,
                        weights: &weights,
                        curves,
                        sums: &mut *sums,
                        scratch: &mut *scratch,
                    },
                );
            }
        },
    );
    let per_image = sums.par_chunks_exact(image * (parts.len() / dims.images));
    out.par_chunks_exact_mut(image).zip(per_image).for_each(|(out, sums)| {
        for sums in sums.chunks_exact(image) {
            out.iter_mut().zip(sums).for_each(|(o, s)| *o += s);
        }
        out.iter_mut().for_each(|v| *v /= dims.pixels as f32);
    });
    out
}

/// The gradients that some pixels make, and where their own goes.
struct Part<'a> {
    chunks: &'a [Chunk],
    du: &'a mut [f32],
    /// None where nobody asks for the weights' gradients.
    of_weights: Option<WeightSums>,
}

/// Sums over pixels of the weights' and the biases' gradients.
pub(crate) struct WeightSums {
    /// [K, D, C] in whole panels of C.
    pub dw: Vec<f32>,
    /// [K, C] in whole panels of C.
    pub db: Vec<f32>,
}

impl WeightSums {
    fn new(dims: &Dims) -> Self {
        let padded = dims.padded_channels();
        Self {
            dw: vec![0f32; dims.attributes * dims.padded_inputs() * padded],
            db: vec![0f32; dims.attributes * padded],
        }
    }
}

/// Gradients of the weights [K·C, D] and of the biases `[K·C]`, if they were asked for.
type OfWeights = Option<(Vec<f32>, Vec<f32>)>;

/// Gradients of u [B, P, D] and, if they are asked for, of the weights [K·C, D] and the biases
/// `[K·C]`, from that of the means, g [B, K, 2, C].
fn backward<F: Factor>(
    dims: &Dims,
    instructions: Instructions,
    u: &[f32],
    w: &[f32],
    bias: &[f32],
    g: &[f32],
    of_weights: bool,
) -> (Vec<f32>, OfWeights) {
    let mut du = vec![0f32; u.len()];
    if du.is_empty() || w.is_empty() {
        return (du, of_weights.then(|| (vec![0f32; w.len()], vec![0f32; bias.len()])));
    }
    let weights = Weights::<F>::backward(dims, w, bias);
    let chunks = dims.chunks();
    let mut rest = &mut du[..];
    let mut parts: Vec<Part> = chunks
        .chunks(chunks.len().div_ceil(PARTS))
        .map(|chunks| {
            let (own, others) = std::mem::take(&mut rest)
                .split_at_mut(chunks.iter().map(|chunk| chunk.pixels * dims.inputs).sum());
            rest = others;
            Part { chunks, du: own, of_weights: of_weights.then(|| WeightSums::new(dims)) }
        })
        .collect();
    parts.par_iter_mut().for_each_init(
        || Scratch::<F>::backward(dims, of_weights),
        |scratch, part| {
            let mut du = &mut *part.du;
            for chunk in part.chunks {
                let (own, others) = du.split_at_mut(chunk.pixels * dims.inputs);
                let of_weights = part.of_weights.as_mut();
                F::dispatch(
                    instructions,
                    BackwardChunk {
                        dims,
                        chunk,
                        u,
                        g,
                        weights: &weights,
                        du: own,
                        of_weights,
                        scratch,
                    },
                );
                du = others;
            }
        },
    );
    let sums: Vec<WeightSums> = parts.into_iter().filter_map(|part| part.of_weights).collect();
    (du, of_weights.then(|| added_up(dims, &sums)))
}

/// The gradients of the weights [K·C, D] and the biases `[K·C]` from all parts.
fn added_up(dims: &Dims, parts: &[WeightSums]) -> (Vec<f32>, Vec<f32>) {
    let (c, d, padded) = (dims.channels, dims.inputs, dims.padded_channels());
    let (mut dw, mut db) = (vec![0f32; dims.attributes * c * d], vec![0f32; dims.attributes * c]);
    dw.par_chunks_exact_mut(c * d).zip(db.par_chunks_exact_mut(c)).enumerate().for_each(
        |(k, (dw, db))| {
            for part in parts {
                let from = &part.dw[k * dims.padded_inputs() * padded..];
                for (channel, row) in dw.chunks_exact_mut(d).enumerate() {
                    row.iter_mut().enumerate().for_each(|(i, v)| *v += from[i * padded + channel]);
                }
                db.iter_mut().zip(&part.db[k * padded..]).for_each(|(v, p)| *v += p);
            }
        },
    );
    (dw, db)
}
