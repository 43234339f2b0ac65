//! Correlation matrices.

use crate::error::{Error, Result};
use crate::matrix::Matrix;
use crate::rounding::is_rounding;

/// The correlation matrix Σ_ij/√(Σ_ii·Σ_jj) of a covariance matrix Σ, or of any positive multiple
/// of one, with values in [-1, 1]. What does not vary (Σ_ii = 0) correlates with nothing: 0, and 1
/// with itself. `None` if a value is not finite.
pub fn correlation_of_covariance(covariance: &Matrix) -> Option<Matrix> {
    let n = covariance.rows();
    let scale: Vec<f64> = (0..n).map(|i| covariance.get(i, i).max(0.).sqrt()).collect();
    let mut out = Matrix::zeros(n, n);
    for i in 0..n {
        for j in 0..n {
            let (value, by) = (covariance.get(i, j), scale[i] * scale[j]);
            if !value.is_finite() {
                return None;
            }
            out.row_mut(i)[j] = match () {
                () if i == j => 1.,
                () if scale[i] == 0. || scale[j] == 0. => 0.,
                () if by >= f64::MIN_POSITIVE => (value / by).clamp(-1., 1.),
                () => (value / scale[i] / scale[j]).clamp(-1., 1.),
            };
        }
    }
    Some(out)
}

/// Pearson's correlation between the rows of a table. Table 4 of the paper takes an attribute's
/// mean masks (Figure 5) as one row. What does not vary, but for rounding, is treated as in
/// [`correlation_of_covariance`].
///
/// # Errors
/// If the table is empty or holds a value that is not finite.
pub fn row_correlation(table: &Matrix) -> Result<Matrix> {
    if table.rows() == 0 {
        return Err(Error::Empty("row correlation"));
    }
    let centred: Vec<Vec<f64>> = (0..table.rows())
        .map(|r| {
            let row = table.row(r);
            let mean = row.iter().sum::<f64>() / table.columns() as f64;
            let size = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>();
            let centred: Vec<f64> = row.iter().map(|v| v - mean).collect();
            match is_rounding(size(&centred), size(row)) {
                true => vec![0.; row.len()],
                false => centred,
            }
        })
        .collect();
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let products: Vec<Vec<f64>> =
        centred.iter().map(|a| centred.iter().map(|b| product(a, b)).collect()).collect();
    correlation_of_covariance(&Matrix::from_rows(&products))
        .ok_or(Error::NotFinite("row correlation"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_by_hand() {
        let table = [vec![1., 2., 3.], vec![2., 1., 3.], vec![5., 3., 1.], vec![4., 4., 4.]];
        let found = row_correlation(&Matrix::from_rows(&table)).unwrap();
        let expected =
            [[1., 0.5, -1., 0.], [0.5, 1., -0.5, 0.], [-1., -0.5, 1., 0.], [0., 0., 0., 1.]];
        for (i, row) in expected.iter().enumerate() {
            for (j, value) in row.iter().enumerate() {
                assert!((found.get(i, j) - value).abs() < 1e-12, "{i} {j}");
            }
        }
        assert!(row_correlation(&Matrix::zeros(0, 3)).is_err());
        let damaged = Matrix::from_rows(&[vec![1., f64::NAN]]);
        assert_eq!(row_correlation(&damaged), Err(Error::NotFinite("row correlation")));
    }

    /// Whatever the unit, and with rounding that looks like a variation.
    #[test]
    fn small_rows_correlate_and_constant_ones_do_not() {
        for unit in [1e-9, 1., 1e9] {
            let row = |values: [f64; 3]| values.map(|v| v * unit).to_vec();
            let table = [row([1., 2., 3.]), row([2., 1., 3.]), row([0.1, 0.1, 0.1])];
            let found = row_correlation(&Matrix::from_rows(&table)).unwrap();
            assert!((found.get(0, 1) - 0.5).abs() < 1e-12, "{unit}");
            assert_eq!(found.get(0, 2), 0., "{unit}");
        }
    }

    #[test]
    fn a_covariance_loses_its_scale() {
        // Standard deviations 2 and 3: 3/(2·3).
        let covariance = Matrix::from_rows(&[vec![4., 3.], vec![3., 9.]]);
        let expected = Matrix::from_rows(&[vec![1., 0.5], vec![0.5, 1.]]);
        assert_eq!(correlation_of_covariance(&covariance), Some(expected));
    }
}
