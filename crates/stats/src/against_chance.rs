//! Verdicts on many ways of doing something, each compared with chance.

use crate::interval::Interval;
use crate::verdict::{SEEDS_NEEDED, SIGNIFICANCE};

/// Whether a way is better than chance, after correction for many comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgainstChance {
    /// Better, with every seed.
    Better,
    /// Better in the mean over seeds.
    InPart,
    /// The interval of the gain lies below what would matter.
    NotBetter,
    /// Worse than chance.
    Worse,
    /// The data allow both.
    NotDecided,
}

impl AgainstChance {
    /// All verdicts.
    pub const ALL: [Self; 5] =
        [Self::Better, Self::InPart, Self::NotBetter, Self::Worse, Self::NotDecided];

    /// The verdict on the claim that the way is better, for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Better => "holds",
            Self::InPart => "holds in part",
            Self::NotBetter => "does not hold",
            Self::Worse => "does not hold: worse",
            Self::NotDecided => "not decided",
        }
    }

    /// The verdict in files.
    pub fn id(self) -> &'static str {
        match self {
            Self::Better => "holds",
            Self::InPart => "in_part",
            Self::NotBetter => "does_not_hold",
            Self::Worse => "worse",
            Self::NotDecided => "not_decided",
        }
    }

    /// The verdict of an [`id`](Self::id).
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.id() == id)
    }

    /// From the corrected two-sided p-value of a gain over chance, its own interval, which is not
    /// corrected, and the gain of each seed. Up to [`SIGNIFICANCE`] the sign of the gain decides.
    /// Above it, the way is not better if its interval lies below `margin`, the least gain that
    /// matters. With fewer than [`SEEDS_NEEDED`] seeds nothing is decided.
    ///
    /// ```
    /// use foresee_stats::{AgainstChance, Interval};
    ///
    /// let gain = Interval { estimate: -0.1, low: -0.4, high: 0.2, level: 0.95 };
    /// let verdict = AgainstChance::new(0.9, &gain, &[-0.2, -0.2, 0.1], 0.25);
    /// assert_eq!(verdict, AgainstChance::NotBetter);
    /// ```
    pub fn new(corrected: f64, gain: &Interval, seeds: &[f64], margin: f64) -> Self {
        match corrected <= SIGNIFICANCE {
            _ if seeds.len() < SEEDS_NEEDED => Self::NotDecided,
            true if gain.estimate < 0. => Self::Worse,
            true if seeds.iter().all(|&s| s > 0.) => Self::Better,
            true => Self::InPart,
            false if gain.high < margin => Self::NotBetter,
            false => Self::NotDecided,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AgainstChance::{Better, InPart, NotBetter, NotDecided, Worse};
    use super::*;

    #[test]
    fn the_corrected_p_decides_before_the_interval() {
        let of = |p, estimate: f64, seeds: &[f64]| {
            let gain = Interval { estimate, low: estimate - 1., high: estimate + 1., level: 0.95 };
            AgainstChance::new(p, &gain, seeds, 0.25)
        };
        assert_eq!(of(0.05, 2., &[1., 2., 3.]), Better);
        assert_eq!(of(0.05, 2., &[-1., 2., 5.]), InPart);
        assert_eq!(of(0.01, -2., &[-1., -2., -3.]), Worse);
        assert_eq!(of(0.06, -2., &[-1., -2., -3.]), NotBetter);
        assert_eq!(of(0.06, -0.5, &[-1., -0.2, -0.3]), NotDecided);
        assert_eq!(of(1e-9, 2., &[2., 2.]), NotDecided);
        assert_eq!(of(f64::NAN, 2., &[2., 2., 2.]), NotDecided);
        assert!(AgainstChance::ALL.iter().all(|v| AgainstChance::from_id(v.id()) == Some(*v)));
    }
}
