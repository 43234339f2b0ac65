//! A pass with masks on units, and derivatives with respect to them.

use std::cell::RefCell;
use std::ops::Range;

use candle_core::{DType, Tensor, Var};
use foresee_graph::{Read, ValueId};

use super::masks::UnitMasks;
use crate::error::Result;

impl UnitMasks<'_> {
    /// A forward pass at m = 1: a tensor for each input of the graph, whose first axis is the
    /// images. Where a node reads a tensor whose first axis is not the images, such as the tokens
    /// [T·B, C] of a transformer, image by image.
    ///
    /// # Errors
    /// If there is no image, an input does not fit, or a node fails.
    pub fn pass(&self, inputs: &[Tensor]) -> Result<MaskedPass<'_>> {
        let images = match inputs.first() {
            Some(input) => input.dim(0)?,
            None => 0,
        };
        let ranges: Vec<Range<usize>> = match self.rows_are_images(inputs, images)? {
            true => std::iter::once(0..images).collect(),
            false => (0..images).map(|image| image..image + 1).collect(),
        };
        let mut pass =
            MaskedPass { masks: self, images, outputs: vec![], read: vec![], sums: vec![] };
        let mut outputs = vec![];
        for range in ranges {
            outputs.push(self.run(inputs, range, &mut pass)?);
        }
        for output in 0..self.graph.outputs().len() {
            let parts: Vec<&Tensor> = outputs.iter().map(|outputs| &outputs[output]).collect();
            pass.outputs.push(Tensor::cat(&parts, 0)?);
        }
        Ok(pass)
    }

    /// The outputs for some images; what is read is kept in `pass`.
    fn run(
        &self,
        inputs: &[Tensor],
        images: Range<usize>,
        pass: &mut MaskedPass,
    ) -> Result<Vec<Tensor>> {
        let pass = RefCell::new(pass);
        // A change of 0: its gradient counts all paths to the outputs.
        let change = |id: ValueId, value: &Tensor| {
            let (images, tap) = (images.clone(), self.taps.iter().position(|tap| tap.value == id));
            let zero = match (tap, self.sums.contains(&id)) {
                (Some(tap), _) => {
                    let zero = Var::from_tensor(&value.zeros_like()?)?;
                    let (value, of) = (value.detach(), zero.clone());
                    pass.borrow_mut().read.push(Activation { tap, images, value, zero: of });
                    zero
                }
                (None, true) => {
                    let mut shape = vec![1; value.rank()];
                    shape[..2].copy_from_slice(&value.dims()[..2]);
                    let zero = Var::zeros(shape, value.dtype(), value.device())?;
                    let of = zero.clone();
                    pass.borrow_mut().sums.push(Sum { value: id, images, zero: of });
                    zero
                }
                (None, false) => return Ok(None),
            };
            Ok(Some(value.broadcast_add(zero.as_tensor())?))
        };
        let given = self.given(inputs, &images)?;
        Ok(self.graph.evaluate_mapped(&given, self.graph.outputs(), &change)?)
    }
}

/// What a node read of some images.
#[derive(Debug)]
pub(super) struct Activation {
    pub(super) tap: usize,
    /// These images: one whose values are all that was read, or several that each have a row.
    pub(super) images: Range<usize>,
    pub(super) value: Tensor,
    pub(super) zero: Var,
}

/// The sums over positions of what a convolution computed of some images.
#[derive(Debug)]
pub(super) struct Sum {
    pub(super) value: ValueId,
    pub(super) images: Range<usize>,
    pub(super) zero: Var,
}

impl Activation {
    /// The sums over blocks and positions of a read's samples [blocks, channels, samples], or of
    /// some of its channels, as the read of this activation has them: [channels, images].
    pub(super) fn by_image(&self, read: &Read, samples: &Tensor) -> Result<Tensor> {
        let (blocks, channels, _) = samples.dims3()?;
        let copies = read.places.len() / read.channels.max(1);
        let images = self.images.len();
        let positions = samples.elem_count() / (blocks * channels * copies * images).max(1);
        let samples = samples.to_dtype(DType::F64)?;
        let samples = samples.reshape(vec![blocks, channels, copies, images, positions])?;
        Ok(samples.sum(4)?.sum(2)?.sum(0)?)
    }
}

/// A forward pass, from which derivatives of anything that is computed from its outputs can be
/// taken.
#[derive(Debug)]
pub struct MaskedPass<'a> {
    pub(super) masks: &'a UnitMasks<'a>,
    pub(super) images: usize,
    pub(super) outputs: Vec<Tensor>,
    pub(super) read: Vec<Activation>,
    pub(super) sums: Vec<Sum>,
}

impl MaskedPass<'_> {
    /// The graph's outputs.
    pub fn outputs(&self) -> &[Tensor] {
        &self.outputs
    }

    /// The derivatives of one number that is computed from the outputs. If it is a sum over images,
    /// those of an image are of its own part.
    ///
    /// # Errors
    /// If a gradient cannot be computed.
    pub fn gradients(&self, number: &Tensor) -> Result<UnitGradients<'_>> {
        let gradients = number.backward()?;
        let of = |zero: &Var| gradients.get(zero).map(Tensor::detach);
        Ok(UnitGradients {
            pass: self,
            of: self.read.iter().map(|activation| of(&activation.zero)).collect(),
            of_sums: self.sums.iter().map(|sum| of(&sum.zero)).collect(),
        })
    }
}

/// Derivatives with respect to the masks of units at m = 1, of a number that a network computes.
#[derive(Debug)]
pub struct UnitGradients<'a> {
    pub(super) pass: &'a MaskedPass<'a>,
    /// The gradient of each activation; none of what the number does not depend on.
    pub(super) of: Vec<Option<Tensor>>,
    pub(super) of_sums: Vec<Option<Tensor>>,
}

impl UnitGradients<'_> {
    /// Those of a group, by its place in the list: `[images][units]`.
    ///
    /// # Errors
    /// If there is no such group, or an activation has another shape than the group's.
    pub fn of_group(&self, group: usize) -> Result<Vec<Vec<f64>>> {
        let MaskedPass { masks, images, read, .. } = self.pass;
        let found = masks.group(group)?;
        let mut sums = vec![vec![0.; found.units]; *images];
        for (activation, gradient) in read.iter().zip(&self.of) {
            let Some(gradient) = gradient else { continue };
            let own = masks.taps[activation.tap].of.iter().filter(|of| of.0 == group);
            for read in own.map(|of| &found.reads[of.1]) {
                let terms = (read.samples(&activation.value)? * read.samples(gradient)?)?;
                let by_channel = activation.by_image(read, &terms)?.to_vec2::<f64>()?;
                add_units(&mut sums[activation.images.clone()], &by_channel, &read.units);
            }
        }
        Ok(sums)
    }
}

/// Adds [channels][images] to [images][units].
fn add_units(sums: &mut [Vec<f64>], by_channel: &[Vec<f64>], units: &[Vec<usize>]) {
    for (image, sums) in sums.iter_mut().enumerate() {
        for (sum, channels) in sums.iter_mut().zip(units) {
            *sum += channels.iter().map(|&channel| by_channel[channel][image]).sum::<f64>();
        }
    }
}
