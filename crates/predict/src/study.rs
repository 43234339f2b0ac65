//! Scores with their intervals and negative controls.

use foresee_analysis::{Interval, Matrix};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::definition::{Budget, Change, Forecast};
use crate::error::{Error, Result};
use crate::explanation::together;
use crate::scores::{kendall, locality, monotonicity, rank_of_outputs, rank_of_perturbations, skill};

/// A score, its interval, and what it is for forecasts from shuffled explanations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// With items and operations drawn anew. NaN where the score has no meaning for the forecast.
    pub interval: Interval,
    /// The mean over forecasts in which operations, and outputs, are exchanged at random: the negative control.
    pub shuffled: f64,
}

/// All scores of a forecast.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// The forecast's name.
    pub forecast: String,
    /// [`skill`].
    pub skill: Score,
    /// [`rank_of_outputs`].
    pub rank_of_outputs: Score,
    /// [`rank_of_perturbations`].
    pub rank_of_perturbations: Score,
    /// [`locality`].
    pub locality: Score,
    /// What the forecast needed to see.
    pub budget: Budget,
}

/// What was observed of a model under operations, ready to be compared with forecasts.
pub struct Study {
    operations: Vec<usize>,
    strengths: Vec<f64>,
    single: bool,
    outputs: usize,
    whole: Sample,
    resamples: Vec<Sample>,
    seed: u64,
}

/// Effects of some of the changes, as some of the items show them.
struct Sample {
    changes: Vec<usize>,
    operations: Vec<usize>,
    effects: Matrix,
}

/// How much of the values lies in an interval.
const LEVEL: f64 = 0.95;
/// Shuffles of a negative control.
const SHUFFLES: usize = 20;

impl Study {
    /// Prepares the effects: of all items and operations, and of `resamples` bootstrap samples in which items and operations are both drawn with
    /// replacement. The changes of one operation follow each other, as [`observe`](crate::observe) leaves them; of a single operation each strength counts as one.
    ///
    /// # Errors
    /// If there are no changes or no items, or the changes are of different shapes.
    pub fn new(changes: &[Change], resamples: usize, seed: u64) -> Result<Self> {
        let first = changes.first().filter(|c| c.by_item.rows() > 0).ok_or(Error::Empty("no change was observed, or on no item"))?;
        let (items, outputs) = (first.by_item.rows(), first.by_item.columns());
        if let Some(other) = changes.iter().find(|c| (c.by_item.rows(), c.by_item.columns()) != (items, outputs)) {
            let got = format!("[{}, {}]", other.by_item.rows(), other.by_item.columns());
            return Err(Error::Shape { what: format!("the change by {}", other.operation), expected: format!("[{items}, {outputs}]"), got });
        }
        // A single operation has no others to learn from: then each of its strengths counts as one.
        let single = changes.iter().all(|c| c.operation == first.operation);
        let groups: Vec<Vec<usize>> = (0..changes.len())
            .collect::<Vec<_>>()
            .chunk_by(|&a, &b| !single && changes[a].operation == changes[b].operation)
            .map(<[usize]>::to_vec)
            .collect();
        let sample = |operations: &[usize], items: &[usize]| {
            let drawn: Vec<(usize, usize)> = operations.iter().enumerate().flat_map(|(at, &o)| groups[o].iter().map(move |&c| (at, c))).collect();
            let effects: Vec<Vec<f64>> = drawn.iter().map(|&(_, c)| changes[c].effect(items)).collect();
            Sample {
                operations: drawn.iter().map(|d| d.0).collect(),
                changes: drawn.into_iter().map(|d| d.1).collect(),
                effects: Matrix::from_rows(&effects),
            }
        };
        let all = |n: usize| (0..n).collect::<Vec<_>>();
        let whole = sample(&all(groups.len()), &all(items));
        let resamples = (0..resamples)
            .into_par_iter()
            .map(|number| {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                rng.set_stream(number as u64 + 1);
                let mut draw = |n: usize| (0..n).map(|_| rng.random_range(0..n)).collect::<Vec<_>>();
                let operations = draw(groups.len());
                sample(&operations, &draw(items))
            })
            .collect();
        Ok(Self {
            operations: whole.operations.clone(),
            strengths: changes.iter().map(|c| c.strength).collect(),
            single,
            outputs,
            whole,
            resamples,
            seed,
        })
    }

    /// [`monotonicity`] of the changes in their strength; no forecast has a part in it.
    pub fn monotonicity(&self) -> Interval {
        let of = |sample: &Sample| {
            let strengths: Vec<f64> = sample.changes.iter().map(|&c| self.strengths[c]).collect();
            let operations = if self.single { vec![0; strengths.len()] } else { sample.operations.clone() };
            monotonicity(&sample.effects, &operations, &strengths)
        };
        interval(of(&self.whole), self.resamples.iter().map(of).collect())
    }

    /// Scores a forecast.
    ///
    /// # Errors
    /// If the forecast is not for these changes and outputs, or has values that are negative or not finite.
    pub fn score(&self, forecast: &Forecast) -> Result<Scores> {
        let shape = |m: &Matrix| format!("[{}, {}]", m.rows(), m.columns());
        let (expected, got) = (format!("[{}, {}]", self.operations.len(), self.outputs), shape(&forecast.effects));
        if expected != got || forecast.effects.to_rows().iter().flatten().any(|v| !(*v >= 0. && v.is_finite())) {
            return Err(Error::Shape { what: format!("the forecast `{}`", forecast.name), expected: format!("{expected}, from 0 up"), got });
        }
        let shuffled: Vec<Matrix> = (0..SHUFFLES).map(|number| self.shuffle(&forecast.effects, number as u64)).collect();
        let of = |score: &(dyn Fn(&Matrix, &Matrix, &[usize]) -> f64 + Sync)| {
            let on = |sample: &Sample, effects: &Matrix| score(&sample.effects, &rows(effects, &sample.changes), &sample.operations);
            let values = self.resamples.par_iter().map(|sample| on(sample, &forecast.effects)).collect();
            let control: Vec<f64> = shuffled.iter().map(|shuffled| on(&self.whole, shuffled)).filter(|v| v.is_finite()).collect();
            Score { interval: interval(on(&self.whole, &forecast.effects), values), shuffled: control.iter().sum::<f64>() / control.len() as f64 }
        };
        Ok(Scores {
            forecast: forecast.name.clone(),
            skill: of(&|e, f, operations| skill(e, f, forecast.unit, operations)),
            rank_of_outputs: of(&|e, f, _| rank_of_outputs(e, f)),
            rank_of_perturbations: of(&|e, f, _| rank_of_perturbations(e, f)),
            locality: of(&|e, f, _| locality(e, f)),
            budget: forecast.budget,
        })
    }

    /// Does a table [outputs, outputs] say which outputs change together? Kendall's τ-b over pairs of outputs between the table and the correlation of their
    /// effects over perturbations ([`together`]). Shuffled: outputs exchanged. A sample with repetitions has fewer perturbations and so a noisier correlation, which
    /// lowers τ: the interval is moved by as much as the samples' mean lies below the estimate.
    ///
    /// # Errors
    /// If the table is not of these outputs, or there are fewer than two perturbations.
    pub fn rank_of_pairs(&self, expected: &Matrix) -> Result<Score> {
        let pairs = |m: &Matrix| (0..m.rows()).flat_map(|i| m.row(i)[i + 1..].to_vec()).collect::<Vec<_>>();
        if (expected.rows(), expected.columns()) != (self.outputs, self.outputs) {
            let got = format!("[{}, {}]", expected.rows(), expected.columns());
            return Err(Error::Shape { what: "the table of outputs".into(), expected: format!("[{0}, {0}]", self.outputs), got });
        }
        let of = |sample: &Sample, expected: &Matrix| together(&sample.effects).map(|found| kendall(&pairs(&found), &pairs(expected)));
        let exchange = |number: u64| {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            rng.set_stream(u64::MAX - number);
            let mut order: Vec<usize> = (0..self.outputs).collect();
            order.shuffle(&mut rng);
            Matrix::from_rows(&order.iter().map(|&i| order.iter().map(|&j| expected.get(i, j)).collect()).collect::<Vec<_>>())
        };
        let control = (0..SHUFFLES).map(|number| of(&self.whole, &exchange(number as u64))).collect::<Result<Vec<_>>>()?;
        let values = self.resamples.par_iter().map(|sample| of(sample, expected)).collect::<Result<Vec<_>>>()?;
        let estimate = of(&self.whole, expected)?;
        let found: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
        let bias = found.iter().sum::<f64>() / found.len() as f64 - estimate;
        let values = found.into_iter().map(|v| v - bias).collect();
        Ok(Score { interval: interval(estimate, values), shuffled: control.iter().sum::<f64>() / control.len() as f64 })
    }

    /// The same explanation with operations exchanged, and outputs exchanged.
    fn shuffle(&self, forecast: &Matrix, number: u64) -> Matrix {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(u64::MAX - number);
        let count = self.operations.last().map_or(0, |last| last + 1);
        let mut groups: Vec<Vec<usize>> = vec![vec![]; count];
        self.operations.iter().enumerate().for_each(|(change, &operation)| groups[operation].push(change));
        groups.shuffle(&mut rng);
        let mut outputs: Vec<usize> = (0..self.outputs).collect();
        outputs.shuffle(&mut rng);
        let exchanged: Vec<Vec<f64>> =
            groups.concat().into_iter().map(|change| outputs.iter().map(|&output| forecast.get(change, output)).collect()).collect();
        Matrix::from_rows(&exchanged)
    }
}

fn rows(matrix: &Matrix, which: &[usize]) -> Matrix {
    Matrix::from_rows(&which.iter().map(|&row| matrix.row(row).to_vec()).collect::<Vec<_>>())
}

/// The middle of the values that are there; a sample without the score (two equal operations, say) has none.
fn interval(estimate: f64, values: Vec<f64>) -> Interval {
    let mut values: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    if values.is_empty() || !estimate.is_finite() {
        return Interval { estimate, low: f64::NAN, high: f64::NAN };
    }
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[(share * (values.len() - 1) as f64).round() as usize];
    Interval { estimate, low: at((1. - LEVEL) / 2.), high: at((1. + LEVEL) / 2.) }
}
