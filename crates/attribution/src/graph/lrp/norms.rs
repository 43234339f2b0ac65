//! Norms that no linear layer takes up.

use candle_core::{D, Tensor};
use foresee_graph::{Node, Op};

use super::Pass;
use super::affine::{Affine, batch_norm, by_channel};
use super::shares::{Shares, total};
use crate::error::Result;
use crate::methods::{Bias, NormRule, stabilized_ratio};

impl Pass<'_> {
    /// Relevance r through a norm.
    pub(super) fn through_norm(&self, node: &Node, r: &Tensor) -> Result<Shares> {
        if self.trace.active_places(node) != [0] {
            return Err(self.refuse(node, "its scale changes with the input"));
        }
        if self.composite.norm == NormRule::Pass {
            return Ok(Shares::one(0, r.clone()));
        }
        let inputs = self.trace.inputs(node)?;
        let Some(x) = &inputs[0] else { return Err(self.refuse(node, "an input is missing")) };
        let linear = match &node.op {
            Op::BatchNorm { epsilon } => {
                let Affine { scale, shift } = batch_norm(&inputs, *epsilon)?;
                Linear { centred: x.clone(), scale, shift, centre: None }
            }
            Op::LayerNorm { axis, epsilon } => {
                let first =
                    if *axis < 0 { (x.rank() as isize + axis) as usize } else { *axis as usize };
                let get = |place: usize| inputs.get(place).cloned().flatten();
                let rows = [x.dims()[..first].iter().product(), x.dims()[first..].iter().product()];
                Linear::centred(x, &rows, *epsilon, get(1), get(2))?
            }
            Op::GroupNorm { groups, epsilon } => self.by_channel(x, &inputs, *groups, *epsilon)?,
            Op::InstanceNorm { epsilon } => self.by_channel(x, &inputs, x.dim(1)?, *epsilon)?,
            // Each element is divided by a constant.
            _ => return Ok(Shares::one(0, r.clone())),
        };
        linear.propagate(x, r, self.composite.stabilizer, self.composite.bias)
    }

    fn by_channel(
        &self,
        x: &Tensor,
        inputs: &[Option<Tensor>],
        groups: usize,
        epsilon: f64,
    ) -> Result<Linear> {
        let get = |place: usize| -> Result<Option<Tensor>> {
            let given = inputs.get(place).and_then(Option::as_ref);
            given.map(|given| by_channel(given, x.rank())).transpose()
        };
        let rows = [x.dim(0)? * groups, x.elem_count() / (x.dim(0)? * groups)];
        Linear::centred(x, &rows, epsilon, get(1)?, get(2)?)
    }
}

/// A norm whose deviation is a constant: y = scale·(x - mean of x's rows) + shift.
struct Linear {
    /// x - mean.
    centred: Tensor,
    scale: Option<Tensor>,
    shift: Option<Tensor>,
    /// How many rows of how many elements have a mean each; none: nothing is subtracted.
    centre: Option<[usize; 2]>,
}

impl Linear {
    fn centred(
        x: &Tensor,
        rows: &[usize; 2],
        epsilon: f64,
        weight: Option<Tensor>,
        shift: Option<Tensor>,
    ) -> Result<Self> {
        let flat = x.contiguous()?.reshape((rows[0], rows[1]))?;
        let centred = flat.broadcast_sub(&flat.mean_keepdim(1)?)?;
        let deviation = (centred.sqr()?.mean_keepdim(1)? + epsilon)?.sqrt()?;
        let scale = deviation.recip()?.broadcast_as(centred.shape())?.reshape(x.shape())?;
        let scale = match weight {
            Some(weight) => scale.broadcast_mul(&weight)?,
            None => scale,
        };
        let centred = centred.reshape(x.shape())?;
        Ok(Self { centred, scale: Some(scale), shift, centre: Some(*rows) })
    }

    fn propagate(&self, x: &Tensor, r: &Tensor, stabilizer: f64, bias: Bias) -> Result<Shares> {
        let scaled = |t: &Tensor| match &self.scale {
            Some(scale) => t.broadcast_mul(scale),
            None => Ok(t.clone()),
        };
        let shift = self.shift.as_ref().filter(|_| bias == Bias::Absorb);
        let y = scaled(&self.centred)?;
        let z = match shift {
            Some(shift) => y.broadcast_add(shift)?,
            None => y,
        };
        let (s, lost) = stabilized_ratio(r, &z, stabilizer)?;
        let mut back = scaled(&s)?;
        if let Some([rows, of]) = self.centre {
            let flat = back.contiguous()?.reshape((rows, of))?;
            back = flat.broadcast_sub(&flat.mean_keepdim(D::Minus1)?)?.reshape(x.shape())?;
        }
        let bias = match shift {
            Some(shift) => total(&s.broadcast_mul(shift)?)?,
            None => 0.,
        };
        let relevance = (x * back)?;
        Ok(Shares { to: vec![(0, relevance)], bias, stabilizer: lost.iter().sum() })
    }
}
