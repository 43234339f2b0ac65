//! Do two tables over the same things agree more than by chance?

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};
use crate::matrix::Matrix;
use crate::ranks::{pearson, ranks};

/// A correlation this far below the observed one, which rounding can explain, still reaches it.
const ROUNDING: f64 = 1e-12;

/// How far symmetric tables over the same things agree, and how often chance does as well.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreement {
    /// Spearman's rank correlation over the pairs of things, the mean over the pairs of tables.
    pub rho: f64,
    /// Spearman's rank correlation of each pair of tables.
    pub each: Vec<f64>,
    /// Share of the permutations whose mean correlation is at least `rho`. The observed order
    /// counts as one of them, so p is above 0.
    pub p: f64,
}

/// Mantel's test (1967) with rank correlation: the entries above the diagonal of two symmetric
/// tables are compared, and rows and columns of one table are permuted together. Several pairs of
/// tables over the same things, such as of networks from several seeds, are tested as one: each
/// permutation is applied to all of them, and the mean correlation counts. Equal seeds draw equal
/// permutations.
///
/// ```
/// use foresee_stats::{Matrix, mantel};
///
/// // How alike three things are by two measures: 1, 2, 3 and 10, 30, 20 above the diagonal.
/// let a = Matrix::from_rows(&[vec![0., 1., 2.], vec![1., 0., 3.], vec![2., 3., 0.]]);
/// let b = Matrix::from_rows(&[vec![0., 10., 30.], vec![10., 0., 20.], vec![30., 20., 0.]]);
/// let found = mantel(&[(&a, &b)], 999, 0)?;
/// assert!((found.rho - 0.5).abs() < 1e-12);
/// // Of the six orders of three things, three agree as well as this one or better.
/// assert!((found.p - 0.5).abs() < 0.1);
/// # Ok::<(), foresee_stats::Error>(())
/// ```
///
/// # Errors
/// If there is no pair, a table is not square, the sizes differ or are below 3, or a table is
/// constant or not finite.
pub fn mantel(pairs: &[(&Matrix, &Matrix)], permutations: usize, seed: u64) -> Result<Agreement> {
    let n = pairs.first().ok_or(Error::Empty("Mantel's test"))?.0.rows();
    let tables = pairs.iter().map(|(a, b)| Ranked::new(a, b, n)).collect::<Result<Vec<_>>>()?;
    let mut order: Vec<usize> = (0..n).collect();
    let mean = |order: &[usize]| {
        tables.iter().map(|table| table.rho(order)).sum::<f64>() / tables.len() as f64
    };
    let each: Vec<f64> = tables.iter().map(|table| table.rho(&order)).collect();
    let rho = mean(&order);
    if !rho.is_finite() {
        return Err(Error::NotFinite("Mantel's test"));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut reached = 1;
    for _ in 0..permutations {
        order.shuffle(&mut rng);
        reached += usize::from(mean(&order) >= rho - ROUNDING);
    }
    Ok(Agreement { rho, each, p: reached as f64 / (permutations + 1) as f64 })
}

/// The ranks of two tables' entries above the diagonal.
struct Ranked {
    /// Rows and columns of the entries.
    pairs: Vec<(usize, usize)>,
    /// Ranks of the first table, in the order of the pairs.
    first: Vec<f64>,
    /// Ranks of the second table, each in its place and in the place mirrored at the diagonal.
    second: Matrix,
}

impl Ranked {
    fn new(a: &Matrix, b: &Matrix, n: usize) -> Result<Self> {
        if n < 3 || [a.rows(), a.columns(), b.columns(), b.rows()].iter().any(|&m| m != n) {
            return Err(Error::Shape {
                statistic: "Mantel's test",
                expected: format!("tables of [{0}, {0}]", n.max(3)),
                got: vec![b.rows(), b.columns()],
            });
        }
        let values = (0..n).flat_map(|i| (0..n).map(move |j| (i, j)));
        if !values.flat_map(|(i, j)| [a.get(i, j), b.get(i, j)]).all(f64::is_finite) {
            return Err(Error::NotFinite("Mantel's test"));
        }
        let pairs: Vec<(usize, usize)> =
            (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))).collect();
        let ranks_of = |table: &Matrix| {
            ranks(&pairs.iter().map(|&(i, j)| table.get(i, j)).collect::<Vec<_>>())
        };
        let mut second = Matrix::zeros(n, n);
        for (&(i, j), rank) in pairs.iter().zip(ranks_of(b)) {
            second.row_mut(i)[j] = rank;
            second.row_mut(j)[i] = rank;
        }
        Ok(Self { first: ranks_of(a), pairs, second })
    }

    /// The rank correlation, with the second table's rows and columns in this order.
    fn rho(&self, order: &[usize]) -> f64 {
        let permuted: Vec<f64> =
            self.pairs.iter().map(|&(i, j)| self.second.get(order[i], order[j])).collect();
        pearson(&self.first, &permuted)
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn mantel_tells_agreement_from_chance() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut table = |like: Option<&Matrix>| {
            let mut rows = vec![vec![0.; 9]; 9];
            for (i, j) in (0..9).flat_map(|i| (i + 1..9).map(move |j| (i, j))) {
                let value = like.map_or(0., |m| m.get(i, j))
                    + if like.is_some() { 0.2 } else { 1. } * rng.random_range(0f64..1.);
                (rows[i][j], rows[j][i]) = (value, value);
            }
            Matrix::from_rows(&rows)
        };
        let a = table(None);
        let (alike, other) = (table(Some(&a)), table(None));
        let agreement = mantel(&[(&a, &alike)], 999, 0).unwrap();
        assert!(agreement.rho > 0.8 && agreement.p < 0.01, "{agreement:?}");
        assert!(mantel(&[(&a, &other)], 999, 0).unwrap().p > 0.02);
        let both = mantel(&[(&a, &alike), (&a, &other)], 999, 0).unwrap();
        assert!(both.p < 0.05 && both.each[0] == agreement.rho, "{both:?}");
        assert!((both.rho - (both.each[0] + both.each[1]) / 2.).abs() < 1e-12);
        let small = Matrix::zeros(4, 4);
        assert!(mantel(&[(&a, &small)], 9, 0).is_err());
        assert!(mantel(&[(&a, &Matrix::zeros(9, 9))], 9, 0).is_err());
        assert!(mantel(&[], 9, 0).is_err());
    }

    #[test]
    fn three_things_by_hand() {
        // Entries above the diagonal 1, 2, 3 and 10, 30, 20: ρ = 0.5. Of the orders of three
        // things, which are the orders of the three pairs, ρ is at least 0.5 for 3 of 6.
        let of = |x: f64, y: f64, z: f64| {
            Matrix::from_rows(&[vec![1., x, y], vec![x, 1., z], vec![y, z, 1.]])
        };
        let found = mantel(&[(&of(1., 2., 3.), &of(10., 30., 20.))], 5999, 1).unwrap();
        assert!((found.rho - 0.5).abs() < 1e-12 && found.each == [found.rho]);
        assert!((found.p - 0.5).abs() < 0.03, "{}", found.p);
    }
}
