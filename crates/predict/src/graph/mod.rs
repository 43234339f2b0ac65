//! Forecasts of what pruning does to any network that is a graph.

mod contributions;
mod outcome;
mod parts;
mod run;
mod second_order;
mod study;

pub use contributions::Contributions;
pub use outcome::{Answers, Judge, LayerEffect, LayerOutcome};
pub use second_order::second_order_change;
pub use study::{Layer, LayerForecasts, LayerStudy, LayerStudySettings};
