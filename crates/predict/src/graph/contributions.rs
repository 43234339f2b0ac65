//! What each channel contributes to each output, to first order.

use candle_core::Tensor;
use foresee_graph::{ChannelGroup, Graph, Reconstruction};
use foresee_perturb::{TakeoverDirection, UnitMasks};
use foresee_stats::Matrix;

use crate::error::{Error, Result};

/// What each unit of a group of channels contributes to each output f on each image: ∂f/∂m at
/// m = 1 of a mask m on the unit's activations a wherever nodes read them, Σ a·∂f/∂a through all
/// paths ([`UnitMasks`]). It is the first term of a Taylor expansion around the network as it is.
/// If f were linear in the masks, taking units away would change f by just -1 times their sum.
#[derive(Debug, Clone, PartialEq)]
pub struct Contributions {
    images: usize,
    units: usize,
    outputs: usize,
    /// [images, units, outputs].
    values: Vec<f64>,
}

impl Contributions {
    /// Those of groups to these outputs, on batches of images [B, ...] for a graph with one input
    /// and a first output [B, K]. For all groups together one forward pass and a pass back for each
    /// output and batch.
    ///
    /// # Errors
    /// If the graph fails, or its result has another shape.
    pub fn measure(
        graph: &Graph,
        groups: &[&ChannelGroup],
        batches: &[Tensor],
        outputs: &[usize],
    ) -> Result<Vec<Self>> {
        let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        let failed = || Error::of_model(&format!("the contributions of `{}`", names.join("`, `")));
        let masks = UnitMasks::new(graph, groups).map_err(failed())?;
        let none: Vec<Vec<TakenOver>> = groups.iter().map(|_| vec![]).collect();
        let found = measure(&masks, groups, &none, batches, outputs).map_err(failed())?;
        Ok(found.into_iter().map(|measured| measured.contributions).collect())
    }

    /// The number of images.
    pub fn images(&self) -> usize {
        self.images
    }

    /// What taking these units away would change, to first order: [images, outputs].
    pub fn change(&self, units: &[usize]) -> Matrix {
        let of = |image: usize, output: usize| {
            -units.iter().map(|&unit| self.get(image, unit, output)).sum::<f64>()
        };
        Matrix::from_fn(self.images, self.outputs, of)
    }

    /// What one unit contributes to one output on one image.
    pub fn get(&self, image: usize, unit: usize, output: usize) -> f64 {
        self.values[(image * self.units + unit) * self.outputs + output]
    }

    /// The mean of |contribution| over the images, [units, outputs].
    pub fn mean_size(&self) -> Matrix {
        let of = |unit: usize, output: usize| {
            let sizes = (0..self.images).map(|image| self.get(image, unit, output).abs());
            sizes.sum::<f64>() / self.images.max(1) as f64
        };
        Matrix::from_fn(self.units, self.outputs, of)
    }

    /// Adds room for more images.
    fn add_images(&mut self, images: usize) {
        self.images += images;
        self.values.resize(self.images * self.units * self.outputs, 0.);
    }

    /// Puts [images][units] of one output at the images from this one on.
    fn set(&mut self, first: usize, output: usize, contributions: &[Vec<f64>]) {
        for (image, of_units) in contributions.iter().enumerate() {
            for (unit, value) in of_units.iter().enumerate() {
                let at = ((first + image) * self.units + unit) * self.outputs + output;
                self.values[at] = *value;
            }
        }
    }
}

/// Units that go, and what the kept channels are for them at each value that is read.
#[derive(Debug)]
pub(super) struct TakenOver<'a> {
    pub(super) units: &'a [usize],
    pub(super) by: Vec<Reconstruction>,
}

/// What a group contributes, and the first-order change by each takeover: [images][outputs].
pub(super) struct Measured {
    pub(super) contributions: Contributions,
    pub(super) changes: Vec<Vec<Vec<f64>>>,
}

/// Measures groups, each with these takeovers.
pub(super) fn measure(
    masks: &UnitMasks<'_>,
    groups: &[&ChannelGroup],
    taken_over: &[Vec<TakenOver>],
    batches: &[Tensor],
    outputs: &[usize],
) -> foresee_perturb::Result<Vec<Measured>> {
    let empty = |(group, of): (&&ChannelGroup, &Vec<TakenOver>)| Measured {
        contributions: Contributions {
            images: 0,
            units: group.units,
            outputs: outputs.len(),
            values: vec![],
        },
        changes: of.iter().map(|_| vec![]).collect(),
    };
    let mut all: Vec<Measured> = groups.iter().zip(taken_over).map(empty).collect();
    for images in batches {
        add(&mut all, masks, taken_over, images, outputs)?;
    }
    Ok(all)
}

/// Adds a batch.
fn add(
    all: &mut [Measured],
    masks: &UnitMasks<'_>,
    taken_over: &[Vec<TakenOver>],
    images: &Tensor,
    outputs: &[usize],
) -> foresee_perturb::Result<()> {
    let pass = masks.pass(std::slice::from_ref(images))?;
    let logits = &pass.outputs()[0];
    let images = logits.dim(0)?;
    let directions_of = |(group, of): (usize, &Vec<TakenOver>)| {
        of.iter().map(|TakenOver { units, by }| pass.direction(group, units, by)).collect()
    };
    let directions: Vec<Vec<TakeoverDirection>> =
        taken_over.iter().enumerate().map(directions_of).collect::<foresee_perturb::Result<_>>()?;
    let first = all.first().map_or(0, |measured| measured.contributions.images);
    for measured in &mut *all {
        measured.contributions.add_images(images);
        let rows = || std::iter::repeat_n(vec![0.; outputs.len()], images);
        measured.changes.iter_mut().for_each(|change| change.extend(rows()));
    }
    for (place, &output) in outputs.iter().enumerate() {
        let gradients = pass.gradients(&logits.narrow(1, output, 1)?.sum_all()?)?;
        for (group, (measured, directions)) in all.iter_mut().zip(&directions).enumerate() {
            measured.contributions.set(first, place, &gradients.of_group(group)?);
            for (change, direction) in measured.changes.iter_mut().zip(directions) {
                for (image, value) in
                    gradients.directional_derivative(direction)?.into_iter().enumerate()
                {
                    change[first + image][place] = value;
                }
            }
        }
    }
    Ok(())
}
