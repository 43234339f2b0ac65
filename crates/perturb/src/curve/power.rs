//! Eq. 11 and 12: the paper's family of tone curves.

use foresee_kernels::{ClosedForm, ToneCurve};

use super::{Curve, Family, NamedCurve};
use crate::error::{Error, Result};

/// `identity`, the curve of n = 1, β = 0.
pub(super) const IDENTITY: Family = Family {
    name: "identity",
    example: "identity",
    parameters: &[],
    build: |_| Ok(Curve::identity()),
};

/// `power n=… beta=…`.
pub(super) const POWER: Family = Family {
    name: "power",
    example: "power n=2 beta=0.05",
    parameters: &[("n", 1.), ("beta", 0.)],
    build: |values| Ok(Curve::new(PowerCurve::new(values[0], values[1])?)),
};

/// g(M; n, β) = (1 + β)·h(M; n) - β (Eq. 11) with
/// h(M; n) = (M/0.5)ⁿ/2 where M < 0.5, and 1 - ((1 - M)/0.5)ⁿ/2 elsewhere (Eq. 12).
///
/// n > 1 moves masks away from 0.5, and β > 0 lowers low masks. The formula is exactly the paper's,
/// so g is negative for low masks if β > 0. n = 1, β = 0 is the identity and changes no bit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerCurve {
    n: f32,
    beta: f32,
}

impl PowerCurve {
    /// n = 1, β = 0: changes nothing.
    pub const IDENTITY: Self = Self { n: 1., beta: 0. };

    /// The curve of 0 < n ≤ 1000 and any finite β, both rounded to single precision.
    ///
    /// ```
    /// use foresee_perturb::{PowerCurve, ToneCurve};
    ///
    /// let mut masks = [0.25f32, 0.5, 0.75];
    /// PowerCurve::new(2., 0.)?.apply(0, 0, &mut masks);
    /// // (0.25/0.5)²/2, then 1 - (0.5/0.5)²/2, then 1 - (0.25/0.5)²/2.
    /// assert_eq!(masks, [0.125, 0.5, 0.875]);
    /// assert!(PowerCurve::new(-1., 0.).is_err());
    /// # Ok::<(), foresee_perturb::Error>(())
    /// ```
    ///
    /// # Errors
    /// If n or β is outside its range.
    pub fn new(n: f64, beta: f64) -> Result<Self> {
        if !(n as f32 > 0. && n <= 1000.) {
            return Err(Error::Parameter {
                parameter: "n",
                value: n.to_string(),
                expected: "a number above 0, up to 1000",
            });
        }
        if !(beta as f32).is_finite() {
            return Err(Error::Parameter {
                parameter: "β",
                value: beta.to_string(),
                expected: "a finite number",
            });
        }
        // Adding 0 turns -0 into 0, so that equal curves have one id.
        Ok(Self { n: n as f32, beta: beta as f32 + 0. })
    }

    /// n.
    pub(super) fn n(self) -> f32 {
        self.n
    }

    /// β.
    pub(super) fn beta(self) -> f32 {
        self.beta
    }

    pub(super) fn form(self) -> ClosedForm {
        ClosedForm::new(self.n, self.beta)
    }
}

impl ToneCurve for PowerCurve {
    fn apply(&self, _attribute: usize, _channel: usize, mask: &mut [f32]) {
        self.form().apply(mask);
    }

    fn is_identity(&self) -> bool {
        self.form() == ClosedForm::IDENTITY
    }

    fn closed_form(&self, _attribute: usize, _channel: usize) -> Option<ClosedForm> {
        Some(self.form())
    }
}

impl NamedCurve for PowerCurve {
    /// Prints n and β with the fewest digits that give the same single-precision numbers.
    fn id(&self) -> String {
        match self.is_identity() {
            true => IDENTITY.name.to_owned(),
            false => format!("power n={} beta={}", self.n, self.beta),
        }
    }

    fn title(&self) -> String {
        let note = if self.is_identity() { " (untransformed)" } else { "" };
        format!("n = {}, β = {}{note}", self.n, self.beta)
    }
}
