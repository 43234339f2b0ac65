use std::collections::BTreeSet;

use super::cut::Cut;
use super::order::PruneOrder;
use super::plan::PrunePlan;
use super::rule::{Norm, PruneRule, Victim};
use super::statistics::ChannelStatistics;
use super::takeover::Takeover;
use crate::error::{Error, Result};

/// Random orders that are measured with every takeover; the others with none.
const TAKEOVER_ORDERS: u64 = 3;

/// Settings of a study of pruning (Figure 7): which orders are compared, and with which takeovers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PruneStudy {
    /// The norm that decides which member of a correlated pair goes.
    pub norm: Norm,
    /// Rank pairs by |ρ| instead of ρ.
    pub absolute: bool,
    /// Measure takeovers too, and the order of the lasso.
    pub takeover: bool,
    /// Number of random orders.
    pub random_orders: u64,
    /// Seed of the first random order; the others count up from it.
    pub seed: u64,
}

/// What is known of a network of C channels before any is pruned.
#[derive(Debug, Clone, Copy)]
pub struct PruneInputs<'a> {
    /// Correlation among channels, `[C][C]` (Figure 6).
    pub correlation: &'a [Vec<f64>],
    /// L1 norms of the filters, `[C]`.
    pub filter_norms: &'a [f64],
    /// L1 norms of the readout weights, `[C]`.
    pub readout_norms: &'a [f64],
    /// WᵀW `[C][C]` of the masks' convolutions W, which the lasso needs; without it that order is
    /// left out.
    pub mask_gram: Option<&'a [Vec<f64>]>,
    /// What the takeovers are computed from.
    pub statistics: &'a ChannelStatistics,
}

/// One line of Figure 7: an order of pruning under a takeover.
#[derive(Debug, Clone, PartialEq)]
pub struct PruneCurve {
    /// The order.
    pub order: PruneOrder,
    /// What the kept channels do.
    pub takeover: Takeover,
    /// The networks, one for each number of pruned channels.
    pub cuts: Vec<Cut>,
}

impl AsRef<[Cut]> for PruneCurve {
    fn as_ref(&self) -> &[Cut] {
        &self.cuts
    }
}

impl PruneStudy {
    /// The numbers of pruned channels at which curves are measured: every `step` from 0, and all
    /// channels but one.
    ///
    /// # Panics
    /// If `channels` or `step` is 0.
    pub fn counts(channels: usize, step: usize) -> Vec<usize> {
        let counts: BTreeSet<usize> = (0..channels).step_by(step).chain([channels - 1]).collect();
        counts.into_iter().collect()
    }

    /// The plans of semantic pruning: the lower norm goes, then the higher.
    ///
    /// # Errors
    /// If the inputs are not for one number of channels.
    pub fn plans(&self, inputs: &PruneInputs) -> Result<Vec<PrunePlan>> {
        let norms = match self.norm {
            Norm::Filter => inputs.filter_norms,
            Norm::Readout => inputs.readout_norms,
        };
        Victim::ALL
            .into_iter()
            .map(|victim| PrunePlan::semantic(inputs.correlation, norms, victim, self.absolute))
            .collect()
    }

    /// All orders that are compared: those of the plans, both norms, the lasso, random ones.
    ///
    /// # Errors
    /// If the inputs are not for one number of channels.
    pub fn orders(&self, plans: &[PrunePlan], inputs: &PruneInputs) -> Result<Vec<PruneOrder>> {
        self.check(inputs)?;
        let orders = PruneRule::ALL.map(|rule| self.orders_of(rule, plans, inputs));
        Ok(orders.into_iter().collect::<Result<Vec<_>>>()?.concat())
    }

    fn check(&self, inputs: &PruneInputs) -> Result<()> {
        let channels = inputs.statistics.means.len();
        let tables = [
            ("the correlation matrix", inputs.correlation.len()),
            ("the filter norms", inputs.filter_norms.len()),
            ("the readout norms", inputs.readout_norms.len()),
            ("the masks' Gram matrix", inputs.mask_gram.map_or(channels, <[_]>::len)),
        ];
        match tables.into_iter().find(|(_, got)| *got != channels) {
            Some((what, got)) => Err(Error::Channels { what, got, channels }),
            None => Ok(()),
        }
    }

    fn orders_of(
        &self,
        rule: PruneRule,
        plans: &[PrunePlan],
        inputs: &PruneInputs,
    ) -> Result<Vec<PruneOrder>> {
        let channels = inputs.statistics.means.len();
        Ok(match rule {
            PruneRule::Lower | PruneRule::Higher => {
                let plans = plans.iter().filter(|plan| plan.victim.rule() == rule);
                plans.map(PruneOrder::semantic).collect()
            }
            PruneRule::FilterNorm => {
                vec![PruneOrder::by_norm(Norm::Filter, inputs.filter_norms)]
            }
            // One norm for all channels, as of a sum, orders nothing.
            PruneRule::ReadoutNorm if all_same(inputs.readout_norms) => vec![],
            PruneRule::ReadoutNorm => {
                vec![PruneOrder::by_norm(Norm::Readout, inputs.readout_norms)]
            }
            PruneRule::Lasso => match inputs.mask_gram.filter(|_| self.takeover) {
                Some(gram) => vec![PruneOrder::lasso(&inputs.statistics.covariance, gram)?],
                None => vec![],
            },
            PruneRule::Random => {
                let seeds = (0..self.random_orders).map(|i| self.seed.wrapping_add(i));
                seeds.map(|seed| PruneOrder::random(channels, seed)).collect()
            }
        })
    }

    /// The takeovers that an order is measured with: those of its rule, but none for all random
    /// orders after the third.
    pub fn takeovers(&self, order: &PruneOrder) -> &'static [Takeover] {
        let too_many =
            order.seed.is_some_and(|seed| seed.wrapping_sub(self.seed) >= TAKEOVER_ORDERS);
        match self.takeover && !too_many {
            true => order.rule.takeovers(),
            false => &[Takeover::Nothing],
        }
    }

    /// How many curves there are of a network whose masks have a Gram matrix, and whose channels
    /// have different norms in the readout.
    pub fn curve_count(&self) -> usize {
        let of = |rule: PruneRule| {
            let takeovers = if self.takeover { rule.takeovers().len() } else { 1 };
            match rule {
                PruneRule::Random => {
                    let with = self.random_orders.min(TAKEOVER_ORDERS) as usize;
                    with * takeovers + self.random_orders as usize - with
                }
                PruneRule::Lasso if !self.takeover => 0,
                _ => takeovers,
            }
        };
        PruneRule::ALL.into_iter().map(of).sum()
    }

    /// The curves that are measured: every order with each of its takeovers, pruned to each of
    /// `counts`. [`prune_curves`](crate::prune_curves) takes them.
    ///
    /// # Errors
    /// If the inputs are not for one number of channels, or a covariance is not finite.
    pub fn curves(
        &self,
        plans: &[PrunePlan],
        inputs: &PruneInputs,
        counts: &[usize],
    ) -> Result<Vec<PruneCurve>> {
        let mut curves = vec![];
        for order in self.orders(plans, inputs)? {
            for &takeover in self.takeovers(&order) {
                let cuts = inputs.statistics.cuts(&order, counts, takeover, self.absolute)?;
                curves.push(PruneCurve { order: order.clone(), takeover, cuts });
            }
        }
        Ok(curves)
    }
}

/// Whether norms order nothing.
pub(crate) fn all_same(norms: &[f64]) -> bool {
    norms.iter().all(|norm| Some(norm) == norms.first()) && norms.len() > 1
}
