//! Forecasts of what pruning does to any network that is a graph.

mod cut;
mod outcome;
mod parts;
mod run;
mod second_order;
mod slopes;
mod study;

pub use outcome::{Answers, Judge, LayerEffect, LayerOutcome, Pruned};
pub use second_order::second_order_change;
pub use study::{Layer, LayerForecasts, LayerStudy, LayerStudySettings};
