//! Accuracy over the number of pruned units of one group.

use candle_core::Tensor;
use foresee_graph::{ChannelGroup, Graph, NodeId, Removal, ValueId};

use super::order::{GroupOrder, GroupRule};
use super::statistics::GroupStatistics;
use crate::error::Result;
use crate::prune::{Norm, PruneRule, Takeover, Victim};
use crate::tally::Tally;

/// Which orders of a group's units are compared, and with which takeovers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupStudy {
    /// The norm that decides which member of a correlated pair goes.
    pub norm: Norm,
    /// Rank pairs by |ρ| instead of ρ.
    pub absolute: bool,
    /// Number of random orders.
    pub random_orders: u64,
    /// Seed of the first random order; the others count up from it.
    pub seed: u64,
}

impl Default for GroupStudy {
    fn default() -> Self {
        Self { norm: Norm::Filter, absolute: false, random_orders: 3, seed: 0 }
    }
}

impl GroupStudy {
    /// The orders of a group: both of the paper's, both norms, the lasso, Taylor's if there are
    /// terms ([`Taylor::terms`](super::Taylor::terms)), random ones.
    ///
    /// # Errors
    /// If there are no statistics of the group.
    pub fn orders(
        &self,
        statistics: &GroupStatistics,
        group: &ChannelGroup,
        taylor: Option<&[f64]>,
    ) -> Result<Vec<GroupOrder>> {
        let of = |rule| self.order(rule, statistics, group, taylor);
        Ok(GroupRule::all().into_iter().map(of).collect::<Result<Vec<_>>>()?.concat())
    }

    fn order(
        &self,
        rule: GroupRule,
        statistics: &GroupStatistics,
        group: &ChannelGroup,
        taylor: Option<&[f64]>,
    ) -> Result<Vec<GroupOrder>> {
        let semantic = |victim| {
            let norms = match self.norm {
                Norm::Filter => group.filter_norms(statistics.graph)?,
                Norm::Readout => group.readout_norms(statistics.graph)?,
            };
            GroupOrder::semantic(statistics, group, &norms, victim, self.absolute)
        };
        let one = match rule {
            GroupRule::Taylor => return Ok(taylor.map(GroupOrder::taylor).into_iter().collect()),
            GroupRule::Of(PruneRule::Random) => {
                let seeds = (0..self.random_orders).map(|i| self.seed.wrapping_add(i));
                return Ok(seeds.map(|seed| GroupOrder::random(group, seed)).collect());
            }
            GroupRule::Of(PruneRule::Lower) => semantic(Victim::Lower),
            GroupRule::Of(PruneRule::Higher) => semantic(Victim::Higher),
            GroupRule::Of(PruneRule::FilterNorm) => {
                GroupOrder::by_norm(statistics, group, Norm::Filter)
            }
            GroupRule::Of(PruneRule::ReadoutNorm) => {
                GroupOrder::by_norm(statistics, group, Norm::Readout)
            }
            GroupRule::Of(PruneRule::Lasso) => GroupOrder::lasso(statistics, group),
        };
        Ok(vec![one?])
    }

    /// The curves of a group: every order with every one of these takeovers, pruned to each of
    /// `counts`.
    ///
    /// # Errors
    /// If a group is fixed, there are no statistics of it, or a count leaves nothing.
    pub fn curves(
        &self,
        statistics: &GroupStatistics,
        group: &ChannelGroup,
        orders: &[GroupOrder],
        takeovers: &[Takeover],
        counts: &[usize],
    ) -> Result<Vec<GroupCurve>> {
        let mut curves = vec![];
        for order in orders {
            for &takeover in takeovers {
                let cut = |&count: &usize| {
                    let removal = Removal { group, units: order.pruned(count) };
                    statistics.cut(&[removal], takeover, self.absolute)
                };
                let graphs = counts.iter().map(cut).collect::<Result<Vec<_>>>()?;
                curves.push(GroupCurve { order: order.clone(), takeover, graphs });
            }
        }
        Ok(curves)
    }
}

/// An order of pruning a group under a takeover.
#[derive(Debug, Clone)]
pub struct GroupCurve {
    /// The order.
    pub order: GroupOrder,
    /// What the kept channels do.
    pub takeover: Takeover,
    /// The networks, one for each number of pruned units.
    pub graphs: Vec<Graph>,
}

/// Classifies the same images with every network of the curves of one group of `graph`, by its
/// first output. Returns a tally for each network of each curve, `[curve][network]`. What comes
/// before the group is computed once for all.
///
/// `batches` yields images and labels [B, K], or classes `[B]` as [`Tally::add`] takes them.
///
/// # Errors
/// The first error of a batch or of a network.
pub fn tally_group_curves<E: From<crate::Error>>(
    graph: &Graph,
    group: &ChannelGroup,
    curves: &[GroupCurve],
    batches: impl Iterator<Item = std::result::Result<(Tensor, Tensor), E>>,
) -> std::result::Result<Vec<Vec<Tally>>, E> {
    let mut tallies: Vec<Vec<Tally>> =
        curves.iter().map(|curve| vec![Tally::default(); curve.graphs.len()]).collect();
    let cut = border(graph, first_changed(graph, group));
    for batch in batches {
        let (images, labels) = batch?;
        let given = before(graph, &images, &cut)?;
        for (curve, tallies) in curves.iter().zip(&mut tallies) {
            for (smaller, tally) in curve.graphs.iter().zip(tallies) {
                tally.add(&logits(smaller, &given)?, &labels)?;
            }
        }
    }
    Ok(tallies)
}

/// The values at the border, from images.
fn before(graph: &Graph, images: &Tensor, cut: &[ValueId]) -> Result<Vec<(ValueId, Tensor)>> {
    let inputs: Vec<(ValueId, Tensor)> =
        graph.inputs().iter().map(|&input| (input, images.clone())).collect();
    let values = graph.evaluate(&inputs, cut)?;
    Ok(cut.iter().copied().zip(values.into_iter().map(|value| value.detach())).collect())
}

fn logits(graph: &Graph, given: &[(ValueId, Tensor)]) -> Result<Tensor> {
    Ok(graph.evaluate(given, &graph.outputs()[..1])?.remove(0).detach())
}

/// The first node that changes when units of a group are removed.
fn first_changed(graph: &Graph, group: &ChannelGroup) -> Option<NodeId> {
    let of_places = group.places.iter().flat_map(|place| match place.reader {
        Some((node, _)) => vec![node],
        None => graph.readers(place.value).map(|(node, _)| node).collect(),
    });
    group.producers.iter().map(|producer| producer.node).chain(of_places).min()
}

/// What the nodes from one on need of the inputs and of those before it.
fn border(graph: &Graph, first: Option<NodeId>) -> Vec<ValueId> {
    let is_before = |id: ValueId| match graph.producer(id) {
        Some(node) => first.is_none_or(|first| node < first),
        None => graph.weight(id).is_none(),
    };
    let after = graph.nodes().filter(|(node, _)| first.is_some_and(|first| *node >= first));
    let read = after.flat_map(|(_, node)| node.inputs.iter().flatten().copied());
    let mut border: Vec<ValueId> =
        read.chain(graph.outputs().iter().copied()).filter(|&id| is_before(id)).collect();
    border.sort_unstable();
    border.dedup();
    border
}
