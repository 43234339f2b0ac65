//! An estimate with its confidence interval.

use crate::error::{Error, Result};

/// The confidence level of an interval unless a function says otherwise: 95 %.
pub const LEVEL: f64 = 0.95;

/// An estimate with its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The statistic of the sample itself.
    pub estimate: f64,
    /// Lower end; NaN if it is not known.
    pub low: f64,
    /// Upper end; NaN if it is not known.
    pub high: f64,
    /// Confidence level in (0, 1), such as 0.95.
    pub level: f64,
}

impl Interval {
    /// An estimate whose uncertainty is not known: both ends are NaN, and the level is [`LEVEL`].
    pub fn point(estimate: f64) -> Self {
        Self { estimate, low: f64::NAN, high: f64::NAN, level: LEVEL }
    }

    /// Whether the whole interval lies above 0 or the whole interval lies below 0.
    pub fn excludes_zero(&self) -> bool {
        self.low > 0. || self.high < 0.
    }

    /// The interval of f(x), where this is the interval of x and f increases.
    #[must_use]
    pub fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self { estimate: f(self.estimate), low: f(self.low), high: f(self.high), ..self }
    }

    /// Moves an end that lies outside of the statistic's range `[lowest, highest]` to the edge of
    /// that range, as a share cannot be below 0 or above 1. The estimate stays as it is.
    #[must_use]
    pub fn clamp_ends(self, lowest: f64, highest: f64) -> Self {
        let low = if self.low < lowest { lowest } else { self.low };
        let high = if self.high > highest { highest } else { self.high };
        Self { low, high, ..self }
    }
}

/// Makes sure that a level of confidence is a share.
///
/// # Errors
/// [`Error::Parameter`] if not.
pub(crate) fn check_level(level: f64) -> Result<()> {
    match level > 0. && level < 1. {
        true => Ok(()),
        false => Err(Error::Parameter {
            parameter: "level",
            value: level.to_string(),
            expected: "a share between 0 and 1, such as 0.95",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_follow_the_estimate() {
        let interval = Interval { estimate: 1., low: -0.5, high: 2., level: 0.9 };
        assert_eq!(
            interval.map(|x| 2. * x),
            Interval { estimate: 2., low: -1., high: 4., level: 0.9 }
        );
        assert_eq!(
            interval.clamp_ends(0., 1.5),
            Interval { estimate: 1., low: 0., high: 1.5, level: 0.9 }
        );
        assert!(!interval.excludes_zero());
        assert!(
            interval.map(|x| x + 1.).excludes_zero() && interval.map(|x| x - 3.).excludes_zero()
        );
    }

    #[test]
    fn a_point_has_no_ends() {
        let point = Interval::point(3.).clamp_ends(0., 1.);
        assert!(point.estimate == 3. && point.low.is_nan() && point.high.is_nan());
        assert!(point.level == LEVEL && !point.excludes_zero());
    }
}
