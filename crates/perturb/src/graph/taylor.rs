//! First-order contributions of units to the loss.

use candle_core::{D, Tensor};
use foresee_graph::{ChannelGroup, Graph};
use foresee_model::bce_with_logits;

use super::masks::UnitMasks;
use crate::error::{Error, Result};

/// Taylor terms of the units of some groups (Molchanov et al., 2017): the mean over images of
/// |Σ a·∂L/∂a|, over all that nodes read of a unit on an image. |Σ a·∂L/∂a| is the size of the
/// change of the image's loss, to first order, when the unit is removed.
///
/// The paper takes the mean over positions instead of the sum, and divides the terms of a layer by
/// their norm. Neither changes the order within a layer.
#[derive(Debug)]
pub struct Taylor<'a> {
    masks: UnitMasks<'a>,
    /// Sums over images.
    sums: Vec<Vec<f64>>,
    images: usize,
}

impl<'a> Taylor<'a> {
    /// For groups of this graph.
    ///
    /// # Errors
    /// If a group is of another graph.
    pub fn new(graph: &Graph, groups: &[&'a ChannelGroup]) -> Result<Self> {
        let masks = UnitMasks::new(graph, groups)?;
        let sums = groups.iter().map(|group| vec![0.; group.units]).collect();
        Ok(Self { masks, sums, images: 0 })
    }

    /// Adds a batch: a tensor for each input, whose first axis is the images, and the loss of the
    /// graph's outputs, summed over the images (see [`loss_of`]).
    ///
    /// # Errors
    /// If an input does not fit, or the loss fails.
    pub fn add(
        &mut self,
        inputs: &[Tensor],
        loss: impl Fn(&[Tensor]) -> Result<Tensor>,
    ) -> Result<()> {
        let pass = self.masks.pass(inputs)?;
        let gradients = pass.gradients(&loss(pass.outputs())?)?;
        for (group, sums) in self.sums.iter_mut().enumerate() {
            for terms in gradients.of_group(group)? {
                sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term.abs());
            }
        }
        self.images += inputs.first().map_or(Ok(0), |input| input.dim(0))?;
        Ok(())
    }

    /// The terms of each group's units so far.
    pub fn terms(&self) -> Vec<Vec<f64>> {
        let images = self.images.max(1) as f64;
        self.sums.iter().map(|sums| sums.iter().map(|sum| sum / images).collect()).collect()
    }
}

/// The loss of logits [B, K], summed over the images: the cross-entropy of classes `[B]`, or the
/// binary cross-entropy of labels [B, K], summed over the attributes.
///
/// # Errors
/// If the shapes do not fit.
pub fn loss_of(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    match (logits.dims(), labels.dims()) {
        ([images, _], [classes]) if images == classes => {
            let highest = logits.max_keepdim(D::Minus1)?.detach();
            let moved = logits.broadcast_sub(&highest)?;
            let sums = moved.exp()?.sum(D::Minus1)?.log()?;
            let classes = labels.to_dtype(candle_core::DType::U32)?.unsqueeze(1)?;
            let own = moved.gather(&classes.contiguous()?, 1)?.squeeze(1)?;
            Ok((sums - own)?.sum_all()?)
        }
        (logits_of, labels_of) if logits_of == labels_of => {
            let mean = bce_with_logits(logits, &labels.to_dtype(logits.dtype())?)?;
            Ok((mean * logits.dim(0)? as f64)?)
        }
        _ => Err(Error::Labels("there are other numbers of logits and labels")),
    }
}
