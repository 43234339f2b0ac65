//! The same operations on feature maps [B, H, W, C], as they lie in memory.
//!
//! A chain of these permutes no tensor. candle's backward pass adds every gradient to zeros of the
//! tensor's own order in memory, which costs most where a permutation lies between: in a training
//! step of the paper's network such sums took a tenth of the time.

pub use crate::dilated::{
    ConvGradients, conv2d_channels_last as conv2d,
    conv2d_gradients_channels_last as conv2d_gradients,
};
pub use crate::heads::{
    LossOfMeans, PooledWithGradients, attention_heads_channels_last as attention_heads,
    attention_heads_with_loss, keeps_masks,
};
pub use crate::moments::channel_moments_channels_last as channel_moments;
pub use crate::norm::{
    NormOfBatch, NormSums, norm_leaky_relu_channels_last as norm_leaky_relu,
    scale_shift_leaky_relu_channels_last as scale_shift_leaky_relu,
};
