//! Which channels matter to an attribute (Figure 4), and which attributes are alike (Table 4).

use crate::matrix::Matrix;

/// The `n` columns of a row with the highest values, highest first; of equal ones the first.
pub fn top_channels(importance: &Matrix, row: usize, n: usize) -> Vec<usize> {
    ranked(importance.row(row)).into_iter().take(n).collect()
}

/// For one attribute the `n` others with the highest correlation, highest first, each with it.
pub fn neighbours(correlation: &Matrix, attribute: usize, n: usize) -> Vec<(usize, f64)> {
    let row = correlation.row(attribute);
    ranked(row).into_iter().filter(|&k| k != attribute).take(n).map(|k| (k, row[k])).collect()
}

fn ranked(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order
}
