//! Images to measure channels on, images to run networks on, and the orders in which channels go.

use candle_core::Tensor;
use foresee_graph::{ChannelGroup, Graph};
use foresee_perturb::{GroupOrder, GroupRule, GroupStatistics, Taylor, loss_of};

use super::task::Task;
use crate::error::{Result, input};

/// The images of a task: on some the channels' statistics are measured, on some networks are run.
pub(super) struct Images<'a> {
    task: &'a Task,
    calibration: Vec<usize>,
    observed: Vec<usize>,
}

impl<'a> Images<'a> {
    /// All images for both.
    ///
    /// # Errors
    /// If there are fewer than two.
    pub fn shared(task: &'a Task) -> Result<Self> {
        let all: Vec<usize> = (0..task.images.len()).collect();
        match all.len() {
            0 | 1 => Err(input("--images: at least two are needed: one alone has no spread")),
            _ => Ok(Self { task, calibration: all.clone(), observed: all }),
        }
    }

    /// Cut in two: so many for the statistics, or half of them for 0, and networks are run on the
    /// others.
    ///
    /// # Errors
    /// If that leaves fewer than two to measure on, or to run networks on.
    pub fn split(task: &'a Task, calibration: usize) -> Result<Self> {
        let all = task.images.len();
        let needed = "at least two are needed for the channels' statistics, and at least two \
                      others to run networks on";
        match calibration {
            0 if all < 4 => {
                return Err(input(format!("--images: there are {all} images: {needed}")));
            }
            1.. if calibration < 2 || calibration + 2 > all => {
                return Err(input(format!(
                    "--calibration {calibration}: of {all} images {needed}"
                )));
            }
            _ => {}
        }
        let count = if calibration == 0 { all.div_ceil(2) } else { calibration };
        let mut calibration = task.images.spread();
        let mut observed = calibration.split_off(count);
        calibration.sort_unstable();
        observed.sort_unstable();
        Ok(Self { task, calibration, observed })
    }

    /// What they are of.
    pub fn task(&self) -> &'a Task {
        self.task
    }

    /// Those that channels are measured on.
    pub fn calibration(&self) -> &[usize] {
        &self.calibration
    }

    /// Those that networks are run on.
    pub fn observed(&self) -> &[usize] {
        &self.observed
    }

    /// Some of them in batches, with their numbers, as the network takes them.
    pub fn batches<'b>(
        &'b self,
        images: &'b [usize],
    ) -> impl Iterator<Item = Result<(&'b [usize], Tensor)>> + 'b {
        let layout = self.task.network.input.layout;
        images
            .chunks(self.task.batch)
            .map(move |images| Ok((images, self.task.read(images, layout)?)))
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
            statistics.add(&[batch?.1])?;
        }
        Ok(statistics)
    }

    /// Taylor terms of the units of each group, of a graph that gives logits.
    ///
    /// # Errors
    /// If there are no labels, an image cannot be read, or a node fails.
    pub fn taylor(&self, graph: &Graph, groups: &[&ChannelGroup]) -> Result<Vec<Vec<f64>>> {
        let labels = self.task.labels()?;
        let mut taylor = Taylor::new(graph, groups)?;
        for batch in self.batches(&self.calibration) {
            let (numbers, images) = batch?;
            let labels = labels.tensor(numbers)?.to_device(&self.task.device)?;
            taylor.add(&[images], |outputs| loss_of(&outputs[0], &labels))?;
        }
        Ok(taylor.terms())
    }

    /// The groups that a rule says something of; the others are left out with a warning. Groups
    /// that were asked for by name stay, and have no [order](Self::orders).
    ///
    /// # Errors
    /// If none is left.
    pub fn with_order(
        &self,
        statistics: &GroupStatistics,
        groups: Vec<ChannelGroup>,
        rule: GroupRule,
        names: &[String],
    ) -> Result<Vec<ChannelGroup>> {
        if !names.is_empty() {
            return Ok(groups);
        }
        let mut kept = vec![];
        for group in groups {
            if statistics.says_nothing(&group, rule)? {
                tracing::warn!(
                    "{} is left out: all of its channels are the same to the order `{}`",
                    group.name,
                    rule.id()
                );
            } else {
                kept.push(group);
            }
        }
        match kept.is_empty() {
            true => Err(self.task.network.refused(format!(
                "all channels of each layer are the same to the order `{}`; take another order",
                rule.id()
            ))),
            false => Ok(kept),
        }
    }

    /// The order in which the units of each group go by a rule.
    ///
    /// # Errors
    /// As for [`taylor`](Self::taylor), or if a group has no such order.
    pub fn orders(
        &self,
        statistics: &GroupStatistics,
        groups: &[&ChannelGroup],
        rule: GroupRule,
        seed: u64,
    ) -> Result<Vec<GroupOrder>> {
        let terms = match rule {
            GroupRule::Taylor => {
                Some(self.taylor(&self.task.network.with_logits_output()?, groups)?)
            }
            GroupRule::Of(_) => None,
        };
        let order = |(at, group): (usize, &&ChannelGroup)| {
            let terms = terms.as_ref().map(|terms| terms[at].as_slice());
            Ok(statistics.order(group, rule, terms, seed)?)
        };
        groups.iter().enumerate().map(order).collect()
    }
}
