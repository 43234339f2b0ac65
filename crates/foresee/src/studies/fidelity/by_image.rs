//! Accuracy of each test image, for statistics over images.

use anyhow::Context;
use foresee_celeba::ATTRIBUTES;
use foresee_perturb::Curve;

use super::claim::Way;
use crate::artifacts::{PrunedImage, TransformedImage};
use crate::error::Result;
use crate::run::Run;

fn percent(correct: usize) -> f64 {
    100. * correct as f64 / ATTRIBUTES.len() as f64
}

/// A curve of pruning at one number of pruned channels, for one order.
struct PrunedPoint {
    way: Way,
    seed: Option<u64>,
    pruned: usize,
    /// Accuracy of each image, in percent.
    accuracy: Vec<f64>,
}

/// Accuracy of each image under pruning.
pub(super) struct PruningByImage(Vec<PrunedPoint>);

impl PruningByImage {
    pub fn read(run: &Run) -> Result<Self> {
        let mut points: Vec<PrunedPoint> = vec![];
        for row in run.read::<Vec<PrunedImage>>()? {
            let way = (row.rule, row.takeover);
            let same = |p: &PrunedPoint| (p.way, p.seed, p.pruned) == (way, row.seed, row.pruned);
            let accuracy = percent(row.correct);
            // The rows of a point follow each other.
            match points.last_mut().filter(|last| same(last)) {
                Some(point) => point.accuracy.push(accuracy),
                None => points.push(PrunedPoint {
                    way,
                    seed: row.seed,
                    pruned: row.pruned,
                    accuracy: vec![accuracy],
                }),
            }
        }
        Ok(Self(points))
    }

    /// Of curves: their way, the seed of a random order, pruned channels, and the accuracy of each
    /// image.
    #[cfg(test)]
    pub fn of(points: &[(Way, Option<u64>, usize, &[f64])]) -> Self {
        let point = |&(way, seed, pruned, accuracy): &(Way, Option<u64>, usize, &[f64])| {
            PrunedPoint { way, seed, pruned, accuracy: accuracy.to_vec() }
        };
        Self(points.iter().map(point).collect())
    }

    /// Numbers of pruned channels that were measured, ascending.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts: Vec<usize> = self.0.iter().map(|point| point.pruned).collect();
        counts.sort_unstable();
        counts.dedup();
        counts
    }

    /// Accuracy of each image at a point of a curve, the mean over the orders of a random rule.
    pub fn point(&self, way: Way, count: usize) -> Result<Vec<f64>> {
        let orders = self.orders(way, count);
        let first = orders.first().with_context(|| {
            let (rule, takeover) = (way.0.id(), way.1.id());
            format!(
                "no curve of rule {rule}, takeover {takeover}, at {count} channels was measured"
            )
        })?;
        let mean = |i: usize| orders.iter().map(|o| o[i]).sum::<f64>() / orders.len() as f64;
        Ok((0..first.len()).map(mean).collect())
    }

    /// Accuracy of each image at a point of a curve, for each order.
    pub fn orders(&self, way: Way, count: usize) -> Vec<&[f64]> {
        let points = self.0.iter().filter(|point| (point.way, point.pruned) == (way, count));
        points.map(|point| point.accuracy.as_slice()).collect()
    }
}

/// Accuracy of each image under a tone curve and noise, in percent.
pub(super) struct TransformationByImage(Vec<TransformedImage>);

impl TransformationByImage {
    pub fn read(run: &Run) -> Result<Self> {
        Ok(Self(run.read()?))
    }

    /// Of each image under a curve at a σ.
    pub fn point(&self, sigma: f64, curve: &Curve) -> Result<Vec<f64>> {
        let rows = self.0.iter().filter(|row| row.sigma == sigma && row.curve == *curve);
        let accuracy: Vec<f64> = rows.map(|row| percent(row.correct)).collect();
        match accuracy.is_empty() {
            true => anyhow::bail!("{curve} was not measured at σ = {sigma}"),
            false => Ok(accuracy),
        }
    }
}
