//! Forecasts and outcomes of all layers, and their scores.

use foresee_perturb::Takeover;
use foresee_stats::Matrix;

use super::contributions::Contributions;
use super::outcome::{Before, LayerOutcome, mean_sizes};
use super::second_order::second_order_change;
use super::study::{Layer, LayerStudy};
use crate::definition::{Change, difference};
use crate::error::Result;
use crate::explanation::uniqueness;
use crate::forecast::{Budget, Forecast, ForecastRule, Unit};
use crate::network::Rows;
use crate::operation::NetworkOperation;
use crate::scored::ScoredForecast;
use crate::study::Study;

/// Forecasts that are compared, where both are made.
static PAIRS: [[ForecastRule; 2]; 5] = [
    [ForecastRule::FirstOrder, ForecastRule::Contribution],
    [ForecastRule::FirstOrder, ForecastRule::FilterNorm],
    [ForecastRule::SecondOrder, ForecastRule::FirstOrder],
    [ForecastRule::SecondOrder, ForecastRule::LinearProbe],
    [ForecastRule::UniquenessTimesContribution, ForecastRule::Contribution],
];

/// A share of a layer that is pruned.
pub(super) struct Part<'a> {
    /// Which layer.
    pub(super) number: usize,
    pub(super) layer: &'a Layer<'a>,
    pub(super) units: &'a [usize],
}

impl Part<'_> {
    /// What is done, in words.
    pub(super) fn name(&self) -> String {
        format!("prune {} channels of `{}`", self.units.len(), self.layer.group.name)
    }
}

/// What was forecast and what came, for all parts so far.
pub(super) struct Parts<'a> {
    study: &'a LayerStudy<'a>,
    before: Before<'a>,
    /// Of each layer; none if it is not known of all.
    correlations: Option<Vec<Matrix>>,
    pub(super) outcomes: Vec<LayerOutcome>,
    changes: Vec<Change>,
    /// Part by part, the effects on each output by each rule, the same rules for all.
    effects: Vec<Vec<(ForecastRule, Vec<f64>)>>,
}

impl<'a> Parts<'a> {
    pub(super) fn new(study: &'a LayerStudy<'a>, before: Before<'a>) -> Self {
        let of = |layer: &Layer| {
            let rows = study.statistics.correlation(layer.group).ok()?;
            Some(Matrix::from_rows(&rows))
        };
        let correlations = study.layers.iter().map(of).collect();
        Self { study, before, correlations, outcomes: vec![], changes: vec![], effects: vec![] }
    }

    /// Adds a part: its slope along the way to the smaller network, and the logits of a probe and
    /// of the smaller network.
    pub(super) fn add(
        &mut self,
        part: &Part,
        contributions: &Contributions,
        (slope, probe): (Matrix, Option<Matrix>),
        after: &Matrix,
    ) -> Result<()> {
        let (name, before) = (part.name(), self.before.asked());
        let change = difference(&before, &self.before.select(after), &name)?;
        let probe = probe.map(|probe| difference(&before, &self.before.select(&probe), &name));
        let probe = probe.transpose()?;
        let share = LayerStudy::PROBE;
        let second = probe.as_ref().map(|probe| second_order_change(&slope, probe, share));
        self.outcomes.push(LayerOutcome {
            layer: part.layer.group.name.clone(),
            units: part.layer.group.units,
            pruned: part.units.len(),
            first_order: self.before.forecast(&slope),
            second_order: second.as_ref().map(|change| self.before.forecast(change)),
            observed: self.before.observed(&change, after),
            accuracy_before: self.before.accuracy(),
        });
        let mut effects = vec![(ForecastRule::FirstOrder, mean_sizes(&slope))];
        effects.extend(second.map(|change| (ForecastRule::SecondOrder, mean_sizes(&change))));
        effects.extend(probe.map(|probe| {
            let linear = mean_sizes(&probe).into_iter().map(|size| size / share).collect();
            (ForecastRule::LinearProbe, linear)
        }));
        effects.extend(self.of_units(part, contributions));
        self.effects.push(effects);
        self.changes.push(Change {
            number: part.number,
            operation: name,
            strength: part.units.len() as f64,
            by_item: change,
        });
        Ok(())
    }

    /// Sums over the units that go.
    fn of_units(
        &self,
        part: &Part,
        contributions: &Contributions,
    ) -> Vec<(ForecastRule, Vec<f64>)> {
        let sizes = contributions.mean_size();
        let sum = |of: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
            (0..sizes.columns()).map(|k| part.units.iter().map(|&u| of(u, k)).sum()).collect()
        };
        let mut effects = vec![
            (ForecastRule::Contribution, sum(&|u, k| sizes.get(u, k))),
            (ForecastRule::FilterNorm, sum(&|u, _| part.layer.norms[u])),
        ];
        if let Some(correlations) = &self.correlations {
            let unique = |u: usize| uniqueness(&correlations[part.number], u, part.units);
            let times = sum(&|u, k| unique(u) * sizes.get(u, k));
            effects.push((ForecastRule::Uniqueness, sum(&|u, _| unique(u))));
            effects.push((ForecastRule::UniquenessTimesContribution, times));
        }
        effects
    }

    /// The scores of all forecasts over all parts.
    pub(super) fn scored(&self) -> Result<Vec<ScoredForecast>> {
        let settings = &self.study.settings;
        let (parts, images) = (self.changes.len(), self.before.all.rows());
        let study = Study::new(&self.changes, settings.resamples, settings.seed)?;
        let first = self.effects.first().map_or(&[][..], Vec::as_slice);
        let forecast = |(place, (rule, _)): (usize, &(ForecastRule, Vec<f64>))| {
            let rows: Vec<Vec<f64>> = self.effects.iter().map(|of| of[place].1.clone()).collect();
            self.forecast(rule, Matrix::from_rows(&rows))
        };
        let mut forecasts: Vec<Forecast> = first.iter().enumerate().map(forecast).collect();
        forecasts.push(Forecast::nothing(parts, settings.outputs.len()));
        let is_made = |rule: &ForecastRule| forecasts.iter().any(|of| of.rule == *rule);
        let pairs: Vec<[ForecastRule; 2]> =
            PAIRS.iter().filter(|pair| pair.iter().all(is_made)).cloned().collect();
        let operation = match settings.takeover {
            Takeover::Nothing => NetworkOperation::PruneLayer,
            _ => NetworkOperation::PruneLayerWithTakeover,
        };
        Rows { operation, perturbations: parts, images }.of_forecasts(&study, &forecasts, &pairs)
    }

    /// A forecast with its unit, and with what it needs to see.
    fn forecast(&self, rule: &ForecastRule, effects: Matrix) -> Forecast {
        let (parts, images) = (self.changes.len(), self.before.all.rows());
        let outputs = self.study.settings.outputs.len();
        let units: usize = self.study.layers.iter().map(|layer| layer.group.units).sum();
        let pairs = |layer: &Layer| layer.group.units * layer.group.units.saturating_sub(1) / 2;
        let pairs: usize = self.study.layers.iter().map(pairs).sum();
        let each = units * outputs * images;
        let (unit, values, probes) = match rule {
            ForecastRule::FirstOrder => (Unit::Outputs, each, 0),
            ForecastRule::SecondOrder => (Unit::Outputs, each + parts * outputs * images, parts),
            ForecastRule::LinearProbe => (Unit::Outputs, parts * outputs, parts),
            ForecastRule::Contribution => (Unit::Any, units * outputs, 0),
            ForecastRule::Uniqueness => (Unit::Any, pairs, 0),
            ForecastRule::UniquenessTimesContribution => (Unit::Any, pairs + units * outputs, 0),
            _ => (Unit::Any, units, 0),
        };
        Forecast { rule: rule.clone(), effects, unit, budget: Budget { values, probes } }
    }
}
