//! Images to measure channels on and images to judge networks on; what a network costs.

use std::time::Instant;

use candle_core::Tensor;
use foresee_graph::{ChannelGroup, Graph};
use foresee_perturb::{GroupStatistics, Tally, Taylor, loss_of};

use super::rows::OutputAccuracy;
use crate::error::{Result, input};
use crate::networks::labels::Labels;
use crate::networks::task::Task;

/// Batches whose time is measured, after one that is not.
const TIMED: usize = 5;

/// Images, cut in two: on some the channels' statistics are measured, on the others accuracy.
pub(super) struct Images<'a> {
    task: &'a Task,
    calibration: Vec<usize>,
    judged: Vec<usize>,
}

impl<'a> Images<'a> {
    /// With so many for the statistics, or half of them for 0.
    ///
    /// # Errors
    /// If that leaves none to measure on, or none to judge on.
    pub fn new(task: &'a Task, calibration: usize) -> Result<Self> {
        task.labels()?;
        let all = task.images.len();
        let needed = "at least two are needed for the channels' statistics, and at least one to \
                      measure accuracy on";
        match calibration {
            0 if all < 4 => {
                return Err(input(format!(
                    "--images: there are {all} images to prune with: {needed}"
                )));
            }
            1.. if calibration < 2 || calibration >= all => {
                return Err(input(format!(
                    "--calibration {calibration}: of {all} images {needed}"
                )));
            }
            _ => {}
        }
        let calibration = if calibration == 0 { all / 2 } else { calibration };
        let mut chosen = task.images.spread();
        let mut judged = chosen.split_off(calibration);
        chosen.sort_unstable();
        judged.sort_unstable();
        Ok(Self { task, calibration: chosen, judged })
    }

    /// What they are of.
    pub fn task(&self) -> &'a Task {
        self.task
    }

    /// How many outputs the network has.
    pub fn outputs(&self) -> usize {
        self.task.network.outputs
    }

    /// How many the statistics are of.
    pub fn calibration(&self) -> usize {
        self.calibration.len()
    }

    /// How many networks are judged on.
    pub fn judged(&self) -> usize {
        self.judged.len()
    }

    fn batches<'b>(
        &'b self,
        images: &'b [usize],
    ) -> impl Iterator<Item = Result<(Tensor, Tensor)>> + 'b {
        images.chunks(self.task.batch).map(move |images| {
            let x = self.task.read(images, self.task.network.input.layout)?;
            let y = self.task.labels()?.tensor(images)?.to_device(&self.task.device)?;
            Ok((x, y))
        })
    }

    /// Images and labels to judge networks on.
    pub fn to_judge(&self) -> impl Iterator<Item = Result<(Tensor, Tensor)>> + '_ {
        self.batches(&self.judged)
    }

    /// Means and covariances of the channels of groups.
    ///
    /// # Errors
    /// If an image cannot be read, or a node fails.
    pub fn statistics<'g>(
        &self,
        graph: &'g Graph,
        groups: &[&ChannelGroup],
    ) -> Result<GroupStatistics<'g>> {
        let mut statistics = GroupStatistics::new(graph, groups.iter().copied());
        for batch in self.batches(&self.calibration) {
            statistics.add(&[batch?.0])?;
        }
        Ok(statistics)
    }

    /// Taylor terms of the units of each group.
    ///
    /// # Errors
    /// If an image cannot be read, or a node fails.
    pub fn taylor(&self, judged: &Graph, groups: &[&ChannelGroup]) -> Result<Vec<Vec<f64>>> {
        let mut taylor = Taylor::new(judged, groups)?;
        for batch in self.batches(&self.calibration) {
            let (images, labels) = batch?;
            taylor.add(&[images], |outputs| loss_of(&outputs[0], &labels))?;
        }
        Ok(taylor.terms())
    }

    /// How often a network is right.
    ///
    /// # Errors
    /// If an image cannot be read, or an answer is not finite.
    pub fn tally(&self, judged: &Graph) -> Result<Tally> {
        let mut tally = Tally::default();
        for batch in self.to_judge() {
            let (images, labels) = batch?;
            tally.add(&self.task.network.logits(judged, &images)?, &labels)?;
        }
        Ok(tally)
    }

    /// The majority-class baseline on the images that networks are judged on.
    ///
    /// # Errors
    /// If there are no labels.
    pub fn majority_accuracy(&self) -> Result<f64> {
        Ok(self.task.labels()?.majority_accuracy(&self.judged))
    }

    /// The accuracy of a network for each output.
    ///
    /// # Errors
    /// If an image cannot be read, or a logit is not finite.
    pub fn by_output(&self, graph: &Graph) -> Result<Vec<OutputAccuracy>> {
        let (labels, tally) = (self.task.labels()?, self.tally(graph)?);
        let output = |k: usize| self.task.classes.name(k).to_owned();
        let of_class = |classes: &[usize], k: usize| {
            let ranks = self.judged.iter().zip(&tally.ranks);
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
        Ok(match labels {
            Labels::Classes(classes) => (0..self.outputs()).map(|k| of_class(classes, k)).collect(),
            Labels::Attributes(_) => {
                let majority = labels.majority_by_output(&self.judged);
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

    /// Milliseconds that a network takes for an image: the median over some batches of the same
    /// images.
    ///
    /// # Errors
    /// If an image cannot be read, or a node fails.
    pub fn milliseconds(&self, judged: &Graph) -> Result<f64> {
        let Some(batch) = self.batches(&self.calibration).next() else { return Ok(f64::NAN) };
        let images = batch?.0;
        let mut times = vec![];
        for _ in 0..=TIMED {
            let start = Instant::now();
            self.task.network.logits(judged, &images)?;
            times.push(1e3 * start.elapsed().as_secs_f64() / images.dim(0)? as f64);
        }
        // The first is slower than others.
        times.remove(0);
        times.sort_by(f64::total_cmp);
        Ok(times[times.len() / 2])
    }
}

/// The share of images whose class is among the five greatest of the network's outputs; NaN where
/// that says nothing.
pub(super) fn top5_accuracy(tally: &Tally, outputs: usize) -> f64 {
    match tally.top_k(5) {
        Ok(top) if outputs > 5 && !tally.ranks.is_empty() => top.accuracy(),
        _ => f64::NAN,
    }
}
