//! Images to measure channels on and images to judge networks on; what a network costs.

use std::time::Instant;

use candle_core::Tensor;
use foresee_graph::{ChannelGroup, Graph};
use foresee_perturb::{GroupStatistics, Tally, Taylor, loss_of};

use crate::error::{Result, input};
use crate::networks::subject::Subject;

/// Batches whose time is measured, after one that is not.
const TIMED: usize = 5;

/// Images, cut in two: on some the channels' statistics are measured, on the others accuracy.
pub(super) struct Images<'a> {
    subject: &'a Subject,
    calibration: Vec<usize>,
    judged: Vec<usize>,
}

impl<'a> Images<'a> {
    /// With so many for the statistics, or half of them for 0.
    ///
    /// # Errors
    /// If that leaves none to measure on, or none to judge on.
    pub fn new(subject: &'a Subject, calibration: usize) -> Result<Self> {
        subject.labels()?;
        let all = subject.images.len();
        let calibration = if calibration == 0 { all / 2 } else { calibration };
        if calibration < 2 || calibration >= all {
            return Err(input(format!(
                "--calibration {calibration}: of {all} images at least two are needed for the \
                 channels' statistics, and at least one to judge the network on"
            )));
        }
        let mut chosen = subject.images.spread();
        let mut judged = chosen.split_off(calibration);
        chosen.sort_unstable();
        judged.sort_unstable();
        Ok(Self { subject, calibration: chosen, judged })
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
        images.chunks(self.subject.batch).map(move |images| {
            let x = self.subject.read(images, self.subject.network.input.layout)?;
            let y = self.subject.labels()?.tensor(images)?.to_device(&self.subject.device)?;
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
        groups: &[ChannelGroup],
    ) -> Result<GroupStatistics<'g>> {
        let mut statistics = GroupStatistics::new(graph, groups);
        for batch in self.batches(&self.calibration) {
            statistics.add(&[batch?.0])?;
        }
        Ok(statistics)
    }

    /// Taylor terms of the units of each group.
    ///
    /// # Errors
    /// If an image cannot be read, or a node fails.
    pub fn taylor(&self, judged: &Graph, groups: &[ChannelGroup]) -> Result<Vec<Vec<f64>>> {
        let groups: Vec<&ChannelGroup> = groups.iter().collect();
        let mut taylor = Taylor::new(judged, &groups)?;
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
            tally.add(&self.subject.network.answers(judged, &images)?, &labels)?;
        }
        Ok(tally)
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
            self.subject.network.answers(judged, &images)?;
            times.push(1e3 * start.elapsed().as_secs_f64() / images.dim(0)? as f64);
        }
        // The first is slower than others.
        times.remove(0);
        times.sort_by(f64::total_cmp);
        Ok(times[times.len() / 2])
    }
}
