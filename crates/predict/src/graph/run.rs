//! Forecasts, then prunes, cut by cut.

use candle_core::{DType, Tensor};
use foresee_graph::ChannelGroup;
use foresee_perturb::UnitMasks;
use foresee_stats::Matrix;

use super::cut::Cut;
use super::outcome::{Before, LayerOutcome, Pruned};
use super::parts::Parts;
use super::slopes::{Slopes, measure};
use super::study::{LayerForecasts, LayerStudy, LayerStudySettings};
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
        let cuts = self.cuts(&mut skipped);
        let Found { sizes, slopes } = self.slopes(&masks, &groups, &cuts, &mut skipped);
        let mut parts = Parts::new(self, before, sizes);
        for (cut, slope) in cuts.iter().zip(slopes) {
            let Some(slope) = slope else { continue };
            let added = self.part(cut, &masks, slope, &mut parts);
            added.unwrap_or_else(|error| skipped.push(error));
        }
        let is_layer = |outcome: &LayerOutcome| matches!(outcome.what, Pruned::Layer(_));
        if !parts.outcomes.iter().any(is_layer) && !skipped.is_empty() {
            return Err(skipped.swap_remove(0));
        }
        let scores = parts.scored()?;
        Ok(LayerForecasts { outcomes: parts.outcomes, scores, skipped })
    }

    /// Measures all layers together, or if that fails each alone.
    fn slopes(
        &self,
        masks: &UnitMasks,
        groups: &[&'a ChannelGroup],
        cuts: &[Cut],
        skipped: &mut Vec<Error>,
    ) -> Found {
        let outputs = &self.settings.outputs;
        let units: Vec<usize> = groups.iter().map(|group| group.units).collect();
        let error = match measure(masks, &units, cuts, self.batches, outputs) {
            Ok(Slopes { sizes, of_cuts }) => {
                let images = of_cuts.first().map_or(0, Matrix::rows);
                (self.progress)(images * (outputs.len() + 1));
                return Found {
                    sizes: sizes.into_iter().map(Some).collect(),
                    slopes: of_cuts.into_iter().map(Some).collect(),
                };
            }
            Err(error) => error,
        };
        let mut found = Found { sizes: vec![None; groups.len()], slopes: vec![None; cuts.len()] };
        for (number, group) in groups.iter().enumerate() {
            let is_own = |cut: &&Cut| cut.what == Pruned::Layer(group.name.clone());
            match self.slopes_alone(group, cuts.iter().filter(is_own)) {
                Ok(Slopes { mut sizes, of_cuts }) => {
                    found.sizes[number] = sizes.pop();
                    let slopes = found.slopes.iter_mut().zip(cuts).filter(|(_, cut)| is_own(cut));
                    slopes.zip(of_cuts).for_each(|((slope, _), own)| *slope = Some(own));
                }
                Err(error) => skipped.push(error),
            }
        }
        let of_all = |cut: &&Cut| matches!(cut.what, Pruned::Together { .. });
        let mut names: Vec<String> = cuts.iter().filter(of_all).map(Cut::name).collect();
        if names.is_empty() {
            names.push("all layers together".into());
        }
        let reason = error.to_string();
        skipped.extend(names.iter().map(|name| Error::of_model(name)(reason.clone())));
        found
    }

    fn slopes_alone<'c>(
        &self,
        group: &ChannelGroup,
        cuts: impl Iterator<Item = &'c Cut<'c>>,
    ) -> Result<Slopes> {
        let failed = || Error::of_model(&format!("the contributions of `{}`", group.name));
        let mut masks = UnitMasks::new(self.graph, &[group]).map_err(failed())?;
        if !self.has_probes() {
            masks = masks.for_takeovers();
        }
        let alone = |cut: &Cut<'c>| Cut { of: vec![(0, cut.of[0].1)], ..cut.clone() };
        let cuts: Vec<Cut> = cuts.map(alone).collect();
        measure(&masks, &[group.units], &cuts, self.batches, &self.settings.outputs)
            .map_err(failed())
    }

    /// Forecasts and observes one cut.
    fn part(&self, cut: &Cut, masks: &UnitMasks, slope: Matrix, parts: &mut Parts) -> Result<()> {
        let failed = || Error::of_model(&cut.name());
        let probe = match self.has_probes() {
            true => Some(self.probe(cut, masks).map_err(failed())?),
            false => None,
        };
        let smaller = self.graph.remove_channels_with(&self.removals(cut), &cut.by);
        let smaller = smaller.map_err(Error::of_model(&cut.name()))?;
        let after = self.logits(|images| Ok(smaller.forward(images)?)).map_err(failed())?;
        parts.add(cut, slope, probe, &after)
    }

    /// Logits [images, K] with masks of 1 - [`PROBE`](Self::PROBE) on the units of a cut.
    fn probe(&self, cut: &Cut, masks: &UnitMasks) -> foresee_perturb::Result<Matrix> {
        self.logits(|images| masks.outputs_at(images, &cut.of, 1. - Self::PROBE))
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

/// What could be measured of each layer and of each cut.
struct Found {
    /// The mean of |contribution|, [units, outputs].
    sizes: Vec<Option<Matrix>>,
    /// The first-order change, [images, outputs].
    slopes: Vec<Option<Matrix>>,
}
