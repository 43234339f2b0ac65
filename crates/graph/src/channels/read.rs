//! Where channels are read.

use std::collections::BTreeMap;

use candle_core::Tensor;

use super::layout::Atom;
use crate::error::Result;
use crate::graph::{NodeId, ValueId};

/// A weight that channels are multiplied by, and its axis of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InWeight {
    /// The weight.
    pub value: ValueId,
    /// Which of the node's inputs it is.
    pub input: usize,
    /// Its axis of the channels that are read.
    pub axis: usize,
}

/// A node that sums over channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// The node.
    pub node: NodeId,
    /// Which of its inputs the channels are.
    pub input: usize,
    /// The weight that they are multiplied by. There is none in a sum over channels, or in a
    /// product of two activations.
    pub weight: Option<InWeight>,
}

/// A value whose channels are summed over by the nodes that read it.
///
/// The axis is cut into blocks of equal size, one for each group of a grouped convolution, or has a
/// block for each place of another axis, as the paper's readout [B, K, C] has for each attribute.
/// In each block there are as many channels. A channel can have several places: those of an image
/// before a linear layer ([B, C, H, W] → [B, C·H·W]) have one for each position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// The value.
    pub value: ValueId,
    /// Its axis of channels.
    pub axis: usize,
    /// How many blocks there are.
    pub blocks: usize,
    /// The axis of the blocks, if it is another one.
    pub block_axis: Option<usize>,
    /// How many channels a block has, those of other groups included.
    pub channels: usize,
    /// The channel of each place of a block.
    pub places: Vec<usize>,
    /// The channels of each unit of the group, which are the same in each block.
    pub units: Vec<Vec<usize>>,
    /// The nodes that read it in these blocks.
    pub consumers: Vec<Consumer>,
    /// How many axes the value has.
    pub(super) rank: usize,
}

impl Read {
    /// The value's numbers as samples [blocks, channels, samples]: every image and position is a
    /// sample.
    ///
    /// # Errors
    /// If the tensor has another shape than the value.
    pub fn samples(&self, value: &Tensor) -> Result<Tensor> {
        let front: Vec<usize> = self.block_axis.into_iter().chain([self.axis]).collect();
        let rest = (0..value.rank()).filter(|axis| !front.contains(axis));
        let order: Vec<usize> = front.iter().copied().chain(rest).collect();
        let places = self.places.len();
        let rows = value.permute(order)?.contiguous()?.reshape((self.blocks, places, ()))?;
        let copies = places / self.channels.max(1);
        if copies == 1 {
            return Ok(rows);
        }
        let by_channel: Vec<u32> = self
            .by_copy()
            .iter()
            .flat_map(|place| place.iter().map(|&place| place as u32))
            .collect();
        let by_channel = Tensor::from_vec(by_channel, (copies, self.channels), value.device())?;
        let order = by_channel.t()?.flatten_all()?;
        Ok(rows.index_select(&order, 1)?.reshape((self.blocks, self.channels, ()))?)
    }

    /// For each copy of the channels, their places.
    pub(super) fn by_copy(&self) -> Vec<Vec<usize>> {
        let mut of_channel: Vec<Vec<usize>> = vec![vec![]; self.channels];
        self.places.iter().enumerate().for_each(|(place, &of)| of_channel[of].push(place));
        let copies = self.places.len() / self.channels.max(1);
        let copy = |copy: usize| of_channel.iter().map(|places| places[copy]).collect();
        (0..copies).map(copy).collect()
    }

    /// The places on the axis of some units, in all blocks.
    ///
    /// # Panics
    /// If there is no such unit.
    pub fn places_of(&self, units: &[usize]) -> Vec<usize> {
        let mut goes = vec![false; self.channels];
        units.iter().flat_map(|&unit| &self.units[unit]).for_each(|&channel| goes[channel] = true);
        let blocks = if self.block_axis.is_some() { 1 } else { self.blocks };
        let places = (0..blocks).flat_map(|block| {
            let first = block * self.places.len();
            self.places.iter().enumerate().map(move |(place, &channel)| (first + place, channel))
        });
        places.filter(|(_, channel)| goes[*channel]).map(|(place, _)| place).collect()
    }
}

/// One node's reading, before its channels are units.
#[derive(Debug)]
pub(super) struct RawRead {
    pub(super) node: NodeId,
    pub(super) input: usize,
    pub(super) value: ValueId,
    pub(super) rank: usize,
    pub(super) axis: usize,
    /// How many blocks there are.
    pub(super) count: usize,
    pub(super) block_axis: Option<usize>,
    /// The channels of the axis.
    pub(super) atoms: Vec<Atom>,
    pub(super) weight: Option<InWeight>,
}

impl RawRead {
    /// The channel of each place of a block, and how many there are. Each place is a channel of its
    /// own where channels have unequal numbers of places, or blocks are unlike.
    pub(super) fn channels(&self) -> (Vec<usize>, usize) {
        let size = match self.block_axis {
            Some(_) => self.atoms.len(),
            None => self.atoms.len() / self.count,
        };
        let mut blocks = self.atoms.chunks(size).map(numbered);
        let each = (0..size).collect();
        let Some((places, channels)) = blocks.next() else { return (each, size) };
        let mut counts = vec![0; channels];
        places.iter().for_each(|&channel| counts[channel] += 1);
        let even = counts.iter().all(|count| *count == counts[0]);
        let alike = blocks.all(|(others, _)| others == places);
        if even && alike { (places, channels) } else { (each, size) }
    }
}

/// For each atom the number of its first appearance, and how many differ.
fn numbered(atoms: &[Atom]) -> (Vec<usize>, usize) {
    let mut numbers = BTreeMap::new();
    let mut number = |&atom: &Atom| {
        let next = numbers.len();
        *numbers.entry(atom).or_insert(next)
    };
    let places = atoms.iter().map(&mut number).collect();
    (places, numbers.len())
}
