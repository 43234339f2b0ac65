//! Weighted ridge and lasso regression: own code of a page on nalgebra, which is here already. What
//! was looked at instead:
//!
//! * linfa-elasticnet 0.8: no weights of samples, and no start from a Gram matrix or the last
//!   solution, which the lasso's path takes; it brings 28 packages, among them ndarray and a second
//!   rand.
//! * smartcore 0.7: no weights of samples either; its lasso is an interior-point method, which
//!   leaves no weight at exactly 0. 12 packages.

use nalgebra::{DMatrix, DVector};

use crate::error::{Error, Result, check};

/// The penalty of a linear model y ≈ b + w·z with weights π of the rows; b is not penalised. As
/// scikit-learn defines them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Penalty {
    /// min Σ π_i·(y_i - b - w·z_i)² + α·‖w‖².
    Ridge {
        /// From 0.
        alpha: f64,
    },
    /// min Σ π_i·(y_i - b - w·z_i)²/(2·Σ π_i) + α·‖w‖₁.
    Lasso {
        /// From 0.
        alpha: f64,
    },
}

/// A fitted linear model.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// w.
    pub weights: Vec<f64>,
    /// b.
    pub intercept: f64,
    /// The weighted share of y's variance that the model explains on the rows it was fitted to; 1
    /// if y does not vary.
    pub r2: f64,
}

impl Fit {
    /// b + w·z.
    pub fn predict(&self, z: &[f64]) -> f64 {
        self.intercept + self.weights.iter().zip(z).map(|(w, z)| w * z).sum::<f64>()
    }
}

/// Fits y to the rows of z, which weigh π.
pub(crate) fn fit(z: &DMatrix<f64>, y: &[f64], pi: &[f64], penalty: Penalty) -> Result<Fit> {
    let (Penalty::Ridge { alpha } | Penalty::Lasso { alpha }) = penalty;
    check(alpha >= 0. && alpha.is_finite(), "alpha", alpha, "a number from 0")?;
    let total: f64 = pi.iter().sum();
    if !(total > 0. && total.is_finite() && y.iter().all(|y| y.is_finite())) {
        return Err(Error::Degenerate(
            "a regression needs finite values and weights whose sum is above 0; is the kernel too narrow for its distances?",
        ));
    }
    let (pi, y) = (DVector::from_column_slice(pi), DVector::from_column_slice(y));
    let means = z.tr_mul(&pi) / total;
    let mean_y = y.dot(&pi) / total;
    let centred = DMatrix::from_fn(z.nrows(), z.ncols(), |i, j| z[(i, j)] - means[j]);
    let weighted = DMatrix::from_fn(z.nrows(), z.ncols(), |i, j| centred[(i, j)] * pi[i]);
    let (gram, moments) = (centred.tr_mul(&weighted), weighted.tr_mul(&y.add_scalar(-mean_y)));
    let w = match penalty {
        Penalty::Ridge { alpha } => {
            let ridge = &gram + DMatrix::from_diagonal_element(z.ncols(), z.ncols(), alpha);
            ridge
                .cholesky()
                .ok_or(Error::Degenerate(
                    "a ridge regression has no unique solution: take α above 0, or more samples",
                ))?
                .solve(&moments)
        }
        Penalty::Lasso { alpha } => {
            lasso(&(gram / total), &(moments / total), alpha, DVector::zeros(z.ncols()))
        }
    };
    let intercept = mean_y - means.dot(&w);
    let predicted = z * &w;
    let (mut rest, mut variance) = (0., 0.);
    for i in 0..y.len() {
        rest += pi[i] * (y[i] - intercept - predicted[i]).powi(2);
        variance += pi[i] * (y[i] - mean_y).powi(2);
    }
    let r2 = if variance > 0. { 1. - rest / variance } else { 1. };
    Ok(Fit { weights: w.iter().copied().collect(), intercept, r2 })
}

/// Coordinate descent to the minimum of ½·wᵀGw - mᵀw + α·‖w‖₁, from w on.
pub(crate) fn lasso(
    gram: &DMatrix<f64>,
    moments: &DVector<f64>,
    alpha: f64,
    mut w: DVector<f64>,
) -> DVector<f64> {
    let scale = moments.amax();
    for _ in 0..10_000 {
        let mut moved = 0f64;
        for j in 0..w.len() {
            let own = gram[(j, j)];
            // A column that does not vary but for rounding has nothing to say.
            if own <= 1e-14 {
                w[j] = 0.;
                continue;
            }
            let rest = moments[j] - gram.column(j).dot(&w) + own * w[j];
            let new = rest.signum() * (rest.abs() - alpha).max(0.) / own;
            moved = moved.max((new - w[j]).abs() * own);
            w[j] = new;
        }
        if moved <= 1e-14 * scale {
            break;
        }
    }
    w
}
