//! Derivatives in the direction of a takeover.

use std::collections::BTreeSet;

use candle_core::{DType, Device, Tensor};
use foresee_graph::{Linear, Read, Reconstruction, ValueId};

use super::gradients::{MaskedPass, UnitGradients};
use super::masks::Tap;
use crate::error::Result;

/// What a takeover changes to first order: where nodes read removed channels P of a group with a
/// weight W, the activations a_P become â_P = S·a_Q + t of the kept channels Q, as
/// [`GroupStatistics::reconstructions`](crate::GroupStatistics::reconstructions) has it; read
/// without a weight, they become 0. A number f that the network computes then changes by
/// Σ ∂f/∂a·(â - a) over P and all positions ([`UnitGradients::towards`]).
///
/// A convolution gets W·t at every position, in place of t at its inputs, as the smaller network
/// does: its zero padding makes them differ at the border.
#[derive(Debug)]
pub struct Replaced {
    changes: Vec<Change>,
    offsets: Vec<Offset>,
}

/// How an activation changes on an image.
#[derive(Debug)]
struct Change {
    /// Which one.
    activation: usize,
    image: usize,
    /// What is read: a group, and one of its reads.
    of: (usize, usize),
    /// P.
    removed: Tensor,
    /// â - a, [blocks, P, samples].
    change: Tensor,
}

/// By how much the outputs [O] of a convolution change at each position.
#[derive(Debug)]
struct Offset {
    value: ValueId,
    by: Vec<f64>,
}

impl MaskedPass<'_> {
    /// How what is read of these units of a group, by its place in the list, changes when the units
    /// are removed and kept channels take over.
    ///
    /// # Errors
    /// If there is no such group, or a reconstruction is of other channels.
    pub fn replaced(
        &self,
        group: usize,
        units: &[usize],
        reconstructions: &[Reconstruction],
    ) -> Result<Replaced> {
        let reads = &self.masks.group(group)?.reads;
        let mut replaced = Replaced { changes: vec![], offsets: vec![] };
        for (number, tap) in self.masks.taps.iter().enumerate() {
            for &of in tap.of.iter().filter(|of| of.0 == group) {
                let read = &reads[of.1];
                let removed = removed_channels(read, units);
                if removed.is_empty() {
                    continue;
                }
                let removed = indices(&removed, self.outputs[0].device())?;
                let fits = |by: &&Reconstruction| {
                    let of_read = (read.value, read.axis, read.blocks);
                    (by.value, by.axis, by.blocks.len()) == of_read && tap.consumer.weight.is_some()
                };
                let by = reconstructions.iter().find(fits);
                let way = Way { read, removed, by, has_offset: tap.convolved.is_none() };
                replaced.changes.extend(self.changes(number, of, &way)?);
                replaced.offsets.extend(self.offset(tap, by)?);
            }
        }
        Ok(replaced)
    }

    /// How the activations of a tap change.
    fn changes(&self, tap: usize, of: (usize, usize), way: &Way) -> Result<Vec<Change>> {
        let mut changes = vec![];
        for (number, activation) in self.read.iter().enumerate().filter(|(_, a)| a.tap == tap) {
            for (image, value) in activation.by_image(&activation.value)? {
                let (removed, change) = (way.removed.clone(), way.change(&value)?);
                changes.push(Change { activation: number, image, of, removed, change });
            }
        }
        Ok(changes)
    }

    /// What a convolution gets of a takeover at every position.
    fn offset(&self, tap: &Tap, by: Option<&Reconstruction>) -> Result<Option<Offset>> {
        let weight = tap.consumer.weight.and_then(|of| self.masks.graph.weight(of.value));
        match (tap.convolved, by, weight) {
            (Some(value), Some(by), Some(weight)) => {
                Ok(Some(Offset { value, by: offsets(weight, by)? }))
            }
            _ => Ok(None),
        }
    }
}

/// The channels of some units, ascending.
fn removed_channels(read: &Read, units: &[usize]) -> Vec<usize> {
    let channels: BTreeSet<usize> =
        units.iter().flat_map(|&unit| &read.units[unit]).copied().collect();
    channels.into_iter().collect()
}

/// What becomes of a read's channels.
struct Way<'a> {
    read: &'a Read,
    removed: Tensor,
    by: Option<&'a Reconstruction>,
    /// Whether t is added to what is read.
    has_offset: bool,
}

impl Way<'_> {
    /// â - a on one image.
    fn change(&self, value: &Tensor) -> Result<Tensor> {
        let device = value.device();
        let samples = self.read.samples(value)?;
        let mut change = samples.index_select(&self.removed, 1)?.neg()?;
        if let Some(by) = self.by {
            let kept = samples.index_select(&indices(&by.kept, device)?, 1)?;
            let tensor = |shape: (usize, usize, usize), of: fn(&Linear) -> Vec<f64>| {
                let all: Vec<f64> = by.blocks.iter().flat_map(of).collect();
                Tensor::from_vec(all, shape, device)?.to_dtype(samples.dtype())
            };
            let (blocks, p, q) = (by.blocks.len(), by.removed.len(), by.kept.len());
            let weights = tensor((blocks, p, q), |block| block.weights.concat())?;
            change = (change + weights.matmul(&kept)?)?;
            if self.has_offset {
                let offsets = tensor((blocks, p, 1), |block| block.offsets.clone())?;
                change = change.broadcast_add(&offsets)?;
            }
        }
        Ok(change)
    }
}

fn indices(channels: &[usize], device: &Device) -> candle_core::Result<Tensor> {
    Tensor::from_iter(channels.iter().map(|&channel| channel as u32), device)
}

/// W_P·t, summed over the taps of a convolution's weight W [O, C, ...], whose outputs are in as
/// many blocks as its inputs.
fn offsets(weight: &Tensor, by: &Reconstruction) -> Result<Vec<f64>> {
    let summed = weight.flatten_from(2)?.to_dtype(DType::F64)?.sum(2)?.to_vec2::<f64>()?;
    let in_block = summed.len() / by.blocks.len();
    let offset = |(output, row): (usize, &Vec<f64>)| {
        let of_channels = &by.blocks[output / in_block].offsets;
        by.removed.iter().zip(of_channels).map(|(&p, t)| row[p] * t).sum()
    };
    Ok(summed.iter().enumerate().map(offset).collect())
}

impl UnitGradients<'_> {
    /// By how much the number changes on each image under a takeover, to first order. The pass must
    /// be one [`for_takeovers`](crate::UnitMasks::for_takeovers).
    ///
    /// # Errors
    /// If the takeover is of another pass.
    pub fn towards(&self, replaced: &Replaced) -> Result<Vec<f64>> {
        let pass = self.pass;
        let mut sums = vec![0.; pass.images];
        for Change { activation, image, of, removed, change } in &replaced.changes {
            let read = &pass.masks.group(of.0)?.reads[of.1];
            let Some(Some(gradient)) = self.of.get(*activation) else { continue };
            let mut own = pass.read[*activation].by_image(gradient)?.into_iter();
            let Some((_, own)) = own.find(|(of, _)| of == image) else { continue };
            let terms = (read.samples(&own)?.index_select(removed, 1)? * change)?;
            sums[*image] += terms.to_dtype(DType::F64)?.sum_all()?.to_scalar::<f64>()?;
        }
        for Offset { value, by } in &replaced.offsets {
            for (sum, gradient) in pass.sums.iter().zip(&self.of_sums) {
                let Some(gradient) = gradient.as_ref().filter(|_| sum.value == *value) else {
                    continue;
                };
                let by_row = gradient.to_dtype(DType::F64)?.flatten_from(1)?.to_vec2::<f64>()?;
                for (row, of_outputs) in by_row.iter().enumerate() {
                    let image = if sum.images.len() == 1 { 0 } else { row };
                    let change = of_outputs.iter().zip(by).map(|(g, by)| g * by).sum::<f64>();
                    sums[sum.images.start + image] += change;
                }
            }
        }
        Ok(sums)
    }
}
