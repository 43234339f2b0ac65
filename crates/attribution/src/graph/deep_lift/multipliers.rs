//! Multipliers of positive and of negative differences.

use candle_core::Tensor;

use super::ratios::mean;
use crate::error::Result;

/// What a difference is multiplied by.
#[derive(Clone)]
pub(super) enum Multipliers {
    /// The same for its positive and its negative part.
    One(Tensor),
    Two {
        positive: Tensor,
        negative: Tensor,
    },
}

impl Multipliers {
    /// Each part by itself.
    pub fn map(&self, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        Ok(match self {
            Self::One(both) => Self::One(f(both)?),
            Self::Two { positive, negative } => {
                Self::Two { positive: f(positive)?, negative: f(negative)? }
            }
        })
    }

    /// The sum with other multipliers of the same difference.
    pub fn add(&self, other: &Self) -> Result<Self> {
        if let (Self::One(a), Self::One(b)) = (self, other) {
            return Ok(Self::One((a + b)?));
        }
        let ((a, b), (c, d)) = (self.pair(), other.pair());
        Ok(Self::Two { positive: (a + c)?, negative: (b + d)? })
    }

    /// One multiplier, where all of a difference is taken for positive or negative.
    pub fn merged(&self, change: impl FnOnce() -> Result<Tensor>) -> Result<Tensor> {
        match self {
            Self::One(both) => Ok(both.clone()),
            Self::Two { positive, negative } => by_sign(&change()?, positive, negative),
        }
    }

    /// The positive and the negative multiplier.
    pub fn pair(&self) -> (&Tensor, &Tensor) {
        match self {
            Self::One(both) => (both, both),
            Self::Two { positive, negative } => (positive, negative),
        }
    }
}

/// `positive` where a difference is above 0, `negative` where it is below, their mean where it is
/// 0.
pub(super) fn by_sign(change: &Tensor, positive: &Tensor, negative: &Tensor) -> Result<Tensor> {
    let zero = change.zeros_like()?;
    let not_above = change.lt(&zero)?.where_cond(negative, &mean(positive, negative)?)?;
    Ok(change.gt(&zero)?.where_cond(positive, &not_above)?)
}

/// A difference's positive and negative part.
pub(super) fn parts(change: &Tensor) -> Result<(Tensor, Tensor)> {
    Ok((change.maximum(0f64)?, change.minimum(0f64)?))
}
