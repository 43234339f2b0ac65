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

/// The share of all pairs of attributes that correlate at least as much as these two: 1/780 for the
/// closest pair of 40.
pub fn rank_of_pair(correlation: &Matrix, a: usize, b: usize) -> f64 {
    let pairs: Vec<f64> =
        (0..correlation.rows()).flat_map(|i| correlation.row(i)[i + 1..].iter().copied()).collect();
    pairs.iter().filter(|&&rho| rho >= correlation.get(a, b)).count() as f64 / pairs.len() as f64
}

/// Are members of one group alike? For each group the mean correlation inside of it minus that
/// between members of different groups, and the same over the pairs of all groups.
#[derive(Debug, Clone, PartialEq)]
pub struct Cohesion {
    /// Over the pairs of all groups.
    pub all: f64,
    /// Group by group; NaN for a group of one.
    pub groups: Vec<f64>,
}

/// [`Cohesion`] of groups `0..groups`, given the group of each row of a correlation matrix.
pub fn cohesion(correlation: &Matrix, group_of: &[usize], groups: usize) -> Cohesion {
    let (mut inside, mut between) = (vec![(0., 0.); groups], (0., 0.));
    for (i, &a) in group_of.iter().enumerate() {
        for (j, &b) in group_of.iter().enumerate().skip(i + 1) {
            let part = if a == b { &mut inside[a] } else { &mut between };
            *part = (part.0 + correlation.get(i, j), part.1 + 1.);
        }
    }
    let outside = between.0 / between.1;
    let all = inside.iter().fold((0., 0.), |all, part| (all.0 + part.0, all.1 + part.1));
    Cohesion {
        all: all.0 / all.1 - outside,
        groups: inside.into_iter().map(|(sum, n)| sum / n - outside).collect(),
    }
}

fn ranked(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_groups_by_hand() {
        let rho = Matrix::from_rows(&[
            vec![1., 0.8, 0.1, 0.2],
            vec![0.8, 1., 0.3, 0.0],
            vec![0.1, 0.3, 1., 0.4],
            vec![0.2, 0.0, 0.4, 1.],
        ]);
        assert_eq!(rank_of_pair(&rho, 0, 1), 1. / 6.);
        assert_eq!(rank_of_pair(&rho, 3, 1), 1.);
        let found = cohesion(&rho, &[0, 0, 1, 1], 2);
        // Between: (0.1 + 0.2 + 0.3 + 0.0)/4 = 0.15.
        for (value, expected) in
            [(found.all, 0.6 - 0.15), (found.groups[0], 0.8 - 0.15), (found.groups[1], 0.4 - 0.15)]
        {
            assert!((value - expected).abs() < 1e-12);
        }
    }
}
