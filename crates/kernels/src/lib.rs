#![doc = include_str!("../README.md")]

mod adamw;
mod conv;
#[doc(hidden)]
pub mod cuda;
mod curve;
mod error;
mod factor;
mod heads;
mod heads_tile;
mod isa;
mod layout;
mod norm;
mod peak;
pub mod pixels;
mod product;
pub mod reference;
mod sigmoid;

pub use adamw::{AdamWStep, adamw_step, moving_average};
pub use conv::conv2d;
pub use curve::{ClosedForm, Identity, ToneCurve};
pub use error::{Error, Result};
pub use factor::Precision;
pub use heads::{Pooled, attention_heads, attention_heads_under, attention_masks};
pub use isa::{InstructionSet, instruction_set, with_instruction_set};
pub use layout::select_channels;
pub use norm::{Moments, channel_moments, norm_leaky_relu, scale_shift_leaky_relu};
pub use peak::measure_peak;

use candle_core::{DType, Tensor};

/// Whether the fused CPU kernels can take these tensors.
fn fused(tensors: &[&Tensor]) -> bool {
    tensors.iter().all(|t| t.device().is_cpu() && t.dtype() == DType::F32)
}

/// Whether the kernels of the CPU or of a CUDA device can take these tensors; others use
/// [`reference`].
fn have_kernels(tensors: &[&Tensor]) -> bool {
    #[cfg(feature = "cuda")]
    if cuda::ops::takes(tensors) {
        return true;
    }
    fused(tensors)
}
