//! Kept channels take over what removed ones did, where they are read.

use std::collections::BTreeSet;

use candle_core::{DType, Device, Tensor};

use super::blocks::Blocks;
use super::editor::{At, Editor, select};
use super::read::{InWeight, Read};
use super::removal::{Removal, Removed};
use crate::error::{Error, Result};
use crate::graph::{NodeId, ValueId};
use crate::op::{Binary, Op};

/// Removed channels of a value that is read, as functions of the kept ones: z_P ≈ S·z_Q + t.
#[derive(Debug, Clone, PartialEq)]
pub struct Reconstruction {
    /// The value, as in a [`Read`].
    pub value: ValueId,
    /// Its axis of channels.
    pub axis: usize,
    /// P, the removed channels of a block, ascending: all of them.
    pub removed: Vec<usize>,
    /// Q, the kept channels of a block, ascending: all others, those of other groups included.
    pub kept: Vec<usize>,
    /// S and t of each block.
    pub blocks: Vec<Linear>,
}

/// A linear function of the kept channels.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// S: for each removed channel, a weight for each kept one.
    pub weights: Vec<Vec<f64>>,
    /// t: an offset for each removed channel.
    pub offsets: Vec<f64>,
}

impl Reconstruction {
    /// Changes the weights and biases of the nodes that read the value. The editor's weights have
    /// lost their places already.
    pub(super) fn apply(
        &self,
        editor: &mut Editor,
        removals: &[Removal],
        removed: &Removed,
    ) -> Result<()> {
        let Some(read) = self.check(editor, removals)? else { return Ok(()) };
        for consumer in &read.consumers {
            if let Some(weight) = consumer.weight {
                Change { of: self, read, weight, node: consumer.node, removed }.apply(editor)?;
            }
        }
        Ok(())
    }

    /// The reading that it is of; none if no channel of it is removed.
    fn check<'a>(&self, editor: &Editor, removals: &[Removal<'a>]) -> Result<Option<&'a Read>> {
        let problem = |problem| {
            let name = editor.graph.values.get(self.value.0).map(|value| value.name.clone());
            Error::Reconstruction { name: name.unwrap_or_default(), problem }
        };
        let reads = removals.iter().flat_map(|removal| {
            let fits = |read: &&Read| {
                (read.value, read.axis, read.blocks) == (self.value, self.axis, self.blocks.len())
            };
            removal.group.reads.iter().filter(fits).map(|read| (read, removal.units))
        });
        let reads: Vec<(&Read, &[usize])> = reads.collect();
        let &(read, _) = reads.first().ok_or_else(|| problem("it is not read in such blocks"))?;
        let units = reads.iter().flat_map(|(read, units)| units.iter().map(|&u| &read.units[u]));
        let goes: BTreeSet<usize> = units.flatten().copied().collect();
        if !goes.iter().eq(&self.removed) {
            return Err(problem("other channels are removed"));
        }
        let kept = (0..read.channels).filter(|channel| !goes.contains(channel));
        if !kept.eq(self.kept.iter().copied()) {
            return Err(problem("other channels are kept"));
        }
        let (p, q) = (self.removed.len(), self.kept.len());
        let fits = |block: &Linear| {
            block.offsets.len() == p
                && block.weights.len() == p
                && block.weights.iter().all(|row| row.len() == q)
        };
        if !self.blocks.iter().all(fits) {
            return Err(problem("a block has another number of weights or offsets"));
        }
        Ok((p > 0).then_some(read))
    }

    /// S of all blocks, [blocks, P, Q].
    fn weights(&self) -> Result<Tensor> {
        let all: Vec<f64> =
            self.blocks.iter().flat_map(|block| block.weights.iter().flatten().copied()).collect();
        let shape = (self.blocks.len(), self.removed.len(), self.kept.len());
        Ok(Tensor::from_vec(all, shape, &Device::Cpu)?)
    }

    /// t of all blocks, [blocks, P, 1].
    fn offsets(&self) -> Result<Tensor> {
        let all: Vec<f64> = self.blocks.iter().flat_map(|b| b.offsets.iter().copied()).collect();
        Ok(Tensor::from_vec(all, (self.blocks.len(), self.removed.len(), 1), &Device::Cpu)?)
    }
}

/// What changes in one node.
struct Change<'a> {
    of: &'a Reconstruction,
    read: &'a Read,
    weight: InWeight,
    node: NodeId,
    removed: &'a Removed,
}

impl Change<'_> {
    fn apply(&self, editor: &mut Editor) -> Result<()> {
        let Some(full) = editor.original(self.weight.value).cloned() else { return Ok(()) };
        let blocks = Blocks::new(self.read, self.weight.axis, full.dims()).ok_or_else(|| {
            let name = editor.graph.value(self.weight.value).name.clone();
            Error::OtherGraph { name }
        })?;
        let of_blocks = blocks.cut(&full)?;
        let (weight, mut bias) = self.taken_over(&blocks, &of_blocks)?;
        let mut weight = blocks.join(&weight, self.of.kept.len() * self.copies())?;
        // What the node itself loses of its outputs.
        for axis in (0..full.rank()).filter(|axis| *axis != self.weight.axis) {
            let InWeight { value, input, .. } = self.weight;
            if let Some(gone) = self.removed.of(self.node, input, value, axis) {
                weight = select(&weight, axis, &gone.kept())?;
                if axis == blocks.output {
                    bias = select(&bias, 0, &gone.kept())?;
                }
            }
        }
        let weight = weight.to_dtype(full.dtype())?.to_device(full.device())?;
        let bias = bias.to_dtype(full.dtype())?.to_device(full.device())?;
        editor.replace(self.node, self.weight.input, weight);
        editor.add_to_bias(self.node, &bias)
    }

    fn copies(&self) -> usize {
        self.read.places.len() / self.read.channels.max(1)
    }

    /// W_Q + W_P·S [blocks, R, places kept] of the weights [blocks, R, places], and W_P·t for each
    /// output.
    fn taken_over(&self, blocks: &Blocks, weight: &Tensor) -> Result<(Tensor, Tensor)> {
        let (s, t) = (self.of.weights()?, self.of.offsets()?);
        let (mut kept, mut order, mut offsets) = (vec![], vec![], None);
        for places in self.read.by_copy() {
            let at = |channels: &[usize]| -> Vec<usize> {
                channels.iter().map(|&channel| places[channel]).collect()
            };
            let w_p = select(weight, 2, &at(&self.of.removed))?.to_dtype(DType::F64)?;
            let w_q = select(weight, 2, &at(&self.of.kept))?.to_dtype(DType::F64)?;
            kept.push((w_q + w_p.matmul(&s)?)?);
            order.extend(at(&self.of.kept));
            let offset = w_p.matmul(&t)?;
            offsets = Some(match offsets {
                Some(sum) => (sum + offset)?,
                None => offset,
            });
        }
        let mut sorted: Vec<usize> = (0..order.len()).collect();
        sorted.sort_by_key(|&place| order[place]);
        let kept = select(&Tensor::cat(&kept, 2)?, 2, &sorted)?;
        let offsets = offsets.map_or_else(|| t.zeros_like(), Ok)?;
        Ok((kept, blocks.sum_taps(&offsets)?))
    }
}

impl Editor<'_> {
    /// Adds to the bias that the only reader of a value adds to it; whether there is one.
    fn add_to_next(&mut self, value: ValueId, bias: &Tensor) -> Result<bool> {
        let readers: Vec<(NodeId, usize)> = self.graph.readers(value).collect();
        let [(reader, place)] = readers[..] else { return Ok(false) };
        let node = self.graph.node(reader);
        let other = node.input(1 - place.min(1)).and_then(|id| self.graph.weight(id));
        match (&node.op, other) {
            (Op::Binary(Binary::Add), Some(other)) if !self.graph.is_output(value) => {
                let sum = other.broadcast_add(bias)?;
                self.replace(reader, 1 - place, sum);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Adds to what each output of a convolution or a linear layer is at least, its bias.
    fn add_to_bias(&mut self, id: NodeId, bias: &Tensor) -> Result<()> {
        let node = self.graph.node(id).clone();
        let scale = match &node.op {
            Op::MatMul => {
                let Some(&output) = node.outputs.first() else { return Ok(()) };
                if self.add_to_next(output, bias)? {
                    return Ok(());
                }
                let bias = self.weight(&format!("{}.bias", node.name), bias.clone());
                let name = format!("{}.biased", node.name);
                let biased = self.node(At::After(id), &name, Binary::Add, [output, bias]);
                self.graph.read_instead(output, biased);
                return Ok(());
            }
            Op::Gemm(gemm) if node.input(2).is_some() && gemm.beta != 0. => gemm.alpha / gemm.beta,
            Op::Gemm(gemm) => gemm.alpha,
            Op::ConvTranspose(settings) => {
                1. / settings.window.stride.iter().product::<usize>() as f64
            }
            _ => 1.,
        };
        let bias = (bias * scale)?;
        let has_bias = match &mut self.graph.nodes[id.0].op {
            Op::Gemm(gemm) if gemm.beta == 0. || node.input(2).is_none() => {
                gemm.beta = 1.;
                false
            }
            _ => node.input(2).is_some(),
        };
        let old = node.input(2).filter(|_| has_bias);
        match old.and_then(|id| self.graph.weight(id)).cloned() {
            Some(old) => self.replace(id, 2, old.broadcast_add(&bias)?),
            None if has_bias => {
                let Some(old) = old else { return Ok(()) };
                let offset = self.weight(&format!("{}.offset", node.name), bias);
                let name = format!("{}.bias", node.name);
                let sum = self.node(At::Before(id), &name, Binary::Add, [old, offset]);
                self.graph.nodes[id.0].inputs[2] = Some(sum);
            }
            None => {
                let bias = self.weight(&format!("{}.bias", node.name), bias);
                let inputs = &mut self.graph.nodes[id.0].inputs;
                inputs.resize(3, None);
                inputs[2] = Some(bias);
            }
        }
        Ok(())
    }
}
