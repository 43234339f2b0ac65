//! Eq. 11 and 12, clipped at 0: a tone curve that maps [0, 1] into itself.

use foresee_kernels::{ClosedForm, ToneCurve};

use super::power::PowerCurve;
use super::{Curve, Family, NamedCurve};
use crate::error::Result;

/// `clipped n=… beta=…`.
pub(super) const CLIPPED: Family = Family {
    name: "clipped",
    example: "clipped n=2 beta=0.05",
    parameters: &[("n", 1.), ("beta", 0.)],
    build: |values| Ok(Curve::new(ClippedCurve::new(values[0], values[1])?)),
};

/// max(0, g(M; n, β)) with g of Eq. 11 and 12, which [`PowerCurve`] takes as they are written.
///
/// With β > 0, g maps a mask that is shut to -β: a channel whose mask is shut is then subtracted.
/// In the retouching of images, where tone curves come from, a curve maps [0, 1] into itself. For
/// β ≤ 0 nothing is clipped, and the curve is that of [`PowerCurve`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClippedCurve(PowerCurve);

impl ClippedCurve {
    /// The curve of these parameters, which have the ranges of [`PowerCurve::new`].
    ///
    /// ```
    /// use foresee_perturb::{ClippedCurve, ToneCurve};
    ///
    /// let mut masks = [0f32, 0.25, 0.75, 1.];
    /// ClippedCurve::new(2., 1.)?.apply(0, 0, &mut masks);
    /// // h is 0, 0.125, 0.875 and 1; 2·h - 1 is -1, -0.75, 0.75 and 1.
    /// assert_eq!(masks, [0., 0., 0.75, 1.]);
    /// # Ok::<(), foresee_perturb::Error>(())
    /// ```
    ///
    /// # Errors
    /// If n or β is outside its range.
    pub fn new(n: f64, beta: f64) -> Result<Self> {
        PowerCurve::new(n, beta).map(Self)
    }

    /// Whether g is below 0 for some mask.
    fn clips(self) -> bool {
        self.0.beta() > 0.
    }

    fn form(self) -> ClosedForm {
        let plain = self.0.form();
        if self.clips() { ClosedForm { floor: 0., ..plain } } else { plain }
    }
}

impl ToneCurve for ClippedCurve {
    fn apply(&self, _attribute: usize, _channel: usize, mask: &mut [f32]) {
        self.form().apply(mask);
    }

    fn is_identity(&self) -> bool {
        self.0.is_identity()
    }

    fn closed_form(&self, _attribute: usize, _channel: usize) -> Option<ClosedForm> {
        Some(self.form())
    }
}

impl NamedCurve for ClippedCurve {
    fn id(&self) -> String {
        let (n, beta) = (self.0.n(), self.0.beta());
        if self.clips() { format!("{} n={n} beta={beta}", CLIPPED.name) } else { self.0.id() }
    }

    fn title(&self) -> String {
        if self.clips() { format!("{}, clipped", self.0.title()) } else { self.0.title() }
    }
}
