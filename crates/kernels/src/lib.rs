#![doc = include_str!("../README.md")]

mod conv;
mod curve;
mod error;
mod heads;
mod matmul;
mod norm;
pub mod reference;
mod sigmoid;

pub use conv::conv2d;
pub use curve::{Identity, ToneCurve};
pub use error::{Error, Result};
pub use heads::{Pooled, attention_heads, attention_heads_under, attention_masks};
pub use norm::{Moments, channel_moments, norm_leaky_relu, scale_shift_leaky_relu};

use candle_core::{DType, Tensor};

/// Whether the fused CPU kernels can take these tensors; others use [`reference`].
fn fused(tensors: &[&Tensor]) -> bool {
    tensors.iter().all(|t| t.device().is_cpu() && t.dtype() == DType::F32)
}
