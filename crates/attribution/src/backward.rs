//! Gradients through layers, written out: candle's own would also make those of all weights, and
//! cannot be changed at a ReLU.

use candle_core::{D, Tensor, Var};

use crate::error::{Error, Result, check};
use crate::layers::{Layer, Layers, Step, leaky_slopes, masks, run, squares};
use crate::target::in_chunks;

/// What a ReLU lets back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relu {
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
    /// If the input does not fit a layer or there is no such output.
    pub fn gradient(&self, x: &Tensor, target: usize) -> Result<Tensor> {
        self.backward(x, target, Relu::Plain)
    }

    pub(crate) fn backward(&self, x: &Tensor, target: usize, relu: Relu) -> Result<Tensor> {
        let (layers, index) = self.only(target)?;
        in_chunks(x, self.batch, |x| {
            let inputs = inputs(&layers.steps, x)?;
            let one = one_hot(&inputs[layers.steps.len()], index, target)?;
            back(&layers.steps, &inputs, &one, relu)
        })
    }
}

/// x, and what each step puts out.
pub(crate) fn inputs(steps: &[Step], x: &Tensor) -> Result<Vec<Tensor>> {
    let mut all = vec![x.detach()];
    for step in steps {
        let next = step.layer.forward(&all[all.len() - 1])?.detach();
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

fn back(steps: &[Step], inputs: &[Tensor], g: &Tensor, relu: Relu) -> Result<Tensor> {
    steps
        .iter()
        .zip(inputs)
        .rev()
        .try_fold(g.clone(), |g, (step, x)| step.layer.backward(x, &g, relu))
}

impl Layer {
    /// Jᵀg at x.
    fn backward(&self, x: &Tensor, g: &Tensor, relu: Relu) -> Result<Tensor> {
        Ok(match self {
            Self::Conv2d { weight, .. }
            | Self::Linear { weight, .. }
            | Self::Readout { weight, .. } => self.transposed(g, weight, x)?,
            Self::LeakyRelu { slope } => {
                let g = (g * leaky_slopes(x, *slope)?)?;
                if relu == Relu::Guided { g.relu()? } else { g }
            }
            Self::AveragePool { size } => spread(&(g / (size * size) as f64)?, *size, x)?,
            Self::MaxPool { size } => (spread(g, *size, x)? * winners(x, *size)?)?,
            Self::GlobalAveragePool => {
                let pixels = (x.dim(D::Minus1)? * x.dim(D::Minus2)?) as f64;
                (g.unsqueeze(D::Minus1)?.unsqueeze(D::Minus1)?.broadcast_as(x.shape())? / pixels)?
            }
            Self::Flatten => g.reshape(x.shape())?,
            Self::Gate { weight, bias } => {
                let m = masks(x, weight, bias)?;
                let through_signal = (&m * g)?.sum(1)?;
                let (b, k, c, h, w) = m.dims5()?;
                let to_logits = (g.broadcast_mul(&x.unsqueeze(1)?)? * (&m * (1. - &m)?)?)?;
                let n = weight.dim(2)?;
                let options = crate::Conv2d { padding: n / 2, ..Default::default() };
                (through_signal
                    + conv_transposed(&to_logits.reshape((b, k * c, h, w))?, weight, options, x)?)?
            }
            Self::Residual(branch) => (g + back(branch, &inputs(branch, x)?, g, relu)?)?,
            Self::Other(function) => {
                let x = Var::from_tensor(x)?;
                let gradients = (function(&x)? * g)?.sum_all()?.backward()?;
                gradients
                    .get(&x)
                    .ok_or(Error::NoGradient("the input of a layer put in by `other`"))?
                    .detach()
            }
        })
    }

    /// Jᵀs of a linear layer with these weights, of x's shape.
    pub fn transposed(
        &self,
        s: &Tensor,
        weight: &Tensor,
        x: &Tensor,
    ) -> candle_core::Result<Tensor> {
        match self {
            Self::Conv2d { options, .. } => conv_transposed(s, weight, *options, x),
            Self::Linear { .. } => s.matmul(weight),
            Self::Readout { .. } => s.unsqueeze(D::Minus1)?.broadcast_mul(weight),
            _ => candle_core::bail!("not a linear layer"),
        }
    }
}

/// With stride 1 a convolution with turned weights, which is much faster than candle's transposed
/// one.
fn conv_transposed(
    s: &Tensor,
    weight: &Tensor,
    options: crate::Conv2d,
    x: &Tensor,
) -> candle_core::Result<Tensor> {
    let crate::Conv2d { stride, padding, dilation } = options;
    let (_, _, n, m) = weight.dims4()?;
    let s = s.contiguous()?;
    if stride == 1 && n == m && dilation * (n - 1) >= padding {
        return s.conv2d(
            &weight.transpose(0, 1)?.contiguous()?.flip(&[2, 3])?,
            dilation * (n - 1) - padding,
            1,
            dilation,
            1,
        );
    }
    // Rows and columns that the steps do not reach get 0; they differ in number between height and
    // width, and candle takes one number.
    let (h, w) = (x.dim(2)?, x.dim(3)?);
    let full = s.conv_transpose2d(weight, 0, 0, stride, dilation)?;
    let cut = |t: Tensor, dim: usize, size: usize| -> candle_core::Result<Tensor> {
        let rest = (size + padding).saturating_sub(t.dim(dim)?);
        t.pad_with_zeros(dim, 0, rest)?.narrow(dim, padding, size)
    };
    cut(cut(full, 2, h)?, 3, w)?.contiguous()
}

/// Each value to all pixels of its square, 0 to those in none: [B, C, H/s, W/s] → x's shape.
pub(crate) fn spread(g: &Tensor, s: usize, x: &Tensor) -> candle_core::Result<Tensor> {
    let (b, c, h, w) = g.dims4()?;
    let full = g.reshape((b, c, h, 1, w, 1))?.broadcast_as((b, c, h, s, w, s))?.reshape((
        b,
        c,
        h * s,
        w * s,
    ))?;
    full.pad_with_zeros(2, 0, x.dim(2)? - h * s)?.pad_with_zeros(3, 0, x.dim(3)? - w * s)
}

/// 1 at the maximum of each square; 1/n at each of n equal ones.
pub(crate) fn winners(x: &Tensor, s: usize) -> candle_core::Result<Tensor> {
    let all = squares(x, s)?;
    let is_max = all.broadcast_eq(&all.max_keepdim(D::Minus1)?)?.to_dtype(x.dtype())?;
    let of_max = spread(&all.max(D::Minus1)?, s, x)?;
    let n = spread(&is_max.sum(D::Minus1)?, s, x)?;
    x.eq(&of_max)?.to_dtype(x.dtype())? / n.maximum(1f64)?
}

/// Guided backpropagation (Springenberg et al., 2015): the gradient, but of what comes back through
/// each ReLU only the positive part goes on, so that only paths count along which every unit speaks
/// for the output. At a leaky ReLU the gradient is multiplied by its slope first. Of x's shape.
///
/// The ReLUs must be seen, hence [`Layers`]; masks ([`Layers::gate`]) pass the plain gradient.
///
/// # Errors
/// If the model has no ReLU that is seen, the input does not fit a layer, or there is no such
/// output.
pub fn guided_backprop(layers: &Layers, x: &Tensor, target: usize) -> Result<Tensor> {
    fn sees_relu(steps: &[Step]) -> bool {
        steps.iter().any(|step| match &step.layer {
            Layer::LeakyRelu { .. } => true,
            Layer::Residual(branch) => sees_relu(branch),
            _ => false,
        })
    }
    check(
        sees_relu(&layers.steps),
        "layers",
        format!("{:?}", layers.names()),
        "with at least one ReLU, put in by `leaky_relu`",
    )?;
    layers.backward(x, target, Relu::Guided)
}

/// A model cut at a named layer.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    pub(crate) layers: &'a Layers,
    pub(crate) place: usize,
}

impl Layers {
    /// The model cut behind the layer of this name.
    ///
    /// # Errors
    /// If there is no such layer.
    pub fn at(&self, name: &str) -> Result<At<'_>> {
        Ok(At { layers: self, place: self.place(name)? })
    }
}

impl At<'_> {
    /// The activation and ∂f/∂activation.
    pub(crate) fn activation_and_gradient(
        &self,
        x: &Tensor,
        target: usize,
    ) -> Result<(Tensor, Tensor)> {
        let (layers, index) = self.layers.only(target)?;
        let z = run(&layers.steps[..=self.place], x)?.detach();
        let rest = &layers.steps[self.place + 1..];
        let inputs = inputs(rest, &z)?;
        let one = one_hot(&inputs[rest.len()], index, target)?;
        Ok((z, back(rest, &inputs, &one, Relu::Plain)?))
    }
}
