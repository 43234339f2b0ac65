//! From intervals to verdicts on claims.

use crate::interval::Interval;
use crate::line::Line;

/// Trainings from different seeds that a claim needs before it is decided.
pub const SEEDS_NEEDED: usize = 3;
/// The least difference in accuracy that matters, in percentage points.
pub const MARGIN: f64 = 0.25;
/// p up to which a test counts as positive.
pub const SIGNIFICANCE: f64 = 0.05;
/// R² from which on a curve counts as a straight line.
pub const STRAIGHT_R2: f64 = 0.95;
/// R² below which a curve certainly is no straight line.
pub const BENT_R2: f64 = 0.9;

/// What a study says about a claim. Each rule takes the values of the single seeds as well as the
/// interval, and decides nothing with fewer than [`SEEDS_NEEDED`] of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The data support the claim.
    Holds,
    /// The data support the claim under some of the conditions.
    InPart,
    /// The data speak against the claim.
    DoesNotHold,
    /// The data allow both.
    NotDecided,
    /// What the claim needs was not measured.
    NotTestable,
}

impl Verdict {
    /// All verdicts.
    pub const ALL: [Self; 5] =
        [Self::Holds, Self::InPart, Self::DoesNotHold, Self::NotDecided, Self::NotTestable];

    /// The verdict for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::InPart => "holds in part",
            Self::DoesNotHold => "does not hold",
            Self::NotDecided => "not decided",
            Self::NotTestable => "not testable here",
        }
    }

    /// The verdict in files.
    pub fn id(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::InPart => "in_part",
            Self::DoesNotHold => "does_not_hold",
            Self::NotDecided => "not_decided",
            Self::NotTestable => "not_testable",
        }
    }

    /// The verdict of an [`id`](Self::id).
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.id() == id)
    }

    /// Is something gained? The claim holds if the interval of the gain and every seed's own gain
    /// lie above 0; in part if only the interval does. It does not hold if the whole interval lies
    /// below `margin`, the least gain that matters.
    pub fn of_gain(interval: &Interval, seeds: &[f64], margin: f64) -> Self {
        match (interval.low > 0., seeds.iter().all(|&s| s > 0.)) {
            _ if seeds.len() < SEEDS_NEEDED => Self::NotDecided,
            (true, true) => Self::Holds,
            (true, false) => Self::InPart,
            _ if interval.high < margin => Self::DoesNotHold,
            _ => Self::NotDecided,
        }
    }

    /// Is something gained all along a curve? `points` are the intervals of its points. The rule is
    /// [`of_gain`](Self::of_gain) of the mean gain, with two exceptions. The claim holds only in
    /// part if there are points with a certain loss. It also holds in part if there is no mean
    /// gain, but no certain mean loss either, and there are points with a certain gain.
    pub fn of_curve(interval: &Interval, seeds: &[f64], margin: f64, points: &[Interval]) -> Self {
        let better = points.iter().any(|p| p.low > 0.);
        let worse = points.iter().any(|p| p.high < 0.);
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

    /// Does something cost nothing? `interval` is that of the gain, which is negative for a cost.
    /// The claim holds if no more than `margin` can be lost: the interval lies above -`margin`. It
    /// does not hold if the whole interval lies below 0.
    pub fn of_cost(interval: &Interval, seeds: &[f64], margin: f64) -> Self {
        match interval {
            _ if seeds.len() < SEEDS_NEEDED => Self::NotDecided,
            i if i.low > -margin => Self::Holds,
            i if i.high < 0. => Self::DoesNotHold,
            _ => Self::NotDecided,
        }
    }

    /// Does a value stay within a limit? The claim holds if the interval and every seed's value
    /// reach `limit` at most; if only the interval reaches beyond, nothing is decided. In part if
    /// some seeds' values are within the limit, and it does not hold if none is.
    pub fn of_limit(interval: &Interval, seeds: &[f64], limit: f64) -> Self {
        match Self::of_limit_by_seed(seeds, limit) {
            Self::Holds if interval.high > limit || interval.high.is_nan() => Self::NotDecided,
            verdict => verdict,
        }
    }

    /// Is the value of every seed within a limit? In part if those of some are.
    pub fn of_limit_by_seed(seeds: &[f64], limit: f64) -> Self {
        match seeds.iter().filter(|&&value| value <= limit).count() {
            _ if seeds.len() < SEEDS_NEEDED => Self::NotDecided,
            n if n == seeds.len() => Self::Holds,
            0 => Self::DoesNotHold,
            _ => Self::InPart,
        }
    }

    /// Does a one-sided test of all seeds together find a positive value? The claim holds if p is
    /// at most [`SIGNIFICANCE`] and every seed's value is positive; in part if only p is. It does
    /// not hold if the value is negative as certainly: from 1 - [`SIGNIFICANCE`] on. Between them
    /// nothing is decided.
    pub fn of_test(p: f64, seeds: &[f64]) -> Self {
        let is_known = !p.is_nan() && seeds.iter().all(|seed| !seed.is_nan());
        match p {
            _ if seeds.len() < SEEDS_NEEDED || !is_known => Self::NotDecided,
            p if p >= 1. - SIGNIFICANCE => Self::DoesNotHold,
            p if p > SIGNIFICANCE => Self::NotDecided,
            _ if seeds.iter().all(|&seed| seed > 0.) => Self::Holds,
            _ => Self::InPart,
        }
    }

    /// Does a curve fall along a straight line? `seeds` are the lines of the single seeds, and
    /// `r_squared` and `first_part` the intervals of R² of the mean curve and of its first part
    /// (see [`straightness`](crate::straightness())). It does not if the line of a seed does not
    /// fall. It does if R² is certainly from [`STRAIGHT_R2`], in part if only that of the first
    /// part is, and it does not if R² is certainly below [`BENT_R2`].
    pub fn of_straightness(seeds: &[Line], r_squared: &Interval, first_part: &Interval) -> Self {
        match () {
            () if seeds.len() < SEEDS_NEEDED => Self::NotDecided,
            () if seeds.iter().any(|line| line.slope >= 0.) => Self::DoesNotHold,
            () if r_squared.low >= STRAIGHT_R2 => Self::Holds,
            () if first_part.low >= STRAIGHT_R2 => Self::InPart,
            () if r_squared.high < BENT_R2 => Self::DoesNotHold,
            () => Self::NotDecided,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{DoesNotHold, Holds, InPart, NotDecided};
    use super::*;
    use crate::interval::LEVEL;

    fn interval(low: f64, high: f64) -> Interval {
        Interval { estimate: (low + high) / 2., low, high, level: LEVEL }
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
        let of = |mean, points: &[Interval]| Verdict::of_curve(&mean, &[1., 1., 1.], 0.25, points);
        let (up, down, open) = (interval(0.5, 1.), interval(-1., -0.5), interval(-1., 1.));
        assert_eq!(of(up, &[up, open]), Holds);
        assert_eq!(of(up, &[up, down]), InPart);
        assert_eq!(of(down, &[up, down]), DoesNotHold);
        assert_eq!(of(interval(-0.5, 0.2), &[up, down]), InPart);
        assert_eq!(of(down, &[open, down]), DoesNotHold);
        assert_eq!(of(open, &[open]), NotDecided);
    }

    #[test]
    fn a_cost_within_the_margin_is_none() {
        let of = |low, high| Verdict::of_cost(&interval(low, high), &[0.; 3], 0.25);
        assert_eq!(of(-0.2, -0.1), Holds);
        assert_eq!(of(-0.2, 1.), Holds);
        assert_eq!(of(-0.25, 1.), NotDecided);
        assert_eq!(of(-1., -0.1), DoesNotHold);
        assert_eq!(Verdict::of_cost(&interval(0., 1.), &[0.; 2], 0.25), NotDecided);
        assert_eq!(Verdict::of_cost(&Interval::point(1.), &[0.; 3], 0.25), NotDecided);
    }

    #[test]
    fn a_limit_is_kept_by_all_or_some() {
        assert_eq!(Verdict::of_limit_by_seed(&[1., 2., 3.], 3.), Holds);
        assert_eq!(Verdict::of_limit_by_seed(&[1., 2., 4.], 3.), InPart);
        assert_eq!(Verdict::of_limit_by_seed(&[4., 5., f64::NAN], 3.), DoesNotHold);
        assert_eq!(Verdict::of_limit_by_seed(&[1., 2.], 3.), NotDecided);
    }

    #[test]
    fn a_limit_is_kept_by_the_interval_too() {
        let of = |high, seeds: &[f64]| Verdict::of_limit(&interval(0., high), seeds, 1.);
        assert_eq!(of(1., &[0.5, 0.6, 0.7]), Holds);
        assert_eq!(of(1.1, &[0.5, 0.6, 0.7]), NotDecided);
        assert_eq!(of(1.1, &[0.5, 0.6, 1.7]), InPart);
        assert_eq!(of(3., &[1.5, 1.6, 1.7]), DoesNotHold);
    }

    #[test]
    fn a_test_that_finds_nothing_decides_nothing() {
        assert_eq!(Verdict::of_test(0.01, &[0.2, 0.1, 0.1]), Holds);
        assert_eq!(Verdict::of_test(0.01, &[0.4, 0.1, -0.1]), InPart);
        assert_eq!(Verdict::of_test(0.3, &[0.2, 0.1, 0.1]), NotDecided);
        assert_eq!(Verdict::of_test(0.8, &[-0.2, 0.1, -0.1]), NotDecided);
        assert_eq!(Verdict::of_test(0.96, &[-0.2, -0.1, -0.1]), DoesNotHold);
        assert_eq!(Verdict::of_test(0.01, &[0.2, f64::NAN, 0.1]), NotDecided);
        assert_eq!(Verdict::of_test(0.01, &[0.2, 0.1]), NotDecided);
    }

    #[test]
    fn a_straight_line_falls_and_explains_the_curve() {
        let of = |slopes: &[f64], r_squared: (f64, f64), first_low: f64| {
            let lines: Vec<Line> =
                slopes.iter().map(|&slope| Line { slope, r_squared: 1. }).collect();
            let r_squared = interval(r_squared.0, r_squared.1);
            Verdict::of_straightness(&lines, &r_squared, &interval(first_low, 1.))
        };
        assert_eq!(of(&[-1.; 2], (1., 1.), 1.), NotDecided);
        assert_eq!(of(&[-1., -1., 0.], (1., 1.), 1.), DoesNotHold);
        assert_eq!(of(&[-1.; 3], (0.95, 1.), 0.), Holds);
        assert_eq!(of(&[-1.; 3], (0.5, 0.6), 0.95), InPart);
        assert_eq!(of(&[-1.; 3], (0.5, 0.89), 0.9), DoesNotHold);
        assert_eq!(of(&[-1.; 3], (0.5, 0.9), 0.9), NotDecided);
    }

    #[test]
    fn ids_are_read_back() {
        assert!(Verdict::ALL.iter().all(|v| Verdict::from_id(v.id()) == Some(*v)));
        assert_eq!(Verdict::from_id("holds in part"), None);
    }
}
