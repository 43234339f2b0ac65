#![doc = include_str!("../README.md")]

mod against_chance;
mod bootstrap;
mod correlation;
mod crossed_test;
mod curves;
mod error;
mod growth;
mod holm;
mod interval;
mod line;
mod logistic;
mod mantel;
mod matrix;
mod quadrature;
mod ranks;
mod regression;
mod rounding;
mod seeds;
mod straightness;
mod student;
mod summary;
mod verdict;
mod welch;

pub use against_chance::AgainstChance;
pub use bootstrap::{bootstrap, crossed_interval, interval_of_resamples};
pub use correlation::{correlation_of_covariance, row_correlation};
pub use crossed_test::{crossed_test, pooled_deviation};
pub use curves::CurveDifference;
pub use error::{Error, Result};
pub use growth::{CostModel, PowerLaw};
pub use holm::holm;
pub use interval::{Interval, LEVEL};
pub use line::Line;
pub use logistic::{sigmoid, softmax};
pub use mantel::{Agreement, mantel};
pub use matrix::Matrix;
pub use quadrature::gauss_legendre;
pub use ranks::{kendall, pearson, ranks, spearman, weighted_kendall};
pub use regression::{Descent, Fit, Penalty, Tolerance, fit, lasso};
pub use rounding::is_rounding;
pub use seeds::{RESAMPLES, SeedMeans, mean_over_seeds, mean_over_seeds_and_images};
pub use straightness::{LEAST_POINTS, Straightness, straightness};
pub use student::student_interval;
pub use summary::{
    MeanWithError, mean, mean_and_clustered_error, mean_and_standard_error, range,
    standard_deviation,
};
pub use verdict::{BENT_R2, MARGIN, SEEDS_NEEDED, SIGNIFICANCE, STRAIGHT_R2, Verdict};
pub use welch::welch_test;
