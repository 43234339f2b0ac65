//! Takeovers in closed form, at every value that is read.

use std::collections::{BTreeMap, BTreeSet};

use foresee_analysis::ChannelCorrelation;
use foresee_graph::{ChannelGroup, Graph, Linear, Read, Reconstruction, Removal};

use super::masks::check_units;
use super::statistics::{GroupStatistics, key};
use crate::error::Result;
use crate::prune::{Roles, Takeover, least_squares, most_correlated};

/// A channel that goes, and the one that takes over; none: its mean does.
type Partner = (usize, Option<usize>);

/// Whether kept channels can take over a unit's role: some node reads the group's channels with a
/// weight. Where none does, as between the queries and keys of attention, every [`Takeover`] leaves
/// the network as [`Takeover::Nothing`] does.
pub fn has_takeover(group: &ChannelGroup) -> bool {
    group.reads.iter().any(has_weight)
}

fn has_weight(read: &Read) -> bool {
    read.consumers.iter().any(|consumer| consumer.weight.is_some())
}

impl GroupStatistics<'_> {
    /// The smaller graph without these units, in the order in which they go, under a takeover. With
    /// [`Takeover::Partner`] a unit's partner, at each value that is read, is the remaining one of
    /// its group with the highest [`correlation`](Self::correlation) that has as many channels
    /// there; without any, the unit's mean takes over. With [`Takeover::LeastSquares`] all kept
    /// channels of a value that is read take over, those of other groups too. With
    /// [`Takeover::Mean`] each unit's mean does.
    ///
    /// # Errors
    /// If a group is fixed or of another graph, there is no such unit, none would be left, or a
    /// covariance is not finite.
    pub fn cut(&self, removals: &[Removal], takeover: Takeover) -> Result<Graph> {
        let reconstructions = self.reconstructions(removals, takeover)?;
        Ok(self.graph.remove_channels_with(removals, &reconstructions)?)
    }

    /// What the kept channels are for the removed ones at each value that is read with a weight.
    ///
    /// # Errors
    /// As [`cut`](Self::cut).
    pub fn reconstructions(
        &self,
        removals: &[Removal],
        takeover: Takeover,
    ) -> Result<Vec<Reconstruction>> {
        removals.iter().try_for_each(|removal| check_units(removal.group, removal.units))?;
        let correlations = match takeover {
            Takeover::Nothing => return Ok(vec![]),
            Takeover::Partner => {
                let of = |removal: &Removal| self.correlation(removal.group);
                removals.iter().map(of).collect::<Result<Vec<_>>>()?
            }
            Takeover::LeastSquares | Takeover::Mean => vec![],
        };
        let mut reads: BTreeMap<_, Vec<(usize, &Read)>> = BTreeMap::new();
        for (number, removal) in removals.iter().enumerate() {
            for read in removal.group.reads.iter().filter(|read| has_weight(read)) {
                reads.entry(key(read)).or_default().push((number, read));
            }
        }
        let mut reconstructions = vec![];
        for reads in reads.into_values() {
            let read = reads[0].1;
            let goes: BTreeSet<usize> = reads
                .iter()
                .flat_map(|(of, read)| removals[*of].units.iter().flat_map(|&u| &read.units[u]))
                .copied()
                .collect();
            let kept: Vec<usize> = (0..read.channels).filter(|c| !goes.contains(c)).collect();
            let removed: Vec<usize> = goes.into_iter().collect();
            if removed.is_empty() {
                continue;
            }
            if kept.is_empty() {
                let name = self.graph.value(read.value).name.clone();
                return Err(foresee_graph::Error::NothingLeft { name }.into());
            }
            let own = |(of, read): &(usize, &Read)| {
                partners(removals[*of].units, read, correlations.get(*of).map(Vec::as_slice))
            };
            let roles: Vec<Partner> = reads.iter().flat_map(own).collect();
            let linear = |block: &ChannelCorrelation| match takeover {
                Takeover::LeastSquares => by_least_squares(block, &removed, &kept),
                _ => Ok(by_partner(block, &roles, &removed, &kept)),
            };
            let blocks = self.blocks(read)?.iter().map(linear).collect::<Result<Vec<_>>>()?;
            let (value, axis) = (read.value, read.axis);
            reconstructions.push(Reconstruction { value, axis, removed, kept, blocks });
        }
        Ok(reconstructions)
    }
}

/// The channels of units that go, in their order, each with the channel of a read that takes over;
/// without correlations none does.
fn partners(units: &[usize], read: &Read, correlation: Option<&[Vec<f64>]>) -> Vec<Partner> {
    let mut remaining = vec![true; read.units.len()];
    let mut partners = vec![];
    for &unit in units {
        remaining[unit] = false;
        let own = &read.units[unit];
        let fits = |other: usize| remaining[other] && read.units[other].len() == own.len();
        let fitting: Vec<bool> = (0..remaining.len()).map(fits).collect();
        let partner =
            correlation.and_then(|rho| most_correlated(&fitting, false, |other| rho[unit][other]));
        let channel = |at: usize| partner.map(|partner| read.units[partner][at]);
        partners.extend(own.iter().enumerate().map(|(at, &gone)| (gone, channel(at))));
    }
    partners
}

/// One after the other, each pruned channel hands its role to its partner, or to its mean.
fn by_partner(
    block: &ChannelCorrelation,
    partners: &[Partner],
    removed: &[usize],
    kept: &[usize],
) -> Linear {
    let (means, covariance) = (block.means(), block.covariance());
    let mut roles = Roles::new(means.len());
    for &(gone, partner) in partners {
        match partner {
            Some(partner) => {
                roles.hand_over([gone, partner], means, |i, j| covariance.get(i, j));
            }
            None => roles.fix(gone, means[gone]),
        }
    }
    Linear { weights: roles.weights(removed, kept), offsets: roles.offsets(removed) }
}

/// All kept channels stand for each removed one.
fn by_least_squares(
    block: &ChannelCorrelation,
    removed: &[usize],
    kept: &[usize],
) -> Result<Linear> {
    let covariance = block.covariance().to_rows();
    let (weights, offsets) = least_squares(block.means(), &covariance, removed, kept)?;
    Ok(Linear { weights, offsets })
}
