//! Orders in which units go.

use foresee_graph::ChannelGroup;

use super::statistics::GroupStatistics;
use crate::error::{Error, Result};
use crate::prune::{Norm, PruneOrder, PrunePlan, PruneRule, Victim, all_same, lowest_first};

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

impl GroupStatistics<'_> {
    /// The orders of a group's units by these rules: a random one for each of `seeds`, and one of
    /// each other rule. A rule [that says nothing](Self::says_nothing) of the group has none.
    /// `taylor` are the group's [`Taylor::terms`](super::Taylor::terms), which
    /// [`GroupRule::Taylor`] alone needs.
    ///
    /// # Errors
    /// As [`order`](Self::order).
    pub fn orders(
        &self,
        group: &ChannelGroup,
        rules: &[GroupRule],
        taylor: Option<&[f64]>,
        seeds: &[u64],
    ) -> Result<Vec<GroupOrder>> {
        let mut orders = vec![];
        for &rule in rules {
            let seeds = if rule == GroupRule::Of(PruneRule::Random) { seeds } else { &[0] };
            for &seed in seeds {
                orders.extend(self.order_if_any(group, rule, taylor, seed)?);
            }
        }
        Ok(orders)
    }

    /// Whether all units are the same to a rule, so that its order would be that of their numbers:
    /// where nothing reads them with a weight, readout norms and shares in what the next layers
    /// receive are 0.
    ///
    /// # Errors
    /// If the rule needs statistics of the group and there are none.
    pub fn says_nothing(&self, group: &ChannelGroup, rule: GroupRule) -> Result<bool> {
        Ok(match rule {
            GroupRule::Of(PruneRule::ReadoutNorm) => all_same(&self.norms(group, Norm::Readout)?),
            GroupRule::Of(PruneRule::Lasso) => is_zero(&self.contribution_covariance(group)?),
            _ => false,
        })
    }

    /// The order of a group's units by one rule; `seed` decides a random order.
    ///
    /// # Errors
    /// If the rule [says nothing](Self::says_nothing) of the group, needs statistics of the group
    /// and there are none, or needs Taylor terms and there are none, or of another number of units;
    /// or if a value is not finite.
    pub fn order(
        &self,
        group: &ChannelGroup,
        rule: GroupRule,
        taylor: Option<&[f64]>,
        seed: u64,
    ) -> Result<GroupOrder> {
        self.order_if_any(group, rule, taylor, seed)?.ok_or_else(|| Error::Group {
            group: group.name.clone(),
            problem: "all of its channels are the same to this order, as where nothing reads them \
                      with a weight; take another order",
        })
    }

    /// None where the rule says nothing of the group.
    fn order_if_any(
        &self,
        group: &ChannelGroup,
        rule: GroupRule,
        taylor: Option<&[f64]>,
        seed: u64,
    ) -> Result<Option<GroupOrder>> {
        let by = |norm, norms: &[f64]| Some(PruneOrder::by_norm(norm, norms).into());
        let GroupRule::Of(of) = rule else {
            let order = lowest_first(taylor_terms(group, taylor)?);
            return Ok(Some(GroupOrder { rule, seed: None, order }));
        };
        Ok(match of {
            PruneRule::Random => Some(PruneOrder::random(group.units, seed).into()),
            PruneRule::Lower => Some(self.semantic(group, Victim::Lower)?),
            PruneRule::Higher => Some(self.semantic(group, Victim::Higher)?),
            PruneRule::FilterNorm => by(Norm::Filter, &self.norms(group, Norm::Filter)?),
            PruneRule::ReadoutNorm => {
                let norms = self.norms(group, Norm::Readout)?;
                if all_same(&norms) { None } else { by(Norm::Readout, &norms) }
            }
            PruneRule::Lasso => self.lasso(group)?,
        })
    }

    /// A norm of each unit.
    fn norms(&self, group: &ChannelGroup, norm: Norm) -> Result<Vec<f64>> {
        Ok(match norm {
            Norm::Filter => group.filter_norms(self.graph)?,
            Norm::Readout => group.readout_norms(self.graph)?,
        })
    }

    /// The paper's semantic pruning (Figure 3): of the most correlated pair of units, the one with
    /// the lower or the higher filter norm goes.
    fn semantic(&self, group: &ChannelGroup, victim: Victim) -> Result<GroupOrder> {
        let (correlation, norms) = (self.correlation(group)?, self.norms(group, Norm::Filter)?);
        let plan = PrunePlan::semantic(&correlation, &norms, victim, false)?;
        Ok(PruneOrder::semantic(&plan).into())
    }

    /// Channel selection by the lasso, over the units' shares in what the next layers receive.
    fn lasso(&self, group: &ChannelGroup) -> Result<Option<GroupOrder>> {
        let covariance = self.contribution_covariance(group)?;
        if is_zero(&covariance) {
            return Ok(None);
        }
        let gram = vec![vec![1.; group.units]; group.units];
        Ok(Some(PruneOrder::lasso(&covariance, &gram)?.into()))
    }
}

fn is_zero(covariance: &[Vec<f64>]) -> bool {
    covariance.iter().flatten().all(|value| *value == 0.)
}

/// Terms that are those of a group.
fn taylor_terms<'a>(group: &ChannelGroup, terms: Option<&'a [f64]>) -> Result<&'a [f64]> {
    let (what, channels) = ("the list of Taylor terms", group.units);
    match terms {
        Some(terms) if terms.len() == channels => Ok(terms),
        Some(terms) => Err(Error::Channels { what, got: terms.len(), channels }),
        None => Err(Error::Group {
            group: group.name.clone(),
            problem: "an order by Taylor terms needs the terms, from images with labels",
        }),
    }
}
