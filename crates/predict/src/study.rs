//! Scores with their intervals and negative controls.

use foresee_stats::{Interval, Matrix, interval_of_resamples, kendall};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::definition::Change;
use crate::error::{Error, Result};
use crate::forecast::{Budget, Forecast, ForecastRule, Subject, Unit};
use crate::scores::{Effects, MEASURES, Measure, ScoreRule, effect_correlation, monotonicity};

/// Wrong forecasts that a negative control averages over.
const SHUFFLES: usize = 20;

/// A score, its interval, and the same score of wrong forecasts. NaN where the score has no meaning
/// for the forecast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// The score with its bootstrap interval over items and operations.
    pub interval: Interval,
    /// The negative control: the mean over forecasts in which operations, and outputs, are
    /// exchanged at random, so that they know nothing.
    pub shuffled: f64,
    /// The mean over forecasts in which only operations are exchanged: what the forecast knows of
    /// outputs under any operation.
    pub exchanged: f64,
}

impl Score {
    /// A score without negative controls.
    pub fn uncontrolled(interval: Interval) -> Self {
        Self { interval, shuffled: f64::NAN, exchanged: f64::NAN }
    }
}

/// All scores of a forecast, or all differences between the scores of two.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores<T = Score> {
    /// The forecast, or the two that are compared.
    pub subject: Subject,
    /// Each score of [`ScoreRule::of_forecasts`], in that order.
    pub values: Vec<(ScoreRule, T)>,
    /// What the forecast needed to see.
    pub budget: Budget,
}

impl<T> Scores<T> {
    /// The value of one score; `None` if forecasts do not have it.
    pub fn get(&self, rule: ScoreRule) -> Option<&T> {
        self.values.iter().find(|(of, _)| *of == rule).map(|(_, value)| value)
    }
}

/// The observed effects of operations on a model, ready to be compared with forecasts.
pub struct Study {
    observed: Effects,
    resamples: Vec<Effects>,
    seed: u64,
    /// All changes are of one operation.
    single: bool,
}

impl Study {
    /// Computes the effects over all items and operations, and over `resamples` bootstrap samples
    /// in which both items and operations are drawn with replacement. If all changes are of one
    /// operation, each strength counts as an operation, since scores learn from other operations.
    ///
    /// # Errors
    /// If there are no changes or no items, the changes are of different shapes, or a value is not
    /// finite.
    pub fn new(changes: &[Change], resamples: usize, seed: u64) -> Result<Self> {
        let first = changes
            .first()
            .filter(|c| c.by_item.rows() > 0)
            .ok_or(Error::Empty("no change was observed, or on no item"))?;
        let (items, outputs) = (first.by_item.rows(), first.by_item.columns());
        for change in changes {
            if (change.by_item.rows(), change.by_item.columns()) != (items, outputs) {
                let got = format!("[{}, {}]", change.by_item.rows(), change.by_item.columns());
                return Err(Error::Shape {
                    what: format!("the change by {}", change.operation),
                    expected: format!("[{items}, {outputs}]"),
                    got,
                });
            }
            check_values(&change.by_item, false, || format!("the change by {}", change.operation))?;
        }
        let single = changes.iter().all(|c| c.number == first.number);
        let operations: Vec<usize> =
            if single { (0..changes.len()).collect() } else { operation_indices(changes) };
        let strengths: Vec<f64> = changes.iter().map(|c| c.strength).collect();
        let effects = |items: &[usize]| {
            Matrix::from_rows(&changes.iter().map(|c| c.effect(items)).collect::<Vec<_>>())
        };
        let all_items: Vec<usize> = (0..items).collect();
        let observed = Effects::new(effects(&all_items), operations, strengths)?;
        let resamples = (0..resamples)
            .into_par_iter()
            .map(|number| {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                rng.set_stream(number as u64 + 1);
                let mut weights = vec![0.; observed.weights.len()];
                (0..weights.len())
                    .for_each(|_| weights[rng.random_range(0..observed.weights.len())] += 1.);
                let drawn: Vec<usize> = (0..items).map(|_| rng.random_range(0..items)).collect();
                Effects { values: effects(&drawn), weights, ..observed.clone() }
            })
            .collect();
        Ok(Self { observed, resamples, seed, single })
    }

    /// [`monotonicity`] of the changes in their strength, which needs no forecast.
    pub fn monotonicity(&self) -> Interval {
        // Its strengths count as operations elsewhere.
        let of = |effects: &Effects| match self.single {
            true => monotonicity(&Effects {
                operations: vec![0; effects.operations.len()],
                weights: vec![1.],
                ..effects.clone()
            }),
            false => monotonicity(effects),
        };
        interval_of_resamples(of(&self.observed), self.resamples.par_iter().map(of).collect(), 1.)
    }

    /// The forecast of someone who sees no explanation, but what all other operations did: for each
    /// output the mean of their effects at the same strength, or at all strengths where no other
    /// has it. `None` if there is only one operation.
    ///
    /// [`skill`](crate::skill()) compares with a single number, the mean over outputs and
    /// strengths. An explanation says something of its own if it is better than this forecast, too
    /// ([`difference_from_mean_of_others`](Self::difference_from_mean_of_others)).
    pub fn mean_of_others(&self) -> Option<Forecast> {
        let effects = self.observed.mean_of_others()?;
        let (changes, outputs) = (effects.rows(), effects.columns());
        Some(Forecast {
            rule: ForecastRule::MeanOfOthers,
            unit: Unit::Outputs,
            budget: Budget { values: changes * outputs, probes: changes - 1 },
            effects,
        })
    }

    /// Scores a forecast.
    ///
    /// # Errors
    /// If the forecast is not for these changes and outputs, or has values that are negative or not
    /// finite.
    pub fn score(&self, forecast: &Forecast) -> Result<Scores> {
        self.check(forecast)?;
        Ok(self.scores(forecast, &Said::Always(forecast)))
    }

    /// Scores [`mean_of_others`](Self::mean_of_others). Each resample has a mean of its own, over
    /// the operations and items that it drew.
    pub fn score_of_mean_of_others(&self) -> Option<Scores> {
        Some(self.scores(&self.mean_of_others()?, &Said::MeanOfOthers))
    }

    fn scores(&self, forecast: &Forecast, said: &Said) -> Scores {
        let shuffled = self.wrong_forecasts(&forecast.effects, true);
        let exchanged = self.wrong_forecasts(&forecast.effects, false);
        let score = |(rule, measure): (ScoreRule, Measure)| {
            let control = |forecasts: &[Matrix]| {
                let of = |wrong| measure(&self.observed, wrong, forecast.unit);
                mean_of_finite(forecasts.iter().map(of))
            };
            let of = |effects: &Effects| said.measured(measure, effects);
            let resampled = self.resamples.par_iter().map(of).collect();
            let score = Score {
                interval: interval_of_resamples(of(&self.observed), resampled, 1.)
                    .clamp_ends(rule.lowest(), 1.),
                shuffled: control(&shuffled),
                exchanged: control(&exchanged),
            };
            (rule, score)
        };
        Scores {
            subject: Subject::Forecast(forecast.rule.clone()),
            values: MEASURES.map(score).into(),
            budget: forecast.budget,
        }
    }

    /// How much better one forecast is than another on the same samples: the differences between
    /// their scores, each with its interval.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub fn difference(&self, ours: &Forecast, theirs: &Forecast) -> Result<Scores<Interval>> {
        self.check(theirs)?;
        self.difference_from(ours, &Said::Always(theirs))
    }

    /// How much better a forecast is than [`mean_of_others`](Self::mean_of_others), which each
    /// resample takes anew. `None` if there is only one operation.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub fn difference_from_mean_of_others(
        &self,
        ours: &Forecast,
    ) -> Result<Option<Scores<Interval>>> {
        let is_there = self.observed.mean_of_others().is_some();
        is_there.then(|| self.difference_from(ours, &Said::MeanOfOthers)).transpose()
    }

    fn difference_from(&self, ours: &Forecast, theirs: &Said) -> Result<Scores<Interval>> {
        self.check(ours)?;
        let difference = |(rule, measure): (ScoreRule, Measure)| {
            let of = |effects: &Effects| {
                Said::Always(ours).measured(measure, effects) - theirs.measured(measure, effects)
            };
            let resampled = self.resamples.par_iter().map(of).collect();
            (rule, interval_of_resamples(of(&self.observed), resampled, f64::INFINITY))
        };
        Ok(Scores {
            subject: Subject::Difference { ours: ours.rule.clone(), theirs: theirs.rule() },
            values: MEASURES.map(difference).into(),
            budget: ours.budget,
        })
    }

    fn check(&self, forecast: &Forecast) -> Result<()> {
        let shape = |m: &Matrix| format!("[{}, {}]", m.rows(), m.columns());
        let expected = shape(&self.observed.values);
        let got = shape(&forecast.effects);
        let what = || format!("the forecast `{}`", forecast.rule);
        if expected != got {
            return Err(Error::Shape { what: what(), expected, got });
        }
        check_values(&forecast.effects, true, what)
    }

    /// Scores a table [outputs, outputs] that says which outputs change together: Kendall's τ-b
    /// over pairs of outputs between the table and the correlation of their effects over
    /// perturbations ([`effect_correlation`]). The negative control exchanges outputs.
    ///
    /// # Errors
    /// If the table is not of these outputs, or there are fewer than two perturbations.
    pub fn rank_of_pairs(&self, expected: &Matrix) -> Result<Score> {
        let outputs = self.observed.values.columns();
        if (expected.rows(), expected.columns()) != (outputs, outputs) {
            let got = format!("[{}, {}]", expected.rows(), expected.columns());
            return Err(Error::Shape {
                what: "the table of outputs".into(),
                expected: format!("[{outputs}, {outputs}]"),
                got,
            });
        }
        let pairs =
            |m: &Matrix| (0..m.rows()).flat_map(|i| m.row(i)[i + 1..].to_vec()).collect::<Vec<_>>();
        let of = |effects: &Effects, expected: &Matrix| {
            let times = |change: &usize| effects.weights[effects.operations[*change]] as usize;
            let drawn: Vec<Vec<f64>> = (0..effects.values.rows())
                .flat_map(|change| vec![effects.values.row(change).to_vec(); times(&change)])
                .collect();
            effect_correlation(&Matrix::from_rows(&drawn))
                .map(|found| kendall(&pairs(&found), &pairs(expected)))
        };
        let exchange = |number: u64| {
            let order = self.random_order(outputs, number);
            Matrix::from_rows(
                &order
                    .iter()
                    .map(|&i| order.iter().map(|&j| expected.get(i, j)).collect())
                    .collect::<Vec<_>>(),
            )
        };
        let control = (0..SHUFFLES)
            .map(|number| of(&self.observed, &exchange(number as u64)))
            .collect::<Result<Vec<_>>>()?;
        let values = self
            .resamples
            .par_iter()
            .map(|effects| of(effects, expected))
            .collect::<Result<Vec<_>>>()?;
        let shuffled = control.iter().sum::<f64>() / control.len() as f64;
        Ok(Score {
            interval: interval_of_resamples(of(&self.observed, expected)?, values, 1.)
                .clamp_ends(-1., 1.),
            shuffled,
            exchanged: f64::NAN,
        })
    }

    /// The forecasts of a negative control.
    fn wrong_forecasts(&self, forecast: &Matrix, outputs: bool) -> Vec<Matrix> {
        (0..SHUFFLES).map(|number| self.shuffle(forecast, outputs, number as u64)).collect()
    }

    /// The forecast with operations exchanged at random, each strength for the same strength, and
    /// with `outputs` outputs too.
    fn shuffle(&self, forecast: &Matrix, outputs: bool, number: u64) -> Matrix {
        let mut groups: Vec<Vec<usize>> = vec![vec![]; self.observed.weights.len()];
        self.observed
            .operations
            .iter()
            .enumerate()
            .for_each(|(change, &operation)| groups[operation].push(change));
        let from = self.random_order(groups.len(), number);
        let columns = if outputs {
            self.random_order(forecast.columns(), number + SHUFFLES as u64)
        } else {
            (0..forecast.columns()).collect()
        };
        let mut rows = forecast.to_rows();
        for (to, from) in groups.iter().zip(from) {
            for (at, &change) in to.iter().enumerate() {
                let source = groups[from][at % groups[from].len()];
                rows[change] = columns.iter().map(|&output| forecast.get(source, output)).collect();
            }
        }
        Matrix::from_rows(&rows)
    }

    /// 0 to `count` - 1 in a random order.
    fn random_order(&self, count: usize, number: u64) -> Vec<usize> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(u64::MAX - number);
        let mut order: Vec<usize> = (0..count).collect();
        order.shuffle(&mut rng);
        order
    }
}

/// What someone says beforehand.
enum Said<'a> {
    /// The same of every sample.
    Always(&'a Forecast),
    /// The mean of the other operations of the sample.
    MeanOfOthers,
}

impl Said<'_> {
    fn rule(&self) -> ForecastRule {
        match self {
            Self::Always(forecast) => forecast.rule.clone(),
            Self::MeanOfOthers => ForecastRule::MeanOfOthers,
        }
    }

    /// Its score on a sample; NaN if nothing can be said of it.
    fn measured(&self, measure: Measure, effects: &Effects) -> f64 {
        match self {
            Self::Always(forecast) => measure(effects, &forecast.effects, forecast.unit),
            Self::MeanOfOthers => effects
                .mean_of_others()
                .map_or(f64::NAN, |others| measure(effects, &others, Unit::Outputs)),
        }
    }
}

/// The index of each change's operation, from 0 in the order in which operations first appear.
fn operation_indices(changes: &[Change]) -> Vec<usize> {
    let mut known: Vec<usize> = vec![];
    changes
        .iter()
        .map(|change| {
            known.iter().position(|number| *number == change.number).unwrap_or_else(|| {
                known.push(change.number);
                known.len() - 1
            })
        })
        .collect()
}

/// Makes sure that all values are finite, and with `non_negative` that none is below 0.
fn check_values(values: &Matrix, non_negative: bool, what: impl Fn() -> String) -> Result<()> {
    let refused = |v: &&f64| !v.is_finite() || (non_negative && **v < 0.);
    match values.to_rows().iter().flatten().find(refused) {
        Some(&value) => Err(Error::Value {
            what: what(),
            value,
            expected: match non_negative {
                true => "a finite number from 0 up",
                false => "a finite number",
            },
        }),
        None => Ok(()),
    }
}

/// The mean of the finite values; NaN if there is none.
fn mean_of_finite(values: impl Iterator<Item = f64>) -> f64 {
    let finite: Vec<f64> = values.filter(|v| v.is_finite()).collect();
    finite.iter().sum::<f64>() / finite.len() as f64
}
