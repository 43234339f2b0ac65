//! How good a forecast is. Each score is 1 for a perfect forecast and 0 for one that knows nothing.

use foresee_analysis::Matrix;

use crate::definition::Unit;
use crate::error::{Error, Result};

/// What was observed of some operations: how much each change changes each output.
#[derive(Debug, Clone, PartialEq)]
pub struct Effects {
    /// [changes, outputs].
    pub values: Matrix,
    /// Which operation a change is of, `[changes]`.
    pub operations: Vec<usize>,
    /// How strong it was, `[changes]`.
    pub strengths: Vec<f64>,
    /// How often each operation counts, `[operations]`: 1, or how often a bootstrap drew it.
    pub weights: Vec<f64>,
}

impl Effects {
    /// Every operation counts once.
    ///
    /// # Errors
    /// If there is not one operation and one strength for each row.
    pub fn new(values: Matrix, operations: Vec<usize>, strengths: Vec<f64>) -> Result<Self> {
        if operations.len() != values.rows() || strengths.len() != values.rows() {
            let got = format!("{} and {}", operations.len(), strengths.len());
            return Err(Error::Shape {
                what: "operations and strengths of the changes".into(),
                expected: format!("{0} and {0}", values.rows()),
                got,
            });
        }
        let count = operations.iter().max().map_or(0, |last| last + 1);
        Ok(Self { values, operations, strengths, weights: vec![1.; count] })
    }

    fn weight(&self, change: usize) -> f64 {
        self.weights[self.operations[change]]
    }

    /// The mean of what `score` says of each change, where it says something.
    fn mean(&self, score: impl Fn(usize) -> Option<f64>) -> f64 {
        let (mut sum, mut weight) = (0., 0.);
        for change in (0..self.values.rows()).filter(|&change| self.weight(change) > 0.) {
            if let Some(value) = score(change).filter(|value| value.is_finite()) {
                sum += self.weight(change) * value;
                weight += self.weight(change);
            }
        }
        sum / weight
    }
}

/// Kendall's τ-b of two lists: 1 if they have the same order, -1 if the opposite one, with ties
/// counted as such. NaN if one of them is constant.
pub fn kendall(a: &[f64], b: &[f64]) -> f64 {
    weighted_kendall(a, b, &vec![1.; a.len()])
}

/// Each entry stands for as many as its weight says; pairs of one entry with itself do not count.
fn weighted_kendall(a: &[f64], b: &[f64], weights: &[f64]) -> f64 {
    let (mut agree, mut untied_a, mut untied_b) = (0., 0., 0.);
    for i in 0..a.len() {
        for j in i + 1..a.len() {
            let (x, y, weight) = (sign(a[i] - a[j]), sign(b[i] - b[j]), weights[i] * weights[j]);
            agree += weight * x * y;
            untied_a += weight * x.abs();
            untied_b += weight * y.abs();
        }
    }
    agree / (untied_a * untied_b).sqrt()
}

fn sign(difference: f64) -> f64 {
    match difference {
        d if d > 0. => 1.,
        d if d < 0. => -1.,
        _ => 0.,
    }
}

/// Skill, `1 - Σ(e - f)²/Σ(e - ē)²` over all changes and outputs: how much less wrong the forecast
/// is than the mean effect ē of all other operations, which is all that one can say without an
/// explanation. 1 is perfect, 0 no better than that mean, and below 0 it misleads.
///
/// A forecast in a unit of its own is brought into that of the effects by the line that fits best
/// on all other operations. The line never falls: a forecast may not be read upside down. Where an
/// operation's forecast lies far from all others, the line reaches far, and so does a mistake.
///
/// NaN if there is only one operation, or all effects are equal.
pub fn skill(effects: &Effects, forecast: &Matrix, unit: Unit) -> f64 {
    let (mut wrong, mut wrong_mean) = (0., 0.);
    for (operation, &weight) in
        effects.weights.iter().enumerate().filter(|(_, weight)| **weight > 0.)
    {
        let others = Calibration::of(effects, forecast, operation);
        for change in (0..forecast.rows()).filter(|&change| effects.operations[change] == operation)
        {
            for (e, f) in effects.values.row(change).iter().zip(forecast.row(change)) {
                let said = if unit == Unit::Any { others.read(*f) } else { *f };
                wrong += weight * (e - said).powi(2);
                wrong_mean += weight * (e - others.mean).powi(2);
            }
        }
    }
    if wrong_mean > 0. { 1. - wrong / wrong_mean } else { f64::NAN }
}

/// How a forecast's unit is read, learned on all operations but one.
struct Calibration {
    mean: f64,
    intercept: f64,
    slope: f64,
}

impl Calibration {
    fn of(effects: &Effects, forecast: &Matrix, without: usize) -> Self {
        let (mut n, mut sum_e, mut sum_f) = (0., 0., 0.);
        let others =
            || (0..forecast.rows()).filter(|&change| effects.operations[change] != without);
        let pairs = || {
            others().flat_map(|change| effects.values.row(change).iter().zip(forecast.row(change)))
        };
        for (e, f) in pairs() {
            n += 1.;
            sum_e += e;
            sum_f += f;
        }
        let (mean, mean_f) = (sum_e / n, sum_f / n);
        let (mut covariance, mut variance) = (0., 0.);
        for (e, f) in pairs() {
            covariance += (e - mean) * (f - mean_f);
            variance += (f - mean_f).powi(2);
        }
        let slope = if variance > 1e-12 * n * mean_f * mean_f {
            (covariance / variance).max(0.)
        } else {
            0.
        };
        Self { mean, intercept: mean - slope * mean_f, slope }
    }

    fn read(&self, forecast: f64) -> f64 {
        self.intercept + self.slope * forecast
    }
}

/// Rank agreement over outputs: the mean over changes of Kendall's τ-b between forecast and effect.
/// Does the forecast say which outputs change most? NaN if no change has effects and forecasts that
/// differ between outputs.
pub fn rank_of_outputs(effects: &Effects, forecast: &Matrix) -> f64 {
    effects.mean(|change| Some(kendall(effects.values.row(change), forecast.row(change))))
}

/// Rank agreement over operations: Kendall's τ-b between the sums over outputs, among changes of
/// one strength, then the mean over strengths. Does the forecast say which operations change most?
/// NaN if no strength has several operations.
pub fn rank_of_operations(effects: &Effects, forecast: &Matrix) -> f64 {
    let sum = |m: &Matrix, row: usize| m.row(row).iter().sum::<f64>();
    let mut strengths = effects.strengths.clone();
    strengths.sort_by(f64::total_cmp);
    strengths.dedup();
    let each: Vec<f64> = strengths
        .into_iter()
        .map(|strength| {
            let of: Vec<usize> = (0..forecast.rows())
                .filter(|&change| effects.strengths[change] == strength)
                .collect();
            let list = |value: &dyn Fn(usize) -> f64| {
                of.iter().map(|&change| value(change)).collect::<Vec<_>>()
            };
            weighted_kendall(
                &list(&|c| sum(&effects.values, c)),
                &list(&|c| sum(forecast, c)),
                &list(&|c| effects.weight(c)),
            )
        })
        .filter(|tau| tau.is_finite())
        .collect();
    each.iter().sum::<f64>() / each.len() as f64
}

/// Locality: how much of the change lies where the forecast says, between chance (0) and as much as
/// can lie in so many outputs (1): (share - size)/(best - size), the mean over changes. "Where the
/// forecast says" are the fewest outputs that hold half of it, `size` is their share of all
/// outputs, and `best` the share of the change in as many outputs that change most. Below 0 if the
/// change avoids them. NaN for forecasts that name no place, being the same everywhere.
pub fn locality(effects: &Effects, forecast: &Matrix) -> f64 {
    effects.mean(|change| local_share(effects.values.row(change), forecast.row(change)))
}

fn local_share(effect: &[f64], forecast: &[f64]) -> Option<f64> {
    let (all, said): (f64, f64) = (effect.iter().sum(), forecast.iter().sum());
    let mut order: Vec<usize> = (0..forecast.len()).collect();
    order.sort_by(|&a, &b| forecast[b].total_cmp(&forecast[a]));
    let (first, last) = (*order.first()?, *order.last()?);
    if forecast[first] - forecast[last] <= 1e-12 * forecast[first].abs() || all <= 0. {
        return None;
    }
    let (mut held, mut inside, mut count) = (0., 0., 0);
    for output in order {
        if held >= 0.5 * said * (1. - 1e-12) {
            break;
        }
        held += forecast[output];
        inside += effect[output];
        count += 1;
    }
    let mut largest = effect.to_vec();
    largest.sort_by(|a, b| b.total_cmp(a));
    let (size, best) =
        (count as f64 / forecast.len() as f64, largest[..count].iter().sum::<f64>() / all);
    (best > size + 1e-12).then(|| (inside / all - size) / (best - size))
}

/// Monotonicity in the strength: of all pairs of strengths of one operation, the share in which the
/// stronger one changes more. 1 if the change only grows, 0.5 by chance. NaN if every operation has
/// one strength only.
pub fn monotonicity(effects: &Effects) -> f64 {
    let size = |change: usize| effects.values.row(change).iter().sum::<f64>();
    let strength = |change: usize| effects.strengths[change].abs();
    let (mut grows, mut pairs) = (0., 0.);
    for i in 0..effects.strengths.len() {
        for j in i + 1..effects.strengths.len() {
            if effects.operations[i] == effects.operations[j] && strength(i) != strength(j) {
                let (weak, strong) = if strength(i) < strength(j) { (i, j) } else { (j, i) };
                grows += effects.weight(i) * f64::from(u8::from(size(weak) < size(strong)));
                pairs += effects.weight(i);
            }
        }
    }
    grows / pairs
}
