//! What follows a linear layer and is linear itself becomes part of it: batch norm, sums with
//! constants, products with constants.

use candle_core::Tensor;
use foresee_graph::{Binary, Node, Op, ValueId};

use super::Pass;
use crate::error::Result;
use crate::graph::linear::places;

/// y → scale·y + shift.
#[derive(Default)]
pub(super) struct Affine {
    /// A number for each output channel of the layer before, `[O]`.
    pub scale: Option<Tensor>,
    /// Of a shape that is broadcast to the outputs.
    pub shift: Option<Tensor>,
}

impl Affine {
    /// This one, then another; its scale is in a shape that is broadcast to the outputs.
    pub fn then(self, next: &Self) -> Result<Self> {
        let shift = match (&self.shift, &next.scale) {
            (Some(shift), Some(scale)) => Some(shift.broadcast_mul(scale)?),
            _ => self.shift,
        };
        let shift = match (shift, &next.shift) {
            (Some(a), Some(b)) => Some(a.broadcast_add(b)?),
            (a, b) => a.or_else(|| b.clone()),
        };
        let scale = match (self.scale, &next.scale) {
            (Some(a), Some(b)) => Some(a.broadcast_mul(b)?),
            (a, b) => a.or_else(|| b.clone()),
        };
        Ok(Self { scale, shift })
    }

    /// A layer's weights times the scale of their output channel.
    pub fn scaled_weights(&self, op: &Op, weights: &Tensor) -> Result<Option<Tensor>> {
        match &self.scale {
            None => Ok(Some(weights.clone())),
            Some(scale) if scale.elem_count() == 1 => {
                Ok(Some(weights.broadcast_mul(&scale.reshape(vec![1; weights.rank()])?)?))
            }
            Some(scale) => Ok(op.scale_outputs(weights, &scale.flatten_all()?)?),
        }
    }
}

impl Pass<'_> {
    /// What a node does to the linear layer that alone it follows, and the place at which it reads
    /// that layer's result.
    pub(super) fn taken_up(&self, node: &Node) -> Result<Option<(usize, Affine)>> {
        let Some((place, affine)) = self.affine(node)? else { return Ok(None) };
        let layer = node.input(place).and_then(|id| self.linear_below(id));
        let Some(layer) = layer else { return Ok(None) };
        let weight = layer.input(1).map(|id| self.trace.get(id)).transpose()?;
        let fits = match (&affine.scale, weight) {
            (Some(scale), Some(weight)) => is_by_channel(scale, &layer.op, weight.rank()),
            _ => true,
        };
        Ok(fits.then_some((place, affine)))
    }

    /// Notes it for the layer.
    pub(super) fn take_up(&mut self, node: &Node, place: usize, affine: Affine) -> Result<()> {
        let Some(value) = node.input(place) else { return Ok(()) };
        let affine = match node.outputs.first().and_then(|id| self.behind.remove(id)) {
            Some(behind) => affine.then(&behind)?,
            None => affine,
        };
        self.behind.insert(value, affine);
        Ok(())
    }

    /// The linear layer of which a value is the result, with nothing between that is not taken up,
    /// and no one else who reads it.
    fn linear_below(&self, value: ValueId) -> Option<&Node> {
        let model = self.trace.model;
        let readers: usize = model
            .readers(value)
            .map(|node| node.inputs.iter().filter(|input| **input == Some(value)).count())
            .sum();
        let node = model.producer(value).filter(|_| readers == 1 && value != model.output)?;
        if matches!(places(self.trace, node), Some((0, 1))) && !matches!(node.op, Op::Readout) {
            return Some(node);
        }
        let (place, _) = self.taken_up(node).ok()??;
        self.linear_below(node.input(place)?)
    }

    /// A node as scale·y + shift, and the place of y.
    fn affine(&self, node: &Node) -> Result<Option<(usize, Affine)>> {
        if let Op::BatchNorm { epsilon } = &node.op {
            return Ok(match self.trace.active_places(node)[..] {
                [0] => Some((0, batch_norm(&self.trace.inputs(node)?, *epsilon)?)),
                _ => None,
            });
        }
        let (Op::Binary(binary), &[place]) = (&node.op, &self.trace.active_places(node)[..]) else {
            return Ok(None);
        };
        let inputs = self.trace.inputs(node)?;
        let (Some(Some(y)), Some(Some(other))) = (inputs.get(place), inputs.get(1 - place)) else {
            return Ok(None);
        };
        let same_shape = y.dims() == self.trace.get(node.outputs[0])?.dims();
        let affine = match binary {
            Binary::Add => Affine { scale: None, shift: Some(other.clone()) },
            Binary::Sub if place == 0 => Affine { scale: None, shift: Some(other.neg()?) },
            Binary::Mul => Affine { scale: Some(other.clone()), shift: None },
            Binary::Div if place == 0 => Affine { scale: Some(other.recip()?), shift: None },
            _ => return Ok(None),
        };
        Ok(same_shape.then_some((place, affine)))
    }
}

/// Whether a scale, broadcast to a layer's outputs, has one number for each output channel, or one
/// for all.
fn is_by_channel(scale: &Tensor, op: &Op, weight_rank: usize) -> bool {
    let dims = scale.dims();
    let from_back = match op {
        // Matrices of their own for each row.
        Op::MatMul if weight_rank != 2 => return scale.elem_count() == 1,
        Op::Conv(window) => window.stride.len() + 1,
        Op::ConvTranspose(settings) => settings.window.stride.len() + 1,
        _ => 1,
    };
    let channel = dims.len().checked_sub(from_back);
    dims.iter().enumerate().all(|(at, &size)| size == 1 || Some(at) == channel)
}

/// A batch norm's scale and shift, in a shape that is broadcast to its outputs.
fn batch_norm(inputs: &[Option<Tensor>], epsilon: f64) -> Result<Affine> {
    let [Some(x), Some(weight), Some(bias), Some(mean), Some(variance)] = inputs else {
        return Ok(Affine::default());
    };
    let scale = (weight / (variance + epsilon)?.sqrt()?)?;
    let shift = (bias - (mean * &scale)?)?;
    Ok(Affine {
        scale: Some(by_channel(&scale, x.rank())?),
        shift: Some(by_channel(&shift, x.rank())?),
    })
}

/// Numbers `[C]` in a shape that is broadcast to images [B, C, ...].
fn by_channel(numbers: &Tensor, rank: usize) -> Result<Tensor> {
    let mut shape = vec![1; rank.saturating_sub(1).max(1)];
    shape[0] = numbers.elem_count();
    Ok(numbers.reshape(shape)?)
}
