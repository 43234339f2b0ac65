//! Orders in which units go.

use foresee_graph::ChannelGroup;

use super::statistics::GroupStatistics;
use crate::error::{Error, Result};
use crate::prune::{Norm, PruneOrder, PrunePlan, PruneRule, Victim};

/// A rule by which the units of a group are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupRule {
    /// One of the rules of the paper's network. The filter norm is that of all nodes that compute
    /// a unit's channels, the readout norm that of all nodes that read them. The lasso is over the
    /// units' shares in what the next layers receive.
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
            Self::Taylor => "Taylor, first order",
        }
    }

    /// The rule with this id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::all().into_iter().find(|rule| rule.id() == id)
    }
}

/// An order in which the units of a group go.
pub type GroupOrder = PruneOrder<GroupRule>;

impl From<PruneOrder> for GroupOrder {
    fn from(PruneOrder { rule, seed, order }: PruneOrder) -> Self {
        Self { rule: GroupRule::Of(rule), seed, order }
    }
}

impl GroupOrder {
    /// The units with the lowest first-order terms ([`Taylor::terms`](super::Taylor::terms)) first.
    pub fn taylor(terms: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..terms.len()).collect();
        order.sort_by(|&a, &b| terms[a].total_cmp(&terms[b]));
        Self { rule: GroupRule::Taylor, seed: None, order }
    }
}

/// A norm of each unit.
pub(super) fn norms(
    statistics: &GroupStatistics,
    group: &ChannelGroup,
    norm: Norm,
) -> Result<Vec<f64>> {
    Ok(match norm {
        Norm::Filter => group.filter_norms(statistics.graph)?,
        Norm::Readout => group.readout_norms(statistics.graph)?,
    })
}

/// The paper's semantic pruning (Figure 3): of the most correlated pair of units, one goes.
pub(super) fn semantic(
    statistics: &GroupStatistics,
    group: &ChannelGroup,
    norm: Norm,
    victim: Victim,
    absolute: bool,
) -> Result<PruneOrder> {
    let (correlation, norms) = (statistics.correlation(group)?, norms(statistics, group, norm)?);
    Ok(PruneOrder::semantic(&PrunePlan::semantic(&correlation, &norms, victim, absolute)?))
}

/// Channel selection by the lasso, over the units' shares in what the next layers receive.
pub(super) fn lasso(statistics: &GroupStatistics, group: &ChannelGroup) -> Result<PruneOrder> {
    let contributions = statistics.contributions(group)?;
    if contributions.iter().flatten().any(|value| !value.is_finite()) {
        return Err(Error::NotFinite);
    }
    PruneOrder::lasso(&contributions, &vec![vec![1.; group.units]; group.units])
}
