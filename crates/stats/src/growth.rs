//! How a cost grows: as a power of one size, or as a sum of terms.

use nalgebra::DMatrix;

use crate::error::{Error, Result};
use crate::line::Line;
use crate::regression::{Fit, Penalty, fit};

/// A power law y ~ xᵉ, fitted as a line through the logarithms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerLaw {
    /// The exponent e.
    pub exponent: f64,
    /// R² of the logarithms, as [`Line::r_squared`].
    pub r_squared: f64,
}

impl PowerLaw {
    /// Through points (x, y), both above 0; NaN if there are fewer than two x.
    ///
    /// ```
    /// use foresee_stats::PowerLaw;
    ///
    /// let law = PowerLaw::fit([(1., 3.), (2., 12.), (4., 48.)]);
    /// assert!((law.exponent - 2.).abs() < 1e-12 && (law.r_squared - 1.).abs() < 1e-12);
    /// ```
    pub fn fit(points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let (x, y): (Vec<f64>, Vec<f64>) =
            points.into_iter().map(|(x, y)| (x.ln(), y.ln())).unzip();
        let Line { slope, r_squared } = Line::fit(&x, &y);
        Self { exponent: slope, r_squared }
    }
}

/// A cost as a sum of terms, such as the operations of a program, each with its own coefficient,
/// and a constant.
#[derive(Debug, Clone, PartialEq)]
pub struct CostModel(Fit);

/// The penalty of coefficients, which keeps terms apart that grow alike.
const ALPHA: f64 = 1e-6;

impl CostModel {
    /// Fitted to measured costs (above 0) with N terms each. Errors count by their share of the
    /// cost: ridge regression with the weights 1/cost² and α = 10⁻⁶.
    ///
    /// ```
    /// use foresee_stats::CostModel;
    ///
    /// // Two for a read, three for a write, and one.
    /// let terms = [[1., 1.], [2., 1.], [1., 3.], [4., 4.]];
    /// let model = CostModel::fit(&terms, &[6., 8., 12., 21.])?;
    /// assert!((model.cost(&[10., 0.]) - 21.).abs() < 1e-2);
    /// assert!(model.greatest_error(&terms, &[6., 8., 12., 21.]) < 1e-3);
    /// # Ok::<(), foresee_stats::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a cost is not above 0, there is another number of terms, or a value is not finite.
    pub fn fit<const N: usize>(terms: &[[f64; N]], costs: &[f64]) -> Result<Self> {
        if !costs.iter().all(|cost| *cost > 0.) {
            return Err(Error::Degenerate("a cost model needs costs above 0"));
        }
        let weights: Vec<f64> = costs.iter().map(|cost| 1. / (cost * cost)).collect();
        let z = DMatrix::from_fn(terms.len(), N, |i, j| terms[i][j]);
        Ok(Self(fit(&z, costs, &weights, Penalty::Ridge { alpha: ALPHA })?))
    }

    /// The cost that the model tells.
    pub fn cost(&self, terms: &[f64]) -> f64 {
        self.0.predict(terms)
    }

    /// The greatest error in shares of the measured cost.
    pub fn greatest_error<const N: usize>(&self, terms: &[[f64; N]], costs: &[f64]) -> f64 {
        let each = terms.iter().zip(costs);
        each.map(|(terms, cost)| (self.cost(terms) / cost - 1.).abs()).fold(0., f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_by_hand() {
        let law = PowerLaw::fit([(4., 8.), (9., 27.), (16., 64.)]);
        assert!((law.exponent - 1.5).abs() < 1e-12 && (law.r_squared - 1.).abs() < 1e-12);
        assert!(PowerLaw::fit([(1., 2.)]).exponent.is_nan());
    }

    /// Small costs count as much as large ones.
    #[test]
    fn errors_are_shares_of_the_cost() -> Result<()> {
        let terms: Vec<[f64; 1]> = (0..6).map(|i| [10f64.powi(i)]).collect();
        let costs: Vec<f64> = terms.iter().map(|[term]| 2. * term + 1.).collect();
        let model = CostModel::fit(&terms, &costs)?;
        assert!(model.greatest_error(&terms, &costs) < 1e-3);
        assert!(CostModel::fit(&terms, &[0.; 6]).is_err());
        Ok(())
    }
}
