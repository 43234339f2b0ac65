//! Weights of channels that are read, cut into the blocks in which they are.

use candle_core::{Device, Tensor};

use super::read::Read;
use crate::dims::inverse;
use crate::error::Result;

/// How a weight is cut into blocks [blocks, R, places].
pub(super) struct Blocks {
    count: usize,
    /// The sizes, with an axis of blocks of their own in front of that which they are of.
    sizes: Vec<usize>,
    /// The axes of those in the order: block, all others, places.
    order: Vec<usize>,
    /// The weight's axis of outputs.
    pub(super) output: usize,
}

impl Blocks {
    /// Of a weight of this shape, whose axis has the places that are read; none if it is that of
    /// another graph.
    pub(super) fn new(read: &Read, axis: usize, dims: &[usize]) -> Option<Self> {
        let (count, places) = (read.blocks, read.places.len());
        // Either the axis itself has a place for each channel of all blocks, or the first axis has
        // the blocks one after the other.
        let is_whole = *dims.get(axis)? == places * count;
        let cut = if is_whole { axis } else { 0 };
        let fits = is_whole || (axis > 0 && dims[axis] == places && dims[0].is_multiple_of(count));
        if !fits || places == 0 || dims.len() < 2 {
            return None;
        }
        let mut sizes = dims.to_vec();
        sizes[cut] /= count;
        sizes.insert(cut, count);
        let places = if axis >= cut { axis + 1 } else { axis };
        let others = (0..sizes.len()).filter(|at| *at != cut && *at != places);
        let order = [cut].into_iter().chain(others).chain([places]).collect();
        Some(Self { count, sizes, order, output: usize::from(axis == 0) })
    }

    pub(super) fn cut(&self, weight: &Tensor) -> Result<Tensor> {
        let cut = weight.to_device(&Device::Cpu)?.contiguous()?.reshape(self.sizes.as_slice())?;
        let cut = cut.permute(self.order.as_slice())?.contiguous()?;
        let places = cut.dim(cut.rank() - 1)?;
        let rows = cut.elem_count() / (self.count * places);
        Ok(cut.reshape((self.count, rows, places))?)
    }

    /// The weight of blocks with another number of places.
    pub(super) fn join(&self, blocks: &Tensor, places: usize) -> Result<Tensor> {
        let mut sizes: Vec<usize> = self.order.iter().map(|&axis| self.sizes[axis]).collect();
        if let Some(last) = sizes.last_mut() {
            *last = places;
        }
        let cut = self.order[0];
        let weight = blocks.reshape(sizes)?.permute(inverse(&self.order))?.contiguous()?;
        let mut sizes = weight.dims().to_vec();
        let count = sizes.remove(cut);
        sizes[cut] *= count;
        Ok(weight.reshape(sizes)?)
    }

    /// The sum over a convolution's taps of [blocks, outputs·taps, 1]: for each output.
    pub(super) fn sum_taps(&self, rows: &Tensor) -> Result<Tensor> {
        let outputs = self.sizes[self.order[1]];
        let taps = rows.dim(1)? / outputs;
        Ok(rows.reshape((self.count * outputs, taps))?.sum(1)?)
    }
}
