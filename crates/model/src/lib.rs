#![doc = include_str!("../README.md")]

mod config;
mod error;
mod extractor;
mod file;
mod heads;
mod initial;
mod loss;
mod metrics;
mod network;
pub mod ops;
mod optimizer;
mod schedule;
mod stand_in;
mod train;

pub use config::{LossConfig, NetworkConfig, Readout, Sparsity, TrainConfig};
pub use error::{Error, Result};
pub use extractor::Extractor;
pub use file::ModelCard;
pub use foresee_kernels::Precision;
pub use heads::Heads;
pub use loss::{Loss, bce_with_logits, loss};
pub use metrics::{AttributeMetrics, Metrics, Predictions, majority_accuracy};
pub use network::{Network, Output};
pub use optimizer::{AdamW, AdamWConfig};
pub use schedule::one_cycle;
pub use stand_in::StandIn;
pub use train::{Position, StepReport, Trainer};
