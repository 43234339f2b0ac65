//! The accuracy over the pruned channels of a layer.

use foresee_graph::{ChannelGroup, Graph};
use foresee_perturb::{
    GroupCurve, GroupOrder, GroupRule, GroupStatistics, Takeover, Tally, share_counts,
};

use super::measures::{labelled, tally, top5_accuracy};
use super::rows::PrunePoint;
use super::{PruneOptions, RANDOM_ORDERS};
use crate::error::Result;
use crate::networks::calibration::Images;
use crate::networks::layers::{can_take_over, title};

/// Curves of a network's layers.
pub(super) struct Curves<'a> {
    options: &'a PruneOptions,
    images: &'a Images<'a>,
    graph: &'a Graph,
    unpruned: Tally,
    majority_accuracy: f64,
}

/// What the channels of some layers do.
pub(super) struct Measured<'a> {
    statistics: GroupStatistics<'a>,
    taylor: Vec<Vec<f64>>,
}

impl<'a> Curves<'a> {
    /// # Errors
    /// If the network fails.
    pub fn new(options: &'a PruneOptions, images: &'a Images, graph: &'a Graph) -> Result<Self> {
        let unpruned = tally(images, graph)?;
        let majority_accuracy = images.task().labels()?.majority_accuracy(images.observed());
        Ok(Self { options, images, graph, unpruned, majority_accuracy })
    }

    /// Measures the channels of these layers in one pass forward and one back.
    ///
    /// # Errors
    /// If an image cannot be read, or a node fails.
    pub fn measure(&self, groups: &[&ChannelGroup]) -> Result<Measured<'a>> {
        let statistics = self.images.statistics(self.graph, groups)?;
        Ok(Measured { statistics, taylor: self.images.taylor(self.graph, groups)? })
    }

    /// Every order that is compared, under every takeover; `place` is the layer's among those that
    /// were measured.
    ///
    /// # Errors
    /// If an image cannot be read, or a node fails.
    pub fn of(
        &self,
        group: &ChannelGroup,
        measured: &Measured,
        place: usize,
    ) -> Result<Vec<PrunePoint>> {
        let compare = self.options.compare;
        let seed = self.options.seed;
        let seeds: Vec<u64> = (0..RANDOM_ORDERS).map(|i| seed.wrapping_add(i)).collect();
        let Measured { statistics, taylor } = measured;
        let orders = statistics.orders(group, &compare.rules(), Some(&taylor[place]), &seeds)?;
        self.tell_of_left_out(group, &orders);
        let counts = share_counts(group.units, &self.options.shares);
        let takeovers = match can_take_over(self.graph, &[group], Takeover::LeastSquares) {
            true => compare.takeovers(),
            false => &[Takeover::Nothing],
        };
        let ways = (takeovers, &counts[..]);
        let curves = statistics.curves(group, &orders, ways, labelled(self.images))?;
        let left_out = curves.iter().filter(|curve| curve.tallies.len() < counts.len()).count();
        if left_out > 0 {
            tracing::warn!(
                "{}: {left_out} of {} curves end early: nothing would be left of a part of it",
                title(self.graph, group),
                curves.len()
            );
        }
        Ok(curves.iter().flat_map(|curve| self.points(group, curve)).collect())
    }

    fn tell_of_left_out(&self, group: &ChannelGroup, orders: &[GroupOrder]) {
        let is_there = |rule: &GroupRule| orders.iter().any(|order| order.rule == *rule);
        let rules = self.options.compare.rules();
        for rule in rules.iter().filter(|rule| !is_there(rule)) {
            tracing::warn!(
                "{}: the order `{}` is left out: all channels are the same to it",
                title(self.graph, group),
                rule.id()
            );
        }
    }

    fn points(&self, group: &ChannelGroup, curve: &GroupCurve) -> Vec<PrunePoint> {
        let GroupCurve { order, takeover, tallies } = curve;
        let unpruned = (0, self.unpruned.clone());
        let point = |(pruned, tally): &(usize, Tally)| PrunePoint {
            layer: group.name.clone(),
            title: title(self.graph, group),
            rule: order.rule,
            seed: order.seed,
            takeover: *takeover,
            channels: group.units,
            pruned: *pruned,
            images: tally.images(),
            accuracy: tally.accuracy(),
            standard_error: tally.standard_error(),
            top5_accuracy: top5_accuracy(tally, self.images.task().network.outputs),
            majority_accuracy: self.majority_accuracy,
        };
        std::iter::once(&unpruned).chain(tallies).map(point).collect()
    }
}
