//! Maps of activations: CAM, Grad-CAM, Grad-CAM++ and guided Grad-CAM.

use candle_core::{D, Tensor};

use crate::backward::{At, guided_backprop};
use crate::error::{Error, Result, check, shape};
use crate::layers::{Layer, Layers};
use crate::target::{BATCH, Target, in_chunks};

/// A model that can be cut at an activation.
///
/// candle keeps no gradients of intermediate tensors, so the activation becomes a variable and the
/// rest of the model is run from it.
pub trait Activations {
    /// The activation [B, C, H, W] of inputs x [B, ...].
    ///
    /// # Errors
    /// If x does not fit the model.
    fn features(&self, x: &Tensor) -> candle_core::Result<Tensor>;

    /// Outputs [B, K] from the activation on.
    ///
    /// # Errors
    /// If z does not fit the model.
    fn outputs(&self, z: &Tensor) -> candle_core::Result<Tensor>;

    /// Inputs at once, unless a method's options say otherwise. Default 32.
    fn batch_size(&self) -> usize {
        BATCH
    }

    /// The activation and ∂f/∂activation, by candle's gradients unless the model knows better.
    ///
    /// # Errors
    /// If the model fails, has no such output, or candle has no gradient for it.
    fn activation_and_gradient(&self, x: &Tensor, target: usize) -> Result<(Tensor, Tensor)> {
        let z = self.features(x)?.detach();
        let gradient = Target::new(|z: &Tensor| self.outputs(z), target)
            .gradient_at_once(&z, "the activation")?;
        Ok((z, gradient))
    }
}

/// [`Activations`] of two functions: x → z and z → outputs.
#[derive(Debug, Clone)]
pub struct Split<F, G> {
    features: F,
    rest: G,
}

impl<F, G> Split<F, G>
where
    F: Fn(&Tensor) -> candle_core::Result<Tensor>,
    G: Fn(&Tensor) -> candle_core::Result<Tensor>,
{
    /// The functions before and behind the activation.
    pub fn new(features: F, rest: G) -> Self {
        Self { features, rest }
    }
}

impl<F, G> Activations for Split<F, G>
where
    F: Fn(&Tensor) -> candle_core::Result<Tensor>,
    G: Fn(&Tensor) -> candle_core::Result<Tensor>,
{
    fn features(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        (self.features)(x)
    }

    fn outputs(&self, z: &Tensor) -> candle_core::Result<Tensor> {
        (self.rest)(z)
    }
}

impl Activations for At<'_> {
    fn features(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        crate::layers::run(&self.layers.steps[..=self.place], x)
    }

    fn outputs(&self, z: &Tensor) -> candle_core::Result<Tensor> {
        crate::layers::run(&self.layers.steps[self.place + 1..], z)
    }

    fn batch_size(&self) -> usize {
        self.layers.batch
    }

    fn activation_and_gradient(&self, x: &Tensor, target: usize) -> Result<(Tensor, Tensor)> {
        At::activation_and_gradient(self, x, target)
    }
}

/// Options of [`grad_cam`] and [`grad_cam_plus_plus`].
#[derive(Debug, Clone, PartialEq)]
pub struct GradCam {
    /// Whether only what speaks for the output is kept, as in the papers. Default true. (Captum's
    /// default is false.)
    pub relu: bool,
    /// Inputs at once, from 1. Default as many as the activations say ([`Activations::batch_size`];
    /// of [`Layers`] their own [`batch`](Layers::batch)).
    pub batch: Option<usize>,
}

impl Default for GradCam {
    fn default() -> Self {
        Self { relu: true, batch: None }
    }
}

/// CAM (Zhou et al., 2016): Σ_c w_c·A_c, [B, H, W], for the last activation A [B, C, H, W] of a
/// network that averages it over the pixels and reads it out by weights w `[C]`: its mean over the
/// pixels is f(x) without the bias.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn cam(activation: &Tensor, weights: &Tensor) -> Result<Tensor> {
    match *activation.dims() {
        [_, c, _, _] if weights.dims() == [c] => {
            Ok(activation.broadcast_mul(&weights.reshape((1, c, 1, 1))?)?.sum(1)?)
        }
        _ => shape(
            "the activation",
            activation.dims(),
            format!("[B, C, H, W] with C weights, not {:?},", weights.dims()),
        ),
    }
}

impl Layers {
    /// CAM of the activation at the layer of this name, [B, H, W].
    ///
    /// # Errors
    /// If what follows it is not global average pooling and one linear layer: the error names the
    /// layer that does not allow CAM.
    pub fn cam(&self, name: &str, x: &Tensor, target: usize) -> Result<Tensor> {
        let place = self.place(name)?;
        let refuse = |name: &str, reason: &str| Error::Layer {
            method: "CAM",
            layer: name.into(),
            reason: reason.into(),
        };
        let rest: Vec<_> = self.steps[place + 1..]
            .iter()
            .filter(|step| !matches!(step.layer, Layer::Flatten))
            .collect();
        match rest[..] {
            [pool, last] => match (&pool.layer, &last.layer) {
                (Layer::GlobalAveragePool, Layer::Linear { weight, .. })
                    if target < weight.dims()[0] =>
                {
                    cam(&self.activation(name, x)?, &weight.get(target)?)
                }
                (Layer::GlobalAveragePool, Layer::Linear { weight, .. }) => {
                    Err(Error::Target { target, shape: vec![x.dim(0)?, weight.dims()[0]] })
                }
                (Layer::GlobalAveragePool, _) => {
                    Err(refuse(&last.name, "it is not linear; use Grad-CAM"))
                }
                _ => Err(refuse(&pool.name, "it is not global average pooling; use Grad-CAM")),
            },
            _ => Err(refuse(
                name,
                "exactly global average pooling and a linear layer must follow; use Grad-CAM",
            )),
        }
    }
}

/// Grad-CAM (Selvaraju et al., 2017): Σ_c α_c·A_c with α_c the mean of ∂f/∂A_c over the pixels; its
/// positive part unless the options say otherwise. [B, H, W] of the activation; see [`resize`].
///
/// # Errors
/// If the model fails, has no such output, or candle has no gradient for it.
pub fn grad_cam<A: Activations>(
    model: &A,
    x: &Tensor,
    target: usize,
    options: &GradCam,
) -> Result<Tensor> {
    weighted(model, x, target, options, |_, gradient| Ok(gradient.mean_keepdim((2, 3))?))
}

/// Grad-CAM++ (Chattopadhay et al., 2018): weights Σ_ij α_ij·max(∂f/∂A_ij, 0) with α = g²/(2g² +
/// Σ_ab A_ab·g³) = 1/(2 + g·Σ_ab A_ab), g = ∂f/∂A (their Eq. 19, for which f is behind an
/// exponential and has no second derivative; where g is 0, α is). [B, H, W]; the exponential's
/// factor, one per input, is left out. It is computed in the second form, because g³ of a small
/// gradient is 0 in `f32`.
///
/// The weights are made for activations A ≥ 0, behind a ReLU: then α is at most 1/2. A leaky ReLU
/// lets ΣA fall a little below 0, where α is greater and, for g·ΣA < -2, negative: nothing is cut
/// there, but α counts as 0 at g·ΣA = -2, where there is none.
///
/// # Errors
/// As of [`grad_cam`].
pub fn grad_cam_plus_plus<A: Activations>(
    model: &A,
    x: &Tensor,
    target: usize,
    options: &GradCam,
) -> Result<Tensor> {
    weighted(model, x, target, options, |z, g| {
        let below = (g.broadcast_mul(&z.sum_keepdim((2, 3))?)? + 2.)?;
        let pole = below.eq(&below.zeros_like()?)?;
        let weights = (g.relu()? / &below)?;
        Ok(pole.where_cond(&below, &weights)?.sum_keepdim((2, 3))?)
    })
}

fn weighted<A: Activations>(
    model: &A,
    x: &Tensor,
    target: usize,
    options: &GradCam,
    weights: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let batch = options.batch.unwrap_or_else(|| model.batch_size());
    check(batch >= 1, "batch", batch, "a number from 1")?;
    in_chunks(x, batch, |x| {
        let (z, gradient) = model.activation_and_gradient(x, target)?;
        if z.rank() != 4 {
            return shape("the activation", z.dims(), "[B, C, H, W]");
        }
        let map = z.broadcast_mul(&weights(&z, &gradient)?)?.sum(1)?;
        Ok(if options.relu { map.relu()? } else { map })
    })
}

/// How a map is enlarged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Interpolation {
    /// The nearest value, as Captum by default.
    #[default]
    Nearest,
    /// Between the four around, corners not aligned.
    Bilinear,
}

/// Maps [B, h, w] at another size, [B, height, width].
///
/// # Errors
/// If the maps have not three dimensions.
pub fn resize(
    maps: &Tensor,
    height: usize,
    width: usize,
    interpolation: Interpolation,
) -> Result<Tensor> {
    if maps.rank() != 3 {
        return shape("the maps", maps.dims(), "[B, h, w]");
    }
    if maps.dims()[1..] == [height, width] {
        return Ok(maps.clone());
    }
    let maps = maps.unsqueeze(1)?.contiguous()?;
    let resized = match interpolation {
        Interpolation::Nearest => maps.upsample_nearest2d(height, width)?,
        Interpolation::Bilinear => maps.upsample_bilinear2d(height, width, false)?,
    };
    Ok(resized.squeeze(1)?)
}

/// Guided Grad-CAM (Selvaraju et al., 2017): [`guided_backprop`] times Grad-CAM's positive part at
/// the layer of this name, enlarged. Of x's shape [B, C, H, W].
///
/// # Errors
/// As of both.
pub fn guided_grad_cam(
    layers: &Layers,
    name: &str,
    x: &Tensor,
    target: usize,
    interpolation: Interpolation,
) -> Result<Tensor> {
    let map = grad_cam(&layers.at(name)?, x, target, &GradCam::default())?;
    let (height, width) = (x.dim(D::Minus2)?, x.dim(D::Minus1)?);
    Ok(guided_backprop(layers, x, target)?
        .broadcast_mul(&resize(&map, height, width, interpolation)?.unsqueeze(1)?)?)
}
