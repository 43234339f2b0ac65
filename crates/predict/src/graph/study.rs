//! Which layers can be pruned, and how far: forecast before, and compared with what came.

use candle_core::{DType, Tensor};
use foresee_graph::{ChannelGroup, Graph, Removal};
use foresee_stats::Matrix;

use super::contributions::Contributions;
use crate::definition::{Change, difference};
use crate::error::{Error, Result};
use crate::forecast::{Budget, Forecast, ForecastRule, Unit};
use crate::network::{Progress, Rows, to_rows};
use crate::operation::NetworkOperation;
use crate::scored::ScoredForecast;
use crate::study::Study;

/// The accuracy that logits [images, K] have.
pub type Judge<'a> = &'a dyn Fn(&Matrix) -> f64;

/// Forecasts that are compared.
static PAIRS: [[ForecastRule; 2]; 2] = [
    [ForecastRule::FirstOrder, ForecastRule::Contribution],
    [ForecastRule::FirstOrder, ForecastRule::FilterNorm],
];

/// What the answers of a network are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// One for each output: whether its logit is above 0.
    Each,
    /// One for each image: the greatest output.
    One,
}

/// Settings of a [`LayerStudy`].
#[derive(Debug, Clone, PartialEq)]
pub struct LayerStudySettings {
    /// The shares of each layer's channels that are pruned, above 0 and below 1.
    pub shares: Vec<f64>,
    /// The outputs that are forecast; the accuracy is of all.
    pub outputs: Vec<usize>,
    /// What its answers are.
    pub answers: Answers,
    /// Samples of the bootstrap.
    pub resamples: usize,
    /// Its seed.
    pub seed: u64,
}

/// A layer: channels that are pruned together, in an order.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    /// The channels.
    pub group: &'a ChannelGroup,
    /// Their units, first to go first.
    pub order: &'a [usize],
    /// A norm of each unit's filters.
    pub norms: &'a [f64],
}

/// What pruning a share of each layer does to a network, forecast before it is done. Nothing takes
/// over.
pub struct LayerStudy<'a> {
    /// The network: one input, and a first output [B, K].
    pub graph: &'a Graph,
    /// The layers.
    pub layers: &'a [Layer<'a>],
    /// Batches of images.
    pub batches: &'a [Tensor],
    /// The accuracy of logits, where there are labels.
    pub judge: Option<Judge<'a>>,
    /// The settings.
    pub settings: LayerStudySettings,
    /// Is told how many more images have been run.
    pub progress: Progress<'a>,
}

/// A share of a layer's channels: the forecast beside what came.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerOutcome {
    /// The name of the layer's group.
    pub layer: String,
    /// How many units it has.
    pub units: usize,
    /// How many were pruned.
    pub pruned: usize,
    /// The mean over images and outputs of |change|, forecast to first order.
    pub change_forecast: f64,
    /// The same, observed.
    pub change: f64,
    /// The share of answers, by the outputs that are forecast, that were forecast to flip.
    pub flips_forecast: f64,
    /// The same, observed.
    pub flips: f64,
    /// The accuracy before, where there are labels.
    pub accuracy_before: Option<f64>,
    /// The accuracy that was forecast to first order, where there are labels and all outputs are
    /// forecast.
    pub accuracy_forecast: Option<f64>,
    /// The accuracy that came, where there are labels.
    pub accuracy: Option<f64>,
}

/// A share of a layer that is pruned.
struct Part<'a> {
    number: usize,
    layer: Layer<'a>,
    units: &'a [usize],
}

impl<'a> LayerStudy<'a> {
    /// How often all images are run through the network, passes back included.
    pub fn passes(&self) -> usize {
        1 + self.layers.len() * (self.settings.outputs.len() + 1) + self.parts().len()
    }

    /// The forecasts beside the outcomes, layer by layer, and their scores over all layers.
    ///
    /// # Errors
    /// If the network fails, or there is nothing to prune.
    pub fn run(&self) -> Result<(Vec<LayerOutcome>, Vec<ScoredForecast>)> {
        let before = self.logits(self.graph, "the network")?;
        let mut parts =
            Parts { study: self, before, outcomes: vec![], changes: vec![], rows: vec![] };
        for (number, layer) in self.layers.iter().enumerate() {
            let outputs = &self.settings.outputs;
            let contributions =
                Contributions::measure(self.graph, layer.group, self.batches, outputs)?;
            (self.progress)(contributions.images() * (outputs.len() + 1));
            for part in self.parts().into_iter().filter(|part| part.number == number) {
                parts.add(&part, &contributions)?;
            }
        }
        let scored = parts.scored()?;
        Ok((parts.outcomes, scored))
    }

    fn parts(&self) -> Vec<Part<'a>> {
        let of_layer = |(number, layer): (usize, &Layer<'a>)| {
            let layer = *layer;
            let count = move |share: &f64| {
                let all = layer.group.units;
                ((share * all as f64).round() as usize).clamp(1, all.saturating_sub(1).max(1))
            };
            let mut counts: Vec<usize> = self.settings.shares.iter().map(count).collect();
            counts.dedup();
            let part = move |count: usize| {
                let units = &layer.order[..count.min(layer.order.len())];
                Part { number, layer, units }
            };
            counts.into_iter().map(part).collect::<Vec<_>>()
        };
        self.layers.iter().enumerate().flat_map(of_layer).collect()
    }

    /// Logits [images, K].
    fn logits(&self, graph: &Graph, what: &str) -> Result<Matrix> {
        let mut rows = vec![];
        for images in self.batches {
            let outputs =
                graph.forward(std::slice::from_ref(images)).map_err(Error::of_model(what))?;
            let logits = outputs[0].to_dtype(DType::F32).map_err(Error::of_model(what))?;
            rows.extend(to_rows(&logits).map_err(Error::of_model(what))?);
            (self.progress)(images.dims().first().copied().unwrap_or(0));
        }
        Ok(Matrix::from_rows(&rows))
    }
}

/// What was forecast and what came, for all parts so far.
struct Parts<'a> {
    study: &'a LayerStudy<'a>,
    before: Matrix,
    outcomes: Vec<LayerOutcome>,
    changes: Vec<Change>,
    /// For each forecast its effects on each output, part by part.
    rows: Vec<[Vec<f64>; 3]>,
}

impl Parts<'_> {
    fn add(&mut self, part: &Part, contributions: &Contributions) -> Result<()> {
        let Part { number, layer, units } = part;
        let LayerStudySettings { outputs, .. } = &self.study.settings;
        let name = format!("prune {} channels of `{}`", units.len(), layer.group.name);
        let failed = || Error::of_model(&name);
        let removal = Removal { group: layer.group, units };
        let smaller = self.study.graph.remove_channels(&[removal]).map_err(failed())?;
        let after = self.study.logits(&smaller, &name)?;
        let (before, asked) = (select(&self.before, outputs), select(&after, outputs));
        let by_item = difference(&before, &asked, &name)?;
        let expected = contributions.change(units);
        self.outcomes.push(self.outcome(part, &expected, &after));
        let sizes = contributions.mean_size();
        let norms: f64 = units.iter().map(|&unit| layer.norms[unit]).sum();
        self.rows.push([
            mean_size(&expected),
            (0..outputs.len()).map(|k| units.iter().map(|&u| sizes.get(u, k)).sum()).collect(),
            vec![norms; outputs.len()],
        ]);
        self.changes.push(Change {
            number: *number,
            operation: name,
            strength: units.len() as f64,
            by_item,
        });
        Ok(())
    }

    fn outcome(&self, part: &Part, expected: &Matrix, after: &Matrix) -> LayerOutcome {
        let LayerStudySettings { outputs, answers, .. } = &self.study.settings;
        let before = select(&self.before, outputs);
        let forecast = sum(&before, expected);
        let asked = select(after, outputs);
        let observed = Matrix::from_fn(asked.rows(), asked.columns(), |i, k| {
            asked.get(i, k) - before.get(i, k)
        });
        let knows_all = *outputs == (0..self.before.columns()).collect::<Vec<_>>();
        let judge = self.study.judge;
        LayerOutcome {
            layer: part.layer.group.name.clone(),
            units: part.layer.group.units,
            pruned: part.units.len(),
            change_forecast: mean(&mean_size(expected)),
            change: mean(&mean_size(&observed)),
            flips_forecast: answers.flips(&before, &forecast),
            flips: answers.flips(&before, &asked),
            accuracy_before: judge.map(|judge| judge(&self.before)),
            accuracy_forecast: judge.filter(|_| knows_all).map(|judge| judge(&forecast)),
            accuracy: judge.map(|judge| judge(after)),
        }
    }

    /// The scores of all forecasts over all parts.
    fn scored(&self) -> Result<Vec<ScoredForecast>> {
        let LayerStudySettings { outputs, resamples, seed, .. } = &self.study.settings;
        let (parts, images) = (self.changes.len(), self.before.rows());
        let study = Study::new(&self.changes, *resamples, *seed)?;
        let units: usize = self.study.layers.iter().map(|layer| layer.group.units).sum();
        let forecast = |place: usize, rule, unit, values| Forecast {
            rule,
            effects: Matrix::from_rows(
                &self.rows.iter().map(|row| row[place].clone()).collect::<Vec<_>>(),
            ),
            unit,
            budget: Budget { values, probes: 0 },
        };
        let k = outputs.len();
        let forecasts = [
            forecast(0, ForecastRule::FirstOrder, Unit::Outputs, units * k * images),
            forecast(1, ForecastRule::Contribution, Unit::Any, units * k),
            forecast(2, ForecastRule::FilterNorm, Unit::Any, units),
            Forecast::nothing(parts, k),
        ];
        let operation = NetworkOperation::PruneLayer;
        Rows { operation, perturbations: parts, images }.of_forecasts(&study, &forecasts, &PAIRS)
    }
}

fn select(logits: &Matrix, outputs: &[usize]) -> Matrix {
    Matrix::from_fn(logits.rows(), outputs.len(), |i, k| logits.get(i, outputs[k]))
}

fn sum(a: &Matrix, b: &Matrix) -> Matrix {
    Matrix::from_fn(a.rows(), a.columns(), |i, k| a.get(i, k) + b.get(i, k))
}

/// The mean of |value| of each column.
fn mean_size(values: &Matrix) -> Vec<f64> {
    let column = |k: usize| (0..values.rows()).map(|i| values.get(i, k).abs()).sum::<f64>();
    (0..values.columns()).map(|k| column(k) / values.rows().max(1) as f64).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

impl Answers {
    /// The share of answers that differ.
    fn flips(self, before: &Matrix, after: &Matrix) -> f64 {
        let (rows, columns) = (before.rows(), before.columns());
        let is_above = |of: &Matrix, i: usize| -> Vec<bool> {
            of.row(i).iter().map(|logit| *logit > 0.).collect()
        };
        let differ = |i: usize| match self {
            Self::Each => {
                let (before, after) = (is_above(before, i), is_above(after, i));
                before.iter().zip(&after).filter(|(before, after)| before != after).count()
            }
            Self::One => usize::from(greatest(before.row(i)) != greatest(after.row(i))),
        };
        let answers = match self {
            Self::Each => rows * columns,
            Self::One => rows,
        };
        (0..rows).map(differ).sum::<usize>() as f64 / answers.max(1) as f64
    }
}

/// The place of the greatest value; of equal ones the first.
fn greatest(values: &[f64]) -> usize {
    (0..values.len()).rev().max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or(0)
}
