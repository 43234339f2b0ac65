//! How good a network is, and how fast.

use candle_core::Tensor;
use foresee_graph::Graph;
use foresee_perturb::Tally;

use super::rows::OutputAccuracy;
use crate::error::Result;
use crate::networks::calibration::Images;
use crate::networks::labels::Labels;
use crate::pace;

/// Images that networks are run on, with their labels.
pub(super) fn labelled<'b>(
    images: &'b Images,
) -> impl Iterator<Item = Result<(Tensor, Tensor)>> + 'b {
    images.batches(images.observed()).map(|batch| {
        let (numbers, x) = batch?;
        let labels = images.task().labels()?.tensor(numbers)?;
        Ok((x, labels.to_device(&images.task().device)?))
    })
}

/// How often a network is right.
///
/// # Errors
/// If there are no labels, an image cannot be read, or an answer is not finite.
pub(super) fn tally(images: &Images, graph: &Graph) -> Result<Tally> {
    let mut tally = Tally::default();
    for batch in labelled(images) {
        let (x, labels) = batch?;
        tally.add(&images.task().network.logits(graph, &x)?, &labels)?;
    }
    Ok(tally)
}

/// The accuracy of a network for each output.
///
/// # Errors
/// As for [`tally`].
pub(super) fn by_output(images: &Images, graph: &Graph) -> Result<Vec<OutputAccuracy>> {
    let (task, tally) = (images.task(), tally(images, graph)?);
    let output = |k: usize| task.classes.name(k).to_owned();
    let of_class = |classes: &[usize], k: usize| {
        let ranks = images.observed().iter().zip(&tally.ranks);
        let own: Vec<u32> =
            ranks.filter(|(image, _)| classes[**image] == k).map(|(_, rank)| *rank).collect();
        let right = own.iter().filter(|rank| **rank == 0).count();
        OutputAccuracy {
            output: output(k),
            images: own.len(),
            accuracy: right as f64 / own.len() as f64,
            majority_accuracy: f64::NAN,
        }
    };
    let labels = task.labels()?;
    Ok(match labels {
        Labels::Classes(classes) => {
            (0..task.network.outputs).map(|k| of_class(classes, k)).collect()
        }
        Labels::Attributes(_) => {
            let majority = labels.majority_by_output(images.observed());
            let both = tally.by_attribute().into_iter().zip(majority).enumerate();
            let row = |(k, (accuracy, majority_accuracy))| OutputAccuracy {
                output: output(k),
                images: tally.images(),
                accuracy,
                majority_accuracy,
            };
            both.map(row).collect()
        }
    })
}

/// The images of the batches whose time is measured: a batch of the task, or all that channels are
/// measured on if they are fewer.
pub(super) fn timed_batch(images: &Images) -> usize {
    images.task().batch.min(images.calibration().len())
}

/// Milliseconds that a network takes for an image: the median over some batches of the same
/// [`timed_batch`] images.
///
/// # Errors
/// If an image cannot be read, or a node fails.
pub(super) fn milliseconds(images: &Images, graph: &Graph) -> Result<f64> {
    let timed = &images.calibration()[..timed_batch(images)];
    let x = images.task().read(timed, images.task().network.input.layout)?;
    pace::milliseconds(timed.len(), || {
        images.task().network.logits(graph, &x)?;
        Ok(())
    })
}

/// The share of images whose class is among the five greatest of the network's outputs; NaN where
/// that says nothing.
pub(super) fn top5_accuracy(tally: &Tally, outputs: usize) -> f64 {
    match tally.top_k(5) {
        Ok(top) if outputs > 5 && !tally.ranks.is_empty() => top.accuracy(),
        _ => f64::NAN,
    }
}
