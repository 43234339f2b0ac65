#![doc = include_str!("../README.md")]

mod curve;
mod error;
mod model;
mod noise;
mod prune;
mod sweep;
mod takeover;

pub use curve::{Only, PowerCurve};
pub use error::{Error, Result};
pub use foresee_kernels::{Identity, ToneCurve};
pub use foresee_model::StandIn;
pub use model::AttentionModel;
pub use noise::{Noise, add_noise};
pub use prune::{Cut, PruneOrder, PrunePlan, PruneStep, Victim, random_order};
pub use sweep::{Tally, prune_curves, transform_grid};
pub use takeover::{ChannelStatistics, Takeover, lasso_order};
