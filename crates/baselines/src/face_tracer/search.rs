//! Forward selection of features, for all attributes at once.

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::feature::Feature;
use super::planes::Planes;
use crate::error::Result;
use crate::svm::Svm;

/// Squared distances of examples (rows) from others (columns).
pub(super) struct Distances {
    pub columns: usize,
    pub values: Vec<f32>,
}

impl Distances {
    /// Between all rows of one table and all rows of another, [N, D] and [M, D].
    pub fn between(rows: &[Vec<f32>], columns: &[Vec<f32>]) -> Result<Self> {
        let table = |rows: &[Vec<f32>]| -> candle_core::Result<Tensor> {
            let width = rows.first().map_or(0, Vec::len);
            Tensor::from_vec(rows.concat(), (rows.len(), width), &Device::Cpu)
        };
        let squares = |rows: &[Vec<f32>]| -> Vec<f32> {
            rows.iter().map(|row| row.iter().map(|v| v * v).sum()).collect()
        };
        let products = table(rows)?.matmul(&table(columns)?.t()?)?;
        let mut values = products.flatten_all()?.to_vec1::<f32>()?;
        let (a, b) = (squares(rows), squares(columns));
        for (row, a) in values.chunks_exact_mut(columns.len()).zip(a) {
            row.iter_mut().zip(&b).for_each(|(v, b)| *v = (a + b - 2. * *v).max(0.));
        }
        Ok(Self { columns: columns.len(), values })
    }

    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..][..self.columns]
    }

    /// The median of some of the distances; 0 if more than half of the examples are alike.
    pub fn median(&self) -> f32 {
        // A prime step reaches all rows and columns.
        let at = (0..self.values.len().min(SAMPLES)).map(|i| i * 7919 % self.values.len());
        let mut some: Vec<f32> = at.map(|at| self.values[at]).collect();
        let middle = some.len() / 2;
        *some.select_nth_unstable_by(middle, f32::total_cmp).1
    }
}

/// Distances that a median is taken of, at most.
const SAMPLES: usize = 100_000;

/// Among which faces features are chosen.
pub(super) struct Pool<'a> {
    pub planes: &'a [Planes],
    /// Of each face, those of all attributes.
    pub labels: &'a [Vec<bool>],
    /// The first so many are learned from, the others judge.
    pub train: usize,
    pub rows: (f32, f32),
}

/// What is chosen for an attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The features, the best first.
    pub features: Vec<Feature>,
    /// The median squared distance of each.
    pub scales: Vec<f32>,
    /// Balanced accuracy on the faces that judge.
    pub accuracy: f64,
}

/// The examples of one attribute, and what is chosen so far.
struct Attribute {
    number: usize,
    /// Balanced as far as there are enough, of the pool.
    train: Vec<usize>,
    /// Scaled distances of all chosen features in sum: of `train`, then of all that judge, from
    /// `train`.
    sum: Vec<f32>,
    alive: Vec<usize>,
    choice: Choice,
    done: bool,
}

/// Most examples of each answer that one is chosen on.
const MOST: usize = 300;
/// Features of an attribute at most.
const FEATURES: usize = 6;
/// The share of the features that is tried again in the next round.
const KEPT: f64 = 0.3;
/// C while features are chosen.
const C: f64 = 1.;

/// Chooses features for each attribute: the one that alone is best, then each time the one that
/// helps most beside those before, until none helps. After each round the worse 70 % of the
/// features are no longer tried (Kumar et al. 2009).
pub(super) fn choose(
    pool: &Pool,
    attributes: usize,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Vec<Choice>> {
    let features = Feature::all();
    let mut all: Vec<Attribute> =
        (0..attributes).map(|k| Attribute::new(k, pool, features.len())).collect();
    for round in 0..FEATURES {
        let wanted: Vec<usize> = (0..features.len())
            .filter(|f| all.iter().any(|a| !a.done && a.alive.contains(f)))
            .collect();
        if wanted.is_empty() {
            break;
        }
        let scores = wanted.par_iter().map(|&f| {
            let found = Candidate::new(features[f], pool)?;
            let mut scores = vec![None; attributes];
            for a in all.iter().filter(|a| !a.done && a.alive.contains(&f)) {
                if let Some(candidate) = &found {
                    scores[a.number] = Some(a.score(pool, candidate)?);
                }
            }
            // Later rounds try what is left.
            if round == 0 {
                progress(1);
            }
            Ok((f, scores))
        });
        let scores = scores.collect::<Result<Vec<_>>>()?;
        all.par_iter_mut().try_for_each(|a| {
            let of = scores.iter().filter_map(|(f, scores)| Some((*f, scores[a.number]?)));
            a.take(of.collect(), &features, pool)
        })?;
    }
    Ok(all.into_iter().map(|a| a.choice).collect())
}

/// A feature with its distances over the pool.
struct Candidate {
    distances: Distances,
    scale: f32,
}

impl Candidate {
    /// `None` if the feature is the same for most faces.
    fn new(feature: Feature, pool: &Pool) -> Result<Option<Self>> {
        let vectors: Vec<Vec<f32>> =
            pool.planes.iter().map(|planes| feature.of(planes, pool.rows)).collect();
        let distances = Distances::between(&vectors, &vectors[..pool.train])?;
        let scale = distances.median();
        Ok((scale > 1e-9).then_some(Self { distances, scale }))
    }
}

impl Attribute {
    fn new(number: usize, pool: &Pool, features: usize) -> Self {
        let with =
            |yes: bool| (0..pool.train).filter(move |&i| pool.labels[i][number] == yes).take(MOST);
        let mut train: Vec<usize> = with(true).chain(with(false)).collect();
        train.sort_unstable();
        let judges = pool.planes.len() - pool.train;
        let sum = vec![0.; (train.len() + judges) * train.len()];
        let choice = Choice { features: vec![], scales: vec![], accuracy: 0. };
        Self { number, train, sum, alive: (0..features).collect(), choice, done: false }
    }

    /// The rows of `sum`, as numbers of the pool.
    fn rows<'a>(&'a self, pool: &'a Pool) -> impl Iterator<Item = usize> + 'a {
        self.train.iter().copied().chain(pool.train..pool.planes.len())
    }

    /// The sum with one more feature.
    fn with(&self, pool: &Pool, candidate: &Candidate) -> Vec<f32> {
        let mut sum = self.sum.clone();
        for (out, row) in sum.chunks_exact_mut(self.train.len()).zip(self.rows(pool)) {
            let row = candidate.distances.row(row);
            out.iter_mut().zip(&self.train).for_each(|(v, &at)| *v += row[at] / candidate.scale);
        }
        sum
    }

    fn score(&self, pool: &Pool, candidate: &Candidate) -> Result<f64> {
        let sum = self.with(pool, candidate);
        self.judge(pool, &sum, self.choice.features.len() + 1, C, 1.)
    }

    /// Balanced accuracy on the faces that judge, of a kernel exp(-γ·sum/count).
    fn judge(&self, pool: &Pool, sum: &[f32], count: usize, c: f64, gamma: f32) -> Result<f64> {
        let kernel: Vec<f32> = sum.iter().map(|d| (-gamma * d / count as f32).exp()).collect();
        let labels: Vec<bool> = self.train.iter().map(|&i| pool.labels[i][self.number]).collect();
        let (own, judged) = kernel.split_at(labels.len() * labels.len());
        let svm = Svm::train(own, &labels, c, true)?;
        let mut right = [0usize; 2];
        let mut seen = [0usize; 2];
        for (row, face) in judged.chunks_exact(labels.len()).zip(pool.train..) {
            let label = pool.labels[face][self.number];
            let answer = svm.decide(|at| f64::from(row[at])) > 0.;
            seen[usize::from(label)] += 1;
            right[usize::from(label)] += usize::from(answer == label);
        }
        let shares: Vec<f64> = right
            .iter()
            .zip(seen)
            .filter(|(_, seen)| *seen > 0)
            .map(|(right, seen)| *right as f64 / seen as f64)
            .collect();
        Ok(shares.iter().sum::<f64>() / shares.len().max(1) as f64)
    }

    /// Takes the best of the features that were tried, if it helps, and drops the worse of them.
    fn take(
        &mut self,
        mut tried: Vec<(usize, f64)>,
        features: &[Feature],
        pool: &Pool,
    ) -> Result<()> {
        if self.done {
            return Ok(());
        }
        tried.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let Some(&(best, accuracy)) = tried.first().filter(|(_, a)| *a > self.choice.accuracy)
        else {
            self.done = true;
            return Ok(());
        };
        if let Some(candidate) = Candidate::new(features[best], pool)? {
            self.sum = self.with(pool, &candidate);
            self.choice.features.push(features[best]);
            self.choice.scales.push(candidate.scale);
            self.choice.accuracy = accuracy;
        }
        tried.truncate((tried.len() as f64 * KEPT).ceil() as usize);
        self.alive = tried.into_iter().map(|(f, _)| f).filter(|f| *f != best).collect();
        Ok(())
    }
}
