#![doc = include_str!("../README.md")]

mod bootstrap;
mod cluster;
mod correlation;
mod error;
mod masks;
mod matrix;
mod ranking;

pub use bootstrap::{Agreement, Interval, bootstrap, mantel};
pub use cluster::{groups, similar_order};
pub use correlation::{ChannelCorrelation, row_correlation};
pub use error::{Error, Result};
pub use masks::MeanMasks;
pub use matrix::Matrix;
pub use ranking::{neighbours, top_channels};
