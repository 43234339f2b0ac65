//! Average-linkage clustering of the rows of a correlation matrix, with the distance 1 - ρ.

use foresee_stats::Matrix;
use kodama::{Dendrogram, Method, linkage};

use crate::error::{Error, Result};

/// # Errors
/// If the matrix is not square, or a value is not finite.
fn dendrogram(correlation: &Matrix) -> Result<Dendrogram<f64>> {
    let n = correlation.rows();
    if let Some(row) = (0..n).find(|&row| correlation.row(row).len() != n) {
        return Err(Error::Shape {
            statistic: "clusters",
            expected: format!("a correlation matrix [{n}, {n}]"),
            got: vec![n, correlation.row(row).len()],
        });
    }
    if !(0..n).all(|row| correlation.row(row).iter().all(|value| value.is_finite())) {
        return Err(Error::NotFinite("clusters"));
    }
    let mut distances: Vec<f64> =
        (0..n).flat_map(|i| (i + 1..n).map(move |j| 1. - correlation.get(i, j))).collect();
    Ok(linkage(&mut distances, n, Method::Average))
}

/// An order in which similar rows are side by side: that of the dendrogram's leaves.
///
/// ```
/// use foresee_analysis::{Matrix, similar_order};
///
/// // Rows 0 and 2 are alike.
/// let rho = Matrix::from_rows(&[
///     vec![1.0, 0.1, 0.8],
///     vec![0.1, 1.0, 0.2],
///     vec![0.8, 0.2, 1.0],
/// ]);
/// let order = similar_order(&rho)?;
/// assert!(order.windows(2).any(|pair| pair == [0, 2] || pair == [2, 0]));
/// # Ok::<(), foresee_analysis::Error>(())
/// ```
///
/// # Errors
/// If the matrix is not square, or a value is not finite.
pub fn similar_order(correlation: &Matrix) -> Result<Vec<usize>> {
    let n = correlation.rows();
    if n < 2 {
        return Ok((0..n).collect());
    }
    let mut clusters: Vec<Vec<usize>> = (0..n).map(|i| vec![i]).collect();
    for step in dendrogram(correlation)?.steps() {
        let mut joined = std::mem::take(&mut clusters[step.cluster1]);
        joined.append(&mut clusters[step.cluster2]);
        clusters.push(joined);
    }
    Ok(clusters.pop().unwrap_or_default())
}

/// Groups of rows whose members correlate by more than `correlation_above` on average, the largest
/// group first. A row that joins none is a group of its own.
///
/// ```
/// use foresee_analysis::{Matrix, groups};
///
/// let rho = Matrix::from_rows(&[
///     vec![1.0, 0.8, 0.1],
///     vec![0.8, 1.0, 0.2],
///     vec![0.1, 0.2, 1.0],
/// ]);
/// assert_eq!(groups(&rho, 0.5)?, [vec![0, 1], vec![2]]);
/// // On average rows 0 and 1 correlate by 0.15 with row 2.
/// assert_eq!(groups(&rho, 0.14)?, [vec![0, 1, 2]]);
/// # Ok::<(), foresee_analysis::Error>(())
/// ```
///
/// # Errors
/// If the matrix is not square, or a value is not finite.
pub fn groups(correlation: &Matrix, correlation_above: f64) -> Result<Vec<Vec<usize>>> {
    let n = correlation.rows();
    let mut clusters: Vec<Vec<usize>> = (0..n).map(|i| vec![i]).collect();
    if n > 1 {
        for step in dendrogram(correlation)?.steps() {
            let mut joined = vec![];
            if step.dissimilarity < 1. - correlation_above {
                joined = std::mem::take(&mut clusters[step.cluster1]);
                joined.append(&mut clusters[step.cluster2]);
                joined.sort_unstable();
            }
            clusters.push(joined);
        }
    }
    clusters.retain(|cluster| !cluster.is_empty());
    clusters.sort_by_key(|cluster| (std::cmp::Reverse(cluster.len()), cluster[0]));
    Ok(clusters)
}
