//! Accuracy of each image, by column of a table `…_by_image.csv`.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use foresee_report::frame;

use crate::run::Run;

pub struct ByImage(BTreeMap<String, Vec<f64>>);

impl ByImage {
    pub fn read(run: &Run, file: &str) -> Result<Self> {
        let table = run.read_csv(file)?;
        let names: Vec<String> =
            table.get_column_names().iter().skip(1).map(ToString::to_string).collect();
        let columns = names.into_iter().map(|name| {
            let right = frame::numbers(&table, &name)?;
            Ok((
                name,
                right
                    .into_iter()
                    .map(|r| 100. * r / foresee_celeba::ATTRIBUTES.len() as f64)
                    .collect(),
            ))
        });
        Ok(Self(columns.collect::<Result<_>>()?))
    }

    /// A column, in percent.
    pub fn column(&self, name: &str) -> Result<&[f64]> {
        Ok(self.0.get(name).with_context(|| format!("there is no column {name}"))?)
    }

    /// Numbers of pruned channels that were measured, ascending.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts: Vec<usize> =
            self.0.keys().filter_map(|name| name.rsplit('/').next()?.parse().ok()).collect();
        counts.sort_unstable();
        counts.dedup();
        counts
    }

    /// Accuracy of each image at a point of a curve in percent, the mean over the orders of a
    /// random rule.
    pub fn point(&self, rule: &str, takeover: &str, count: usize) -> Result<Vec<f64>> {
        let columns = self.orders(rule, takeover, count);
        let first = columns.first().with_context(|| {
            format!(
                "no curve of rule {rule}, takeover {takeover}, at {count} channels was measured"
            )
        })?;
        Ok((0..first.len())
            .map(|i| columns.iter().map(|column| column[i]).sum::<f64>() / columns.len() as f64)
            .collect())
    }

    /// The same of each order.
    pub fn orders(&self, rule: &str, takeover: &str, count: usize) -> Vec<&[f64]> {
        let end = format!("/{takeover}/{count}");
        let of_rule = |name: &str| {
            name.strip_suffix(&end).is_some_and(|head| head.split(':').next() == Some(rule))
        };
        self.0
            .iter()
            .filter(|(name, _)| of_rule(name))
            .map(|(_, values)| values.as_slice())
            .collect()
    }
}
