//! What is pruned at once.

use foresee_graph::{Reconstruction, Removal};
use foresee_perturb::{budget_counts, share_counts};

use super::outcome::Pruned;
use super::study::{Layer, LayerStudy};
use crate::error::{Error, Result};

/// Channels that go at once, and what the kept ones are for them.
#[derive(Debug, Clone)]
pub(super) struct Cut<'a> {
    pub what: Pruned,
    /// Layers by number, and the units of each that go.
    pub of: Vec<(usize, &'a [usize])>,
    /// The share of a layer that was asked for; of several layers, the operations that are left.
    pub share: f64,
    pub by: Vec<Reconstruction>,
}

impl Cut<'_> {
    /// How many units go.
    pub fn count(&self) -> usize {
        self.of.iter().map(|(_, units)| units.len()).sum()
    }

    /// What is done, in words.
    pub fn name(&self) -> String {
        format!("prune {} channels of {}", self.count(), self.what)
    }
}

impl<'a> LayerStudy<'a> {
    /// The shares of each layer, then the budgets. What cannot be taken over, and a budget that
    /// cannot be kept, is skipped.
    pub(super) fn cuts(&self, skipped: &mut Vec<Error>) -> Vec<Cut<'a>> {
        let mut cuts = vec![];
        for (number, layer) in self.layers.iter().enumerate() {
            for count in share_counts(layer.group.units, &self.settings.shares) {
                let units = &layer.order[..count.min(layer.order.len())];
                let what = Pruned::Layer(layer.group.name.clone());
                let share = self.share_of(layer.group.units, count);
                cuts.push(self.cut(what, vec![(number, units)], share));
            }
        }
        for &operations in &self.settings.budgets {
            cuts.push(self.together(operations));
        }
        cuts.into_iter().filter_map(|cut| cut.map_err(|error| skipped.push(error)).ok()).collect()
    }

    /// All layers, evenly.
    fn together(&self, operations: f64) -> Result<Cut<'a>> {
        let what = Pruned::Together { operations };
        let whole = |layer: &Layer<'a>| Removal { group: layer.group, units: layer.order };
        let layers: Vec<Removal> = self.layers.iter().map(whole).collect();
        let counts = budget_counts(self.graph, &layers, operations);
        let counts = counts.map_err(Error::of_model(&format!("prune {what}")))?;
        let of = self.layers.iter().zip(counts).enumerate();
        let of = of.filter(|(_, (_, count))| *count > 0);
        let of = of.map(|(at, (layer, count))| (at, &layer.order[..count])).collect();
        self.cut(what, of, operations)
    }

    /// The requested share that rounds to `count` of a layer's units; the nearest if several do.
    /// Shares are the same for layers of all widths, and counts are not.
    fn share_of(&self, units: usize, count: usize) -> f64 {
        let own = count as f64 / units as f64;
        let shares = self.settings.shares.iter().copied();
        let makes_it = |share: &f64| share_counts(units, &[*share]) == [count];
        let distance = |share: &f64| (share - own).abs();
        let nearest = shares.filter(makes_it).min_by(|a, b| distance(a).total_cmp(&distance(b)));
        nearest.unwrap_or(own)
    }

    fn cut(&self, what: Pruned, of: Vec<(usize, &'a [usize])>, share: f64) -> Result<Cut<'a>> {
        let cut = Cut { what, of, share, by: vec![] };
        let by = self.statistics.reconstructions(&self.removals(&cut), self.settings.takeover);
        let by = by.map_err(Error::of_model(&cut.name()))?;
        Ok(Cut { by, ..cut })
    }

    pub(super) fn removals<'b>(&'b self, cut: &Cut<'b>) -> Vec<Removal<'b>> {
        let removal = |&(number, units): &(usize, &'b [usize])| Removal {
            group: self.layers[number].group,
            units,
        };
        cut.of.iter().map(removal).collect()
    }
}
