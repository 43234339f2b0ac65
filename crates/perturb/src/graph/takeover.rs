//! Takeovers in closed form, at every value that is read.

use std::collections::{BTreeMap, BTreeSet};

use foresee_analysis::ChannelCorrelation;
use foresee_graph::{Graph, Linear, Read, Reconstruction, Removal};

use super::masks::check_units;
use super::statistics::{GroupStatistics, key};
use crate::error::Result;
use crate::prune::{Roles, Takeover, least_squares, most_correlated};

/// Pruned units in their order, each with the one that takes over.
type Partners = Vec<(usize, usize)>;

impl GroupStatistics<'_> {
    /// The smaller graph without these units, in the order in which they go, under a takeover. With
    /// [`Takeover::Partner`] a unit's partner is the remaining one of its group with the highest
    /// [`correlation`](Self::correlation). With [`Takeover::LeastSquares`] all kept channels of a
    /// value that is read take over, those of other groups too.
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
        let partners = match takeover {
            Takeover::Nothing => return Ok(vec![]),
            Takeover::Partner => {
                Some(removals.iter().map(|of| self.partners(of)).collect::<Result<Vec<_>>>()?)
            }
            Takeover::LeastSquares => None,
        };
        let mut reads: BTreeMap<_, Vec<(usize, &Read)>> = BTreeMap::new();
        for (number, removal) in removals.iter().enumerate() {
            let weighted = |read: &&Read| read.consumers.iter().any(|c| c.weight.is_some());
            for read in removal.group.reads.iter().filter(weighted) {
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
            let pairs = partners.as_ref().map(|partners| channel_pairs(&reads, partners));
            let linear = |block: &ChannelCorrelation| match &pairs {
                Some(pairs) => Ok(by_partner(block, pairs, &removed, &kept)),
                None => by_least_squares(block, &removed, &kept),
            };
            let blocks = self.blocks(read)?.iter().map(linear).collect::<Result<Vec<_>>>()?;
            let (value, axis) = (read.value, read.axis);
            reconstructions.push(Reconstruction { value, axis, removed, kept, blocks });
        }
        Ok(reconstructions)
    }

    fn partners(&self, removal: &Removal) -> Result<Partners> {
        let correlation = self.correlation(removal.group)?;
        let mut remaining = vec![true; removal.group.units];
        let mut partners = vec![];
        for &unit in removal.units {
            remaining[unit] = false;
            let partner = most_correlated(&remaining, false, |other| correlation[unit][other]);
            partners.extend(partner.map(|partner| (unit, partner)));
        }
        Ok(partners)
    }
}

/// The channels of pruned units with those of their partners, in their order.
fn channel_pairs(reads: &[(usize, &Read)], partners: &[Partners]) -> Vec<(usize, usize)> {
    let of_read = |(number, read): &(usize, &Read)| {
        let of_pair = |&(a, b): &(usize, usize)| {
            let pairs = read.units[a].iter().copied().zip(read.units[b].iter().copied());
            pairs.collect::<Vec<_>>()
        };
        partners[*number].iter().flat_map(of_pair).collect::<Vec<_>>()
    };
    reads.iter().flat_map(of_read).collect()
}

/// One after the other, each pruned channel hands its role to its partner.
fn by_partner(
    block: &ChannelCorrelation,
    pairs: &[(usize, usize)],
    removed: &[usize],
    kept: &[usize],
) -> Linear {
    let (means, covariance) = (block.means(), block.covariance());
    let mut roles = Roles::new(means.len());
    for &(a, b) in pairs {
        roles.hand_over([a, b], means, |i, j| covariance.get(i, j));
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
