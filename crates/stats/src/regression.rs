//! Weighted ridge and lasso regression on nalgebra. Other crates do not fit: linfa-elasticnet 0.8
//! and smartcore 0.7 take no weights of samples; the former starts from no Gram matrix and no
//! earlier solution, which a path of lassos needs, and the latter's interior-point method leaves no
//! coefficient at exactly 0.

use nalgebra::{DMatrix, DVector};

use crate::error::{Error, Result};

/// The penalty of a linear model y ≈ b + w·z with sample weights π. The intercept b is not
/// penalised. α is that of scikit-learn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Penalty {
    /// min Σ π_i·(y_i - b - w·z_i)² + α·‖w‖².
    Ridge {
        /// Strength of the penalty, from 0.
        alpha: f64,
    },
    /// min Σ π_i·(y_i - b - w·z_i)²/(2·Σ π_i) + α·‖w‖₁.
    Lasso {
        /// Strength of the penalty, from 0.
        alpha: f64,
    },
}

/// A fitted linear model.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The coefficients w.
    pub weights: Vec<f64>,
    /// The intercept b.
    pub intercept: f64,
    /// R², the weighted share of y's variance that the model explains on the rows that it was
    /// fitted to; 1 if y does not vary.
    pub r2: f64,
}

impl Fit {
    /// The prediction b + w·z.
    pub fn predict(&self, z: &[f64]) -> f64 {
        self.intercept + self.weights.iter().zip(z).map(|(w, z)| w * z).sum::<f64>()
    }
}

/// Fits y `[n]` to the rows of z `[n, d]`, which have the sample weights `pi` `[n]` (π ≥ 0). The
/// ridge is solved by Cholesky's decomposition, the lasso by [`lasso`] with [`Descent::default`].
///
/// ```
/// use foresee_stats::{Penalty, fit};
/// use nalgebra::DMatrix;
///
/// // y = 1 + 2·z.
/// let z = DMatrix::from_column_slice(3, 1, &[0., 1., 2.]);
/// let of = |penalty| fit(&z, &[1., 3., 5.], &[1.; 3], penalty);
/// let ridge = of(Penalty::Ridge { alpha: 2. })?;
/// // Of the centred z, Σz² = 2 and Σz·y = 4: w = 4/(2 + α) = 1, and b = 3 - 1·1.
/// assert!((ridge.weights[0] - 1.).abs() < 1e-12 && (ridge.intercept - 2.).abs() < 1e-12);
/// assert!((ridge.predict(&[5.]) - 7.).abs() < 1e-12);
/// // The means of the same sums: w = (4/3 - α)/(2/3) = 1.5.
/// let lasso = of(Penalty::Lasso { alpha: 1. / 3. })?;
/// assert!((lasso.weights[0] - 1.5).abs() < 1e-12);
/// # Ok::<(), foresee_stats::Error>(())
/// ```
///
/// # Errors
/// If α is negative, the lengths differ, a value is not finite, the sample weights add up to 0, or
/// a ridge has no unique solution.
pub fn fit(z: &DMatrix<f64>, y: &[f64], pi: &[f64], penalty: Penalty) -> Result<Fit> {
    check(z, y, pi, penalty)?;
    let total: f64 = pi.iter().sum();
    let (pi, y) = (DVector::from_column_slice(pi), DVector::from_column_slice(y));
    let means = z.tr_mul(&pi) / total;
    let mean_y = y.dot(&pi) / total;
    let centred = DMatrix::from_fn(z.nrows(), z.ncols(), |i, j| z[(i, j)] - means[j]);
    let weighted = DMatrix::from_fn(z.nrows(), z.ncols(), |i, j| centred[(i, j)] * pi[i]);
    let gram = centred.tr_mul(&weighted);
    let moments = weighted.tr_mul(&y.add_scalar(-mean_y));
    let w = match penalty {
        Penalty::Ridge { alpha } => ridge(&gram, &moments, alpha)?,
        Penalty::Lasso { alpha } => {
            let start = DVector::zeros(z.ncols());
            lasso(&(gram / total), &(moments / total), alpha, start, &Descent::default())
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

fn check(z: &DMatrix<f64>, y: &[f64], pi: &[f64], penalty: Penalty) -> Result<()> {
    let (Penalty::Ridge { alpha } | Penalty::Lasso { alpha }) = penalty;
    if !(alpha >= 0. && alpha.is_finite()) {
        return Err(Error::Parameter {
            parameter: "alpha",
            value: alpha.to_string(),
            expected: "a number from 0",
        });
    }
    if y.len() != z.nrows() || pi.len() != z.nrows() {
        return Err(Error::Shape {
            statistic: "a regression",
            expected: format!("{0} values and {0} weights", z.nrows()),
            got: vec![y.len(), pi.len()],
        });
    }
    let total: f64 = pi.iter().sum();
    let finite = z.iter().chain(y).all(|value| value.is_finite());
    if !(total > 0. && total.is_finite() && finite) {
        return Err(Error::Degenerate(
            "a regression needs finite values and weights whose sum is above 0; \
             is the kernel too narrow for its distances?",
        ));
    }
    Ok(())
}

fn ridge(gram: &DMatrix<f64>, moments: &DVector<f64>, alpha: f64) -> Result<DVector<f64>> {
    let penalised = gram + DMatrix::from_diagonal_element(gram.nrows(), gram.ncols(), alpha);
    let cholesky = penalised.cholesky().ok_or(Error::Degenerate(
        "a ridge regression has no unique solution: take α above 0, or more samples",
    ))?;
    Ok(cholesky.solve(moments))
}

/// When the coordinate descent of [`lasso`] stops.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Descent {
    /// Passes over all coefficients at most, from 0. Default 10 000.
    pub max_iterations: usize,
    /// A pass that changes less than this is the last one. Default `Gradient(1e-14)`.
    pub tolerance: Tolerance,
    /// A column whose entry on the Gram matrix's diagonal is up to this does not vary but for
    /// rounding; its coefficient is 0. From 0. Default 1e-14.
    pub constant: f64,
}

/// What a pass of [`lasso`] must still change for another one to follow, with Δw_j the step of
/// coefficient j.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tolerance {
    /// max |Δw_j| reaches this.
    Coefficient(f64),
    /// max |Δw_j|·G_jj, which is in the unit of the gradient, is above this share of max |m_j|.
    Gradient(f64),
}

impl Default for Descent {
    fn default() -> Self {
        Self { max_iterations: 10_000, tolerance: Tolerance::Gradient(1e-14), constant: 1e-14 }
    }
}

/// The lasso by coordinate descent: the w `[d]` that minimises ½·wᵀGw - mᵀw + α·‖w‖₁ for the Gram
/// matrix G `[d, d]`, `moments` m `[d]` and α ≥ 0. It begins at `start`, such as the solution for a
/// stronger α.
///
/// ```
/// use foresee_stats::{Descent, lasso};
/// use nalgebra::{DMatrix, DVector};
///
/// // Where G is the identity, each moment moves by α towards 0, and those within α of it become 0.
/// let gram = DMatrix::identity(3, 3);
/// let moments = DVector::from_vec(vec![1., 0.125, -0.5]);
/// let w = lasso(&gram, &moments, 0.25, DVector::zeros(3), &Descent::default());
/// assert_eq!(w.as_slice(), [0.75, 0., -0.25]);
/// ```
///
/// # Panics
/// If the sizes differ.
pub fn lasso(
    gram: &DMatrix<f64>,
    moments: &DVector<f64>,
    alpha: f64,
    start: DVector<f64>,
    stop: &Descent,
) -> DVector<f64> {
    let mut w = start;
    let scale = moments.amax();
    for _ in 0..stop.max_iterations {
        let (mut largest_step, mut largest_change) = (0f64, 0f64);
        for j in 0..w.len() {
            let own = gram[(j, j)];
            if own <= stop.constant {
                w[j] = 0.;
                continue;
            }
            let rest = moments[j] - gram.column(j).dot(&w) + own * w[j];
            let new = rest.signum() * (rest.abs() - alpha).max(0.) / own;
            let step = (new - w[j]).abs();
            largest_step = largest_step.max(step);
            largest_change = largest_change.max(step * own);
            w[j] = new;
        }
        let converged = match stop.tolerance {
            Tolerance::Coefficient(least) => largest_step < least,
            Tolerance::Gradient(share) => largest_change <= share * scale,
        };
        if converged {
            break;
        }
    }
    w
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(values: &[f64]) -> DMatrix<f64> {
        DMatrix::from_column_slice(values.len(), 1, values)
    }

    fn assert_close(found: &Fit, weight: f64, intercept: f64, r2: f64) {
        assert!((found.weights[0] - weight).abs() < 1e-12, "{found:?}");
        assert!((found.intercept - intercept).abs() < 1e-12, "{found:?}");
        assert!((found.r2 - r2).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn ridge_by_hand() {
        let (z, y) = (column(&[0., 1., 2.]), [1., 3., 5.]);
        let of = |alpha| fit(&z, &y, &[1.; 3], Penalty::Ridge { alpha }).unwrap();
        assert_close(&of(0.), 2., 1., 1.);
        // Gram 2 and moment 4: w = 4/(2 + 2) = 1; residuals -1, 0, 1 of a variance of 8/3.
        assert_close(&of(2.), 1., 2., 0.75);
        assert!((of(2.).predict(&[5.]) - 7.).abs() < 1e-12);
    }

    #[test]
    fn lasso_by_hand() {
        let (z, y) = (column(&[0., 1., 2.]), [1., 3., 5.]);
        let of = |alpha| fit(&z, &y, &[1.; 3], Penalty::Lasso { alpha }).unwrap();
        // Gram 2/3 and moment 4/3: w = (4/3 - 1/3)/(2/3) = 1.5; residuals -0.5, 0, 0.5.
        assert_close(&of(1. / 3.), 1.5, 1.5, 1. - 0.5 / 8.);
        assert_close(&of(4. / 3.), 0., 3., 0.);
    }

    #[test]
    fn a_weight_of_2_is_a_row_twice() {
        let once =
            fit(&column(&[0., 1., 2.]), &[0., 0., 4.], &[1., 1., 2.], Penalty::Ridge { alpha: 0. });
        let twice = fit(
            &column(&[0., 1., 2., 2.]),
            &[0., 0., 4., 4.],
            &[1.; 4],
            Penalty::Ridge { alpha: 0. },
        );
        // Means 1.25 and 2, gram 2.75, moment 6: w = 24/11, b = 2 - 1.25·24/11, R² = 36/(2.75·16).
        for found in [once.unwrap(), twice.unwrap()] {
            assert_close(&found, 24. / 11., 2. - 30. / 11., 9. / 11.);
        }
    }

    #[test]
    fn two_columns_by_hand() {
        // By symmetry w + 0.5·w = 1 - 0.25; the third column does not vary.
        let gram = DMatrix::from_row_slice(3, 3, &[1., 0.5, 0., 0.5, 1., 0., 0., 0., 0.]);
        let moments = DVector::from_vec(vec![1., 1., 0.]);
        let by_step =
            Descent { max_iterations: 1000, tolerance: Tolerance::Coefficient(1e-8), constant: 0. };
        for (stop, error) in [(Descent::default(), 1e-13), (by_step, 1e-7)] {
            let w = lasso(&gram, &moments, 0.25, DVector::zeros(3), &stop);
            assert!((w[0] - 0.5).abs() < error && (w[1] - 0.5).abs() < error, "{w}");
            assert_eq!(w[2], 0.);
        }
        // One pass: w₀ = 0.75, then w₁ = 1 - 0.5·0.75 - 0.25.
        let once = Descent { max_iterations: 1, ..Descent::default() };
        let w = lasso(&gram, &moments, 0.25, DVector::zeros(3), &once);
        assert_eq!(w, DVector::from_vec(vec![0.75, 0.375, 0.]));
    }

    #[test]
    fn impossible_regressions_are_refused() {
        let z = column(&[1., 1.]);
        let of = |y: &[f64], pi: &[f64], alpha| fit(&z, y, pi, Penalty::Ridge { alpha });
        assert!(matches!(of(&[1., 2.], &[1., 1.], -1.), Err(Error::Parameter { .. })));
        assert!(matches!(of(&[1.], &[1., 1.], 1.), Err(Error::Shape { .. })));
        assert!(matches!(of(&[1., 2.], &[0., 0.], 1.), Err(Error::Degenerate(_))));
        assert!(matches!(of(&[1., f64::NAN], &[1., 1.], 1.), Err(Error::Degenerate(_))));
        assert!(matches!(of(&[1., 2.], &[1., 1.], 0.), Err(Error::Degenerate(_))));
    }
}
