#![doc = include_str!("../README.md")]

mod bootstrap;
mod cluster;
mod correlation;
mod error;
mod line;
mod masks;
mod matrix;
mod ranking;
mod verdict;

pub use bootstrap::{Agreement, Interval, bootstrap, crossed_interval, mantel, student_interval};
pub use cluster::{groups, similar_order};
pub use correlation::{ChannelCorrelation, row_correlation};
pub use error::{Error, Result};
pub use line::Line;
pub use masks::{MeanMasks, concentration};
pub use matrix::Matrix;
pub use ranking::{Cohesion, cohesion, neighbours, rank_of_pair, top_channels};
pub use verdict::{SEEDS_NEEDED, Verdict};
