#![doc = include_str!("../README.md")]

mod basis;
mod definition;
mod error;
mod explanation;
mod forecast;
#[cfg(feature = "graph")]
mod graph;
mod legendre;
#[cfg(feature = "network")]
mod network;
mod operation;
mod regression;
mod regression_study;
mod scored;
mod scores;
mod study;

pub use basis::Basis;
pub use definition::{Change, Model, Operation, observe};
pub use error::{AnyError, Error, Result};
pub use explanation::Explanation;
pub use forecast::{Budget, Forecast, ForecastRule, Subject, Unit};
pub use foresee_stats::{Interval, LEVEL, Matrix};
#[cfg(feature = "graph")]
pub use graph::{
    Answers, Judge, Layer, LayerEffect, LayerForecasts, LayerOutcome, LayerStudy,
    LayerStudySettings, Pruned, second_order_change,
};
pub use legendre::{binomial, legendre_all, legendre_eq5};
#[cfg(feature = "network")]
pub use network::{
    ImageExplanation, NetworkStudy, NetworkStudySettings, Observations, Progress,
    first_order_change,
};
pub use operation::NetworkOperation;
pub use regression::{Points, Regression, cross_talk};
pub use regression_study::{BasisReport, RegressionStudy};
pub use scored::ScoredForecast;
pub use scores::{
    Effects, ScoreRule, SquaredErrors, effect_correlation, locality, monotonicity,
    rank_of_operations, rank_of_outputs, skill, skill_over_nothing, squared_errors,
};
pub use study::{Score, Scores, Study};
