//! The ways to read the paper's channel pruning: it leaves open which channel of a pair goes, which
//! norm decides that, and what is correlated.

use foresee_analysis::CorrelationSamples;
use foresee_stats::{Matrix, correlation_of_covariance};

use super::order::{PruneOrder, lowest_first};
use super::plan::PrunePlan;
use super::rule::{Norm, Victim};
use super::statistics::ChannelStatistics;
use crate::error::{Error, Result};

/// The norm of a channel in a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadingNorm {
    /// A norm of weights.
    Of(Norm),
    /// Mean over attributes k and images of |w_kc·p_kc|, what channel c contributes to the logits.
    Contribution,
}

impl ReadingNorm {
    /// All norms.
    pub const ALL: [Self; 3] =
        [Self::Of(Norm::Filter), Self::Of(Norm::Readout), Self::Contribution];

    /// The name in files.
    pub fn id(self) -> &'static str {
        match self {
            Self::Of(norm) => norm.id(),
            Self::Contribution => "contribution",
        }
    }
}

/// What one sample of the correlation among channels is in a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadingCorrelation {
    /// Features.
    Of(CorrelationSamples),
    /// The contributions w_kc·p_kc to the logit of one attribute k of one image.
    Contributions,
}

impl ReadingCorrelation {
    /// All correlations.
    pub const ALL: [Self; 3] = [
        Self::Of(CorrelationSamples::Positions),
        Self::Of(CorrelationSamples::Pooled),
        Self::Contributions,
    ];

    /// The name in files.
    pub fn id(self) -> &'static str {
        match self {
            Self::Of(samples) => samples.id(),
            Self::Contributions => "contributions",
        }
    }
}

/// A reading of which channels go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Of the most correlated pair one member goes (Figure 3).
    Semantic {
        /// Which member.
        victim: Victim,
        /// By which norm.
        norm: ReadingNorm,
        /// What correlates.
        correlation: ReadingCorrelation,
        /// Whether pairs are ranked by |ρ|, not ρ.
        absolute: bool,
    },
    /// The channel of the lowest norm goes first, without pairs.
    Lowest(ReadingNorm),
    /// A random order: chance.
    Random,
}

impl Reading {
    /// All readings: 36 of semantic pruning, 3 of plain pruning, chance.
    pub fn all() -> Vec<Self> {
        let mut all = vec![];
        for victim in Victim::ALL {
            for norm in ReadingNorm::ALL {
                for correlation in ReadingCorrelation::ALL {
                    let of = |absolute| Self::Semantic { victim, norm, correlation, absolute };
                    all.extend([false, true].map(of));
                }
            }
        }
        all.extend(ReadingNorm::ALL.map(Self::Lowest));
        all.push(Self::Random);
        all
    }

    /// The norm that it orders channels by, if any.
    pub fn norm(self) -> Option<ReadingNorm> {
        match self {
            Self::Semantic { norm, .. } | Self::Lowest(norm) => Some(norm),
            Self::Random => None,
        }
    }

    /// The name in files.
    pub fn id(self) -> String {
        match self {
            Self::Semantic { victim, norm, correlation, absolute } => {
                let rho = if absolute { "absolute" } else { "signed" };
                let (norm, correlation) = (norm.id(), correlation.id());
                format!("semantic_{}_{norm}_{correlation}_{rho}", victim.id())
            }
            Self::Lowest(norm) => format!("lowest_{}", norm.id()),
            Self::Random => "random".into(),
        }
    }

    /// The reading with this id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::all().into_iter().find(|reading| reading.id() == id)
    }
}

/// What the orders of all readings are made from. C channels.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadingTables {
    /// Norms `[C]`, as [`ReadingNorm::ALL`] lists them.
    pub norms: [Vec<f64>; 3],
    /// Correlations `[C][C]`, as [`ReadingCorrelation::ALL`] lists them.
    pub correlations: [Vec<Vec<f64>>; 3],
}

impl ReadingTables {
    /// The order of a reading; of a random one, that of this seed.
    ///
    /// ```
    /// use foresee_perturb::{Norm, Reading, ReadingNorm, ReadingTables};
    ///
    /// let rho = vec![vec![1., 0.5], vec![0.5, 1.]];
    /// let tables = ReadingTables {
    ///     norms: [vec![1., 2.], vec![4., 3.], vec![5., 6.]],
    ///     correlations: [rho.clone(), rho.clone(), rho],
    /// };
    /// let by_readout = Reading::Lowest(ReadingNorm::Of(Norm::Readout));
    /// assert_eq!(tables.order(by_readout, 0)?.order, [1, 0]);
    /// let semantic = Reading::from_id("semantic_higher_contribution_pooled_signed").unwrap();
    /// assert_eq!(tables.order(semantic, 0)?.order, [1]);
    /// # Ok::<(), foresee_perturb::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a table is of another number of channels than the filter norms.
    pub fn order(&self, reading: Reading, seed: u64) -> Result<PruneOrder<Reading>> {
        let channels = self.norms[0].len();
        if let Some(got) = self.norms.iter().map(Vec::len).find(|&n| n != channels) {
            return Err(Error::Channels { what: "a norm", got, channels });
        }
        let order = match reading {
            Reading::Semantic { victim, norm, correlation, absolute } => {
                let rho = &self.correlations[place(correlation, &ReadingCorrelation::ALL)];
                PrunePlan::semantic(rho, self.norm(norm), victim, absolute)?.order()
            }
            Reading::Lowest(norm) => lowest_first(self.norm(norm)),
            Reading::Random => PruneOrder::random(channels, seed).order,
        };
        Ok(PruneOrder { rule: reading, seed: (reading == Reading::Random).then_some(seed), order })
    }

    fn norm(&self, norm: ReadingNorm) -> &[f64] {
        &self.norms[place(norm, &ReadingNorm::ALL)]
    }
}

fn place<T: PartialEq>(item: T, all: &[T; 3]) -> usize {
    all.iter().take_while(|other| **other != item).count()
}

impl ChannelStatistics {
    /// Correlation `[C][C]` of the channels' contributions w_kc·p_kc, of which each attribute k of
    /// each image is a sample: the covariance is mean over k of w_ka·w_kb·(Π_k,ab + p̄_ka·p̄_kb),
    /// less the product of the means over k of w_ka·p̄_ka and w_kb·p̄_kb. A channel whose
    /// contributions never change correlates with no other.
    ///
    /// # Errors
    /// If the tables do not fit each other, or a value is not finite.
    pub fn contribution_correlation(&self) -> Result<Vec<Vec<f64>>> {
        self.check()?;
        let (c, k) = (self.means.len(), self.readout.len() as f64);
        let mut covariance = Matrix::zeros(c, c);
        let mut means = vec![0.; c];
        let tables = self.readout.iter().zip(&self.pooled_means).zip(&self.pooled_covariance);
        for ((w, p), pooled) in tables {
            for a in 0..c {
                means[a] += w[a] * p[a] / k;
                let row = covariance.row_mut(a);
                for b in 0..c {
                    row[b] += w[a] * w[b] * (pooled[a][b] + p[a] * p[b]) / k;
                }
            }
        }
        for a in 0..c {
            let row = covariance.row_mut(a);
            row.iter_mut().zip(&means).for_each(|(value, mean)| *value -= means[a] * mean);
        }
        Ok(correlation_of_covariance(&covariance)
            .ok_or(Error::NotFinite("the covariance of the channels"))?
            .to_rows())
    }
}
