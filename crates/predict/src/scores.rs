//! Scores of a forecast. Each is 1 for a perfect forecast; 0 is one that knows nothing (0.5 for
//! monotonicity), and below that a forecast misleads.

use std::cmp::Ordering;

use foresee_stats::{Matrix, is_rounding, kendall, row_correlation, weighted_kendall};

use crate::error::{Error, Result};
use crate::forecast::Unit;

/// A score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScoreRule {
    /// [`skill`].
    Skill,
    /// [`rank_of_outputs`].
    RankOfOutputs,
    /// [`rank_of_operations`].
    RankOfOperations,
    /// [`locality`].
    Locality,
    /// [`monotonicity`], which needs no forecast.
    Monotonicity,
    /// Rank agreement over pairs of outputs,
    /// [`Study::rank_of_pairs`](crate::Study::rank_of_pairs).
    RankOfPairs,
}

/// A score of a forecast [changes, outputs], given the effects and the forecast's unit.
pub(crate) type Measure = fn(&Effects, &Matrix, Unit) -> f64;

/// The scores that every forecast has. A new score is one line here, and its names below.
pub(crate) const MEASURES: [(ScoreRule, Measure); 4] = [
    (ScoreRule::Skill, skill),
    (ScoreRule::RankOfOutputs, |effects, forecast, _| rank_of_outputs(effects, forecast)),
    (ScoreRule::RankOfOperations, |effects, forecast, _| rank_of_operations(effects, forecast)),
    (ScoreRule::Locality, |effects, forecast, _| locality(effects, forecast)),
];

impl ScoreRule {
    /// All scores.
    pub const ALL: [Self; 6] = [
        Self::Skill,
        Self::RankOfOutputs,
        Self::RankOfOperations,
        Self::Locality,
        Self::Monotonicity,
        Self::RankOfPairs,
    ];

    /// The scores that every forecast has, in the order of tables.
    pub fn of_forecasts() -> [Self; 4] {
        MEASURES.map(|(rule, _)| rule)
    }

    /// The least value that it can have.
    pub(crate) fn lowest(self) -> f64 {
        match self {
            Self::RankOfOutputs | Self::RankOfOperations | Self::RankOfPairs => -1.,
            Self::Skill | Self::Locality | Self::Monotonicity => f64::NEG_INFINITY,
        }
    }

    /// The name in files.
    pub fn id(self) -> &'static str {
        match self {
            Self::Skill => "skill",
            Self::RankOfOutputs => "rank_of_outputs",
            Self::RankOfOperations => "rank_of_operations",
            Self::Locality => "locality",
            Self::Monotonicity => "monotonicity",
            Self::RankOfPairs => "rank_of_pairs",
        }
    }

    /// The name in figures and tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::RankOfOutputs => "rank agreement, outputs",
            Self::RankOfOperations => "rank agreement, operations",
            Self::RankOfPairs => "rank of pairs",
            other => other.id(),
        }
    }

    /// The score with this id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.id() == id)
    }
}

/// What was observed of some operations: how much each change changes each output.
#[derive(Debug, Clone, PartialEq)]
pub struct Effects {
    /// [changes, outputs].
    pub values: Matrix,
    /// The operation of each change, `[changes]`.
    pub operations: Vec<usize>,
    /// The strength of each change, `[changes]`.
    pub strengths: Vec<f64>,
    /// How often each operation counts, `[operations]`: 1, or how often a bootstrap drew it.
    pub weights: Vec<f64>,
}

impl Effects {
    /// Effects in which every operation counts once.
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

    /// For each change and output, the mean effect of all other operations at the same strength, or
    /// at all strengths where no other has it; `None` if there is no other operation.
    pub(crate) fn mean_of_others(&self) -> Option<Matrix> {
        if self.weights.iter().filter(|weight| **weight > 0.).count() < 2 {
            return None;
        }
        let changes = || 0..self.values.rows();
        let of_change = |change: usize| {
            let others =
                changes().filter(|&other| self.operations[other] != self.operations[change]);
            let others: Vec<usize> = others.filter(|&other| self.weight(other) > 0.).collect();
            let alike = |other: &&usize| self.strengths[**other] == self.strengths[change];
            let same: Vec<usize> = others.iter().filter(alike).copied().collect();
            self.mean_of(if same.is_empty() { &others } else { &same })
        };
        Some(Matrix::from_rows(&changes().map(of_change).collect::<Vec<_>>()))
    }

    /// The weighted mean effect of some changes on each output.
    fn mean_of(&self, changes: &[usize]) -> Vec<f64> {
        let mut sums = vec![0.; self.values.columns()];
        for &change in changes {
            let weight = self.weight(change);
            sums.iter_mut().zip(self.values.row(change)).for_each(|(sum, e)| *sum += weight * e);
        }
        let all: f64 = changes.iter().map(|&change| self.weight(change)).sum();
        sums.into_iter().map(|sum| sum / all).collect()
    }

    /// The weighted mean of `score` over the changes for which it is a finite number.
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

/// Skill, `1 - Σ(e - f)²/Σ(e - ē)²` over all changes and outputs: how much smaller the error of the
/// forecast f is than that of ē, one number: the mean effect of all other operations, over all
/// outputs and strengths. 1 is perfect, 0 is no better than that mean, and a forecast below 0
/// misleads. Where strengths or outputs differ much, their own means are a better guess
/// ([`Study::mean_of_others`](crate::Study::mean_of_others)).
///
/// A forecast in [`Unit::Any`] is first converted by the line that fits best on all other
/// operations. The slope of the line is not negative: a forecast may not be read upside down. If an
/// operation's forecast lies far from all others, the line extrapolates, and so does its error.
///
/// NaN if there is only one operation, or all effects are equal. So a resample in which only one
/// operation was drawn has no skill, and of two operations an interval may not be known.
///
/// ```
/// use foresee_predict::{Effects, Matrix, Unit, skill};
///
/// // Three operations that change one output by 1, 2 and 3.
/// let values = Matrix::from_rows(&[vec![1.], vec![2.], vec![3.]]);
/// let effects = Effects::new(values.clone(), vec![0, 1, 2], vec![1.; 3])?;
/// assert_eq!(skill(&effects, &values, Unit::Outputs), 1.);
/// // The means of the other two are 2.5, 2 and 1.5: their squared errors add up to 4.5, those of
/// // "nothing changes" to 1 + 4 + 9.
/// let nothing = skill(&effects, &Matrix::zeros(3, 1), Unit::Outputs);
/// assert!((nothing - (1. - 14. / 4.5)).abs() < 1e-12);
/// # Ok::<(), foresee_predict::Error>(())
/// ```
pub fn skill(effects: &Effects, forecast: &Matrix, unit: Unit) -> f64 {
    squared_errors(effects, forecast, unit).skill()
}

/// What [`skill`] is computed from. Errors of several forecasters can be added up.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SquaredErrors {
    /// Σ(e - f)², of the forecast.
    pub forecast: f64,
    /// Σ(e - ē)², of the mean effect of all other operations.
    pub mean: f64,
    /// Σe².
    pub size: f64,
}

impl SquaredErrors {
    /// [`skill`].
    pub fn skill(&self) -> f64 {
        // Effects that are equal but for rounding are equal.
        if is_rounding(self.mean, self.size) { f64::NAN } else { 1. - self.forecast / self.mean }
    }
}

impl std::ops::AddAssign for SquaredErrors {
    fn add_assign(&mut self, other: Self) {
        self.forecast += other.forecast;
        self.mean += other.mean;
        self.size += other.size;
    }
}

/// The errors whose ratio is [`skill`].
pub fn squared_errors(effects: &Effects, forecast: &Matrix, unit: Unit) -> SquaredErrors {
    let mut errors = SquaredErrors::default();
    for (operation, &weight) in
        effects.weights.iter().enumerate().filter(|(_, weight)| **weight > 0.)
    {
        let others = Calibration::of(effects, forecast, operation);
        for change in (0..forecast.rows()).filter(|&change| effects.operations[change] == operation)
        {
            for (e, f) in effects.values.row(change).iter().zip(forecast.row(change)) {
                let expected = if unit == Unit::Any { others.convert(*f) } else { *f };
                errors.forecast += weight * (e - expected).powi(2);
                errors.mean += weight * (e - others.mean).powi(2);
                errors.size += weight * e.powi(2);
            }
        }
    }
    errors
}

/// Skill against "nothing changes", `1 - Σ(e - f)²/Σe²` over all changes and outputs, for effects e
/// and forecasts f in the unit of the outputs, which may have signs. 1 is perfect, 0 is no better
/// than to say that nothing changes, and a forecast below 0 is worse than that. Unlike [`skill`] it
/// needs no other operation. NaN if nothing changes.
///
/// ```
/// use foresee_predict::{Effects, Matrix, skill_over_nothing};
///
/// let effects = Effects::new(Matrix::from_rows(&[vec![1., -2.]]), vec![0], vec![1.])?;
/// // Errors of 0.5 and 0.5 against effects of 1 and 2: 1 - 0.5/5.
/// let forecast = Matrix::from_rows(&[vec![0.5, -1.5]]);
/// assert!((skill_over_nothing(&effects, &forecast) - 0.9).abs() < 1e-12);
/// # Ok::<(), foresee_predict::Error>(())
/// ```
pub fn skill_over_nothing(effects: &Effects, forecast: &Matrix) -> f64 {
    let (mut error, mut size) = (0., 0.);
    for change in 0..effects.values.rows() {
        for (e, f) in effects.values.row(change).iter().zip(forecast.row(change)) {
            error += effects.weight(change) * (e - f).powi(2);
            size += effects.weight(change) * e.powi(2);
        }
    }
    if size > 0. { 1. - error / size } else { f64::NAN }
}

/// The line from a forecast's unit to that of the effects, fitted on all operations but one, by
/// their weights: a resample has a line of its own.
struct Calibration {
    mean: f64,
    intercept: f64,
    slope: f64,
}

impl Calibration {
    fn of(effects: &Effects, forecast: &Matrix, without: usize) -> Self {
        let (mut n, mut sum_e, mut sum_f) = (0., 0., 0.);
        let others = || {
            (0..forecast.rows()).filter(|&change| {
                effects.operations[change] != without && effects.weight(change) > 0.
            })
        };
        let pairs = || {
            others().flat_map(|change| {
                let pairs = effects.values.row(change).iter().zip(forecast.row(change));
                pairs.map(move |(e, f)| (effects.weight(change), e, f))
            })
        };
        for (weight, e, f) in pairs() {
            n += weight;
            sum_e += weight * e;
            sum_f += weight * f;
        }
        let (mean, mean_f) = (sum_e / n, sum_f / n);
        let (mut covariance, mut variance) = (0., 0.);
        for (weight, e, f) in pairs() {
            covariance += weight * (e - mean) * (f - mean_f);
            variance += weight * (f - mean_f).powi(2);
        }
        let slope = if variance > 1e-12 * n * mean_f * mean_f {
            (covariance / variance).max(0.)
        } else {
            0.
        };
        Self { mean, intercept: mean - slope * mean_f, slope }
    }

    fn convert(&self, forecast: f64) -> f64 {
        self.intercept + self.slope * forecast
    }
}

/// Rank agreement over outputs: the mean over changes of Kendall's τ-b between forecast and effect.
/// Does the forecast say which outputs change most? NaN if no change has effects and forecasts that
/// differ between outputs.
///
/// ```
/// use foresee_predict::{Effects, Matrix, rank_of_outputs};
///
/// let effects = Effects::new(Matrix::from_rows(&[vec![1., 2., 3.]]), vec![0], vec![1.])?;
/// // Two of three pairs of outputs are in the right order, one is not.
/// let forecast = Matrix::from_rows(&[vec![10., 30., 20.]]);
/// assert!((rank_of_outputs(&effects, &forecast) - 1. / 3.).abs() < 1e-12);
/// # Ok::<(), foresee_predict::Error>(())
/// ```
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

/// Locality: how much of the change lies in the outputs that the forecast names, from chance (0) to
/// as much as can lie in so many outputs (1). It is (share - size)/(best - size), the mean over
/// changes. The forecast names the fewest outputs that hold half of it. `share` is their share of
/// the change, `size` their share of all outputs, and `best` the share of the change in as many
/// outputs that change most. Below 0 if the change avoids the named outputs. NaN for a forecast
/// that is the same for all outputs.
///
/// ```
/// use foresee_predict::{Effects, Matrix, locality};
///
/// let changed = Matrix::from_rows(&[vec![0., 0., 1., 0.]]);
/// let effects = Effects::new(changed.clone(), vec![0], vec![1.])?;
/// assert!((locality(&effects, &changed) - 1.).abs() < 1e-12);
/// // One output of four is named, and none of the change lies there: (0 - 1/4)/(1 - 1/4).
/// let elsewhere = Matrix::from_rows(&[vec![1., 0., 0., 0.]]);
/// assert!((locality(&effects, &elsewhere) + 1. / 3.).abs() < 1e-12);
/// # Ok::<(), foresee_predict::Error>(())
/// ```
pub fn locality(effects: &Effects, forecast: &Matrix) -> f64 {
    effects.mean(|change| local_share(effects.values.row(change), forecast.row(change)))
}

/// The locality of one change; `None` if the forecast names no outputs, or nothing changes.
fn local_share(effect: &[f64], forecast: &[f64]) -> Option<f64> {
    let change: f64 = effect.iter().sum();
    let forecast_sum: f64 = forecast.iter().sum();
    let mut order: Vec<usize> = (0..forecast.len()).collect();
    order.sort_by(|&a, &b| forecast[b].total_cmp(&forecast[a]));
    let (first, last) = (*order.first()?, *order.last()?);
    if forecast[first] - forecast[last] <= 1e-12 * forecast[first].abs() || change <= 0. {
        return None;
    }
    let (mut held, mut inside, mut count) = (0., 0., 0);
    for output in order {
        if held >= 0.5 * forecast_sum * (1. - 1e-12) {
            break;
        }
        held += forecast[output];
        inside += effect[output];
        count += 1;
    }
    let mut largest = effect.to_vec();
    largest.sort_by(|a, b| b.total_cmp(a));
    let size = count as f64 / forecast.len() as f64;
    let best = largest[..count].iter().sum::<f64>() / change;
    (best > size + 1e-12).then(|| (inside / change - size) / (best - size))
}

/// Monotonicity in the strength: among all pairs of strengths of one operation, the share in which
/// the stronger one changes more; equal changes count half. 1 if the change only grows, 0.5 by
/// chance. NaN if every operation
/// has one strength only.
///
/// ```
/// use foresee_predict::{Effects, Matrix, monotonicity};
///
/// // One operation at three strengths: 2 and 3 change more than 1, but 3 less than 2.
/// let values = Matrix::from_rows(&[vec![1.], vec![5.], vec![4.]]);
/// let effects = Effects::new(values, vec![0; 3], vec![1., 2., 3.])?;
/// assert!((monotonicity(&effects) - 2. / 3.).abs() < 1e-12);
/// # Ok::<(), foresee_predict::Error>(())
/// ```
pub fn monotonicity(effects: &Effects) -> f64 {
    let size = |change: usize| effects.values.row(change).iter().sum::<f64>();
    let strength = |change: usize| effects.strengths[change].abs();
    let (mut grows, mut pairs) = (0., 0.);
    for i in 0..effects.strengths.len() {
        for j in i + 1..effects.strengths.len() {
            if effects.operations[i] == effects.operations[j] && strength(i) != strength(j) {
                let (weak, strong) = if strength(i) < strength(j) { (i, j) } else { (j, i) };
                let share = match size(weak).total_cmp(&size(strong)) {
                    Ordering::Less => 1.,
                    Ordering::Equal => 0.5,
                    Ordering::Greater => 0.,
                };
                grows += effects.weight(i) * share;
                pairs += effects.weight(i);
            }
        }
    }
    grows / pairs
}

/// Which outputs change much under the same perturbations: the correlation [outputs, outputs] of
/// their effects [perturbations, outputs].
///
/// # Errors
/// If there is only one perturbation.
pub fn effect_correlation(effects: &Matrix) -> Result<Matrix> {
    if effects.rows() < 2 {
        return Err(Error::Empty(
            "at least two perturbations are needed to see which outputs change together",
        ));
    }
    let columns: Vec<Vec<f64>> = (0..effects.columns())
        .map(|k| (0..effects.rows()).map(|row| effects.get(row, k)).collect())
        .collect();
    Ok(row_correlation(&Matrix::from_rows(&columns))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_others_counts_them_as_often_as_they_were_drawn() {
        let values = Matrix::from_rows(&[vec![1.], vec![2.], vec![5.], vec![7.]]);
        let effects = Effects::new(values, vec![0, 1, 2, 2], vec![1., 1., 1., 2.]).unwrap();
        let drawn = Effects { weights: vec![0., 1., 3.], ..effects };
        // Nobody else has the strength 2, and then all others count.
        let expected = [vec![(2. + 3. * 5.) / 4.], vec![5.], vec![2.], vec![2.]];
        assert_eq!(drawn.mean_of_others(), Some(Matrix::from_rows(&expected)));
        assert_eq!(Effects { weights: vec![0., 0., 3.], ..drawn }.mean_of_others(), None);
    }
}
