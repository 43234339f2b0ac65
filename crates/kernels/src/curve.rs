/// A function g that is applied to the attention masks between their sigmoid and their product with
/// the features (Eq. 13 of the paper, for any g).
pub trait ToneCurve: Send + Sync {
    /// Replaces each mask value m of `attribute` and `channel` by g(m). `mask` holds any number of
    /// pixels of one image, with values in [0, 1] or NaN.
    ///
    /// g(m) must not depend on the other pixels: how pixels are cut into slices is not specified.
    fn apply(&self, attribute: usize, channel: usize, mask: &mut [f32]);

    /// Whether [`apply`](Self::apply) changes nothing. Operations then skip it.
    fn is_identity(&self) -> bool {
        false
    }

    /// The parameters of g for the masks of `attribute` and `channel`, if it is that of Eq. 11 and
    /// 12, clipped or not, or the identity. CUDA devices then apply it where the masks are. If it
    /// is `None` for any mask, the masks go through the CPU's memory.
    fn closed_form(&self, _attribute: usize, _channel: usize) -> Option<ClosedForm> {
        self.is_identity().then_some(ClosedForm::IDENTITY)
    }
}

/// g(M; n, β) = (1 + β)·h(M; n) - β (Eq. 11) with h(M; n) = (M/0.5)ⁿ/2 where M < 0.5, and 1 - ((1 -
/// M)/0.5)ⁿ/2 elsewhere (Eq. 12), and not below `floor`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClosedForm {
    /// n > 0.
    pub n: f32,
    /// β.
    pub beta: f32,
    /// The least value, as 0 for a curve that is clipped there; -∞: none.
    pub floor: f32,
}

impl ClosedForm {
    /// The parameters of the identity.
    pub const IDENTITY: Self = Self::new(1., 0.);

    /// g as Eq. 11 and 12 have it, not clipped.
    pub const fn new(n: f32, beta: f32) -> Self {
        Self { n, beta, floor: f32::NEG_INFINITY }
    }

    /// Replaces each mask M by g(M; n, β). The identity changes no bit. NaN stays NaN.
    ///
    /// ```
    /// use foresee_kernels::ClosedForm;
    ///
    /// let mut masks = [0.25, 0.75];
    /// ClosedForm::new(2., 1.).apply(&mut masks);
    /// // h is (0.25/0.5)²/2 = 0.125 and 1 - (0.25/0.5)²/2 = 0.875; g is 2·h - 1.
    /// assert_eq!(masks, [-0.75, 0.75]);
    /// ```
    pub fn apply(self, masks: &mut [f32]) {
        match self.n {
            // At n = 1, h is the mask itself: not computed, so that no rounding is added.
            1. => masks.iter_mut().for_each(|m| *m = self.scale(*m)),
            2. => self.apply_with(masks, |t| t * t),
            3. => self.apply_with(masks, |t| t * t * t),
            n => self.apply_with(masks, |t| t.powf(n)),
        }
        if self.clips() {
            masks.iter_mut().filter(|m| **m < self.floor).for_each(|m| *m = self.floor);
        }
    }

    /// Whether some masks are clipped.
    pub fn clips(self) -> bool {
        self.floor > f32::NEG_INFINITY
    }

    /// [`apply`](Self::apply), with `power` for t ↦ tⁿ.
    #[inline]
    fn apply_with(self, masks: &mut [f32], power: impl Fn(f32) -> f32) {
        masks.iter_mut().for_each(|m| *m = self.scale(h(*m, &power)));
    }

    /// Eq. 11.
    #[inline]
    fn scale(self, h: f32) -> f32 {
        (1. + self.beta) * h - self.beta
    }
}

/// Eq. 12, with `power` for t ↦ tⁿ.
#[inline(always)]
pub(crate) fn h(m: f32, power: impl Fn(f32) -> f32) -> f32 {
    let low = m < 0.5;
    let half = power(if low { m / 0.5 } else { (1. - m) / 0.5 }) / 2.;
    if low { half } else { 1. - half }
}

/// The curve that leaves every mask as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Identity;

impl ToneCurve for Identity {
    fn apply(&self, _attribute: usize, _channel: usize, _mask: &mut [f32]) {}

    fn is_identity(&self) -> bool {
        true
    }
}
