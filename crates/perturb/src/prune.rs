//! Semantic channel pruning: which channels go, in which order, and why.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use foresee_model::StandIn;

use crate::error::{Error, Result};

/// Which member of a correlated pair goes. The paper says both: Figure 3 and its section the one
/// with the lower norm, the experiment the one with the higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Victim {
    /// The one with the lower norm.
    #[default]
    Lower,
    /// The one with the higher norm.
    Higher,
}

/// One pair of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PruneStep {
    /// The pair's channels, the smaller index first.
    pub pair: [usize; 2],
    /// Their correlation.
    pub correlation: f64,
    /// Their norms.
    pub norms: [f64; 2],
    /// The channel that goes.
    pub victim: usize,
}

/// The order in which channels are pruned, with the reason of each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrunePlan {
    /// Channels of the whole network.
    pub channels: usize,
    /// First to last.
    pub steps: Vec<PruneStep>,
}

impl PrunePlan {
    /// Scans the channel pairs from the highest correlation down (with `absolute`: the highest |ρ|)
    /// and prunes a member of each; a pair of which one is gone already is skipped. `norms` has one
    /// for each channel. Ends with one channel left. Of equal norms the second channel goes; of
    /// equal correlations the first pair is first.
    ///
    /// # Errors
    /// If the correlation matrix is not square or not of as many channels as the norms.
    pub fn semantic(
        correlation: &[Vec<f64>],
        norms: &[f64],
        victim: Victim,
        absolute: bool,
    ) -> Result<Self> {
        let channels = norms.len();
        if let Some(got) = std::iter::once(correlation.len())
            .chain(correlation.iter().map(Vec::len))
            .find(|&n| n != channels)
        {
            return Err(Error::Channels { what: "the correlation matrix", got, channels });
        }
        let mut pairs: Vec<(usize, usize)> =
            (0..channels).flat_map(|i| (i + 1..channels).map(move |j| (i, j))).collect();
        let rank = |&(i, j): &(usize, usize)| {
            if absolute { correlation[i][j].abs() } else { correlation[i][j] }
        };
        pairs.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
        let mut gone = vec![false; channels];
        let mut steps = vec![];
        for (i, j) in pairs {
            if gone[i] || gone[j] {
                continue;
            }
            let pair_norms = [norms[i], norms[j]];
            let first_goes = match victim {
                Victim::Lower => pair_norms[0] < pair_norms[1],
                Victim::Higher => pair_norms[0] > pair_norms[1],
            };
            let victim = if first_goes { i } else { j };
            gone[victim] = true;
            steps.push(PruneStep {
                pair: [i, j],
                correlation: correlation[i][j],
                norms: pair_norms,
                victim,
            });
        }
        Ok(Self { channels, steps })
    }

    /// The channels in the order in which they go: all but one.
    pub fn order(&self) -> Vec<usize> {
        self.steps.iter().map(|step| step.victim).collect()
    }
}

/// A named order of pruning, for a curve over the number of pruned channels.
#[derive(Debug, Clone, PartialEq)]
pub struct PruneOrder {
    /// The rule that made it: "lower", "higher", "l1", "readout", "lasso", "random".
    pub rule: String,
    /// The seed, for random orders.
    pub seed: Option<u64>,
    /// Channels, first to go first.
    pub order: Vec<usize>,
}

impl PruneOrder {
    /// Plain pruning by the channels' norms, lowest first: the usual baseline.
    pub fn by_norm(rule: &str, norms: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..norms.len()).collect();
        order.sort_by(|&a, &b| norms[a].total_cmp(&norms[b]));
        Self { rule: rule.into(), seed: None, order }
    }

    /// The networks of a curve: this order pruned to each of `counts`.
    pub fn cuts(&self, channels: usize, counts: &[usize]) -> Vec<Cut> {
        counts.iter().map(|&count| Cut::Plain(self.kept(channels, count))).collect()
    }

    /// The channels that are left after `pruned` of `channels` are gone, in ascending order.
    pub fn kept(&self, channels: usize, pruned: usize) -> Vec<usize> {
        let gone = &self.order[..pruned.min(self.order.len())];
        (0..channels).filter(|c| !gone.contains(c)).collect()
    }
}

/// A smaller network, to be made of a whole one.
#[derive(Debug, Clone, PartialEq)]
pub enum Cut {
    /// Only these channels, ascending.
    Plain(Vec<usize>),
    /// Fewer channels, which take over what the others did.
    With(StandIn),
}

impl Cut {
    /// The channels that are left, ascending.
    pub fn kept(&self) -> &[usize] {
        match self {
            Self::Plain(kept) => kept,
            Self::With(stand_in) => &stand_in.kept,
        }
    }
}

/// A random order, decided by its seed.
pub fn random_order(channels: usize, seed: u64) -> PruneOrder {
    let mut order: Vec<usize> = (0..channels).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(u64::MAX);
    order.shuffle(&mut rng);
    PruneOrder { rule: "random".into(), seed: Some(seed), order }
}
