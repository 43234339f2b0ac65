/// A change of the attention masks between their sigmoid and their product with the features (Eq.
/// 13 of the paper, for any function g).
pub trait ToneCurve: Send + Sync {
    /// Replaces the mask values of `attribute` and `channel` (some pixels of one image, each in [0,
    /// 1], or NaN) by the transformed ones.
    ///
    /// Must act on each value by itself: how pixels are cut into slices is not specified.
    fn apply(&self, attribute: usize, channel: usize, mask: &mut [f32]);

    /// True if [`apply`](Self::apply) changes nothing, which lets the operation skip it.
    fn is_identity(&self) -> bool {
        false
    }

    /// What [`apply`](Self::apply) does to the masks of `attribute` and `channel` as numbers, if it
    /// is g of Eq. 11 and 12 or nothing: CUDA devices then compute it where the masks are. With
    /// `None` for any of them the masks go through the processor's memory.
    fn closed_form(&self, _attribute: usize, _channel: usize) -> Option<ClosedForm> {
        self.is_identity().then_some(ClosedForm::IDENTITY)
    }
}

/// g(M; n, β) = (1 + β)·h(M; n) - β (Eq. 11) with h(M; n) = (M/0.5)ⁿ/2 where M < 0.5, and 1 - ((1 -
/// M)/0.5)ⁿ/2 elsewhere (Eq. 12).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClosedForm {
    /// n > 0
    pub n: f32,
    /// β
    pub beta: f32,
}

impl ClosedForm {
    /// The g that changes nothing.
    pub const IDENTITY: Self = Self { n: 1., beta: 0. };
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
