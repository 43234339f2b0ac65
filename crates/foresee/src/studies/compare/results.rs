//! What the runs found, system by system.

use std::collections::BTreeMap;

use foresee_celeba::ATTRIBUTES;
use foresee_perturb::Takeover;
use foresee_stats::{Interval, LEVEL, mean, mean_over_seeds_and_images};

use super::forecasts;
use crate::artifacts::{
    Accuracy, AttributeAccuracy, ConditionRow, JudgedImage, SystemAttribute, SystemCost,
    SystemForecast, SystemPass, SystemRow, Validation,
};
use crate::config::SystemName;
use crate::error::Result;
use crate::run::{Run, Stage};

/// What the runs found.
pub(crate) struct Results {
    pub systems: Vec<SystemRow>,
    pub conditions: Vec<ConditionRow>,
    pub attributes: Vec<SystemAttribute>,
    pub learning: Vec<SystemPass>,
    pub forecasts: Vec<SystemForecast>,
}

/// A condition: σ, pruned channels, takeover.
type Condition = (u64, usize, Takeover);

/// The accuracies of a run on its images, under each condition.
struct Judged(BTreeMap<Condition, Vec<(String, f64)>>);

impl Judged {
    fn read(run: &Run) -> Result<Self> {
        let mut judged: BTreeMap<Condition, Vec<(String, f64)>> = BTreeMap::new();
        for row in run.read::<Vec<JudgedImage>>()? {
            // σ is from 0 on, so its bits are ordered as it is.
            let condition = (row.sigma.to_bits(), row.pruned, row.takeover);
            judged.entry(condition).or_default().push((row.image, row.accuracy));
        }
        Ok(Self(judged))
    }

    fn clean(&self) -> &[(String, f64)] {
        let clean = |(sigma, pruned, _): &&Condition| *sigma == 0 && *pruned == 0;
        self.0.keys().find(clean).map_or(&[], |condition| &self.0[condition])
    }

    /// The accuracies under a condition, and those of the same images as they are.
    fn pairs(&self, condition: &Condition) -> Vec<(f64, f64)> {
        let rows = self.0.get(condition).map_or(&[][..], Vec::as_slice);
        paired(rows, self.clean())
    }
}

/// The accuracies of the images that both have.
fn paired(own: &[(String, f64)], others: &[(String, f64)]) -> Vec<(f64, f64)> {
    let of: BTreeMap<&str, f64> =
        others.iter().map(|(image, accuracy)| (image.as_str(), *accuracy)).collect();
    let pair = |(image, own): &(String, f64)| Some((*own, *of.get(image.as_str())?));
    own.iter().filter_map(pair).collect()
}

/// The runs of one system.
struct Group<'a> {
    system: SystemName,
    runs: Vec<&'a Run>,
    judged: Vec<Judged>,
}

impl Results {
    /// Of runs that are done.
    pub fn new(runs: &[(SystemName, Run)]) -> Result<Self> {
        let mut groups = vec![];
        for system in SystemName::ALL {
            let own = runs.iter().filter(|(name, _)| *name == system);
            let runs: Vec<&Run> = own.map(|(_, run)| run).collect();
            let judged = runs.iter().map(|run| Judged::read(run)).collect::<Result<Vec<_>>>()?;
            if !runs.is_empty() {
                groups.push(Group { system, runs, judged });
            }
        }
        let paper = groups.iter().find(|group| group.system == SystemName::Paper);
        let mut found = Self {
            systems: vec![],
            conditions: vec![],
            attributes: vec![],
            learning: vec![],
            forecasts: vec![],
        };
        for group in &groups {
            found.systems.push(group.row(paper)?);
            found.conditions.extend(group.conditions()?);
            found.attributes.extend(group.attributes(paper)?);
            found.learning.extend(group.learning()?);
            found.forecasts.extend(group.forecasts(paper)?);
        }
        Ok(found)
    }
}

impl Group<'_> {
    fn kind(&self) -> String {
        self.runs[0].manifest.data.kind().into()
    }

    fn row(&self, paper: Option<&Group>) -> Result<SystemRow> {
        let accuracies = self.runs.iter().map(|run| run.read_one::<Accuracy>());
        let accuracies = accuracies.collect::<Result<Vec<_>>>()?;
        let costs = self.runs.iter().map(|run| run.read_one::<SystemCost>());
        let costs = costs.collect::<Result<Vec<_>>>()?;
        let records: Vec<_> =
            self.runs.iter().filter_map(|run| run.manifest.stages.get(&Stage::Train)).collect();
        let over =
            |value: fn(&Accuracy) -> f64| mean(&accuracies.iter().map(value).collect::<Vec<_>>());
        let clean: Vec<Vec<f64>> =
            self.judged.iter().map(|of| of.clean().iter().map(|(_, a)| *a).collect()).collect();
        let interval = share(over_seeds_and_images(&clean)?);
        let difference = paper.map(|paper| self.less(paper)).transpose()?;
        let difference = difference.unwrap_or(Interval::point(f64::NAN));
        let joules: Vec<f64> =
            records.iter().map(|record| record.energy_joules.unwrap_or(f64::NAN)).collect();
        let peak = records.iter().filter_map(|record| record.peak_memory_bytes).max();
        Ok(SystemRow {
            system: self.system.id().into(),
            seeds: self.runs.len(),
            passes: match self.system {
                SystemName::Facetracer => 0,
                _ => self.runs[0].manifest.config.train.trainer.epochs,
            },
            images: accuracies[0].images,
            accuracy: interval.estimate,
            accuracy_low: interval.low,
            accuracy_high: interval.high,
            difference: difference.estimate,
            difference_low: difference.low,
            difference_high: difference.high,
            balanced_accuracy: over(|a| a.balanced_accuracy),
            auc: over(|a| a.auc),
            majority_accuracy: over(|a| a.majority_accuracy),
            parameters: costs[0].parameters,
            macs: costs[0].macs,
            milliseconds: mean(&costs.iter().map(|cost| cost.milliseconds).collect::<Vec<_>>()),
            training_seconds: mean(&records.iter().map(|r| r.wall_seconds).collect::<Vec<_>>()),
            // One that is not known makes the mean unknown.
            training_joules: mean(&joules),
            peak_memory_bytes: peak.map_or(f64::NAN, |bytes| bytes as f64),
            data: self.kind(),
        })
    }

    /// The places of the runs that have the same seed.
    fn seeds_of_both(&self, other: &Group) -> Vec<(usize, usize)> {
        let seed = |run: &Run| run.manifest.seed;
        let pair = |(own, run): (usize, &&Run)| {
            Some((own, other.runs.iter().position(|other| seed(other) == seed(run))?))
        };
        self.runs.iter().enumerate().filter_map(pair).collect()
    }

    /// The accuracy less another system's on the same images, seed by seed.
    fn less(&self, other: &Group) -> Result<Interval> {
        let seeds = self.seeds_of_both(other).into_iter();
        let seeds = seeds.map(|(own, others)| (&self.judged[own], &other.judged[others]));
        let change = |(own, other): (&Judged, &Judged)| -> Vec<f64> {
            paired(own.clean(), other.clean()).iter().map(|(own, other)| own - other).collect()
        };
        match self.system == other.system || self.seeds_of_both(other).is_empty() {
            true => Ok(Interval::point(f64::NAN)),
            false => over_seeds_and_images(&seeds.map(change).collect::<Vec<_>>()),
        }
    }

    /// The conditions that all runs were judged under.
    fn conditions(&self) -> Result<Vec<ConditionRow>> {
        let mut rows = vec![];
        let in_all = |condition: &&Condition| {
            self.judged.iter().all(|judged| judged.0.contains_key(*condition))
        };
        for condition in self.judged[0].0.keys().filter(in_all) {
            let (sigma, pruned, takeover) = condition;
            let pairs: Vec<Vec<(f64, f64)>> =
                self.judged.iter().map(|judged| judged.pairs(condition)).collect();
            let of = |value: fn(&(f64, f64)) -> f64| -> Vec<Vec<f64>> {
                pairs.iter().map(|seed| seed.iter().map(value).collect()).collect()
            };
            let accuracy = share(over_seeds_and_images(&of(|(own, _)| *own))?);
            let change = over_seeds_and_images(&of(|(own, clean)| own - clean))?;
            rows.push(ConditionRow {
                system: self.system.id().into(),
                sigma: f64::from_bits(*sigma),
                pruned: *pruned,
                takeover: *takeover,
                seeds: self.runs.len(),
                images: pairs[0].len(),
                accuracy: accuracy.estimate,
                accuracy_low: accuracy.low,
                accuracy_high: accuracy.high,
                change: change.estimate,
                change_low: change.low,
                change_high: change.high,
                data: self.kind(),
            });
        }
        Ok(rows)
    }

    /// The accuracies on all attributes, run by run.
    fn by_attribute(&self) -> Result<Vec<Vec<AttributeAccuracy>>> {
        self.runs.iter().map(|run| run.read()).collect()
    }

    fn attributes(&self, paper: Option<&Group>) -> Result<Vec<SystemAttribute>> {
        let own = self.by_attribute()?;
        let pairs = paper.map_or(vec![], |paper| self.seeds_of_both(paper));
        let others = paper.map_or(Ok(vec![]), Group::by_attribute)?;
        let row = |(k, attribute): (usize, &str)| {
            let accuracy = |rows: &Vec<AttributeAccuracy>| rows.get(k).map(|row| row.accuracy);
            let difference = |(at, other): &(usize, usize)| {
                Some(accuracy(&own[*at])? - accuracy(&others[*other])?)
            };
            let differences: Vec<f64> = pairs.iter().filter_map(difference).collect();
            let end = |of: fn(f64, f64) -> f64| differences.iter().copied().fold(f64::NAN, of);
            SystemAttribute {
                system: self.system.id().into(),
                attribute: attribute.into(),
                accuracy: mean(&own.iter().filter_map(accuracy).collect::<Vec<_>>()),
                difference: mean_or_nan(&differences),
                difference_low: end(f64::min),
                difference_high: end(f64::max),
                data: self.kind(),
            }
        };
        Ok(ATTRIBUTES.into_iter().enumerate().map(row).collect())
    }

    /// How well forecasts say what pruning does; none of what has no channels.
    fn forecasts(&self, paper: Option<&Group>) -> Result<Vec<SystemForecast>> {
        if self.system == SystemName::Facetracer {
            return Ok(vec![]);
        }
        let others = paper.filter(|paper| paper.system != self.system);
        let pairs = others.map_or(vec![], |paper| self.seeds_of_both(paper));
        let runs = others.map_or(&[][..], |paper| &paper.runs);
        forecasts::over_seeds(self.system.id(), &self.runs, runs, &pairs)
    }

    /// Accuracies on validation faces after the passes that all trainings have; none of what is no
    /// network, or without such faces.
    fn learning(&self) -> Result<Vec<SystemPass>> {
        if self.system == SystemName::Facetracer {
            return Ok(vec![]);
        }
        let seeds = self.runs.iter().map(|run| run.read::<Vec<Validation>>());
        let seeds = seeds.collect::<Result<Vec<_>>>()?;
        let row = |first: &Validation| {
            let of = |seed: &Vec<Validation>| {
                let same = |row: &&Validation| row.epochs_done == first.epochs_done;
                seed.iter().find(same).map(|row| row.accuracy)
            };
            let accuracies = seeds.iter().map(of).collect::<Option<Vec<f64>>>()?;
            let end = |of: fn(f64, f64) -> f64| accuracies.iter().copied().fold(f64::NAN, of);
            Some(SystemPass {
                system: self.system.id().into(),
                passes: first.epochs_done,
                seeds: seeds.len(),
                accuracy: mean(&accuracies),
                accuracy_low: end(f64::min),
                accuracy_high: end(f64::max),
                data: self.kind(),
            })
        };
        Ok(seeds[0].iter().filter_map(row).collect())
    }
}

/// The interval of a share: few seeds know little, but no share is below 0 or above 1.
fn share(interval: Interval) -> Interval {
    interval.clamp_ends(0., 1.)
}

/// The mean; NaN of nothing.
fn mean_or_nan(values: &[f64]) -> f64 {
    if values.is_empty() { f64::NAN } else { mean(values) }
}

/// The mean with its interval over seeds and images. One seed alone has no spread over seeds: then
/// the ends are not known.
fn over_seeds_and_images(values: &[Vec<f64>]) -> Result<Interval> {
    let interval = mean_over_seeds_and_images(values, LEVEL)?.interval;
    Ok(match values.len() {
        1 => Interval::point(interval.estimate),
        _ => interval,
    })
}
