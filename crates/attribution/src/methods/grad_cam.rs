//! Grad-CAM (Selvaraju et al., 2017).

use candle_core::Tensor;

use crate::activations::Activations;
use crate::error::{Error, Result, check};
use crate::tensors::{check_finite, check_rows, in_batches};

/// Options of [`grad_cam`] and its relatives: [`grad_cam_plus_plus`](crate::grad_cam_plus_plus),
/// [`layer_cam`](crate::layer_cam()), [`hires_cam`](crate::hires_cam()),
/// [`xgrad_cam`](crate::xgrad_cam()), [`score_cam`](crate::score_cam()) and
/// [`eigen_cam`](crate::eigen_cam()).
#[derive(Debug, Clone, PartialEq)]
pub struct GradCam {
    /// Whether only the positive part is kept, as in the papers. Default true. (Captum's default is
    /// false.)
    pub relu: bool,
    /// Inputs at once, from 1. Default as many as the activations say
    /// ([`Activations::batch_size`]).
    pub batch: Option<usize>,
}

impl Default for GradCam {
    fn default() -> Self {
        Self { relu: true, batch: None }
    }
}

/// Grad-CAM (Selvaraju et al., 2017): Σ_c α_c·A_c with α_c the mean of ∂f/∂A_c over the pixels; its
/// positive part unless the options say otherwise. [B, H, W] of the activation; see
/// [`resize`](crate::resize).
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::{GradCam, SplitModel, grad_cam};
///
/// // Channels A₀ = 2·x and A₁ = -x; f is 3 times the mean of A₀ plus the mean of A₁.
/// let weight = Tensor::new(&[[[[2f64]]], [[[-1.]]]], &Device::Cpu)?;
/// let readout = Tensor::new(&[[3f64], [1.]], &Device::Cpu)?;
/// let model = SplitModel::new(
///     |x: &Tensor| x.conv2d(&weight, 0, 1, 1, 1),
///     |z: &Tensor| z.mean((2, 3))?.matmul(&readout),
/// );
/// // Of two pixels: α = (3/2, 1/2), A₀ = (2, -6) and A₁ = (-1, 3).
/// let x = Tensor::new(&[[[[1f64, -3.]]]], &Device::Cpu)?;
/// let signed = GradCam { relu: false, ..GradCam::default() };
/// assert_eq!(grad_cam(&model, &x, 0, &signed)?.to_vec3::<f64>()?, [[[2.5, -7.5]]]);
/// assert_eq!(grad_cam(&model, &x, 0, &GradCam::default())?.to_vec3::<f64>()?, [[[2.5, 0.]]]);
/// # Ok::<(), foresee_attribution::Error>(())
/// ```
///
/// # Errors
/// If the model fails, has no such output, or candle has no gradient for it.
pub fn grad_cam<A: Activations>(
    model: &A,
    x: &Tensor,
    target: usize,
    options: &GradCam,
) -> Result<Tensor> {
    weighted_sum(model, x, target, options, |_, gradient| Ok(gradient.mean_keepdim((2, 3))?))
}

/// Σ_c w_c·A_c for weights [B, C, 1, 1] or [B, C, H, W] that are made of the activation and the
/// gradient in it.
pub(crate) fn weighted_sum<A: Activations>(
    model: &A,
    x: &Tensor,
    target: usize,
    options: &GradCam,
    weights: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let batch = options.batch.unwrap_or_else(|| model.batch_size());
    check(batch >= 1, "batch", batch, "a number from 1")?;
    in_batches(x, batch, |x| {
        let (z, gradient) = model.activation_and_gradient(x, target)?;
        check_rows(&z, x.dim(0)?)?;
        if z.rank() != 4 {
            return Err(Error::shape("the activation", z.dims(), "[B, C, H, W]"));
        }
        positive_part(z.broadcast_mul(&weights(&z, &gradient)?)?.sum(1)?, options)
    })
}

/// The map, or its positive part, as the options say.
pub(crate) fn positive_part(map: Tensor, options: &GradCam) -> Result<Tensor> {
    Ok(if options.relu { map.relu()? } else { map })
}

/// The activation [B, C, H, W] of inputs, for methods without a gradient in it.
pub(crate) fn activation_maps<A: Activations>(model: &A, x: &Tensor) -> Result<Tensor> {
    let z = model.features(x)?.detach();
    check_rows(&z, x.dim(0)?)?;
    if z.rank() != 4 || z.elem_count() == 0 {
        return Err(Error::shape("the activation", z.dims(), "[B, C, H, W]"));
    }
    check_finite(z, || "the activation".into())
}
