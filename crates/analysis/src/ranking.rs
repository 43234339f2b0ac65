//! Which channels matter to an attribute (Figure 4), and which attributes are alike (Table 4).

use foresee_stats::Matrix;

/// The `n` columns of a row with the highest values, highest first. Of equal values the column with
/// the lower number comes first; NaN comes last.
///
/// ```
/// use foresee_analysis::{Matrix, top_channels};
///
/// let mean_masks = Matrix::from_rows(&[vec![0.2, 0.9, 0.5]]);
/// assert_eq!(top_channels(&mean_masks, 0, 2), [1, 2]);
/// ```
pub fn top_channels(importance: &Matrix, row: usize, n: usize) -> Vec<usize> {
    by_value(importance.row(row)).into_iter().take(n).collect()
}

/// The `n` other attributes that correlate most with one, highest first, each with its correlation.
///
/// ```
/// use foresee_analysis::{Matrix, neighbours};
///
/// let rho = Matrix::from_rows(&[
///     vec![1.0, 0.8, 0.1],
///     vec![0.8, 1.0, 0.2],
///     vec![0.1, 0.2, 1.0],
/// ]);
/// assert_eq!(neighbours(&rho, 2, 1), [(1, 0.2)]);
/// assert_eq!(neighbours(&rho, 0, 2), [(1, 0.8), (2, 0.1)]);
/// ```
pub fn neighbours(correlation: &Matrix, attribute: usize, n: usize) -> Vec<(usize, f64)> {
    let row = correlation.row(attribute);
    by_value(row).into_iter().filter(|&k| k != attribute).take(n).map(|k| (k, row[k])).collect()
}

/// The share of all pairs of attributes that correlate at least as much as these two: 1/780 for the
/// closest pair of 40 attributes.
pub fn rank_of_pair(correlation: &Matrix, a: usize, b: usize) -> f64 {
    let pairs: Vec<f64> =
        (0..correlation.rows()).flat_map(|i| correlation.row(i)[i + 1..].iter().copied()).collect();
    pairs.iter().filter(|&&rho| rho >= correlation.get(a, b)).count() as f64 / pairs.len() as f64
}

/// Indices of the values, highest value first, NaN last.
fn by_value(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    let key = |at: usize| if values[at].is_nan() { -f64::NAN } else { values[at] };
    order.sort_by(|&a, &b| key(b).total_cmp(&key(a)));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_by_hand() {
        let rho = Matrix::from_rows(&[
            vec![1., 0.8, 0.1, 0.2],
            vec![0.8, 1., 0.3, 0.0],
            vec![0.1, 0.3, 1., 0.4],
            vec![0.2, 0.0, 0.4, 1.],
        ]);
        assert_eq!(rank_of_pair(&rho, 0, 1), 1. / 6.);
        assert_eq!(rank_of_pair(&rho, 3, 1), 1.);
        assert_eq!(neighbours(&rho, 0, 2), [(1, 0.8), (3, 0.2)]);
        assert_eq!(top_channels(&rho, 1, 2), [1, 0]);
        let dead = Matrix::from_rows(&[vec![f64::NAN, 0.1, 0.3, -f64::NAN]]);
        assert_eq!(top_channels(&dead, 0, 2), [2, 1]);
    }
}
