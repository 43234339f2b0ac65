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
