//! Gradients through layers, written out: candle's own would also compute those of all weights, and
//! cannot be changed at a ReLU.

use candle_core::{D, Tensor, Var};
use foresee_kernels::Rows;

use super::Layers;
use super::layer::{Layer, NamedLayer};
use super::leaky_relu::leaky_relu_backward;
use super::ops::{Conv2d, convolve_transposed, masks, max_pool_gradient, unpool};
use crate::error::{Error, Result};
use crate::tensors::{check_input, in_batches};

/// What a ReLU lets through on the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReluGradient {
    /// The gradient.
    Plain,
    /// Its positive part (guided backpropagation).
    Guided,
}

impl Layers {
    /// ∂f/∂x of output `target`, of x's shape: what [`Target::gradient`](crate::Target::gradient)
    /// gives, with less work.
    ///
    /// # Errors
    /// If the input does not fit a layer or there is no such output; with layers put in by
    /// [`other`](Self::other), also as for [`Target::gradient`](crate::Target::gradient).
    pub fn gradient(&self, x: &Tensor, target: usize) -> Result<Tensor> {
        self.check_others(x, target)?;
        self.backward(x, target, ReluGradient::Plain)
    }

    /// Compares the gradient with the model's differences if a layer was put in by
    /// [`other`](Self::other).
    pub(crate) fn check_others(&self, x: &Tensor, target: usize) -> Result<()> {
        let gradient = |x: &Tensor| self.backward(x, target, ReluGradient::Plain);
        self.target(target).check_gradient_by(x, "the input", gradient)
    }

    pub(crate) fn backward(&self, x: &Tensor, target: usize, relu: ReluGradient) -> Result<Tensor> {
        check_input(x)?;
        let (layers, index) = self.with_one_output(target)?;
        let layers = layers.with_fused_heads();
        in_batches(x, self.batch, |x| {
            let inputs = layer_inputs(&layers.sequence, x)?;
            let one = one_hot(&inputs[layers.sequence.len()], index, target)?;
            backward_all(&layers.sequence, &inputs, &one, relu)
        })
    }
}

/// The input of each layer, and the output of the last.
pub(crate) fn layer_inputs(layers: &[NamedLayer], x: &Tensor) -> Result<Vec<Tensor>> {
    let mut all = vec![x.detach()];
    for named in layers {
        let next = named.layer.forward(&all[all.len() - 1])?.detach();
        all.push(next);
    }
    Ok(all)
}

/// 1 in column `index` of the outputs [B, K].
pub(crate) fn one_hot(outputs: &Tensor, index: usize, target: usize) -> Result<Tensor> {
    match *outputs.dims() {
        [_, k] if index < k => {
            let row = Tensor::from_iter(
                (0..k).map(|i| f64::from(u8::from(i == index))),
                outputs.device(),
            )?
            .to_dtype(outputs.dtype())?;
            Ok(row.broadcast_as(outputs.shape())?.contiguous()?)
        }
        ref shape => Err(Error::Target { target, shape: shape.to_vec() }),
    }
}

/// The gradient g in the output of the last layer, back to the input of the first.
pub(crate) fn backward_all(
    layers: &[NamedLayer],
    inputs: &[Tensor],
    g: &Tensor,
    relu: ReluGradient,
) -> Result<Tensor> {
    layers
        .iter()
        .zip(inputs)
        .rev()
        .try_fold(g.clone(), |g, (named, x)| named.layer.backward(x, &g, relu))
}

impl Layer {
    /// Jᵀg at x.
    fn backward(&self, x: &Tensor, g: &Tensor, relu: ReluGradient) -> Result<Tensor> {
        Ok(match self {
            Self::Conv2d { weight, .. }
            | Self::Linear { weight, .. }
            | Self::Readout { weight, .. } => self.linear_map_transposed(g, weight, x)?,
            Self::LeakyRelu { slope } => {
                let g = leaky_relu_backward(x, g, *slope)?;
                if relu == ReluGradient::Guided { g.relu()? } else { g }
            }
            Self::AveragePool { size } => unpool(&(g / (size * size) as f64)?, *size, x)?,
            Self::MaxPool { size } => (unpool(g, *size, x)? * max_pool_gradient(x, *size)?)?,
            Self::GlobalAveragePool => {
                let pixels = (x.dim(D::Minus1)? * x.dim(D::Minus2)?) as f64;
                (g.unsqueeze(D::Minus1)?.unsqueeze(D::Minus1)?.broadcast_as(x.shape())? / pixels)?
            }
            Self::Flatten => g.reshape(x.shape())?,
            Self::Gate { weight, bias, rows } => gate_backward(x, g, weight, bias, rows)?,
            Self::Residual(branch) => {
                (g + backward_all(branch, &layer_inputs(branch, x)?, g, relu)?)?
            }
            Self::Other { function, .. } => {
                let x = Var::from_tensor(x)?;
                let gradients = (function(&x)? * g)?.sum_all()?.backward()?;
                gradients
                    .get(&x)
                    .ok_or(Error::NoGradient("the input of a layer put in by `other`"))?
                    .detach()
            }
        })
    }
}

/// Through M ⊗ z with M = sigmoid(conv(z)): once through the signal, once through the masks.
fn gate_backward(
    z: &Tensor,
    g: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    rows: &Rows,
) -> candle_core::Result<Tensor> {
    let m = masks(z, weight, bias, rows)?;
    let through_signal = (&m * g)?.sum(1)?;
    let (b, k, c, h, w) = m.dims5()?;
    let in_logits = (g.broadcast_mul(&z.unsqueeze(1)?)? * (&m * (1. - &m)?)?)?;
    let options = Conv2d { padding: weight.dim(2)? / 2, ..Conv2d::default() };
    let in_logits = in_logits.reshape((b, k * c, h, w))?;
    through_signal + convolve_transposed(&in_logits, weight, &options, z)?
}
