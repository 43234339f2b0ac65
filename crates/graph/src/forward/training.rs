//! What nodes compute in training whose values are carried: convolutions, batch norms of the batch,
//! sums of two values, and the ReLUs behind these.

use candle_core::{Error, Tensor};
use foresee_kernels::{
    Moments, batch_norm_gradients, convolution_gradients, sum_relu, sum_relu_gradient,
};

use super::carried::{Carried, Gradients, Read, followed, takes};
use super::{Forward, Inputs, convolution, norm};
use crate::op::{Binary, Op, Window};

/// An input of a node of a training pass.
#[derive(Clone, Copy)]
pub(crate) enum Given<'a> {
    Carried(&'a Carried),
    Followed(&'a Tensor),
}

impl Given<'_> {
    fn data(&self) -> &Tensor {
        match self {
            Self::Carried(value) => value.data(),
            Self::Followed(tensor) => tensor,
        }
    }

    fn carried(&self) -> Forward<Carried> {
        Ok(match self {
            Self::Carried(value) => (*value).clone(),
            Self::Followed(tensor) => Carried::enter(tensor)?,
        })
    }

    /// The tensor if candle follows it, as it follows weights.
    fn weight(&self) -> Option<&Tensor> {
        match self {
            Self::Carried(_) => None,
            Self::Followed(tensor) => Some(tensor),
        }
    }
}

/// Whether the values of such a node can be carried.
pub(crate) fn is_carried(op: &Op) -> bool {
    matches!(op, Op::Conv(_) | Op::BatchNorm { .. } | Op::Binary(Binary::Add))
}

/// How a node of a training pass is computed.
#[derive(Clone, Copy)]
pub(crate) struct How {
    /// With the ReLU that follows it.
    pub relu: bool,
    /// Whether its result is carried, too.
    pub carried: bool,
}

/// What a node computes.
pub(crate) enum Computed {
    Carried(Carried),
    Followed(Tensor),
}

impl How {
    fn finish(self, y: Tensor, read: [Read; 3], gradients: Box<Gradients>) -> Forward<Computed> {
        Ok(match self.carried {
            true => Computed::Carried(Carried::computed(y, read, gradients)?),
            false => Computed::Followed(followed(y, read, gradients)?),
        })
    }
}

/// What a node computes from carried values, and the moments of its batch if it is a batch norm.
/// `None` if no kernel takes what it reads, or it is of another kind.
pub(crate) fn carry(
    op: &Op,
    inputs: &[Option<Given>],
    how: How,
) -> Forward<Option<(Computed, Option<Moments>)>> {
    if !is_carried(op) || !inputs.iter().flatten().all(|given| takes(given.data())) {
        return Ok(None);
    }
    match (op, inputs) {
        (Op::Conv(window), [Some(x), Some(weight), bias @ ..]) => {
            let bias = bias.first().copied().flatten();
            Ok(conv(window, x, weight, bias, how)?.map(|y| (y, None)))
        }
        (Op::BatchNorm { epsilon }, [Some(x), Some(gamma), Some(beta), Some(mean), Some(var)]) => {
            batch_norm([x, gamma, beta, mean, var], *epsilon, how)
        }
        (Op::Binary(Binary::Add), [Some(a), Some(b)])
            if a.data().dims() == b.data().dims() && a.data().rank() > 1 =>
        {
            Ok(Some((sum(a, b, how)?, None)))
        }
        _ => Ok(None),
    }
}

fn conv(
    window: &Window,
    x: &Given,
    weight: &Given,
    bias: Option<Given>,
    how: How,
) -> Forward<Option<Computed>> {
    let bias = bias.as_ref().map(Given::weight);
    let (Some(w), None | Some(Some(_))) = (weight.weight(), bias) else { return Ok(None) };
    let b = bias.flatten();
    let detached = |tensor: &Tensor| Some(tensor.detach());
    let inputs = [detached(x.data()), detached(w), b.and_then(detached)];
    let Some(options) = convolution::options(x.data(), w, window)? else { return Ok(None) };
    let y = convolution::conv(&Inputs(&inputs), window)?;
    let x = x.carried()?;
    let (of_x, of_w) = (x.data().clone(), w.detach());
    let gradients = move |_: &Tensor, g: &Tensor, wanted| {
        convolution_gradients(&of_x, &of_w, &options, g, wanted).map_err(Error::wrap)
    };
    let read = [Read::Value(&x), Read::Weight(w), b.map_or(Read::Nothing, Read::Weight)];
    how.finish(y, read, Box::new(gradients)).map(Some)
}

fn batch_norm(
    [x, gamma, beta, mean, variance]: [&Given; 5],
    epsilon: f64,
    how: How,
) -> Forward<Option<(Computed, Option<Moments>)>> {
    let (Some(weight), Some(bias)) = (gamma.weight(), beta.weight()) else { return Ok(None) };
    let inputs = [x, gamma, beta, mean, variance].map(|given| Some(given.data().detach()));
    let (y, moments) = norm::batch_norm_training(&Inputs(&inputs), epsilon, how.relu)?;
    let x = x.carried()?;
    let (of_x, of_gamma, of_beta) = (x.data().clone(), weight.detach(), bias.detach());
    let of_batch = moments.clone();
    let gradients = move |_: &Tensor, g: &Tensor, wanted: [bool; 3]| {
        let read = [&of_x, &of_gamma, &of_beta];
        let found = batch_norm_gradients(read, &of_batch, (epsilon, how.relu), g, wanted[0]);
        let (dx, dgamma, dbeta) = found.map_err(Error::wrap)?;
        Ok([dx, wanted[1].then_some(dgamma), wanted[2].then_some(dbeta)])
    };
    let read = [Read::Value(&x), Read::Weight(weight), Read::Weight(bias)];
    Ok(Some((how.finish(y, read, Box::new(gradients))?, Some(moments))))
}

fn sum(a: &Given, b: &Given, how: How) -> Forward<Computed> {
    let (a, b) = (a.carried()?, b.carried()?);
    let y = match how.relu {
        true => sum_relu(a.data(), b.data())?,
        false => (a.data() + b.data())?,
    };
    let gradients = move |y: &Tensor, g: &Tensor, wanted: [bool; 3]| {
        let g = match how.relu {
            true => sum_relu_gradient(y, g).map_err(Error::wrap)?,
            false => g.clone(),
        };
        Ok([wanted[0].then(|| g.clone()), wanted[1].then_some(g), None])
    };
    how.finish(y, [Read::Value(&a), Read::Value(&b), Read::Nothing], Box::new(gradients))
}
