//! Derivatives in the direction of a takeover.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{DType, Device, Tensor};
use foresee_graph::{Linear, Read, Reconstruction, ValueId};

use super::gradients::{MaskedPass, UnitGradients};
use super::masks::Tap;
use super::statistics::key;
use crate::error::Result;

/// What a takeover changes to first order: where nodes read removed channels P of a group with a
/// weight W, the activations a_P become â_P = S·a_Q + t of the kept channels Q, as
/// [`GroupStatistics::reconstructions`](crate::GroupStatistics::reconstructions) has it; read
/// without a weight, or without a takeover, they become 0. A number f that the network computes
/// then changes by Σ ∂f/∂a·(â - a) over P and all positions
/// ([`UnitGradients::directional_derivative`]).
///
/// A convolution gets W·t at every position of what it computes, in place of t at its inputs, as in
/// the smaller network: zero padding makes them differ at the border. A transposed one gets W·t
/// over the product of its strides.
#[derive(Debug)]
pub struct TakeoverDirection<'a> {
    changes: Vec<ReadChange<'a>>,
    offsets: Vec<Offset>,
}

/// How an activation changes.
#[derive(Debug)]
struct ReadChange<'a> {
    /// Which one.
    activation: usize,
    read: &'a Read,
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

impl<'a> MaskedPass<'a> {
    /// How what is read of units of some groups, each by its place in the list, changes when the
    /// units are removed and kept channels take over.
    ///
    /// # Errors
    /// If there is no such group or unit, or a reconstruction is of other channels.
    pub fn direction(
        &self,
        removed: &[(usize, &[usize])],
        reconstructions: &[Reconstruction],
    ) -> Result<TakeoverDirection<'a>> {
        self.masks.check(removed)?;
        let mut direction = TakeoverDirection { changes: vec![], offsets: vec![] };
        for (number, tap) in self.masks.taps.iter().enumerate() {
            for (read, removed) in self.removed_channels(tap, removed)? {
                let fits = |by: &&Reconstruction| {
                    let of_read = (read.value, read.axis, read.blocks);
                    (by.value, by.axis, by.blocks.len()) == of_read && tap.consumer.weight.is_some()
                };
                let by = reconstructions.iter().find(fits);
                for (activation, read_of) in self.read.iter().enumerate() {
                    if read_of.tap == number {
                        let removed = indices(&removed, read_of.value.device())?;
                        let change = change(read, tap, by, &removed, &read_of.value)?;
                        let change = ReadChange { activation, read, removed, change };
                        direction.changes.push(change);
                    }
                }
                if let Some(by) = by {
                    direction.offsets.extend(self.offset(tap, read, by)?);
                }
            }
        }
        Ok(direction)
    }

    /// The channels, ascending, that go of each value that a node reads with the same blocks.
    fn removed_channels(
        &self,
        tap: &Tap,
        removed: &[(usize, &[usize])],
    ) -> Result<Vec<(&'a Read, Vec<usize>)>> {
        let mut found: BTreeMap<_, (&'a Read, BTreeSet<usize>)> = BTreeMap::new();
        for &(group, read) in &tap.of {
            let read = &self.masks.group(group)?.reads[read];
            let own = removed.iter().filter(|(of, _)| *of == group);
            let channels: Vec<usize> =
                own.flat_map(|(_, units)| *units).flat_map(|&u| &read.units[u]).copied().collect();
            if !channels.is_empty() {
                found.entry(key(read)).or_insert((read, BTreeSet::new())).1.extend(channels);
            }
        }
        Ok(found.into_values().map(|(read, gone)| (read, gone.into_iter().collect())).collect())
    }

    /// What a convolution gets of a takeover at every position: W_P·t, summed over its window.
    fn offset(&self, tap: &Tap, read: &Read, by: &Reconstruction) -> Result<Option<Offset>> {
        let Some(convolution) = tap.convolution else { return Ok(None) };
        let Some(weight) = self.masks.graph.weight(convolution.weight) else { return Ok(None) };
        let summed = weight.flatten_from(2)?.to_dtype(DType::F64)?.sum(2)?.to_vec2::<f64>()?;
        let t = |block: &Linear| -> Vec<f64> {
            let of_channel = |channel: &usize| by.removed.iter().position(|p| p == channel);
            let of_place = |channel| of_channel(channel).map_or(0., |at| block.offsets[at]);
            read.places.iter().map(of_place).collect()
        };
        let t: Vec<Vec<f64>> = by.blocks.iter().map(t).collect();
        let by = match convolution.transposed {
            // [O, places]: the outputs are in as many blocks as the inputs.
            None => {
                let in_block = summed.len() / t.len();
                let rows = summed.iter().enumerate();
                rows.map(|(output, row)| dot(row.iter().zip(&t[output / in_block]))).collect()
            }
            // [blocks·places, outputs of a block].
            Some(strides) => {
                let of_block = |(rows, t): (&[Vec<f64>], &Vec<f64>)| -> Vec<f64> {
                    let output = |o: usize| dot(rows.iter().map(|row| &row[o]).zip(t));
                    (0..rows[0].len()).map(|o| output(o) / strides as f64).collect()
                };
                summed.chunks(read.places.len()).zip(&t).flat_map(of_block).collect()
            }
        };
        Ok(Some(Offset { value: convolution.output, by }))
    }
}

fn dot<'a>(pairs: impl Iterator<Item = (&'a f64, &'a f64)>) -> f64 {
    pairs.map(|(a, b)| a * b).sum()
}

/// â - a; without t where a convolution reads.
fn change(
    read: &Read,
    tap: &Tap,
    by: Option<&Reconstruction>,
    removed: &Tensor,
    value: &Tensor,
) -> Result<Tensor> {
    let device = value.device();
    let samples = read.samples(value)?;
    let gone = samples.index_select(removed, 1)?.neg()?;
    let Some(by) = by else { return Ok(gone) };
    let kept = samples.index_select(&indices(&by.kept, device)?, 1)?;
    let tensor = |shape: (usize, usize, usize), of: fn(&Linear) -> Vec<f64>| {
        let all: Vec<f64> = by.blocks.iter().flat_map(of).collect();
        Tensor::from_vec(all, shape, device)?.to_dtype(samples.dtype())
    };
    let (blocks, p, q) = (by.blocks.len(), by.removed.len(), by.kept.len());
    let weights = tensor((blocks, p, q), |block| block.weights.concat())?;
    let change = (gone + weights.matmul(&kept)?)?;
    match tap.convolution {
        Some(_) => Ok(change),
        None => {
            let offsets = tensor((blocks, p, 1), |block| block.offsets.clone())?;
            Ok(change.broadcast_add(&offsets)?)
        }
    }
}

fn indices(channels: &[usize], device: &Device) -> candle_core::Result<Tensor> {
    Tensor::from_iter(channels.iter().map(|&channel| channel as u32), device)
}

impl UnitGradients<'_> {
    /// By how much the number changes on each image in the direction of a takeover, to first order.
    /// If kept channels take over, the pass must be one of
    /// [`for_takeovers`](crate::UnitMasks::for_takeovers).
    ///
    /// # Errors
    /// If the direction is of another pass.
    pub fn directional_derivative(&self, direction: &TakeoverDirection) -> Result<Vec<f64>> {
        let pass = self.pass;
        let mut sums = vec![0.; pass.images];
        for ReadChange { activation, read, removed, change } in &direction.changes {
            let Some(Some(gradient)) = self.of.get(*activation) else { continue };
            let activation = &pass.read[*activation];
            let terms = (read.samples(gradient)?.index_select(removed, 1)? * change)?;
            let by_image = activation.by_image(read, &terms)?.sum(0)?.to_vec1::<f64>()?;
            let sums = &mut sums[activation.images.clone()];
            sums.iter_mut().zip(by_image).for_each(|(sum, change)| *sum += change);
        }
        for Offset { value, by } in &direction.offsets {
            let own = pass.sums.iter().zip(&self.of_sums).filter(|(sum, _)| sum.value == *value);
            for (sum, gradient) in own {
                let Some(gradient) = gradient else { continue };
                let rows = gradient.to_dtype(DType::F64)?.flatten_from(1)?.to_vec2::<f64>()?;
                let sums = &mut sums[sum.images.clone()];
                sums.iter_mut().zip(&rows).for_each(|(sum, row)| *sum += dot(row.iter().zip(by)));
            }
        }
        Ok(sums)
    }
}
