//! How sure a mean is, and whether two tables agree more than by chance.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};
use crate::matrix::Matrix;

/// An estimate with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Of the sample itself.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Percentile bootstrap (Efron, 1979) of a statistic of `n` exchangeable things, such as test images: `statistic` is given indices drawn with replacement.
/// The interval holds the middle `level` (such as 0.95) of `resamples` values.
///
/// # Errors
/// If there is nothing to draw from, or a value is not finite.
pub fn bootstrap(n: usize, resamples: usize, level: f64, seed: u64, statistic: impl Fn(&[usize]) -> f64) -> Result<Interval> {
    crossed_bootstrap([1, n], resamples, level, seed, |_, drawn| statistic(drawn))
}

/// The same where two things vary at once and every one of the first meets every one of the second, such as trainings from several seeds that are judged on the
/// same images: both are drawn with replacement ("pigeonhole bootstrap", Owen, 2007). `statistic` is given the drawn indices of each.
///
/// # Errors
/// If there is nothing to draw from, or a value is not finite.
pub fn crossed_bootstrap(
    sizes: [usize; 2],
    resamples: usize,
    level: f64,
    seed: u64,
    statistic: impl Fn(&[usize], &[usize]) -> f64,
) -> Result<Interval> {
    if sizes.contains(&0) || resamples == 0 {
        return Err(Error::Empty("bootstrap"));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn = sizes.map(|n| (0..n).collect::<Vec<_>>());
    let estimate = statistic(&drawn[0], &drawn[1]);
    let mut values: Vec<f64> = (0..resamples)
        .map(|_| {
            // Of a single one there is nothing to draw.
            for (drawn, n) in drawn.iter_mut().zip(sizes).filter(|(_, n)| *n > 1) {
                drawn.iter_mut().for_each(|i| *i = rng.random_range(0..n));
            }
            statistic(&drawn[0], &drawn[1])
        })
        .collect();
    if !estimate.is_finite() || values.iter().any(|v| !v.is_finite()) {
        return Err(Error::NotFinite("bootstrap"));
    }
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[((share * (resamples - 1) as f64).round() as usize).min(resamples - 1)];
    Ok(Interval { estimate, low: at((1. - level) / 2.), high: at((1. + level) / 2.) })
}

/// Ranks from 1; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.; values.len()];
    let mut start = 0;
    for run in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = start as f64 + (run.len() as f64 + 1.) / 2.;
        run.iter().for_each(|&i| ranks[i] = rank);
        start += run.len();
    }
    ranks
}

fn pearson(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (ma, mb) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let product = |x: &[f64], mx: f64, y: &[f64], my: f64| x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum::<f64>();
    product(a, ma, b, mb) / (product(a, ma, a, ma) * product(b, mb, b, mb)).sqrt()
}

/// Whether two symmetric tables over the same things agree, and how often chance does better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// Spearman's rank correlation over the pairs.
    pub rho: f64,
    /// Share of permutations that reach it (the observed one counted in).
    pub p: f64,
}

/// Mantel's test (1967) with rank correlation: the entries above the diagonal are compared, and rows and columns of one table are permuted together.
///
/// # Errors
/// If the tables are not square and of one size of at least 3, or one is constant.
pub fn mantel(a: &Matrix, b: &Matrix, permutations: usize, seed: u64) -> Result<Agreement> {
    let n = a.rows();
    if n < 3 || [a.columns(), b.rows(), b.columns()].iter().any(|&m| m != n) {
        return Err(Error::Shape {
            statistic: "Mantel's test",
            expected: format!("two tables of [{0}, {0}]", n.max(3)),
            got: vec![b.rows(), b.columns()],
        });
    }
    let pairs: Vec<(usize, usize)> = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))).collect();
    let first = ranks(&pairs.iter().map(|&(i, j)| a.get(i, j)).collect::<Vec<_>>());
    let second = ranks(&pairs.iter().map(|&(i, j)| b.get(i, j)).collect::<Vec<_>>());
    let mut place = Matrix::zeros(n, n);
    for (&(i, j), &rank) in pairs.iter().zip(&second) {
        place.row_mut(i)[j] = rank;
        place.row_mut(j)[i] = rank;
    }
    let rho_of = |order: &[usize]| pearson(&first, &pairs.iter().map(|&(i, j)| place.get(order[i], order[j])).collect::<Vec<_>>());
    let mut order: Vec<usize> = (0..n).collect();
    let rho = rho_of(&order);
    if !rho.is_finite() {
        return Err(Error::NotFinite("Mantel's test"));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut reached = 1;
    for _ in 0..permutations {
        order.shuffle(&mut rng);
        reached += usize::from(rho_of(&order) >= rho - 1e-12);
    }
    Ok(Agreement { rho, p: reached as f64 / (permutations + 1) as f64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_hold_the_mean_as_often_as_they_say() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut held = 0;
        for trial in 0..200 {
            let sample: Vec<f64> = (0..60).map(|_| (0..12).map(|_| rng.random_range(-0.5..0.5)).sum::<f64>()).collect();
            let mean = |drawn: &[usize]| drawn.iter().map(|&i| sample[i]).sum::<f64>() / drawn.len() as f64;
            let interval = bootstrap(60, 400, 0.9, trial, mean).unwrap();
            assert!(interval.low <= interval.estimate && interval.estimate <= interval.high);
            held += usize::from(interval.low <= 0. && 0. <= interval.high);
        }
        assert!((165..=195).contains(&held), "{held} of 200");
        let offset = [-1., 0., 1.];
        let crossed = crossed_bootstrap([3, 60], 400, 0.9, 0, |seeds, _| seeds.iter().map(|&s| offset[s]).sum::<f64>() / 3.).unwrap();
        assert!(crossed.estimate == 0. && crossed.low <= -0.6 && crossed.high >= 0.6, "{crossed:?}");
        assert!(bootstrap(0, 10, 0.9, 0, |_| 0.).is_err() && bootstrap(3, 10, 0.9, 0, |_| f64::NAN).is_err());
    }

    #[test]
    fn rank_correlation_shares_ranks_among_ties() {
        // Ranks 1, 2.5, 2.5, 5, 4 and 2, 1, 3, 4.5, 4.5: by hand (1·2 + 2.5·1 + 2.5·3 + 5·4.5 + 4·4.5 - 45) / 9.5 = 15/19.
        assert!((pearson(&ranks(&[1., 2., 2., 5., 4.]), &ranks(&[3., 1., 4., 9., 9.])) - 15. / 19.).abs() < 1e-12);
    }

    #[test]
    fn mantel_tells_agreement_from_chance() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut table = |like: Option<&Matrix>| {
            let mut rows = vec![vec![0.; 9]; 9];
            for (i, j) in (0..9).flat_map(|i| (i + 1..9).map(move |j| (i, j))) {
                let value = like.map_or(0., |m| m.get(i, j)) + if like.is_some() { 0.2 } else { 1. } * rng.random_range(0f64..1.);
                (rows[i][j], rows[j][i]) = (value, value);
            }
            Matrix::from_rows(&rows)
        };
        let a = table(None);
        let (alike, other) = (table(Some(&a)), table(None));
        let agreement = mantel(&a, &alike, 999, 0).unwrap();
        assert!(agreement.rho > 0.8 && agreement.p < 0.01, "{agreement:?}");
        assert!(mantel(&a, &other, 999, 0).unwrap().p > 0.02);
        assert!(mantel(&a, &Matrix::zeros(4, 4), 9, 0).is_err() && mantel(&a, &Matrix::zeros(9, 9), 9, 0).is_err());
    }
}
