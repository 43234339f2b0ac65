//! Eq. 11 and 12: the intentional attention mask transformation.

use foresee_kernels::{ClosedForm, ToneCurve};

use crate::error::{Error, Result};

/// g(M; n, β) = (1 + β)·h(M; n) - β with
/// h(M; n) = (M/0.5)ⁿ/2 where M < 0.5, and 1 - ((1 - M)/0.5)ⁿ/2 elsewhere.
///
/// n > 1 drives masks away from 0.5, β > 0 pulls low ones down; kept exactly as the paper writes
/// it, so that g can be negative for β > 0. n = 1, β = 0 is the identity and changes no bit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerCurve {
    n: f32,
    beta: f32,
}

impl PowerCurve {
    /// The curve of n > 0 and any finite β.
    ///
    /// # Errors
    /// If n or β is outside that.
    pub fn new(n: f64, beta: f64) -> Result<Self> {
        if !(n > 0. && n <= 1000.) {
            return Err(Error::Parameter {
                parameter: "n",
                value: n.to_string(),
                expected: "a number above 0, up to 1000",
            });
        }
        if !beta.is_finite() {
            return Err(Error::Parameter {
                parameter: "β",
                value: beta.to_string(),
                expected: "a finite number",
            });
        }
        Ok(Self { n: n as f32, beta: beta as f32 })
    }

    /// n of Eq. 12.
    pub fn n(&self) -> f64 {
        f64::from(self.n)
    }

    /// β of Eq. 11.
    pub fn beta(&self) -> f64 {
        f64::from(self.beta)
    }

    #[inline]
    fn each(self, masks: &mut [f32], power: impl Fn(f32) -> f32) {
        for m in masks {
            let low = *m < 0.5;
            let half = power(if low { *m / 0.5 } else { (1. - *m) / 0.5 }) / 2.;
            let h = if low { half } else { 1. - half };
            *m = (1. + self.beta) * h - self.beta;
        }
    }
}

impl ToneCurve for PowerCurve {
    fn apply(&self, _attribute: usize, _channel: usize, mask: &mut [f32]) {
        match self.n {
            // At n = 1, h is the mask itself: not computed, so that no rounding is added.
            1. => mask.iter_mut().for_each(|m| *m = (1. + self.beta) * *m - self.beta),
            2. => self.each(mask, |t| t * t),
            3. => self.each(mask, |t| t * t * t),
            n => self.each(mask, |t| t.powf(n)),
        }
    }

    fn is_identity(&self) -> bool {
        self.n == 1. && self.beta == 0.
    }

    fn closed_form(&self, _attribute: usize, _channel: usize) -> Option<ClosedForm> {
        Some(ClosedForm { n: self.n, beta: self.beta })
    }
}

/// A curve that acts on chosen attributes and channels only; other masks stay as they are.
#[derive(Debug, Clone)]
pub struct Only<T> {
    curve: T,
    attributes: Option<Vec<usize>>,
    channels: Option<Vec<usize>>,
}

impl<T: ToneCurve> Only<T> {
    /// `None` means all.
    pub fn new(curve: T, attributes: Option<Vec<usize>>, channels: Option<Vec<usize>>) -> Self {
        Self { curve, attributes, channels }
    }

    fn chooses(&self, attribute: usize, channel: usize) -> bool {
        let chosen = |list: &Option<Vec<usize>>, i: usize| {
            list.as_ref().is_none_or(|list| list.contains(&i))
        };
        chosen(&self.attributes, attribute) && chosen(&self.channels, channel)
    }
}

impl<T: ToneCurve> ToneCurve for Only<T> {
    fn apply(&self, attribute: usize, channel: usize, mask: &mut [f32]) {
        if self.chooses(attribute, channel) {
            self.curve.apply(attribute, channel, mask);
        }
    }

    fn is_identity(&self) -> bool {
        self.curve.is_identity()
    }

    fn closed_form(&self, attribute: usize, channel: usize) -> Option<ClosedForm> {
        match self.chooses(attribute, channel) {
            true => self.curve.closed_form(attribute, channel),
            false => Some(ClosedForm::IDENTITY),
        }
    }
}
