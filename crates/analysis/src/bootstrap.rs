//! How sure a mean is, and whether two tables agree more than by chance.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{ContinuousCDF, StudentsT};

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

/// Percentile bootstrap (Efron, 1979) of a statistic of `n` exchangeable things, such as test
/// images: `statistic` is given indices drawn with replacement. The interval holds the middle
/// `level` (such as 0.95) of `resamples` values.
///
/// # Errors
/// If there is nothing to draw from, or a value is not finite.
pub fn bootstrap(
    n: usize,
    resamples: usize,
    level: f64,
    seed: u64,
    statistic: impl Fn(&[usize]) -> f64,
) -> Result<Interval> {
    if n == 0 || resamples == 0 {
        return Err(Error::Empty("bootstrap"));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn: Vec<usize> = (0..n).collect();
    let estimate = statistic(&drawn);
    let mut values: Vec<f64> = (0..resamples)
        .map(|_| {
            drawn.iter_mut().for_each(|i| *i = rng.random_range(0..n));
            statistic(&drawn)
        })
        .collect();
    if !estimate.is_finite() || values.iter().any(|v| !v.is_finite()) {
        return Err(Error::NotFinite("bootstrap"));
    }
    values.sort_by(f64::total_cmp);
    let at =
        |share: f64| values[((share * (resamples - 1) as f64).round() as usize).min(resamples - 1)];
    Ok(Interval { estimate, low: at((1. - level) / 2.), high: at((1. + level) / 2.) })
}

/// The same where a few things and many vary at once and every one of the few meets every one of
/// the many, such as trainings from three seeds that are judged on the same images. `statistic` is
/// given the few and the many as indices.
///
/// To each side the interval reaches √(a² + b²): a of the bootstrap of the many with all of the
/// few, b = t·s/√n of the statistic of each of the n few alone, whose standard deviation is s, with
/// Student's t for n - 1. (To draw the few anew as well, as in the pigeonhole bootstrap, cannot
/// reach beyond the outermost of them: of three, such an interval of 95 % holds in 77 % of all
/// cases.) Of a single one nothing is known of how the few differ.
///
/// # Errors
/// If there is nothing to draw from, or a value is not finite.
pub fn crossed_interval(
    [few, many]: [usize; 2],
    resamples: usize,
    level: f64,
    seed: u64,
    statistic: impl Fn(&[usize], &[usize]) -> f64,
) -> Result<Interval> {
    if few == 0 {
        return Err(Error::Empty("bootstrap"));
    }
    let (all, every): (Vec<usize>, Vec<usize>) = ((0..few).collect(), (0..many).collect());
    let Interval { estimate, low, high } =
        bootstrap(many, resamples, level, seed, |drawn| statistic(&all, drawn))?;
    if few == 1 {
        return Ok(Interval { estimate, low, high });
    }
    let each: Vec<f64> = all.iter().map(|&one| statistic(&[one], &every)).collect();
    let by_few = half_width(&each, level)?;
    Ok(Interval {
        estimate,
        low: estimate - (estimate - low).max(0.).hypot(by_few),
        high: estimate + (high - estimate).max(0.).hypot(by_few),
    })
}

/// Mean of a few values with Student's interval of the level.
///
/// # Errors
/// If there are fewer than two, or one is not finite.
pub fn student_interval(values: &[f64], level: f64) -> Result<Interval> {
    let half = half_width(values, level)?;
    let estimate = values.iter().sum::<f64>() / values.len() as f64;
    Ok(Interval { estimate, low: estimate - half, high: estimate + half })
}

/// t·s/√n.
fn half_width(values: &[f64], level: f64) -> Result<f64> {
    let n = values.len() as f64;
    let student = StudentsT::new(0., 1., n - 1.).map_err(|_| Error::Empty("Student's interval"))?;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.);
    if !variance.is_finite() {
        return Err(Error::NotFinite("Student's interval"));
    }
    Ok(student.inverse_cdf((1. + level) / 2.) * (variance / n).sqrt())
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
    let product = |x: &[f64], mx: f64, y: &[f64], my: f64| {
        x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum::<f64>()
    };
    product(a, ma, b, mb) / (product(a, ma, a, ma) * product(b, mb, b, mb)).sqrt()
}

/// Whether symmetric tables over the same things agree, and how often chance does better.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreement {
    /// Spearman's rank correlation over the pairs of things, mean over the pairs of tables.
    pub rho: f64,
    /// The same of each pair of tables.
    pub each: Vec<f64>,
    /// Share of permutations whose mean reaches it (the observed one counted in).
    pub p: f64,
}

/// Mantel's test (1967) with rank correlation: the entries above the diagonal are compared, and
/// rows and columns of one table are permuted together. Several pairs of tables over the same
/// things, such as of networks from several seeds, are tested as one: each permutation is made in
/// all of them, and the mean counts.
///
/// # Errors
/// If there is no pair, the tables are not square and of one size of at least 3, or one is
/// constant.
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
        reached += usize::from(mean(&order) >= rho - 1e-12);
    }
    Ok(Agreement { rho, each, p: reached as f64 / (permutations + 1) as f64 })
}

/// Two tables' ranks: of the first those above the diagonal, of the second each in its place.
struct Ranked {
    pairs: Vec<(usize, usize)>,
    first: Vec<f64>,
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

    /// Their correlation, with the second's rows and columns in this order.
    fn rho(&self, order: &[usize]) -> f64 {
        pearson(
            &self.first,
            &self
                .pairs
                .iter()
                .map(|&(i, j)| self.second.get(order[i], order[j]))
                .collect::<Vec<_>>(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_hold_the_mean_as_often_as_they_say() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut held = 0;
        for trial in 0..200 {
            let sample: Vec<f64> = (0..60)
                .map(|_| (0..12).map(|_| rng.random_range(-0.5..0.5)).sum::<f64>())
                .collect();
            let mean = |drawn: &[usize]| {
                drawn.iter().map(|&i| sample[i]).sum::<f64>() / drawn.len() as f64
            };
            let interval = bootstrap(60, 400, 0.9, trial, mean).unwrap();
            assert!(interval.low <= interval.estimate && interval.estimate <= interval.high);
            held += usize::from(interval.low <= 0. && 0. <= interval.high);
        }
        assert!((165..=195).contains(&held), "{held} of 200");
        assert!(
            bootstrap(0, 10, 0.9, 0, |_| 0.).is_err()
                && bootstrap(3, 10, 0.9, 0, |_| f64::NAN).is_err()
        );
    }

    /// Three trainings on the same images, of which either the trainings or the images differ more.
    #[test]
    fn crossed_intervals_hold_as_often_as_they_say_whatever_differs_more() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for (of_seeds, of_images) in [(1., 1.), (1., 0.1), (0.05, 1.)] {
            let mut held = 0;
            for trial in 0..200 {
                let mut normal =
                    |scale: f64| scale * (0..12).map(|_| rng.random_range(-0.5..0.5)).sum::<f64>();
                let (seeds, images): (Vec<f64>, Vec<f64>) = (
                    (0..3).map(|_| normal(of_seeds)).collect(),
                    (0..40).map(|_| normal(of_images)).collect(),
                );
                let values: Vec<Vec<f64>> = seeds
                    .iter()
                    .map(|s| images.iter().map(|i| s + i + normal(of_images)).collect())
                    .collect();
                let mean = |few: &[usize], many: &[usize]| {
                    few.iter()
                        .map(|&s| many.iter().map(|&i| values[s][i]).sum::<f64>())
                        .sum::<f64>()
                        / (few.len() * many.len()) as f64
                };
                let interval = crossed_interval([3, 40], 200, 0.9, trial, mean).unwrap();
                held += usize::from(interval.low <= 0. && 0. <= interval.high);
            }
            assert!((168..=200).contains(&held), "{held} of 200 with {of_seeds} and {of_images}");
        }
        // s = 1, t for 2 and 95 % is 4.3027: by hand 4.3027/√3.
        let by_hand = student_interval(&[-1., 0., 1.], 0.95).unwrap();
        assert!(
            by_hand.estimate == 0.
                && (by_hand.high - 2.48414).abs() < 1e-4
                && by_hand.low == -by_hand.high,
            "{by_hand:?}"
        );
        assert!(student_interval(&[1.], 0.95).is_err() && student_interval(&[], 0.95).is_err());
    }

    #[test]
    fn rank_correlation_shares_ranks_among_ties() {
        // Ranks 1, 2.5, 2.5, 5, 4 and 2, 1, 3, 4.5, 4.5: by hand (1·2 + 2.5·1 + 2.5·3 + 5·4.5 +
        // 4·4.5 - 45) / 9.5 = 15/19.
        assert!(
            (pearson(&ranks(&[1., 2., 2., 5., 4.]), &ranks(&[3., 1., 4., 9., 9.])) - 15. / 19.)
                .abs()
                < 1e-12
        );
    }

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
        assert!(
            both.p < 0.05
                && (both.rho - (both.each[0] + both.each[1]) / 2.).abs() < 1e-12
                && both.each[0] == agreement.rho,
            "{both:?}"
        );
        let small = Matrix::zeros(4, 4);
        assert!(
            mantel(&[(&a, &small)], 9, 0).is_err()
                && mantel(&[(&a, &Matrix::zeros(9, 9))], 9, 0).is_err()
                && mantel(&[], 9, 0).is_err()
        );
    }
}
