//! The heads and the gradients of a loss in one operation. The masks of one image and some
//! attributes stay in cache while they are pooled, compared with the label, and taken back, so that
//! they are computed once.

mod batch;
mod image;

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp3, Device, Layout, Shape, Tensor, bail};

use self::batch::Fused;
use super::batch::Inputs;
use super::dims::{CHUNK, Dims};
use super::panels::{GROUP, Panels};
use super::weights::Gradients;
use crate::dispatch::cpu_kernel_takes;
use crate::error::Result;
use crate::factor::{Precision, with_factors};
use crate::isa::Instructions;
use crate::layout::to_channels_first;
use crate::pooled::Pooled;
use crate::product::COLUMNS;
use crate::rows::Rows;
use crate::storage::with_slices;

/// Masks of one group of panels on one chunk.
const CHUNK_MASKS: usize = GROUP * CHUNK * COLUMNS;
/// The bytes of masks that a thread keeps at most. Those of 128 rows in images of 32 × 32 pixels
/// are half of it, and fit the second-level cache of a core.
const KEPT_BYTES: usize = 1 << 20;

/// A loss of the heads' means that is a sum of one term for each image and attribute.
pub trait LossOfMeans: Sync {
    /// Writes the gradient of the term of an image and an attribute with respect to its means over
    /// the pixels, given these: first of mask ⊗ feature, then of the mask, each `[C]`. Means of
    /// rows that are left out are 0, and their gradient is not used. The image's index is that in
    /// the batch.
    fn gradient(
        &self,
        image: usize,
        attribute: usize,
        means: [&[f32]; 2],
        gradient: [&mut [f32]; 2],
    );
}

/// The means of the heads, and the gradients of a loss of them.
#[derive(Debug, Clone)]
pub struct PooledWithGradients {
    /// The means. They have no gradient of their own.
    pub pooled: Pooled,
    /// A scalar 0 whose gradients with respect to the features, the weights and the biases are
    /// those of the loss. A loss that is computed from `pooled`, plus this, has the gradients that
    /// it has from [`attention_heads`](crate::attention_heads). They are there for one backward
    /// pass.
    pub gradients: Tensor,
}

/// Whether [`attention_heads_with_loss`](crate::channels_last::attention_heads_with_loss) takes
/// images of so many pixels.
pub fn keeps_masks(pixels: usize) -> bool {
    pixels.div_ceil(CHUNK).saturating_mul(CHUNK_MASKS * size_of::<f32>()) <= KEPT_BYTES
}

/// [`attention_heads`](crate::channels_last::attention_heads) of z [B, H, W, C] together with the
/// gradients of a loss of its means. This makes three products of weights and pixels, where the
/// forward and the backward pass make four: masks are not computed again.
///
/// `None` where this operation does not take the tensors: masks of more than one pixel (n > 1),
/// images of too many pixels ([`keeps_masks`]), more than 128 rows of one attribute, no row at all,
/// or tensors that are not `f32` on the CPU. This depends on shapes and rows, and not on the number
/// of threads.
///
/// ```
/// use candle_core::{Device, Var};
/// use foresee_kernels::channels_last::{LossOfMeans, attention_heads_with_loss};
/// use foresee_kernels::{Precision, Rows};
///
/// /// The sum of all means of mask ⊗ feature.
/// struct SumOfFeatures;
///
/// impl LossOfMeans for SumOfFeatures {
///     fn gradient(&self, _: usize, _: usize, _: [&[f32]; 2], gradient: [&mut [f32]; 2]) {
///         let [features, masks] = gradient;
///         features.fill(1.);
///         masks.fill(0.);
///     }
/// }
///
/// // One image of two pixels, one channel, one attribute. The weight is 0, so that masks are 1/2.
/// let z = Var::new(&[[[[2f32], [4.]]]], &Device::Cpu)?;
/// let weight = Var::new(&[[[[0f32]]]], &Device::Cpu)?;
/// let bias = Var::new(&[0f32], &Device::Cpu)?;
/// let rows = Rows::all(1, 1);
/// let found =
///     attention_heads_with_loss(&z, &weight, &bias, &rows, Precision::F32, &SumOfFeatures)?;
/// let found = found.expect("a small image");
/// let loss = (found.pooled.features.sum_all()? + found.gradients)?;
/// assert!((loss.to_scalar::<f32>()? - 1.5).abs() < 1e-5);
/// let gradients = loss.backward()?;
/// // dL/da = z·m(1 - m)/2 in each pixel: (2 + 4)/8.
/// let of_bias = gradients.get(&bias).expect("a gradient").to_vec1::<f32>()?[0];
/// assert!((of_bias - 0.75).abs() < 1e-5);
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit each other.
pub fn attention_heads_with_loss(
    z: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    rows: &Rows,
    precision: Precision,
    loss: &dyn LossOfMeans,
) -> Result<Option<PooledWithGradients>> {
    let operation = "attention_heads_with_loss";
    let dims = Dims::new(operation, &to_channels_first(&z.detach())?, weight, bias)?;
    dims.check(rows)?;
    let takes = cpu_kernel_takes(&[z, weight, bias])
        && dims.inputs == dims.channels
        && keeps_masks(dims.pixels)
        && dims.images * rows.count() > 0;
    let Some(panels) = Panels::of_whole_attributes(rows).filter(|_| takes) else {
        return Ok(None);
    };
    let u = z.contiguous()?;
    let w = weight.reshape((weight.dim(0)?, dims.channels))?.contiguous()?;
    let bias = bias.contiguous()?;
    let needs_weights = w.track_op() || bias.track_op();
    let instructions = Instructions::current();
    let fused = with_slices([&u, &w, &bias], |[u, w, bias]| {
        let inputs = Inputs { u, w, bias };
        with_factors!(precision, instructions, F => {
            batch::run::<F>(&dims, &panels, instructions, inputs, loss, needs_weights)
        })
    })?;
    let Fused { means, gradients } = fused;
    let shape = (dims.images, dims.attributes, 2, dims.channels);
    let means = Tensor::from_vec(means, shape, &Device::Cpu)?;
    Ok(Some(PooledWithGradients {
        pooled: Pooled::of_means(&means)?,
        gradients: u.apply_op3(&w, &bias, PrecomputedGradients(Mutex::new(Some(gradients))))?,
    }))
}

/// A scalar 0 with gradients that were computed before. A backward pass takes them, so that they do
/// not lie in memory twice.
struct PrecomputedGradients(Mutex<Option<Gradients>>);

impl CustomOp3 for PrecomputedGradients {
    fn name(&self) -> &'static str {
        "attention-heads-with-loss"
    }

    fn cpu_fwd(
        &self,
        _u: &CpuStorage,
        _ul: &Layout,
        _w: &CpuStorage,
        _wl: &Layout,
        _b: &CpuStorage,
        _bl: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.]), Shape::from(())))
    }

    fn bwd(
        &self,
        u: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _out: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(gradients) = taken else {
            bail!("{}: its gradients are there for one backward pass", self.name());
        };
        gradients.into_tensors([u, w, b], g.to_scalar()?)
    }
}
