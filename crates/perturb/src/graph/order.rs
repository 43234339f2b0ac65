//! Orders in which units go.

use foresee_graph::ChannelGroup;

use super::statistics::GroupStatistics;
use crate::error::{Error, Result};
use crate::prune::{Norm, PruneOrder, PrunePlan, PruneRule, Victim};

/// A rule by which the units of a group are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupRule {
    /// One of the rules of the paper's network. The filter norm is that of all nodes that compute
    /// a unit's channels, the readout norm that of all nodes that read them.
    Of(PruneRule),
    /// The unit whose first-order contribution to the loss is the smallest goes first
    /// (Molchanov et al., 2017).
    Taylor,
}

impl GroupRule {
    /// All rules.
    pub fn all() -> Vec<Self> {
        PruneRule::ALL.into_iter().map(Self::Of).chain([Self::Taylor]).collect()
    }

    /// The name in files and settings.
    pub fn id(self) -> &'static str {
        match self {
            Self::Of(rule) => rule.id(),
            Self::Taylor => "taylor",
        }
    }

    /// The name in figures and tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Of(rule) => rule.title(),
            Self::Taylor => "Taylor, first order (Molchanov et al., 2017)",
        }
    }

    /// The rule with this id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::all().into_iter().find(|rule| rule.id() == id)
    }
}

/// An order in which the units of a group go.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupOrder {
    /// The rule that made it.
    pub rule: GroupRule,
    /// The seed of a random order.
    pub seed: Option<u64>,
    /// The units, first to go first. Units that are missing are never pruned.
    pub order: Vec<usize>,
    /// What each of them is worth, ascending, where the rule says so: 1 - ρ of its pair, its norm,
    /// or its Taylor term.
    pub scores: Option<Vec<f64>>,
}

impl GroupOrder {
    /// The paper's semantic pruning (Figure 3): of the most correlated pair of units, one goes.
    /// `norms` decide which, such as [`ChannelGroup::filter_norms`].
    ///
    /// # Errors
    /// If there are no statistics of the group, or norms of another number of units.
    pub fn semantic(
        statistics: &GroupStatistics,
        group: &ChannelGroup,
        norms: &[f64],
        victim: Victim,
        absolute: bool,
    ) -> Result<Self> {
        let correlation = statistics.correlation(group)?;
        let plan = PrunePlan::semantic(&correlation, norms, victim, absolute)?;
        let strength = |rho: f64| if absolute { rho.abs() } else { rho };
        let scores = plan.steps.iter().map(|step| 1. - strength(step.correlation)).collect();
        let rule = GroupRule::Of(victim.rule());
        Ok(Self { rule, seed: None, order: plan.order(), scores: Some(scores) })
    }

    /// Pruning by a norm, lowest first.
    ///
    /// # Errors
    /// If the group is of another graph.
    pub fn by_norm(statistics: &GroupStatistics, group: &ChannelGroup, norm: Norm) -> Result<Self> {
        let norms = match norm {
            Norm::Filter => group.filter_norms(statistics.graph)?,
            Norm::Readout => group.readout_norms(statistics.graph)?,
        };
        Ok(Self::by_score(GroupRule::Of(norm.rule()), &norms))
    }

    /// By the first-order terms of a [`Taylor`](super::Taylor), lowest first.
    pub fn taylor(terms: &[f64]) -> Self {
        Self::by_score(GroupRule::Taylor, terms)
    }

    fn by_score(rule: GroupRule, scores: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        let scores = Some(order.iter().map(|&unit| scores[unit]).collect());
        Self { rule, seed: None, order, scores }
    }

    /// Channel selection by the lasso after He, Zhang & Sun (2017), over the units' shares in what
    /// the next layers receive. See [`PruneOrder::lasso`].
    ///
    /// # Errors
    /// If there are no statistics of the group.
    pub fn lasso(statistics: &GroupStatistics, group: &ChannelGroup) -> Result<Self> {
        let contributions = statistics.contributions(group)?;
        if contributions.iter().flatten().any(|value| !value.is_finite()) {
            return Err(Error::NotFinite);
        }
        let ones = vec![vec![1.; group.units]; group.units];
        let order = PruneOrder::lasso(&contributions, &ones)?.order;
        Ok(Self { rule: GroupRule::Of(PruneRule::Lasso), seed: None, order, scores: None })
    }

    /// A random order, decided by its seed.
    pub fn random(group: &ChannelGroup, seed: u64) -> Self {
        let PruneOrder { order, .. } = PruneOrder::random(group.units, seed);
        let rule = GroupRule::Of(PruneRule::Random);
        Self { rule, seed: Some(seed), order, scores: None }
    }

    /// The first `count` units of the order, or all of them if there are fewer.
    pub fn pruned(&self, count: usize) -> &[usize] {
        &self.order[..count.min(self.order.len())]
    }
}
