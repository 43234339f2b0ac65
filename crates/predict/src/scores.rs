//! How good a forecast is. Each score is 1 for a perfect forecast and 0 for one that knows nothing.

use foresee_analysis::Matrix;

use crate::definition::Unit;

/// Kendall's τ-b of two lists: 1 if they have the same order, -1 if the opposite one, with ties counted as such. NaN if one of them is constant.
pub fn kendall(a: &[f64], b: &[f64]) -> f64 {
    let (mut agree, mut ties_a, mut ties_b, mut pairs) = (0i64, 0i64, 0i64, 0i64);
    for i in 0..a.len() {
        for j in i + 1..a.len() {
            let (x, y) = (sign(a[i] - a[j]), sign(b[i] - b[j]));
            agree += x * y;
            ties_a += i64::from(x == 0);
            ties_b += i64::from(y == 0);
            pairs += 1;
        }
    }
    agree as f64 / (((pairs - ties_a) * (pairs - ties_b)) as f64).sqrt()
}

fn sign(difference: f64) -> i64 {
    match difference {
        d if d > 0. => 1,
        d if d < 0. => -1,
        _ => 0,
    }
}

/// Skill, `1 - Σ(e - f)²/Σ(e - ē)²` over all perturbations and outputs: how much less wrong the forecast is than the mean effect ē of all other operations, which is
/// all that one can say without an explanation. 1 is perfect, 0 no better than that mean, and below 0 it misleads. A forecast in any unit is brought into that of the
/// effects by the line that fits best on all other operations (with no negative slope: a forecast may not be read upside down).
///
/// `effects` and `forecast` are [changes, outputs], and `operations` tells which changes are of one operation. NaN if there is only one operation, or all
/// effects are equal.
pub fn skill(effects: &Matrix, forecast: &Matrix, unit: Unit, operations: &[usize]) -> f64 {
    let all = Moments::of(effects, forecast, 0..effects.rows());
    let (mut wrong, mut wrong_mean) = (0., 0.);
    let mut start = 0;
    for changes in operations.chunk_by(|a, b| a == b) {
        let range = start..start + changes.len();
        start = range.end;
        let others = all.minus(&Moments::of(effects, forecast, range.clone()));
        let line = if unit == Unit::Any { others.line() } else { (0., 1.) };
        for row in range {
            for (e, f) in effects.row(row).iter().zip(forecast.row(row)) {
                wrong += (e - line.0 - line.1 * f).powi(2);
                wrong_mean += (e - others.e / others.n).powi(2);
            }
        }
    }
    if wrong_mean > 0. { 1. - wrong / wrong_mean } else { f64::NAN }
}

/// Sums over some changes.
struct Moments {
    n: f64,
    e: f64,
    f: f64,
    ef: f64,
    ff: f64,
}

impl Moments {
    fn of(effects: &Matrix, forecast: &Matrix, rows: std::ops::Range<usize>) -> Self {
        let mut sums = Self { n: 0., e: 0., f: 0., ef: 0., ff: 0. };
        for row in rows {
            for (e, f) in effects.row(row).iter().zip(forecast.row(row)) {
                sums.n += 1.;
                sums.e += e;
                sums.f += f;
                sums.ef += e * f;
                sums.ff += f * f;
            }
        }
        sums
    }

    fn minus(&self, other: &Self) -> Self {
        Self { n: self.n - other.n, e: self.e - other.e, f: self.f - other.f, ef: self.ef - other.ef, ff: self.ff - other.ff }
    }

    /// Intercept and slope of effects over forecasts.
    fn line(&self) -> (f64, f64) {
        let (mean_e, mean_f) = (self.e / self.n, self.f / self.n);
        let (covariance, variance) = (self.ef / self.n - mean_e * mean_f, self.ff / self.n - mean_f * mean_f);
        let slope = if variance > 1e-12 * mean_f * mean_f { (covariance / variance).max(0.) } else { 0. };
        (mean_e - slope * mean_f, slope)
    }
}

/// Rank agreement over outputs: the mean over changes of Kendall's τ-b between forecast and effect. Does the forecast say which outputs change most? NaN if no
/// change has effects and forecasts that differ between outputs.
pub fn rank_of_outputs(effects: &Matrix, forecast: &Matrix) -> f64 {
    let each: Vec<f64> = (0..effects.rows()).map(|row| kendall(effects.row(row), forecast.row(row))).filter(|tau| tau.is_finite()).collect();
    each.iter().sum::<f64>() / each.len() as f64
}

/// Rank agreement over perturbations: Kendall's τ-b between the sums over outputs. Does the forecast say which perturbations change most?
pub fn rank_of_perturbations(effects: &Matrix, forecast: &Matrix) -> f64 {
    let sums = |m: &Matrix| (0..m.rows()).map(|row| m.row(row).iter().sum::<f64>()).collect::<Vec<_>>();
    kendall(&sums(effects), &sums(forecast))
}

/// Locality: the share of the change that lies where the forecast says, less what lies there by chance: (share - size)/(1 - size), the mean over changes. "Where the
/// forecast says" are the fewest outputs that hold half of it, and `size` is their share of all outputs. 1 if the whole change lies there, 0 by chance, below 0 if
/// it avoids them. NaN for forecasts that name no place.
pub fn locality(effects: &Matrix, forecast: &Matrix) -> f64 {
    let each: Vec<f64> = (0..effects.rows()).filter_map(|row| local_share(effects.row(row), forecast.row(row))).collect();
    each.iter().sum::<f64>() / each.len() as f64
}

fn local_share(effect: &[f64], forecast: &[f64]) -> Option<f64> {
    let (all, said): (f64, f64) = (effect.iter().sum(), forecast.iter().sum());
    let mut order: Vec<usize> = (0..forecast.len()).collect();
    order.sort_by(|&a, &b| forecast[b].total_cmp(&forecast[a]));
    let (mut held, mut inside, mut count) = (0., 0., 0);
    for output in order {
        if held >= 0.5 * said * (1. - 1e-12) {
            break;
        }
        held += forecast[output];
        inside += effect[output];
        count += 1;
    }
    let size = count as f64 / forecast.len() as f64;
    (count > 0 && size < 1. && all > 0.).then(|| (inside / all - size) / (1. - size))
}

/// Monotonicity in the strength: of all pairs of strengths of one operation, the share in which the stronger one changes more. 1 if the change only grows, 0.5 by
/// chance. NaN if every operation has one strength only.
pub fn monotonicity(effects: &Matrix, operations: &[usize], strengths: &[f64]) -> f64 {
    let size = |row: usize| effects.row(row).iter().sum::<f64>();
    let (mut grows, mut pairs) = (0., 0.);
    for i in 0..strengths.len() {
        for j in i + 1..strengths.len() {
            if operations[i] == operations[j] && strengths[i] != strengths[j] {
                let (weak, strong) = if strengths[i].abs() < strengths[j].abs() { (i, j) } else { (j, i) };
                grows += f64::from(u8::from(size(weak) < size(strong)));
                pairs += 1.;
            }
        }
    }
    grows / pairs
}
