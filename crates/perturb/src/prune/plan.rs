use super::rule::Victim;
use crate::error::{Error, Result};

/// One step of a [`PrunePlan`]: a correlated pair, and the member that goes.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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

/// Semantic channel pruning (Figure 3): the order in which channels go, each with its reason.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PrunePlan {
    /// Which member of each pair goes.
    pub victim: Victim,
    /// Number of channels of the unpruned network.
    pub channels: usize,
    /// The steps, first to last.
    pub steps: Vec<PruneStep>,
}

impl PrunePlan {
    /// Scans the channel pairs from the highest correlation down (with `absolute`: from the highest
    /// |ρ|) and prunes a member of each. A pair that has lost a member already is skipped. One
    /// channel is left at the end. `norms` has one norm for each channel.
    ///
    /// If the norms of a pair are equal, its second channel goes. If the correlations of two pairs
    /// are equal, the pair with the smaller indices comes first.
    ///
    /// ```
    /// use foresee_perturb::{PrunePlan, Victim};
    ///
    /// let correlation = [vec![1., 0.9, 0.1], vec![0.9, 1., 0.3], vec![0.1, 0.3, 1.]];
    /// let plan = PrunePlan::semantic(&correlation, &[2., 1., 3.], Victim::Lower, false)?;
    /// // Of channels 0 and 1 the latter has the lower norm, of 0 and 2 the former.
    /// assert_eq!(plan.order(), [1, 0]);
    /// assert_eq!((plan.steps[0].pair, plan.steps[0].correlation), ([0, 1], 0.9));
    /// assert_eq!((plan.steps[1].pair, plan.steps[1].correlation), ([0, 2], 0.1));
    /// # Ok::<(), foresee_perturb::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the correlation matrix is not square, is not for as many channels as there are norms, or
    /// a correlation or a norm is not finite: a channel that never varies has a correlation of 0.
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
        if !correlation.iter().flatten().chain(norms).all(|value| value.is_finite()) {
            return Err(Error::NotFinite("a correlation or a norm of the channels"));
        }
        let mut pairs: Vec<(usize, usize)> =
            (0..channels).flat_map(|i| (i + 1..channels).map(move |j| (i, j))).collect();
        let strength = |&(i, j): &(usize, usize)| {
            if absolute { correlation[i][j].abs() } else { correlation[i][j] }
        };
        pairs.sort_by(|a, b| strength(b).total_cmp(&strength(a)));
        let mut pruned = vec![false; channels];
        let mut steps = vec![];
        for (i, j) in pairs {
            if pruned[i] || pruned[j] {
                continue;
            }
            let first_goes = match victim {
                Victim::Lower => norms[i] < norms[j],
                Victim::Higher => norms[i] > norms[j],
            };
            let channel = if first_goes { i } else { j };
            pruned[channel] = true;
            steps.push(PruneStep {
                pair: [i, j],
                correlation: correlation[i][j],
                norms: [norms[i], norms[j]],
                victim: channel,
            });
        }
        Ok(Self { victim, channels, steps })
    }

    /// The channels in the order in which they go: all but one.
    pub fn order(&self) -> Vec<usize> {
        self.steps.iter().map(|step| step.victim).collect()
    }
}
