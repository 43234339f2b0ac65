//! What the runs found, system by system.

use std::collections::BTreeMap;

use foresee_celeba::ATTRIBUTES;
use foresee_stats::{Interval, LEVEL, mean, mean_over_seeds_and_images};

use crate::artifacts::{
    Accuracy, AttributeAccuracy, ConditionRow, JudgedImage, SystemAttribute, SystemCost, SystemRow,
};
use crate::config::SystemName;
use crate::error::Result;
use crate::run::{Run, Stage};

/// What the runs found.
pub(crate) struct Results {
    pub systems: Vec<SystemRow>,
    pub conditions: Vec<ConditionRow>,
    pub attributes: Vec<SystemAttribute>,
}

/// A condition: σ, pruned channels, takeover.
type Condition = (u64, usize, String);

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
    fn pair(&self, condition: &Condition) -> (Vec<f64>, Vec<f64>) {
        let of: BTreeMap<&str, f64> =
            self.clean().iter().map(|(image, accuracy)| (image.as_str(), *accuracy)).collect();
        let rows = self.0.get(condition).map_or(&[][..], Vec::as_slice);
        let clean = rows.iter().filter_map(|(image, _)| of.get(image.as_str()).copied());
        (rows.iter().map(|(_, accuracy)| *accuracy).collect(), clean.collect())
    }
}

/// The runs of one system.
struct Group<'a> {
    system: SystemName,
    runs: Vec<&'a Run>,
}

impl Results {
    /// Of runs that are done.
    pub fn new(runs: &[(SystemName, Run)]) -> Result<Self> {
        let mut found = Self { systems: vec![], conditions: vec![], attributes: vec![] };
        for system in SystemName::ALL {
            let own = runs.iter().filter(|(name, _)| *name == system);
            let group = Group { system, runs: own.map(|(_, run)| run).collect() };
            if group.runs.is_empty() {
                continue;
            }
            let judged = group.runs.iter().map(|run| Judged::read(run));
            let judged = judged.collect::<Result<Vec<_>>>()?;
            found.systems.push(group.row(&judged)?);
            found.conditions.extend(group.conditions(&judged)?);
            found.attributes.extend(group.attributes()?);
        }
        found.set_differences();
        Ok(found)
    }

    /// The differences from the paper's network.
    fn set_differences(&mut self) {
        let paper: BTreeMap<String, f64> = self
            .attributes
            .iter()
            .filter(|row| row.system == SystemName::Paper.id())
            .map(|row| (row.attribute.clone(), row.accuracy))
            .collect();
        for row in &mut self.attributes {
            row.difference = row.accuracy - paper.get(&row.attribute).copied().unwrap_or(f64::NAN);
        }
    }
}

impl Group<'_> {
    fn kind(&self) -> String {
        self.runs[0].manifest.data.kind().into()
    }

    fn row(&self, judged: &[Judged]) -> Result<SystemRow> {
        let accuracies = self.runs.iter().map(|run| run.read_one::<Accuracy>());
        let accuracies = accuracies.collect::<Result<Vec<_>>>()?;
        let costs = self.runs.iter().map(|run| run.read_one::<SystemCost>());
        let costs = costs.collect::<Result<Vec<_>>>()?;
        let records: Vec<_> =
            self.runs.iter().filter_map(|run| run.manifest.stages.get(&Stage::Train)).collect();
        let over =
            |value: fn(&Accuracy) -> f64| mean(&accuracies.iter().map(value).collect::<Vec<_>>());
        let clean: Vec<Vec<f64>> =
            judged.iter().map(|of| of.clean().iter().map(|(_, a)| *a).collect()).collect();
        let interval = over_seeds_and_images(&clean)?;
        let peak = records.iter().filter_map(|record| record.peak_memory_bytes).max();
        Ok(SystemRow {
            system: self.system.id().into(),
            seeds: self.runs.len(),
            passes: self.runs[0].manifest.config.train.trainer.epochs,
            images: accuracies[0].images,
            accuracy: interval.estimate,
            accuracy_low: interval.low,
            accuracy_high: interval.high,
            balanced_accuracy: over(|a| a.balanced_accuracy),
            auc: over(|a| a.auc),
            majority_accuracy: over(|a| a.majority_accuracy),
            parameters: costs[0].parameters,
            macs: costs[0].macs,
            milliseconds: mean(&costs.iter().map(|cost| cost.milliseconds).collect::<Vec<_>>()),
            training_seconds: mean(&records.iter().map(|r| r.wall_seconds).collect::<Vec<_>>()),
            peak_memory_bytes: peak.map_or(f64::NAN, |bytes| bytes as f64),
            data: self.kind(),
        })
    }

    fn conditions(&self, judged: &[Judged]) -> Result<Vec<ConditionRow>> {
        let mut rows = vec![];
        for condition in judged[0].0.keys() {
            let (sigma, pruned, takeover) = condition;
            let pairs: Vec<(Vec<f64>, Vec<f64>)> =
                judged.iter().map(|of| of.pair(condition)).collect();
            let own: Vec<Vec<f64>> = pairs.iter().map(|(own, _)| own.clone()).collect();
            let change = |(own, clean): &(Vec<f64>, Vec<f64>)| {
                own.iter().zip(clean).map(|(own, clean)| own - clean).collect()
            };
            let accuracy = over_seeds_and_images(&own)?;
            let change = over_seeds_and_images(&pairs.iter().map(change).collect::<Vec<_>>())?;
            rows.push(ConditionRow {
                system: self.system.id().into(),
                sigma: f64::from_bits(*sigma),
                pruned: *pruned,
                takeover: takeover.clone(),
                seeds: self.runs.len(),
                images: own[0].len(),
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

    fn attributes(&self) -> Result<Vec<SystemAttribute>> {
        let of = |run: &&Run| run.read::<Vec<AttributeAccuracy>>();
        let seeds = self.runs.iter().map(of).collect::<Result<Vec<_>>>()?;
        let row = |(k, attribute): (usize, &str)| {
            let accuracies = seeds.iter().filter_map(|rows| rows.get(k)).map(|row| row.accuracy);
            SystemAttribute {
                system: self.system.id().into(),
                attribute: attribute.into(),
                accuracy: mean(&accuracies.collect::<Vec<_>>()),
                difference: f64::NAN,
                data: self.kind(),
            }
        };
        Ok(ATTRIBUTES.into_iter().enumerate().map(row).collect())
    }
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
