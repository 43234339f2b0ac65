//! Forecasts of what pruning does to any network that is a graph.

mod contributions;
mod study;

pub use contributions::Contributions;
pub use study::{Answers, Judge, Layer, LayerOutcome, LayerStudy, LayerStudySettings};
