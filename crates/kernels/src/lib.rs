#![doc = include_str!("../README.md")]

mod adamw;
pub mod channels_last;
mod conv;
#[doc(hidden)]
pub mod cuda;
mod curve;
mod dispatch;
mod error;
mod factor;
mod heads;
mod isa;
mod layout;
mod moments;
mod norm;
mod peak;
mod pooled;
mod product;
pub mod reference;
mod sigmoid;
mod storage;

pub use adamw::{AdamWStep, adamw_step, moving_average};
pub use conv::conv2d;
pub use curve::{ClosedForm, Identity, ToneCurve};
pub use error::{Error, Result};
pub use factor::Precision;
pub use heads::{attention_heads, attention_heads_with_curves, attention_masks};
pub use isa::{InstructionSet, instruction_set, with_instruction_set};
pub use layout::select_channels;
pub use moments::{Moments, channel_moments};
pub use norm::{BATCH_NORM_EPSILON, LEAKY_RELU_SLOPE, norm_leaky_relu, scale_shift_leaky_relu};
pub use peak::measure_peak;
pub use pooled::Pooled;
