#![doc = include_str!("../README.md")]

mod card;
mod class_metrics;
mod config;
mod conventions;
mod cuts;
mod error;
mod extractor;
mod file;
mod heads;
mod initial;
mod loss;
mod metrics;
mod network;
mod optimizer;
mod reconstruction;
mod schedule;
mod tensor;
mod train;

pub use card::{Crop, ModelCard};
pub use class_metrics::{ClassPredictions, class_ranks, one_hot};
pub use config::{NetworkConfig, Readout, Sparsity, TrainConfig};
pub use conventions::{ChannelOrder, Conventions, ResizeFilter};
pub use error::{Error, Result};
pub use extractor::Extractor;
pub use foresee_kernels::Precision;
pub use heads::Heads;
pub use loss::{Loss, bce_with_logits, loss};
pub use metrics::{AttributeMetrics, Metrics, Predictions, majority_accuracy};
pub use network::{Network, Output};
pub use optimizer::{AdamW, AdamWConfig};
pub use reconstruction::Reconstruction;
pub use schedule::one_cycle;
pub use train::{Position, StepReport, Trainer};
