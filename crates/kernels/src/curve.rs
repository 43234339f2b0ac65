/// A change of the attention masks between their sigmoid and their product with the features (Eq. 13 of the paper, for any function g).
pub trait ToneCurve: Send + Sync {
    /// Replaces the mask values of `attribute` and `channel` (some pixels of one image, each in [0, 1], or NaN) by the transformed ones.
    ///
    /// Must act on each value by itself: how pixels are cut into slices is not specified.
    fn apply(&self, attribute: usize, channel: usize, mask: &mut [f32]);

    /// True if [`apply`](Self::apply) changes nothing, which lets the operation skip it.
    fn is_identity(&self) -> bool {
        false
    }
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
