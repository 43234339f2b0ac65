#![doc = include_str!("../README.md")]

mod basis;
mod definition;
mod error;
mod explanation;
mod legendre;
mod regression;
mod regression_study;
mod scores;
mod study;

pub use basis::{Basis, quadrature};
pub use definition::{Budget, Change, Forecast, Model, Operation, Unit, observe};
pub use error::{AnyError, Error, Result};
pub use explanation::{Explanation, together};
pub use foresee_analysis::{Interval, Matrix};
pub use legendre::{binomial, legendre_all, legendre_eq5};
pub use regression::{Points, Regression, cross_talk};
pub use regression_study::{BasisReport, Fits, Reading, RegressionStudy};
pub use scores::{
    Effects, kendall, locality, monotonicity, rank_of_operations, rank_of_outputs, skill,
};
pub use study::{Score, Scores, Study};
