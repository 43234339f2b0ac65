//! From an interval to a verdict.

use crate::bootstrap::Interval;

/// Trainings that a claim needs before it is decided.
pub const SEEDS_NEEDED: usize = 3;

/// What a study says about a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Holds,
    /// Under some of the conditions, which the claim's remark names.
    InPart,
    /// The data speak against it.
    DoesNotHold,
    /// The data allow both.
    NotDecided,
    /// What it needs was not measured.
    NotTestable,
}

impl Verdict {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::InPart => "holds in part",
            Self::DoesNotHold => "does not hold",
            Self::NotDecided => "not decided",
            Self::NotTestable => "not testable here",
        }
    }

    /// Is something gained? It is if the interval lies above 0 and every seed's own estimate does;
    /// it is not if the whole interval lies below `margin`, the least gain that anyone would care
    /// for. Fewer than [`SEEDS_NEEDED`] seeds decide nothing.
    pub fn of_gain(interval: &Interval, seeds: &[f64], margin: f64) -> Self {
        match (interval.low > 0., seeds.iter().all(|&s| s > 0.)) {
            _ if seeds.len() < SEEDS_NEEDED => Self::NotDecided,
            (true, true) => Self::Holds,
            (true, false) => Self::InPart,
            _ if interval.high < margin => Self::DoesNotHold,
            _ => Self::NotDecided,
        }
    }

    /// Is something gained all along a curve? As [`of_gain`](Self::of_gain) of its mean, but in
    /// part if that hides points where the opposite is certain, or if it is not gained as a whole,
    /// nor certainly lost, yet certain at some points. `points` are the intervals of the points.
    pub fn of_curve(interval: &Interval, seeds: &[f64], margin: f64, points: &[Interval]) -> Self {
        let (better, worse) =
            (points.iter().any(|p| p.low > 0.), points.iter().any(|p| p.high < 0.));
        match Self::of_gain(interval, seeds, margin) {
            Self::Holds if worse => Self::InPart,
            Self::DoesNotHold | Self::NotDecided
                if better && interval.high > 0. && seeds.len() >= SEEDS_NEEDED =>
            {
                Self::InPart
            }
            verdict => verdict,
        }
    }

    /// Does a test of all seeds together find a positive value? It holds if p is at most 0.05 and
    /// every seed's value is positive; it does not if the mean is not even positive. A test that
    /// finds nothing decides nothing.
    pub fn of_test(p: f64, seeds: &[f64]) -> Self {
        match seeds.iter().sum::<f64>() {
            _ if seeds.len() < SEEDS_NEEDED => Self::NotDecided,
            sum if sum <= 0. => Self::DoesNotHold,
            _ if p > 0.05 => Self::NotDecided,
            _ if seeds.iter().all(|&s| s > 0.) => Self::Holds,
            _ => Self::InPart,
        }
    }

    /// Does a value of every seed stay within a limit? In part if only some do.
    pub fn up_to(seeds: &[f64], most: f64) -> Self {
        match seeds.iter().filter(|&&value| value <= most).count() {
            _ if seeds.len() < SEEDS_NEEDED => Self::NotDecided,
            n if n == seeds.len() => Self::Holds,
            0 => Self::DoesNotHold,
            _ => Self::InPart,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{DoesNotHold, Holds, InPart, NotDecided};
    use super::*;

    fn interval(low: f64, high: f64) -> Interval {
        Interval { estimate: (low + high) / 2., low, high }
    }

    #[test]
    fn a_gain_needs_seeds_and_a_side() {
        let of = |low, high, seeds: &[f64]| Verdict::of_gain(&interval(low, high), seeds, 0.25);
        assert_eq!(of(1., 2., &[1., 2.]), NotDecided);
        assert_eq!(of(1., 2., &[1., 1.5, 2.]), Holds);
        assert_eq!(of(0.1, 2., &[-0.1, 1.5, 2.]), InPart);
        assert_eq!(of(-0.1, 0.2, &[0.1, 0.1, -0.1]), DoesNotHold);
        assert_eq!(of(-0.1, 0.3, &[0.1, 0.1, 0.1]), NotDecided);
        assert_eq!(of(-2., -1., &[-1., -1., -2.]), DoesNotHold);
    }

    #[test]
    fn a_curve_holds_only_where_no_point_speaks_against_it() {
        let of =
            |whole, points: &[Interval]| Verdict::of_curve(&whole, &[1., 1., 1.], 0.25, points);
        let (up, down, open) = (interval(0.5, 1.), interval(-1., -0.5), interval(-1., 1.));
        assert_eq!(of(up, &[up, open]), Holds);
        assert_eq!(of(up, &[up, down]), InPart);
        assert_eq!(of(down, &[up, down]), DoesNotHold);
        assert_eq!(of(interval(-0.5, 0.2), &[up, down]), InPart);
        assert_eq!(of(down, &[open, down]), DoesNotHold);
        assert_eq!(of(open, &[open]), NotDecided);
    }

    #[test]
    fn a_test_that_finds_nothing_decides_nothing() {
        assert_eq!(Verdict::of_test(0.01, &[0.2, 0.1, 0.1]), Holds);
        assert_eq!(Verdict::of_test(0.01, &[0.4, 0.1, -0.1]), InPart);
        assert_eq!(Verdict::of_test(0.3, &[0.2, 0.1, 0.1]), NotDecided);
        assert_eq!(Verdict::of_test(0.8, &[-0.2, 0.1, -0.1]), DoesNotHold);
        assert_eq!(Verdict::of_test(0.01, &[0.2, 0.1]), NotDecided);
    }

    #[test]
    fn a_limit_is_kept_by_all_or_some() {
        assert_eq!(Verdict::up_to(&[1., 2., 3.], 3.), Holds);
        assert_eq!(Verdict::up_to(&[1., 2., 4.], 3.), InPart);
        assert_eq!(Verdict::up_to(&[4., 5., f64::NAN], 3.), DoesNotHold);
        assert_eq!(Verdict::up_to(&[1., 2.], 3.), NotDecided);
    }
}
