//! Multipliers through each layer, from the output back.

use candle_core::{D, Tensor};
use foresee_kernels::Rows;

use super::multipliers::{Multipliers, by_sign, parts};
use super::{DeepLift, DeepLiftRule, METHOD};
use crate::error::{Error, Result};
use crate::layers::leaky_relu_gradient;
use crate::layers::{Conv2d, Layer, NamedLayer, layer_inputs, masks, max_pool_gradient, unpool};
use crate::precision::epsilon;

/// A difference below which a multiplier is the derivative, as in Captum.
const NONE: f64 = 1e-10;

/// Layers with their inputs, and the output of the last, at x and at the baseline.
pub(super) struct Trace<'a> {
    pub layers: &'a [NamedLayer],
    pub at_x: Vec<Tensor>,
    pub at_baseline: Vec<Tensor>,
    pub options: &'a DeepLift,
}

impl Trace<'_> {
    /// The difference of the input of layer `at` from the baseline's.
    pub fn change(&self, at: usize) -> Result<Tensor> {
        Ok((&self.at_x[at] - &self.at_baseline[at])?)
    }

    /// Multipliers of the last layer's output, back to the input of the first.
    pub fn through_all(&self, m: Multipliers) -> Result<Multipliers> {
        (0..self.layers.len()).rev().try_fold(m, |m, at| self.through(at, m))
    }

    fn through(&self, at: usize, m: Multipliers) -> Result<Multipliers> {
        let x = &self.at_x[at];
        match &self.layers[at].layer {
            layer @ (Layer::Conv2d { weight, .. }
            | Layer::Linear { weight, .. }
            | Layer::Readout { weight, .. }) => self.through_linear(at, layer, weight, m),
            Layer::LeakyRelu { slope } => self.through_relu(at, *slope, m),
            Layer::Flatten => m.map(|m| Ok(m.reshape(x.shape())?)),
            Layer::AveragePool { size } => {
                self.through_mean(at, m, |m| Ok(unpool(&(m / (size * size) as f64)?, *size, x)?))
            }
            Layer::GlobalAveragePool => self.through_mean(at, m, |m| {
                let pixels = (x.dim(D::Minus1)? * x.dim(D::Minus2)?) as f64;
                let m = m.unsqueeze(D::Minus1)?.unsqueeze(D::Minus1)?;
                Ok((m.broadcast_as(x.shape())? / pixels)?)
            }),
            Layer::MaxPool { size } => self.through_max_pool(at, *size, m),
            Layer::Gate { weight, bias, rows } => {
                let m = m.merged(&self.change(at + 1)?)?;
                let z0 = &self.at_baseline[at];
                Ok(Multipliers::One(gate_multiplier(x, z0, weight, bias, rows, &m)?))
            }
            Layer::Residual(branch) => self.through_residual(at, branch, m),
            Layer::Other { .. } => Err(Error::Layer {
                method: METHOD,
                layer: self.layers[at].name.clone(),
                reason: "no rule is known for it; build it of layers that have one".into(),
            }),
        }
    }

    /// The linear rule (section 3.5.1): a contribution w·Δx above 0 takes the multiplier of the
    /// positive part of the output, one below 0 that of the negative part.
    fn through_linear(
        &self,
        at: usize,
        layer: &Layer,
        weight: &Tensor,
        m: Multipliers,
    ) -> Result<Multipliers> {
        let x = &self.at_x[at];
        let (positive, negative) = match m {
            Multipliers::One(m) => {
                return Ok(Multipliers::One(layer.linear_map_transposed(&m, weight, x)?));
            }
            Multipliers::Two { positive, negative } => (positive, negative),
        };
        let (w_plus, w_minus) = parts(weight)?;
        let back = |m: &Tensor, weight: &Tensor| layer.linear_map_transposed(m, weight, x);
        let of_increase = (back(&positive, &w_plus)? + back(&negative, &w_minus)?)?;
        let of_decrease = (back(&negative, &w_plus)? + back(&positive, &w_minus)?)?;
        Ok(Multipliers::One(by_sign(&self.change(at)?, &of_increase, &of_decrease)?))
    }

    /// The linear rule of weights above 0, whose transposed map is `back`.
    fn through_mean(
        &self,
        at: usize,
        m: Multipliers,
        back: impl Fn(&Tensor) -> Result<Tensor>,
    ) -> Result<Multipliers> {
        Ok(Multipliers::One(m.map(back)?.merged(&self.change(at)?)?))
    }

    fn through_relu(&self, at: usize, slope: f64, m: Multipliers) -> Result<Multipliers> {
        match self.options.rule(&self.layers[at].name) {
            DeepLiftRule::Rescale => {
                let ratio = self.relu_ratio(at, slope)?;
                m.map(|m| Ok((m * &ratio)?))
            }
            DeepLiftRule::RevealCancel => {
                let cancelled = self.reveal_cancel(at, slope)?;
                let (positive, negative) = m.pair();
                Ok(Multipliers::Two {
                    positive: (positive * cancelled.of_increase)?,
                    negative: (negative * cancelled.of_decrease)?,
                })
            }
        }
    }

    /// Δy/Δx, or the derivative where x does not differ.
    fn relu_ratio(&self, at: usize, slope: f64) -> Result<Tensor> {
        let derivative = leaky_relu_gradient(&self.at_x[at], slope)?;
        ratio(&self.change(at + 1)?, &self.change(at)?, &derivative)
    }

    fn reveal_cancel(&self, at: usize, slope: f64) -> Result<RevealCancel> {
        let (x, x0) = (&self.at_x[at], &self.at_baseline[at]);
        let (increase, decrease) = self.signed_changes(at)?;
        let relu = |x: &Tensor| Layer::LeakyRelu { slope }.forward(x);
        let derivative = |x: &Tensor| leaky_relu_gradient(x, slope);
        let (up, down) = ((x0 + &increase)?, (x0 + &decrease)?);
        let (y, y0, y_up, y_down) = (relu(x)?, relu(x0)?, relu(&up)?, relu(&down)?);
        let mean = |a: Tensor, b: Tensor| -> Result<Tensor> { Ok(((a + b)? * 0.5)?) };
        let y_increase = mean((&y_up - &y0)?, (&y - &y_down)?)?;
        let y_decrease = mean((&y_down - &y0)?, (&y - &y_up)?)?;
        let at_increase = mean(derivative(x0)?, derivative(&down)?)?;
        let at_decrease = mean(derivative(x0)?, derivative(&up)?)?;
        Ok(RevealCancel {
            of_increase: ratio(&y_increase, &increase, &at_increase)?,
            of_decrease: ratio(&y_decrease, &decrease, &at_decrease)?,
            y_increase,
            y_decrease,
        })
    }

    /// The positive and the negative contributions to the difference of the input of layer `at`.
    /// Where the layer before has no rule that tells them apart, a difference is all positive or
    /// all negative.
    fn signed_changes(&self, at: usize) -> Result<(Tensor, Tensor)> {
        let Some(before) = at.checked_sub(1) else {
            return parts(&self.change(at)?);
        };
        let (up, down) = parts(&self.change(before)?)?;
        match &self.layers[before].layer {
            layer @ (Layer::Conv2d { weight, .. }
            | Layer::Linear { weight, .. }
            | Layer::Readout { weight, .. }) => {
                let (w_plus, w_minus) = parts(weight)?;
                let map = |x: &Tensor, weight: &Tensor| layer.linear_map(x, weight, None);
                let increase = (map(&up, &w_plus)? + map(&down, &w_minus)?)?;
                let decrease = (map(&up, &w_minus)? + map(&down, &w_plus)?)?;
                Ok((increase, decrease))
            }
            layer @ (Layer::AveragePool { .. } | Layer::GlobalAveragePool) => {
                Ok((layer.forward(&up)?, layer.forward(&down)?))
            }
            layer @ Layer::Flatten => {
                let (increase, decrease) = self.signed_changes(before)?;
                Ok((layer.forward(&increase)?, layer.forward(&decrease)?))
            }
            Layer::LeakyRelu { slope } => self.relu_signed_changes(before, *slope),
            Layer::MaxPool { .. }
            | Layer::Gate { .. }
            | Layer::Residual(_)
            | Layer::Other { .. } => parts(&self.change(at)?),
        }
    }

    /// Δy⁺ and Δy⁻ of the ReLU that is layer `at`.
    fn relu_signed_changes(&self, at: usize, slope: f64) -> Result<(Tensor, Tensor)> {
        match self.options.rule(&self.layers[at].name) {
            DeepLiftRule::Rescale => {
                let ratio = self.relu_ratio(at, slope)?;
                let (increase, decrease) = self.signed_changes(at)?;
                Ok(((increase * &ratio)?, (decrease * ratio)?))
            }
            DeepLiftRule::RevealCancel => {
                let cancelled = self.reveal_cancel(at, slope)?;
                Ok((cancelled.y_increase, cancelled.y_decrease))
            }
        }
    }

    fn through_max_pool(&self, at: usize, size: usize, m: Multipliers) -> Result<Multipliers> {
        let (x, x0) = (&self.at_x[at], &self.at_baseline[at]);
        let (y, y0) = (&self.at_x[at + 1], &self.at_baseline[at + 1]);
        let m = m.merged(&self.change(at + 1)?)?;
        let top = y.maximum(y0)?;
        let (at_x, at_baseline) = (max_pool_gradient(x, size)?, max_pool_gradient(x0, size)?);
        let from_x = (unpool(&(&m * (&top - y0)?)?, size, x)? * &at_x)?;
        let from_baseline = (unpool(&(&m * (y - &top)?)?, size, x)? * at_baseline)?;
        let derivative = (unpool(&m, size, x)? * at_x)?;
        let share = ratio(&(from_x + from_baseline)?, &self.change(at)?, &derivative)?;
        Ok(Multipliers::One(share))
    }

    fn through_residual(
        &self,
        at: usize,
        branch: &[NamedLayer],
        m: Multipliers,
    ) -> Result<Multipliers> {
        let m = m.merged(&self.change(at + 1)?)?;
        let inside = Trace {
            layers: branch,
            at_x: layer_inputs(branch, &self.at_x[at])?,
            at_baseline: layer_inputs(branch, &self.at_baseline[at])?,
            options: self.options,
        };
        let branch = inside.through_all(Multipliers::One(m.clone()))?;
        Ok(Multipliers::One((m + branch.merged(&self.change(at)?)?)?))
    }
}

/// The multiplier m of M ⊗ z, for masks M of z and of the baseline's z0.
pub(crate) fn gate_multiplier(
    z: &Tensor,
    z0: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    rows: &Rows,
    m: &Tensor,
) -> Result<Tensor> {
    let (open, open0) = (masks(z, weight, bias, rows)?, masks(z0, weight, bias, rows)?);
    let mean_mask = ((&open + &open0)? * 0.5)?;
    let mean_signal = ((z + z0)? * 0.5)?.unsqueeze(1)?;
    let options = Conv2d { padding: weight.dim(2)? / 2, ..Conv2d::default() };
    let conv = Layer::Conv2d { weight: weight.clone(), bias: bias.clone(), options };
    let logits = conv.linear_map(&(z - z0)?, weight, None)?.reshape(open.shape())?;
    let derivative = (&mean_mask * (1. - &mean_mask)?)?;
    // Rounding makes a quotient of small differences worse than the derivative between them.
    let least = epsilon(z.dtype()).cbrt();
    let slope = ratio_from(&(open - open0)?, &logits, &derivative, least)?;
    let through_signal = (m * &mean_mask)?.sum(1)?;
    let in_logits = (m.broadcast_mul(&mean_signal)? * slope)?;
    let (b, k, c, h, w) = in_logits.dims5()?;
    let in_logits = in_logits.reshape((b, k * c, h, w))?;
    let through_masks = conv.linear_map_transposed(&in_logits, weight, z)?;
    Ok((through_signal + through_masks)?)
}

/// Multipliers of a ReLU's Δx⁺ and Δx⁻, and its Δy⁺ and Δy⁻.
struct RevealCancel {
    of_increase: Tensor,
    of_decrease: Tensor,
    y_increase: Tensor,
    y_decrease: Tensor,
}

/// of/by, or `limit` where `by` is nothing.
pub(crate) fn ratio(of: &Tensor, by: &Tensor, limit: &Tensor) -> Result<Tensor> {
    ratio_from(of, by, limit, NONE)
}

/// of/by, or `limit` where the size of `by` is below `least`.
fn ratio_from(of: &Tensor, by: &Tensor, limit: &Tensor, least: f64) -> Result<Tensor> {
    Ok(by.abs()?.lt(least)?.where_cond(limit, &(of / by)?)?)
}
