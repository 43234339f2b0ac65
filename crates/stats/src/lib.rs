#![doc = include_str!("../README.md")]

mod bootstrap;
mod correlation;
mod curves;
mod error;
mod interval;
mod line;
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

pub use bootstrap::{bootstrap, crossed_interval};
pub use correlation::{correlation_of_covariance, row_correlation};
pub use curves::CurveDifference;
pub use error::{Error, Result};
pub use interval::{Interval, LEVEL};
pub use line::Line;
pub use mantel::{Agreement, mantel};
pub use matrix::Matrix;
pub use quadrature::gauss_legendre;
pub use ranks::{kendall, pearson, ranks, spearman, weighted_kendall};
pub use regression::{Descent, Fit, Penalty, Tolerance, fit, lasso};
pub use rounding::is_rounding;
pub use seeds::{RESAMPLES, SeedMeans, mean_over_seeds, mean_over_seeds_and_images};
pub use straightness::{LEAST_POINTS, Straightness, straightness};
pub use student::student_interval;
pub use summary::{MeanWithError, mean, mean_and_standard_error, range, standard_deviation};
pub use verdict::{BENT_R2, MARGIN, SEEDS_NEEDED, SIGNIFICANCE, STRAIGHT_R2, Verdict};
pub use welch::welch_test;
