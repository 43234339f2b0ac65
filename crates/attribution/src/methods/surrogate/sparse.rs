//! A linear model of few columns, which the lasso chooses.

use foresee_stats::{Descent, Fit, Penalty, fit, lasso};
use nalgebra::{DMatrix, DVector};

use crate::error::Result;

/// Penalties on the path from the strongest to the weakest.
const STEPS: i32 = 200;

/// The weakest penalty on the path as a share of the strongest, as glmnet has it. With fewer rows
/// than columns, weaker ones only follow noise, and take long.
fn weakest(rows: usize, columns: usize) -> f64 {
    if rows < columns { 1e-2 } else { 1e-4 }
}

/// The lasso's path from strong to weak penalties over columns of variance 1; the last support of
/// at most `max_columns` columns, fitted again by least squares. `rows` are those to fit.
pub(super) fn fit_sparse(
    x: &[Vec<f64>],
    y: &[f64],
    rows: &[usize],
    max_columns: usize,
) -> Result<Fit> {
    let (n, d) = (rows.len() as f64, x[0].len());
    let scales: Vec<Scale> = (0..d).map(|j| Scale::new(rows.iter().map(|&i| x[i][j]), n)).collect();
    let z = DMatrix::from_fn(rows.len(), d, |i, j| scales[j].apply(x[rows[i]][j]));
    let y: Vec<f64> = rows.iter().map(|&i| y[i]).collect();
    let support = support(&z, &y, max_columns);
    let narrow = DMatrix::from_fn(rows.len(), support.len(), |i, j| x[rows[i]][support[j]]);
    // So small a ridge changes nothing but columns that are copies of each other.
    let ridge = 1e-10 * support.iter().map(|&j| n * scales[j].deviation.powi(2)).fold(0., f64::max);
    let penalty = Penalty::Ridge { alpha: ridge.max(f64::MIN_POSITIVE) };
    let small = fit(&narrow, &y, &vec![1.; rows.len()], penalty)?;
    let mut weights = vec![0.; d];
    support.iter().zip(&small.weights).for_each(|(&j, &w)| weights[j] = w);
    Ok(Fit { weights, ..small })
}

/// Mean and standard deviation of a column.
struct Scale {
    mean: f64,
    deviation: f64,
}

impl Scale {
    fn new(column: impl Iterator<Item = f64> + Clone, n: f64) -> Self {
        let mean = column.clone().sum::<f64>() / n;
        let variance = column.map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        Self { mean, deviation: variance.sqrt() }
    }

    fn apply(&self, value: f64) -> f64 {
        if self.deviation > 0. { (value - self.mean) / self.deviation } else { 0. }
    }
}

/// The columns of the weakest penalty on the path that leaves at most `max_columns` of them.
fn support(z: &DMatrix<f64>, y: &[f64], max_columns: usize) -> Vec<usize> {
    let n = y.len() as f64;
    let mean = y.iter().sum::<f64>() / n;
    let gram = z.tr_mul(z) / n;
    let moments = z.tr_mul(&DVector::from_column_slice(y).add_scalar(-mean)) / n;
    let mut w = DVector::zeros(z.ncols());
    let mut support = vec![];
    let weakest = weakest(z.nrows(), z.ncols());
    for step in 1..STEPS {
        let alpha = moments.amax() * weakest.powf(f64::from(step) / f64::from(STEPS));
        w = lasso(&gram, &moments, alpha, w, &Descent::default());
        let nonzero: Vec<usize> = (0..w.len()).filter(|&j| w[j] != 0.).collect();
        if nonzero.len() > max_columns {
            break;
        }
        support = nonzero;
    }
    support
}
