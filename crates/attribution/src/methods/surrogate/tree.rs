//! A shallow regression tree (CART; Breiman et al., 1984).

use std::fmt;

/// A binary tree of thresholds.
///
/// It is written as a nested condition, `(c3 ≤ 0.5000? 1.250 : -0.750)`, where c3 is column 3.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    /// The mean of the rows of this leaf.
    Leaf {
        /// Mean.
        value: f64,
        /// Rows it was fitted to.
        rows: usize,
    },
    /// Rows with x[column] ≤ threshold go below.
    Split {
        /// Column of x.
        column: usize,
        /// Half way between two rows.
        threshold: f64,
        /// ≤.
        below: Box<Tree>,
        /// >.
        above: Box<Tree>,
    },
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaf { value, .. } => write!(f, "{value:.3}"),
            Self::Split { column, threshold, below, above } => {
                write!(f, "(c{column} ≤ {threshold:.4}? {below} : {above})")
            }
        }
    }
}

impl Tree {
    /// The value of x's leaf.
    pub fn predict(&self, x: &[f64]) -> f64 {
        match self {
            Self::Leaf { value, .. } => *value,
            Self::Split { column, threshold, below, above } => {
                if x[*column] <= *threshold { below } else { above }.predict(x)
            }
        }
    }

    /// A tree of the given rows: at most `max_depth` splits on a path, by the least sum of squares,
    /// with at least `min_rows` rows in each leaf. Of equal splits the first is taken.
    pub(super) fn grow(
        x: &[Vec<f64>],
        y: &[f64],
        mut rows: Vec<usize>,
        max_depth: usize,
        min_rows: usize,
    ) -> Self {
        let Some((column, threshold)) =
            (max_depth > 0).then(|| best_split(x, y, &mut rows, min_rows)).flatten()
        else {
            return Self::Leaf {
                value: rows.iter().map(|&i| y[i]).sum::<f64>() / rows.len() as f64,
                rows: rows.len(),
            };
        };
        let (below, above) = rows.into_iter().partition(|&i| x[i][column] <= threshold);
        let grow = |rows| Box::new(Self::grow(x, y, rows, max_depth - 1, min_rows));
        Self::Split { column, threshold, below: grow(below), above: grow(above) }
    }
}

/// The split that lowers the sum of squares most: S_below²/n_below + S_above²/n_above is greatest,
/// with S sums of y about its mean.
fn best_split(
    x: &[Vec<f64>],
    y: &[f64],
    rows: &mut [usize],
    min_rows: usize,
) -> Option<(usize, f64)> {
    let mean = rows.iter().map(|&i| y[i]).sum::<f64>() / rows.len() as f64;
    let squares: f64 = rows.iter().map(|&i| (y[i] - mean).powi(2)).sum();
    let mut greatest = 1e-12 * squares;
    let mut best = None;
    let value = |row: usize, column: usize| x[row][column];
    for column in 0..x[rows[0]].len() {
        rows.sort_by(|&a, &b| value(a, column).total_cmp(&value(b, column)));
        let mut sum = 0.;
        for below in 1..rows.len() {
            sum += y[rows[below - 1]] - mean;
            let above = rows.len() - below;
            let (low, high) = (value(rows[below - 1], column), value(rows[below], column));
            if below < min_rows || above < min_rows || low == high {
                continue;
            }
            let gain = sum * sum * (1. / below as f64 + 1. / above as f64);
            if gain > greatest {
                greatest = gain;
                // Between neighbouring numbers there is none.
                let middle = low + (high - low) / 2.;
                best = Some((column, if middle < high { middle } else { low }));
            }
        }
    }
    best
}
