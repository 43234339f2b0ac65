//! How each attribute's logit depends on its most important channel, face by face.

use std::ops::Range;

use anyhow::Context;
use candle_core::Tensor;
use foresee_attribution::{
    Importance, Part, PartialDependence, Target, most_important, partial_dependence, quantile_grid,
};
use foresee_celeba::ATTRIBUTES;

use super::asked::Asked;
use super::subject::Subject;
use crate::artifacts::DependencePoint;
use crate::error::Result;
use crate::ranks::World;
use crate::stages::shared::{Sent, SharedItems};

/// Faces at once through the heads.
const BATCH: usize = 16;
/// Values that a channel is set to.
const GRID: usize = 5;

/// ICE on each attribute's most important channel.
pub(super) struct Dependence<'a> {
    z: &'a Tensor,
    channels: Vec<Channel>,
    /// For each channel, batches of faces.
    batches: Vec<(usize, Range<usize>)>,
}

/// The most important channel of an attribute.
struct Channel {
    attribute: usize,
    part: Part,
    /// Values that it is set to.
    grid: Vec<f64>,
    /// The network of this attribute alone.
    asked: Asked,
}

impl<'a> Dependence<'a> {
    /// On features z [N, C, H, W], whose channels' `parts` have these importances to each of the
    /// attributes.
    pub fn new(
        subject: &Subject,
        attributes: &[usize],
        z: &'a Tensor,
        parts: &[Part],
        importances: &[Vec<Importance>],
    ) -> Result<Self> {
        let channel = |(&attribute, importances): (&usize, &Vec<Importance>)| -> Result<Channel> {
            let most = most_important(importances).context("no channel was permuted")?;
            let part = parts.get(most).context("a channel is a part")?.clone();
            let grid = quantile_grid(z, &part, GRID)?;
            let asked = Asked::new(&subject.trained.network, &[attribute])?;
            Ok(Channel { attribute, part, grid, asked })
        };
        let channels = attributes.iter().zip(importances).map(channel);
        let channels = channels.collect::<Result<Vec<_>>>()?;
        let n = z.dim(0)?;
        let rows = |channel: usize| {
            let starts = (0..n).step_by(BATCH);
            starts.map(move |start| (channel, start..n.min(start + BATCH)))
        };
        let batches = (0..channels.len()).flat_map(rows).collect();
        Ok(Self { z, channels, batches })
    }

    /// A line for each attribute, face and value, from what all ranks computed.
    pub fn points(&self, sent: Sent<Self>, ranks: &World) -> Result<Vec<DependencePoint>> {
        let mut curves = vec![vec![]; self.channels.len()];
        for ((channel, _), of_faces) in self.by_item(sent, ranks)? {
            curves[*channel].extend(of_faces);
        }
        let of_channel = self.channels.iter().zip(curves);
        Ok(of_channel.flat_map(|(channel, curves)| channel.points(curves)).collect())
    }
}

/// A batch comes to a curve for each face, a logit for each value.
impl SharedItems for Dependence<'_> {
    type Item = (usize, Range<usize>);
    type Found = Vec<Vec<f64>>;

    fn items(&self) -> &[Self::Item] {
        &self.batches
    }

    fn compute(&self, batches: &[Self::Item]) -> Result<Vec<Self::Found>> {
        let mut all = vec![];
        for (channel, rows) in batches {
            let Channel { part, grid, asked, .. } = &self.channels[*channel];
            let z = self.z.narrow(0, rows.start, rows.len())?;
            let target = Target::new(|z: &Tensor| asked.logits_of_features(z), 0).batch(BATCH);
            all.push(partial_dependence(&target, &z, part, grid)?.curves);
        }
        Ok(all)
    }
}

impl Channel {
    fn points(&self, curves: Vec<Vec<f64>>) -> Vec<DependencePoint> {
        let part = self.part.name.clone();
        let found = PartialDependence { part, grid: self.grid.clone(), curves };
        let mean = found.mean();
        let deviation = found.centred().standard_deviation();
        let point = |face: usize, at: usize, logit: f64| DependencePoint {
            attribute: ATTRIBUTES[self.attribute].into(),
            channel: found.part.clone(),
            face,
            value: found.grid[at],
            logit,
            mean_logit: mean[at],
            deviation_of_change: deviation[at],
        };
        let of_face = |(face, curve): (usize, &Vec<f64>)| -> Vec<DependencePoint> {
            curve.iter().enumerate().map(|(at, &logit)| point(face, at, logit)).collect()
        };
        found.curves.iter().enumerate().flat_map(of_face).collect()
    }
}
