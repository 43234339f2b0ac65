//! Forecasts and outcomes of all cuts, and the scores of those of single layers.

use std::collections::BTreeMap;

use foresee_perturb::Takeover;
use foresee_stats::Matrix;

use super::cut::Cut;
use super::outcome::{Before, LayerOutcome, Pruned, mean_sizes};
use super::second_order::second_order_change;
use super::study::{Layer, LayerStudy};
use crate::definition::{Change, difference};
use crate::error::{Error, Result};
use crate::explanation::uniqueness;
use crate::forecast::{Budget, Forecast, ForecastRule, Unit};
use crate::network::Rows;
use crate::operation::NetworkOperation;
use crate::scored::ScoredForecast;
use crate::study::Study;

/// Forecasts that are compared, where both are made.
static PAIRS: [[ForecastRule; 2]; 6] = [
    [ForecastRule::FirstOrder, ForecastRule::Contribution],
    [ForecastRule::FirstOrder, ForecastRule::FilterNorm],
    [ForecastRule::SecondOrder, ForecastRule::FirstOrder],
    [ForecastRule::SecondOrder, ForecastRule::LinearProbe],
    [ForecastRule::UniquenessTimesContribution, ForecastRule::Contribution],
    [ForecastRule::FirstOrder, ForecastRule::MeanOfOthers],
];

/// What was forecast and what came, for all parts so far.
pub(super) struct Parts<'a> {
    study: &'a LayerStudy<'a>,
    before: Before<'a>,
    /// Of each layer the mean of |contribution|, [units, outputs], as far as it is known.
    sizes: Vec<Option<Matrix>>,
    /// Of each layer; none if it is not known of all.
    correlations: Option<Vec<Matrix>>,
    pub(super) outcomes: Vec<LayerOutcome>,
    changes: Vec<Change>,
    /// Part by part, the effects on each output by each rule, the same rules for all.
    effects: Vec<Vec<(ForecastRule, Vec<f64>)>>,
}

impl<'a> Parts<'a> {
    pub(super) fn new(
        study: &'a LayerStudy<'a>,
        before: Before<'a>,
        sizes: Vec<Option<Matrix>>,
    ) -> Self {
        let of = |layer: &Layer| {
            let rows = study.statistics.correlation(layer.group).ok()?;
            Some(Matrix::from_rows(&rows))
        };
        let correlations = study.layers.iter().map(of).collect();
        let (outcomes, changes, effects) = (vec![], vec![], vec![]);
        Self { study, before, sizes, correlations, outcomes, changes, effects }
    }

    /// Adds a cut: its slope along the way to the smaller network, and the logits of a probe and of
    /// the smaller network.
    pub(super) fn add(
        &mut self,
        cut: &Cut,
        slope: Matrix,
        probe: Option<Matrix>,
        after: &Matrix,
    ) -> Result<()> {
        let (name, before) = (cut.name(), self.before.asked());
        for numbers in [Some(&slope), probe.as_ref(), Some(after)].into_iter().flatten() {
            check_finite(numbers, &name)?;
        }
        let change = difference(&before, &self.before.select(after), &name)?;
        let probe = probe.map(|probe| difference(&before, &self.before.select(&probe), &name));
        let probe = probe.transpose()?;
        let share = LayerStudy::PROBE;
        let second = probe.as_ref().map(|probe| second_order_change(&slope, probe, share));
        let units = cut.of.iter().map(|(number, _)| self.study.layers[*number].group.units);
        self.outcomes.push(LayerOutcome {
            what: cut.what.clone(),
            share: cut.share,
            units: units.sum(),
            pruned: cut.count(),
            first_order: self.before.forecast(&slope),
            second_order: second.as_ref().map(|change| self.before.forecast(change)),
            observed: self.before.observed(&change, after),
            accuracy_before: self.before.accuracy(),
        });
        let (Pruned::Layer(_), &[(number, units)]) = (&cut.what, &cut.of[..]) else {
            return Ok(());
        };
        let mut effects = vec![(ForecastRule::FirstOrder, mean_sizes(&slope))];
        effects.extend(second.map(|change| (ForecastRule::SecondOrder, mean_sizes(&change))));
        effects.extend(probe.map(|probe| {
            let linear = mean_sizes(&probe).into_iter().map(|size| size / share).collect();
            (ForecastRule::LinearProbe, linear)
        }));
        effects.extend(self.of_units(number, units));
        self.effects.push(effects);
        let change = Change { number, operation: name, strength: cut.share, by_item: change };
        self.changes.push(change);
        Ok(())
    }

    /// Sums over the units of a layer that go.
    fn of_units(&self, number: usize, units: &[usize]) -> Vec<(ForecastRule, Vec<f64>)> {
        let Some(sizes) = &self.sizes[number] else { return vec![] };
        let norms = self.study.layers[number].norms;
        let sum = |of: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
            (0..sizes.columns()).map(|k| units.iter().map(|&u| of(u, k)).sum()).collect()
        };
        let mut effects = vec![
            (ForecastRule::Contribution, sum(&|u, k| sizes.get(u, k))),
            (ForecastRule::FilterNorm, sum(&|u, _| norms[u])),
        ];
        if let Some(correlations) = &self.correlations {
            let of = |u: &usize| (*u, uniqueness(&correlations[number], *u, units));
            let unique: BTreeMap<usize, f64> = units.iter().map(of).collect();
            let times = sum(&|u, k| unique[&u] * sizes.get(u, k));
            effects.push((ForecastRule::Uniqueness, sum(&|u, _| unique[&u])));
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
        let is_made = |rule: &ForecastRule| {
            *rule == ForecastRule::MeanOfOthers || forecasts.iter().any(|of| of.rule == *rule)
        };
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

/// Refuses numbers that are not finite.
fn check_finite(numbers: &Matrix, name: &str) -> Result<()> {
    let is_finite = |i: usize| numbers.row(i).iter().all(|value| value.is_finite());
    match (0..numbers.rows()).all(is_finite) {
        true => Ok(()),
        false => Err(Error::of_model(name)("its outputs are not finite")),
    }
}
