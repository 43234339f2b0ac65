#![doc = include_str!("../README.md")]

mod cluster;
mod cohesion;
mod correlation;
mod error;
mod features;
mod focus;
mod importance;
mod masks;
mod ranking;
mod sharing;

pub use cluster::{groups, similar_order};
pub use cohesion::{Cohesion, CohesionOverSeeds, cohesion, cohesion_over_seeds};
pub use correlation::ChannelCorrelation;
pub use error::{Error, Result};
pub use features::{CorrelationSamples, FeatureBatch, FeatureStatistics, FeatureSummary};
pub use focus::{
    FOCUSED_SHARE, Focus, FocusBaseline, FocusOverSeeds, LARGEST_AREA, LEAST_FOCUS, RegionFocus,
    focus_over_seeds, mean_map,
};
pub use foresee_stats::Matrix;
pub use importance::Importance;
pub use masks::{MeanMasks, concentration};
pub use ranking::{neighbours, rank_of_pair, top_channels};
pub use sharing::{Sharing, expected_common_channels, sharing};
