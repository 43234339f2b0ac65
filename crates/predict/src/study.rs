//! Scores with their intervals and negative controls.

use foresee_analysis::{Interval, Matrix};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::definition::{Budget, Change, Forecast};
use crate::error::{Error, Result};
use crate::explanation::together;
use crate::scores::{
    Effects, kendall, locality, monotonicity, rank_of_operations, rank_of_outputs, skill,
};

/// A score, its interval, and what it is for forecasts from wrong explanations. NaN where the score
/// has no meaning for the forecast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// With items and operations drawn anew.
    pub interval: Interval,
    /// The negative control: the mean over forecasts in which operations, and outputs, are
    /// exchanged at random. Nothing is known any more.
    pub shuffled: f64,
    /// The mean over forecasts in which only operations are exchanged: what is known of outputs
    /// whatever is done.
    pub exchanged: f64,
}

/// All scores of a forecast.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores<T = Score> {
    /// The forecast's name.
    pub forecast: String,
    /// [`skill`].
    pub skill: T,
    /// [`rank_of_outputs`].
    pub rank_of_outputs: T,
    /// [`rank_of_operations`].
    pub rank_of_operations: T,
    /// [`locality`].
    pub locality: T,
    /// What the forecast needed to see.
    pub budget: Budget,
}

/// What was observed of a model under operations, ready to be compared with forecasts.
pub struct Study {
    whole: Effects,
    resamples: Vec<Effects>,
    seed: u64,
}

/// How much of the values lies in an interval.
const LEVEL: f64 = 0.95;
/// Forecasts of a control.
const SHUFFLES: usize = 20;

impl Study {
    /// Prepares the effects: of all items and operations, and of `resamples` bootstrap samples in
    /// which items and operations are both drawn with replacement. Of a single operation each
    /// strength counts as an operation, since there are no others to learn from.
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
            finite(&change.by_item, 0, || format!("the change by {}", change.operation))?;
        }
        let single = changes.iter().all(|c| c.number == first.number);
        let operations: Vec<usize> =
            if single { (0..changes.len()).collect() } else { ranks(changes) };
        let strengths: Vec<f64> = changes.iter().map(|c| c.strength).collect();
        let effects = |items: &[usize]| {
            Matrix::from_rows(&changes.iter().map(|c| c.effect(items)).collect::<Vec<_>>())
        };
        let whole = Effects::new(effects(&(0..items).collect::<Vec<_>>()), operations, strengths)?;
        let resamples = (0..resamples)
            .into_par_iter()
            .map(|number| {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                rng.set_stream(number as u64 + 1);
                let mut weights = vec![0.; whole.weights.len()];
                (0..weights.len())
                    .for_each(|_| weights[rng.random_range(0..whole.weights.len())] += 1.);
                let drawn: Vec<usize> = (0..items).map(|_| rng.random_range(0..items)).collect();
                Effects { values: effects(&drawn), weights, ..whole.clone() }
            })
            .collect();
        Ok(Self { whole, resamples, seed })
    }

    /// [`monotonicity`] of the changes in their strength; no forecast has a part in it.
    pub fn monotonicity(&self) -> Interval {
        // The strengths of a single operation count as operations elsewhere.
        let single = self
            .whole
            .operations
            .iter()
            .enumerate()
            .all(|(change, &operation)| change == operation);
        let of = |effects: &Effects| match single {
            true => monotonicity(&Effects {
                operations: vec![0; effects.operations.len()],
                weights: vec![1.],
                ..effects.clone()
            }),
            false => monotonicity(effects),
        };
        interval(of(&self.whole), self.resamples.par_iter().map(of).collect(), 1.)
    }

    /// Scores a forecast.
    ///
    /// # Errors
    /// If the forecast is not for these changes and outputs, or has values that are negative or not
    /// finite.
    pub fn score(&self, forecast: &Forecast) -> Result<Scores> {
        self.check(forecast)?;
        let control = |outputs: bool| {
            (0..SHUFFLES)
                .map(|number| self.shuffle(&forecast.effects, outputs, number as u64))
                .collect::<Vec<_>>()
        };
        let (shuffled, exchanged) = (control(true), control(false));
        let score = |of: &Rule| {
            let values =
                self.resamples.par_iter().map(|effects| of(effects, &forecast.effects)).collect();
            let mean = |forecasts: &[Matrix]| {
                let values: Vec<f64> = forecasts
                    .iter()
                    .map(|wrong| of(&self.whole, wrong))
                    .filter(|v| v.is_finite())
                    .collect();
                values.iter().sum::<f64>() / values.len() as f64
            };
            Score {
                interval: interval(of(&self.whole, &forecast.effects), values, 1.),
                shuffled: mean(&shuffled),
                exchanged: mean(&exchanged),
            }
        };
        Ok(Scores {
            forecast: forecast.name.clone(),
            skill: score(&|e, f| skill(e, f, forecast.unit)),
            rank_of_outputs: score(&|e, f| rank_of_outputs(e, f)),
            rank_of_operations: score(&|e, f| rank_of_operations(e, f)),
            locality: score(&|e, f| locality(e, f)),
            budget: forecast.budget,
        })
    }

    /// How much better one forecast is than another, on the same samples: the intervals of the
    /// differences between their scores.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub fn difference(&self, ours: &Forecast, theirs: &Forecast) -> Result<Scores<Interval>> {
        self.check(ours)?;
        self.check(theirs)?;
        let difference = |a: &Rule, b: &Rule| {
            let of = |effects: &Effects| a(effects, &ours.effects) - b(effects, &theirs.effects);
            interval(of(&self.whole), self.resamples.par_iter().map(of).collect(), f64::INFINITY)
        };
        Ok(Scores {
            forecast: format!("{} minus {}", ours.name, theirs.name),
            skill: difference(&|e, f| skill(e, f, ours.unit), &|e, f| skill(e, f, theirs.unit)),
            rank_of_outputs: difference(&|e, f| rank_of_outputs(e, f), &|e, f| {
                rank_of_outputs(e, f)
            }),
            rank_of_operations: difference(&|e, f| rank_of_operations(e, f), &|e, f| {
                rank_of_operations(e, f)
            }),
            locality: difference(&|e, f| locality(e, f), &|e, f| locality(e, f)),
            budget: ours.budget,
        })
    }

    fn check(&self, forecast: &Forecast) -> Result<()> {
        let shape = |m: &Matrix| format!("[{}, {}]", m.rows(), m.columns());
        let (expected, got) = (shape(&self.whole.values), shape(&forecast.effects));
        let what = || format!("the forecast `{}`", forecast.name);
        if expected != got {
            return Err(Error::Shape { what: what(), expected, got });
        }
        finite(&forecast.effects, 1, what)
    }

    /// Does a table [outputs, outputs] say which outputs change together? Kendall's τ-b over pairs
    /// of outputs between the table and the correlation of their effects over perturbations
    /// ([`together`]). In the control outputs are exchanged.
    ///
    /// # Errors
    /// If the table is not of these outputs, or there are fewer than two perturbations.
    pub fn rank_of_pairs(&self, expected: &Matrix) -> Result<Score> {
        let outputs = self.whole.values.columns();
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
            together(&Matrix::from_rows(&drawn))
                .map(|found| kendall(&pairs(&found), &pairs(expected)))
        };
        let exchange = |number: u64| {
            let order = self.order(outputs, number);
            Matrix::from_rows(
                &order
                    .iter()
                    .map(|&i| order.iter().map(|&j| expected.get(i, j)).collect())
                    .collect::<Vec<_>>(),
            )
        };
        let control = (0..SHUFFLES)
            .map(|number| of(&self.whole, &exchange(number as u64)))
            .collect::<Result<Vec<_>>>()?;
        let values = self
            .resamples
            .par_iter()
            .map(|effects| of(effects, expected))
            .collect::<Result<Vec<_>>>()?;
        let shuffled = control.iter().sum::<f64>() / control.len() as f64;
        Ok(Score {
            interval: interval(of(&self.whole, expected)?, values, 1.),
            shuffled,
            exchanged: f64::NAN,
        })
    }

    /// The same explanation with operations exchanged, each strength for the same one, and perhaps
    /// outputs.
    fn shuffle(&self, forecast: &Matrix, outputs: bool, number: u64) -> Matrix {
        let mut groups: Vec<Vec<usize>> = vec![vec![]; self.whole.weights.len()];
        self.whole
            .operations
            .iter()
            .enumerate()
            .for_each(|(change, &operation)| groups[operation].push(change));
        let from = self.order(groups.len(), number);
        let columns = if outputs {
            self.order(forecast.columns(), number + SHUFFLES as u64)
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
    fn order(&self, count: usize, number: u64) -> Vec<usize> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(u64::MAX - number);
        let mut order: Vec<usize> = (0..count).collect();
        order.shuffle(&mut rng);
        order
    }
}

/// What a forecast is worth on some effects.
type Rule<'a> = dyn Fn(&Effects, &Matrix) -> f64 + Sync + 'a;

/// Numbers of the operations from 0 on, in the order in which they first appear.
fn ranks(changes: &[Change]) -> Vec<usize> {
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

/// Makes sure that all values are finite, and with `sign` 1 none is negative.
fn finite(values: &Matrix, sign: i32, what: impl Fn() -> String) -> Result<()> {
    match values.to_rows().iter().flatten().find(|v| !v.is_finite() || (sign == 1 && **v < 0.)) {
        Some(&value) => Err(Error::Value {
            what: what(),
            value,
            expected: if sign == 1 { "a finite number from 0 up" } else { "a finite number" },
        }),
        None => Ok(()),
    }
}

/// The middle of the values that are there, but at most `highest`. Samples with repetitions are
/// noisier than the whole, which moves a score: the values are moved back by as much as their
/// median lies off the estimate.
fn interval(estimate: f64, values: Vec<f64>, highest: f64) -> Interval {
    let mut values: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    if values.is_empty() || !estimate.is_finite() {
        return Interval { estimate, low: f64::NAN, high: f64::NAN };
    }
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[(share * (values.len() - 1) as f64).round() as usize];
    let off = at(0.5) - estimate;
    Interval {
        estimate,
        low: at((1. - LEVEL) / 2.) - off,
        high: (at((1. + LEVEL) / 2.) - off).min(highest.max(estimate)),
    }
}
