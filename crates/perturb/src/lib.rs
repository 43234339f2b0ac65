#![doc = include_str!("../README.md")]

mod combined;
mod curve;
mod error;
mod gated_graph;
mod graph;
mod model;
mod noise;
mod prune;
mod sweep;
mod tally;

pub use combined::logits_under;
pub use curve::{ClippedCurve, Curve, NamedCurve, Only, PowerCurve};
pub use error::{Error, Result};
pub use foresee_kernels::{Identity, ToneCurve};
pub use foresee_model::Reconstruction;
pub use gated_graph::GatedGraph;
pub use graph::{
    GroupCurve, GroupOrder, GroupRule, GroupStatistics, MaskedPass, TakeoverDirection, Taylor,
    UnitGradients, UnitMasks, budget_counts, has_takeover, loss_of,
};
pub use model::{AttentionModel, GatedModel};
pub use noise::{Noise, add_noise};
pub use prune::{
    ChannelStatistics, Cut, Norm, PruneCurve, PruneInputs, PruneOrder, PrunePlan, PruneRule,
    PruneStep, PruneStudy, Reading, ReadingCorrelation, ReadingNorm, ReadingTables, Takeover,
    Victim, share_counts,
};
pub use sweep::{prune_curves, transform_grid};
pub use tally::{PairedGain, Tally, ValidationChoice};
