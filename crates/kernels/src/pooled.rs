use candle_core::Tensor;

/// What the attention heads of Eq. 9 return: averages over the pixels of an image.
#[derive(Debug, Clone)]
pub struct Pooled {
    /// Mean over H×W of mask ⊗ feature, [B, K, C].
    pub features: Tensor,
    /// Mean over H×W of the mask, [B, K, C]. Times H·W and summed over K and C, it is ‖M‖₁ of an
    /// image (Eq. 10).
    pub masks: Tensor,
}

impl Pooled {
    /// The parts of means [B, K, 2, C]: of mask ⊗ feature, then of the mask.
    pub(crate) fn of_means(means: &Tensor) -> candle_core::Result<Self> {
        let part = |which: usize| means.narrow(2, which, 1)?.squeeze(2);
        Ok(Self { features: part(0)?, masks: part(1)? })
    }
}
