//! Forecasts, then prunes, layer by layer.

use candle_core::{DType, Tensor};
use foresee_graph::{ChannelGroup, Reconstruction, Removal};
use foresee_perturb::{UnitMasks, share_counts};
use foresee_stats::Matrix;

use super::contributions::{Measured, TakenOver, measure};
use super::outcome::Before;
use super::parts::{Part, Parts};
use super::study::{Layer, LayerForecasts, LayerStudy, LayerStudySettings};
use crate::error::{Error, Result};

impl<'a> LayerStudy<'a> {
    /// The forecasts beside the outcomes, layer by layer, and their scores over all layers.
    ///
    /// # Errors
    /// If the network fails, there is nothing to prune, or nothing could be pruned.
    pub fn run(&self) -> Result<LayerForecasts> {
        let failed = || Error::of_model("the network");
        let groups: Vec<&ChannelGroup> = self.layers.iter().map(|layer| layer.group).collect();
        let mut masks = UnitMasks::new(self.graph, &groups).map_err(failed())?;
        if !self.has_probes() {
            masks = masks.for_takeovers();
        }
        let LayerStudySettings { outputs, answers, .. } = &self.settings;
        let all = self.logits(|images| Ok(self.graph.forward(images)?)).map_err(failed())?;
        let before = Before { all, outputs, answers: *answers, judge: self.judge };
        let mut skipped = vec![];
        let taken_over = self.takeovers(&mut skipped);
        let measured = self.measure(&masks, &groups, &taken_over);
        let mut parts = Parts::new(self, before);
        for (number, (measured, of)) in measured.into_iter().zip(&taken_over).enumerate() {
            let layer = &self.layers[number];
            match measured {
                Ok(measured) => of.iter().enumerate().for_each(|(place, of)| {
                    let part = Part { number, layer, units: of.units };
                    let added = self.part(&part, &masks, (place, &of.by), &measured, &mut parts);
                    added.unwrap_or_else(|error| skipped.push(error));
                }),
                Err(error) => skipped.push(error),
            }
        }
        if parts.outcomes.is_empty() && !skipped.is_empty() {
            return Err(skipped.swap_remove(0));
        }
        let scores = parts.scored()?;
        Ok(LayerForecasts { outcomes: parts.outcomes, scores, skipped })
    }

    /// For each layer the shares of it that are pruned, with what takes over. What cannot be taken
    /// over is skipped.
    fn takeovers(&self, skipped: &mut Vec<Error>) -> Vec<Vec<TakenOver<'a>>> {
        let takeover = self.settings.takeover;
        let mut of_layer = |(number, layer): (usize, &Layer<'a>)| {
            let order = layer.order;
            let mut parts = vec![];
            for count in share_counts(layer.group.units, &self.settings.shares) {
                let units = &order[..count.min(order.len())];
                let removal = Removal { group: layer.group, units };
                match self.statistics.reconstructions(&[removal], takeover) {
                    Ok(by) => parts.push(TakenOver { units, by }),
                    Err(error) => {
                        let name = Part { number, layer, units }.name();
                        skipped.push(Error::of_model(&name)(error));
                    }
                }
            }
            parts
        };
        self.layers.iter().enumerate().map(&mut of_layer).collect()
    }

    /// Measures all layers together, or if that fails each alone.
    fn measure(
        &self,
        masks: &UnitMasks<'a>,
        groups: &[&'a ChannelGroup],
        taken_over: &[Vec<TakenOver>],
    ) -> Vec<Result<Measured>> {
        let LayerStudySettings { outputs, .. } = &self.settings;
        // What is not taken over, each channel's contribution tells.
        let none: Vec<Vec<TakenOver>> = groups.iter().map(|_| vec![]).collect();
        let wanted = if self.has_probes() { &none } else { taken_over };
        if let Ok(all) = measure(masks, groups, wanted, self.batches, outputs) {
            let images = all.first().map_or(0, |of| of.contributions.images());
            (self.progress)(images * (outputs.len() + 1));
            return all.into_iter().map(Ok).collect();
        }
        let alone = |(group, wanted): (&&'a ChannelGroup, &Vec<TakenOver>)| {
            let failed = || Error::of_model(&format!("the contributions of `{}`", group.name));
            let masks = UnitMasks::new(self.graph, &[*group]).map_err(failed())?.for_takeovers();
            let wanted = std::slice::from_ref(wanted);
            let measured = measure(&masks, &[*group], wanted, self.batches, outputs);
            Ok(measured.map_err(failed())?.swap_remove(0))
        };
        groups.iter().zip(wanted).map(alone).collect()
    }

    /// Forecasts and observes one part.
    fn part(
        &self,
        part: &Part,
        masks: &UnitMasks,
        (place, by): (usize, &[Reconstruction]),
        measured: &Measured,
        parts: &mut Parts,
    ) -> Result<()> {
        let failed = || Error::of_model(&part.name());
        let slope = match measured.changes.get(place) {
            Some(change) => Matrix::from_rows(change),
            None => measured.contributions.change(part.units),
        };
        let probe = match self.has_probes() {
            true => Some(self.probe(part, masks).map_err(failed())?),
            false => None,
        };
        let removal = Removal { group: part.layer.group, units: part.units };
        let smaller = self.graph.remove_channels_with(&[removal], by);
        let smaller = smaller.map_err(Error::of_model(&part.name()))?;
        let after = self.logits(|images| Ok(smaller.forward(images)?)).map_err(failed())?;
        parts.add(part, &measured.contributions, (slope, probe), &after)
    }

    /// Logits [images, K] with masks of 1 - [`PROBE`](Self::PROBE) on the units of a part.
    fn probe(&self, part: &Part, masks: &UnitMasks) -> foresee_perturb::Result<Matrix> {
        self.logits(|images| masks.outputs_at(images, part.number, part.units, 1. - Self::PROBE))
    }

    /// Logits [images, K].
    fn logits(
        &self,
        run: impl Fn(&[Tensor]) -> foresee_perturb::Result<Vec<Tensor>>,
    ) -> foresee_perturb::Result<Matrix> {
        let mut rows = vec![];
        for images in self.batches {
            let logits = run(std::slice::from_ref(images))?[0].to_dtype(DType::F64)?;
            rows.extend(logits.to_vec2::<f64>()?);
            (self.progress)(images.dims().first().copied().unwrap_or(0));
        }
        Ok(Matrix::from_rows(&rows))
    }
}
