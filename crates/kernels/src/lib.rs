#![doc = include_str!("../README.md")]

mod adamw;
#[cfg(target_arch = "x86_64")]
mod amx;
mod batch_norm;
pub mod channels_last;
mod convolution;
#[doc(hidden)]
pub mod cuda;
mod curve;
mod dilated;
mod dispatch;
mod error;
mod factor;
mod heads;
mod isa;
mod layer_norm;
mod layout;
mod moments;
mod norm;
mod operands;
mod peak;
mod pool;
mod pooled;
mod product;
pub mod reference;
mod rows;
mod separable;
mod sigmoid;
mod softmax;
mod storage;
mod upsample;
mod window_pool;

pub use adamw::{AdamWStep, adamw_step, moving_average};
pub use batch_norm::{batch_norm, batch_norm_relu};
pub use convolution::{ConvOptions, convolution};
pub use curve::{ClosedForm, Identity, ToneCurve};
pub use dilated::conv2d;
pub use error::{Error, Result};
pub use factor::Precision;
pub use heads::{
    ChannelCut, HeadWeights, StandIn, attention_heads, attention_heads_of_rows,
    attention_heads_with_curves, attention_logits_of_cuts, attention_masks,
};
pub use isa::{InstructionSet, instruction_set, with_instruction_set};
pub use layer_norm::{layer_norm, rms_norm};
pub use layout::select_channels;
pub use moments::{Moments, channel_moments};
pub use norm::{BATCH_NORM_EPSILON, LEAKY_RELU_SLOPE, norm_leaky_relu, scale_shift_leaky_relu};
pub use peak::{Peaks, measure_peak};
pub use pool::{Pool2d, adaptive_avg_pool2d, adaptive_max_pool2d, avg_pool2d, max_pool2d};
pub use pooled::Pooled;
pub use rows::Rows;
pub use softmax::softmax_last_dim;
pub use upsample::{upsample_bilinear2d, upsample_nearest2d};
pub use window_pool::{PoolAxis, avg_pool2d_windows, max_pool2d_windows};
