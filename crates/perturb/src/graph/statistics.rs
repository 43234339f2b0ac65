//! What the channels of a graph's groups do over many images, where they are read.

use std::collections::BTreeMap;

use candle_core::Tensor;
use foresee_analysis::ChannelCorrelation;
use foresee_graph::{ChannelGroup, Graph, Read, ValueId};
use foresee_stats::{Matrix, correlation_of_covariance};

use crate::error::{Error, Result};

/// A value's channels, cut into blocks: value, axis, number of blocks, and their axis.
type Key = (ValueId, usize, usize, Option<usize>);

pub(super) fn key(read: &Read) -> Key {
    (read.value, read.axis, read.blocks, read.block_axis)
}

/// Streamed means and covariances of the channels of some groups, as the nodes read them that sum
/// over them. Every position of every image is a sample.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_graph::{Builder, Op};
/// use foresee_perturb::GroupStatistics;
///
/// // Two hidden channels, of which the second is twice the first.
/// let mut builder = Builder::new();
/// let x = builder.input("x", vec![None, Some(1)])?;
/// let a = builder.weight("a", Tensor::new(&[[1f32, 2.]], &Device::Cpu)?)?;
/// let b = builder.weight("b", Tensor::new(&[[1f32], [1.]], &Device::Cpu)?)?;
/// let hidden = builder.node("hidden", Op::MatMul, &[x, a])?;
/// let y = builder.node("y", Op::MatMul, &[hidden, b])?;
/// let graph = builder.finish(vec![y])?;
/// let groups = graph.channel_groups(&[])?;
///
/// let mut statistics = GroupStatistics::new(&graph, &groups);
/// statistics.add(&[Tensor::new(&[[1f32], [3.]], &Device::Cpu)?])?;
/// let correlation = statistics.correlation(&groups[0])?;
/// assert!((correlation[0][1] - 1.).abs() < 1e-9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct GroupStatistics<'a> {
    pub(super) graph: &'a Graph,
    reads: BTreeMap<Key, (Read, Vec<ChannelCorrelation>)>,
}

impl<'a> GroupStatistics<'a> {
    /// For groups of this graph. Groups that cannot be pruned are left out.
    pub fn new<'g>(graph: &'a Graph, groups: impl IntoIterator<Item = &'g ChannelGroup>) -> Self {
        let groups = groups.into_iter().filter(|group| group.fixed.is_none());
        let blocks = |read: &Read| vec![ChannelCorrelation::new(read.channels); read.blocks];
        let entry = |read: &Read| (key(read), (read.clone(), blocks(read)));
        Self { graph, reads: groups.flat_map(|group| group.reads.iter().map(entry)).collect() }
    }

    /// Adds a batch: a tensor for each input of the graph.
    ///
    /// # Errors
    /// If an input does not fit the graph.
    pub fn add(&mut self, inputs: &[Tensor]) -> Result<()> {
        let given: Vec<(ValueId, Tensor)> =
            self.graph.inputs().iter().copied().zip(inputs.iter().cloned()).collect();
        let wanted: Vec<ValueId> = self.reads.keys().map(|key| key.0).collect();
        let values = self.graph.evaluate(&given, &wanted)?;
        for ((read, blocks), value) in self.reads.values_mut().zip(values) {
            let samples = read.samples(&value.detach())?;
            for (block, statistics) in blocks.iter_mut().enumerate() {
                // [C, samples] as one image [1, C, 1, samples].
                let samples = samples.narrow(0, block, 1)?.unsqueeze(2)?;
                statistics.add(&samples)?;
            }
        }
        Ok(())
    }

    /// The statistics of each block of a read.
    pub(super) fn blocks(&self, read: &Read) -> Result<&[ChannelCorrelation]> {
        let found = self.reads.get(&key(read)).map(|(_, blocks)| blocks.as_slice());
        found.ok_or_else(|| Error::Group {
            group: self.graph.value(read.value).name.clone(),
            problem: "there are no statistics of them",
        })
    }

    /// The covariance `[U][U]` of a group's units, at the first value that is read with all of
    /// them. The samples of a unit are those of all its channels, one after the other.
    ///
    /// # Errors
    /// If there are no statistics of the group, or no value that is read has all units.
    pub fn covariance(&self, group: &ChannelGroup) -> Result<Vec<Vec<f64>>> {
        let has_all = |read: &&Read| {
            let counts = || read.units.iter().map(Vec::len);
            counts().all(|count| count > 0) && counts().max() == counts().min()
        };
        let read = group.reads.iter().find(has_all).ok_or_else(|| Error::Group {
            group: group.name.clone(),
            problem: "no value that is read has all of its units",
        })?;
        let (mut means, mut products) = (vec![0.; group.units], vec![]);
        products.resize(group.units, vec![0.; group.units]);
        let blocks = self.blocks(read)?;
        let of_unit = read.units.first().map_or(1, Vec::len);
        let share = 1. / (blocks.len() * of_unit) as f64;
        for block in blocks {
            let (mean, covariance) = (block.means(), block.covariance());
            for (i, of_i) in read.units.iter().enumerate() {
                means[i] += share * of_i.iter().map(|&c| mean[c]).sum::<f64>();
                for (j, of_j) in read.units.iter().enumerate() {
                    let both = of_i.iter().zip(of_j);
                    let product =
                        |(&a, &b): (&usize, &usize)| covariance.get(a, b) + mean[a] * mean[b];
                    products[i][j] += share * both.map(product).sum::<f64>();
                }
            }
        }
        if blocks.len() * of_unit == 1 {
            // Without a detour over products, which costs digits where means are large.
            let covariance = blocks[0].covariance();
            let entry = |i: usize, j: usize| covariance.get(read.units[i][0], read.units[j][0]);
            let row = |i| (0..group.units).map(|j| entry(i, j)).collect();
            return Ok((0..group.units).map(row).collect());
        }
        for (row, a) in products.iter_mut().zip(&means) {
            row.iter_mut().zip(&means).for_each(|(product, b)| *product -= a * b);
        }
        Ok(products)
    }

    /// Pearson's correlation `[U][U]` among a group's units, from their
    /// [`covariance`](Self::covariance). A unit that never changes correlates with nothing.
    ///
    /// # Errors
    /// As [`covariance`](Self::covariance), or if a value was not finite.
    pub fn correlation(&self, group: &ChannelGroup) -> Result<Vec<Vec<f64>>> {
        let covariance = Matrix::from_rows(&self.covariance(group)?);
        Ok(correlation_of_covariance(&covariance).ok_or(Error::NotFinite)?.to_rows())
    }

    /// Σ over all reads of Σ_cd Σ_cd·(WᵀW)_cd over the channels c of unit i and d of unit j, which
    /// is the covariance of what the units contribute to the next layers: `[U][U]`. The lasso
    /// orders units by it.
    ///
    /// # Errors
    /// If there are no statistics of the group.
    pub fn contributions(&self, group: &ChannelGroup) -> Result<Vec<Vec<f64>>> {
        let mut sums = vec![vec![0.; group.units]; group.units];
        for read in &group.reads {
            let grams = read.gram(self.graph)?;
            for (block, gram) in self.blocks(read)?.iter().zip(grams) {
                let covariance = block.covariance();
                for (i, of_i) in read.units.iter().enumerate() {
                    for (j, of_j) in read.units.iter().enumerate() {
                        let pairs = of_i.iter().flat_map(|&c| of_j.iter().map(move |&d| (c, d)));
                        sums[i][j] +=
                            pairs.map(|(c, d)| covariance.get(c, d) * gram[c][d]).sum::<f64>();
                    }
                }
            }
        }
        Ok(sums)
    }
}
