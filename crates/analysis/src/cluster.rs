//! Average-linkage clustering of the rows of a correlation matrix, with the distance 1 - ρ.

use foresee_stats::Matrix;
use kodama::{Dendrogram, Method, linkage};

fn dendrogram(correlation: &Matrix) -> Dendrogram<f64> {
    let n = correlation.rows();
    let mut distances: Vec<f64> =
        (0..n).flat_map(|i| (i + 1..n).map(move |j| 1. - correlation.get(i, j))).collect();
    linkage(&mut distances, n, Method::Average)
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
/// let order = similar_order(&rho);
/// assert!(order.windows(2).any(|pair| pair == [0, 2] || pair == [2, 0]));
/// ```
pub fn similar_order(correlation: &Matrix) -> Vec<usize> {
    let n = correlation.rows();
    if n < 2 {
        return (0..n).collect();
    }
    let mut clusters: Vec<Vec<usize>> = (0..n).map(|i| vec![i]).collect();
    for step in dendrogram(correlation).steps() {
        let mut joined = std::mem::take(&mut clusters[step.cluster1]);
        joined.append(&mut clusters[step.cluster2]);
        clusters.push(joined);
    }
    clusters.pop().unwrap_or_default()
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
/// assert_eq!(groups(&rho, 0.5), [vec![0, 1], vec![2]]);
/// // On average rows 0 and 1 correlate by 0.15 with row 2.
/// assert_eq!(groups(&rho, 0.14), [vec![0, 1, 2]]);
/// ```
pub fn groups(correlation: &Matrix, correlation_above: f64) -> Vec<Vec<usize>> {
    let n = correlation.rows();
    let mut clusters: Vec<Vec<usize>> = (0..n).map(|i| vec![i]).collect();
    if n > 1 {
        for step in dendrogram(correlation).steps() {
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
    clusters
}
