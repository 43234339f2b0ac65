#![doc = include_str!("../README.md")]

mod arithmetic;
mod card;
mod change;
mod class_metrics;
mod compact;
mod config;
mod conventions;
mod cuts;
mod error;
mod extractor;
mod file;
mod heads;
mod initial;
mod left_out;
mod loss;
mod metrics;
mod network;
mod optimizer;
mod reconstruction;
mod schedule;
mod tensor;
mod train;

pub use arithmetic::Arithmetic;
pub use card::{Crop, ModelCard};
pub use change::MeasuredChange;
pub use class_metrics::{ClassPredictions, class_ranks, one_hot};
pub use compact::{RowStatistics, Selection};
pub use config::{NetworkConfig, Readout, Sparsity, TrainConfig};
pub use conventions::{ChannelOrder, Conventions, ResizeFilter};
pub use error::{Error, Result};
pub use extractor::Extractor;
pub use foresee_kernels::{Precision, Rows};
pub use heads::Heads;
pub use left_out::LeftOut;
pub use loss::{Loss, bce_with_logits, loss, weighted_bce_with_logits};
pub use metrics::{AttributeMetrics, Metrics, Predictions, majority_accuracy};
pub use network::{Network, Output};
pub use optimizer::{AdamW, AdamWConfig};
pub use reconstruction::Reconstruction;
pub use schedule::one_cycle;
pub use train::{
    Batch, Pass, Position, SharedBatch, SharedPass, StepReport, Trainable, Trainer,
};
