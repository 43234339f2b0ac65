//! A shallow regression tree (CART; Breiman et al., 1984).

/// A binary tree of thresholds.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    /// The mean of the rows that came here.
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

    /// Splits up to `depth` times, by the least sum of squares, and leaves at least `least` rows in
    /// each leaf. Of equal splits the first is taken.
    pub(crate) fn grow(
        x: &[Vec<f64>],
        y: &[f64],
        mut rows: Vec<usize>,
        depth: usize,
        least: usize,
    ) -> Self {
        let Some((column, threshold)) =
            (depth > 0).then(|| best_split(x, y, &mut rows, least)).flatten()
        else {
            return Self::Leaf {
                value: rows.iter().map(|&i| y[i]).sum::<f64>() / rows.len() as f64,
                rows: rows.len(),
            };
        };
        let (below, above) = rows.into_iter().partition(|&i| x[i][column] <= threshold);
        let grow = |rows| Box::new(Self::grow(x, y, rows, depth - 1, least));
        Self::Split { column, threshold, below: grow(below), above: grow(above) }
    }
}

/// The split that lowers the sum of squares most: S_below²/n_below + S_above²/n_above is greatest,
/// with S sums of y about its mean.
fn best_split(x: &[Vec<f64>], y: &[f64], rows: &mut [usize], least: usize) -> Option<(usize, f64)> {
    let mean = rows.iter().map(|&i| y[i]).sum::<f64>() / rows.len() as f64;
    let squares: f64 = rows.iter().map(|&i| (y[i] - mean).powi(2)).sum();
    let (mut best, mut found) = (1e-12 * squares, None);
    let value = |row: usize, column: usize| x[row][column];
    for column in 0..x[rows[0]].len() {
        rows.sort_by(|&a, &b| value(a, column).total_cmp(&value(b, column)));
        let mut sum = 0.;
        for at in 1..rows.len() {
            sum += y[rows[at - 1]] - mean;
            let (low, high) = (value(rows[at - 1], column), value(rows[at], column));
            if at < least || rows.len() - at < least || low == high {
                continue;
            }
            let gain = sum * sum * (1. / at as f64 + 1. / (rows.len() - at) as f64);
            if gain > best {
                (best, found) = (gain, Some((column, low + (high - low) / 2.)));
            }
        }
    }
    found
}
