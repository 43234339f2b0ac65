//! The fused pass of a batch: parts of its images and groups in parallel, then the sums over them.

use std::ops::Range;

use rayon::prelude::*;

use super::LossOfMeans;
use super::image::{Image, Scratch, Shared};
use crate::factor::Factor;
use crate::heads::batch::{Inputs, PARTS};
use crate::heads::dims::Dims;
use crate::heads::panels::Panels;
use crate::heads::weights::{Gradients, WeightSums, Weights};
use crate::isa::Instructions;

/// Values that a thread adds at a time.
const BLOCK: usize = 1 << 14;

/// What the pass computes.
pub(super) struct Fused {
    /// [B, K, 2, C] of mask ⊗ feature, then of the mask.
    pub means: Vec<f32>,
    pub gradients: Gradients,
}

/// Means, and gradients of the inputs and, if `needs_weights`, of the weights and the biases.
pub(super) fn run<F: Factor>(
    dims: &Dims,
    panels: &Panels,
    instructions: Instructions,
    inputs: Inputs,
    loss: &dyn LossOfMeans,
    needs_weights: bool,
) -> Fused {
    let Inputs { u, w, bias } = inputs;
    let shared =
        &Shared { dims, panels, u, weights: &Weights::<F>::backward(dims, panels, w, bias), loss };
    let splits = split_groups(dims, panels);
    let mut du = vec![0f32; splits.len() * u.len()];
    let mut parts = into_parts(dims, panels, &splits, &mut du, needs_weights);
    parts.par_iter_mut().for_each_init(
        || Scratch::<F>::new(dims, needs_weights),
        |scratch, part| part.run(instructions, shared, scratch),
    );
    let each = dims.attributes * 2 * dims.channels;
    let mut means = vec![0f32; dims.images * each];
    parts.iter().for_each(|part| part.write_means(dims, &mut means));
    let sums: Vec<WeightSums> = parts.into_iter().filter_map(|part| part.weight_sums).collect();
    let weights = needs_weights.then(|| WeightSums::total(dims, panels, &sums));
    Fused { means, gradients: Gradients { du: total(du, u.len()), weights } }
}

/// How the groups are cut, so that a batch of few images has [`PARTS`] parts too. The parts of an
/// image have a sum of the inputs' gradient each.
fn split_groups(dims: &Dims, panels: &Panels) -> Vec<Range<usize>> {
    let image_parts = dims.images.div_ceil(part_images(dims));
    let groups = panels.groups();
    let each = groups.div_ceil((PARTS / image_parts).clamp(1, groups));
    (0..groups).step_by(each).map(|first| first..groups.min(first + each)).collect()
}

/// The images of a part.
fn part_images(dims: &Dims) -> usize {
    dims.images.div_ceil(PARTS)
}

/// Some images and some groups, and what the pass computes of them.
struct Part<'a> {
    images: Range<usize>,
    groups: Range<usize>,
    /// The attributes of these groups.
    attributes: Range<usize>,
    /// [images, P, D].
    du: &'a mut [f32],
    /// [images, attributes, 2, C].
    means: Vec<f32>,
    weight_sums: Option<WeightSums>,
}

/// Cuts a batch, of whose inputs' gradient `du` has one for each of `splits`.
fn into_parts<'a>(
    dims: &Dims,
    panels: &Panels,
    splits: &[Range<usize>],
    du: &'a mut [f32],
    needs_weights: bool,
) -> Vec<Part<'a>> {
    let image = dims.pixels * dims.inputs;
    let part_images = part_images(dims);
    let mut parts = vec![];
    for (groups, du) in splits.iter().zip(du.chunks_exact_mut(dims.images * image)) {
        for (i, du) in du.chunks_mut(part_images * image).enumerate() {
            let first = i * part_images;
            let zeros = || WeightSums::zeros(dims, panels.indices_of(groups.clone()));
            parts.push(Part {
                images: first..dims.images.min(first + part_images),
                groups: groups.clone(),
                attributes: panels.attributes_of(groups.clone()),
                du,
                means: vec![],
                weight_sums: needs_weights.then(zeros),
            });
        }
    }
    parts
}

impl Part<'_> {
    fn run<F: Factor>(
        &mut self,
        instructions: Instructions,
        shared: &Shared<F>,
        scratch: &mut Scratch<F>,
    ) {
        let Dims { channels, pixels, inputs, .. } = *shared.dims;
        let attributes = &self.attributes;
        let means = attributes.start * 2 * channels..attributes.end * 2 * channels;
        for (image, du) in self.images.clone().zip(self.du.chunks_exact_mut(pixels * inputs)) {
            let groups = self.groups.clone();
            let weight_sums = self.weight_sums.as_mut();
            F::dispatch(instructions, Image { shared, image, groups, du, weight_sums, scratch });
            self.means.extend_from_slice(&scratch.means()[means.clone()]);
        }
    }

    /// Writes the means to their places in [B, K, 2, C].
    fn write_means(&self, dims: &Dims, out: &mut [f32]) {
        let each = self.attributes.len() * 2 * dims.channels;
        for (image, means) in self.images.clone().zip(self.means.chunks_exact(each)) {
            let row = image * dims.attributes + self.attributes.start;
            out[row * 2 * dims.channels..][..each].copy_from_slice(means);
        }
    }
}

/// The sum of gradients of so many values each, in their order.
fn total(mut gradients: Vec<f32>, length: usize) -> Vec<f32> {
    let (sum, others) = gradients.split_at_mut(length);
    for other in others.chunks_exact(length) {
        sum.par_chunks_mut(BLOCK).zip(other.par_chunks(BLOCK)).for_each(|(sum, other)| {
            sum.iter_mut().zip(other).for_each(|(sum, v)| *sum += v);
        });
    }
    gradients.truncate(length);
    gradients.shrink_to_fit();
    gradients
}
