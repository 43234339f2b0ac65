//! The same operations on feature maps [B, H, W, C], as they lie in memory.
//!
//! In a chain of these no tensor is permuted. candle's backward pass adds every gradient to zeros
//! of the tensor's own order in memory, which costs most where a permutation lies between: in a
//! training step of the paper's network such sums took a tenth of the time.

pub use crate::conv::conv2d_of_pixels as conv2d;
pub use crate::heads::attention_heads_of_pixels as attention_heads;
pub use crate::norm::{
    channel_moments_of_pixels as channel_moments, norm_leaky_relu_of_pixels as norm_leaky_relu,
    scale_shift_leaky_relu_of_pixels as scale_shift_leaky_relu,
};
