//! What the channels of a graph's groups do over many images, where they are read.

use std::collections::{BTreeMap, BTreeSet};

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
        let wanted: Vec<ValueId> = self.reads.keys().map(|key| key.0).collect();
        let values = self.graph.evaluate(&self.graph.given(inputs)?, &wanted)?;
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

    /// Pearson's correlation `[U][U]` among a group's units. That of a pair is taken at the first
    /// value that is read with as many channels of one unit as of the other; their samples are
    /// those of all these channels, one after the other. It is 0 where no value is read with both,
    /// such as of channels that a split parts, and of a unit that never changes; and 1 of each unit
    /// with itself.
    ///
    /// # Errors
    /// If there are no statistics of the group, or a value was not finite.
    pub fn correlation(&self, group: &ChannelGroup) -> Result<Vec<Vec<f64>>> {
        let mut found = vec![vec![None; group.units]; group.units];
        for read in &group.reads {
            let counts: BTreeSet<usize> = read.units.iter().map(Vec::len).collect();
            for count in counts.into_iter().filter(|&count| count > 0) {
                let units: Vec<usize> =
                    (0..group.units).filter(|&unit| read.units[unit].len() == count).collect();
                if units.iter().all(|&i| units.iter().all(|&j| found[i][j].is_some())) {
                    continue;
                }
                let covariance = self.covariance(read, &units)?;
                let correlation = correlation_of_covariance(&covariance)
                    .ok_or(Error::NotFinite("the covariance of the channels"))?;
                for (row, &i) in units.iter().enumerate() {
                    for (column, &j) in units.iter().enumerate() {
                        found[i][j].get_or_insert(correlation.get(row, column));
                    }
                }
            }
        }
        let alone = |i: usize, j: usize| if i == j { 1. } else { 0. };
        let row = |(i, row): (usize, Vec<Option<f64>>)| {
            row.into_iter().enumerate().map(|(j, rho)| rho.unwrap_or(alone(i, j))).collect()
        };
        Ok(found.into_iter().enumerate().map(row).collect())
    }

    /// The covariance among units that are read with equally many channels, pooled over blocks and
    /// channels: the mean of cov(a, b) + (μ_a - μ_i)(μ_b - μ_j) over the channels a and b of units
    /// i and j, with μ_i the mean of those of i.
    fn covariance(&self, read: &Read, units: &[usize]) -> Result<Matrix> {
        let blocks = self.blocks(read)?;
        let channels: Vec<&Vec<usize>> = units.iter().map(|&unit| &read.units[unit]).collect();
        let of_unit = channels.first().map_or(1, |of| of.len());
        let share = 1. / (blocks.len() * of_unit) as f64;
        let of_block = |block: &ChannelCorrelation, of: &[usize]| -> f64 {
            of.iter().map(|&channel| block.means()[channel]).sum()
        };
        let mean =
            |of: &&Vec<usize>| share * blocks.iter().map(|block| of_block(block, of)).sum::<f64>();
        let means: Vec<f64> = channels.iter().map(mean).collect();
        let mut pooled = Matrix::zeros(units.len(), units.len());
        for block in blocks {
            let (mean, covariance) = (block.means(), block.covariance());
            for (i, of_i) in channels.iter().enumerate() {
                for (j, of_j) in channels.iter().enumerate() {
                    let moment = |(&a, &b): (&usize, &usize)| {
                        covariance.get(a, b) + (mean[a] - means[i]) * (mean[b] - means[j])
                    };
                    pooled.row_mut(i)[j] += share * of_i.iter().zip(*of_j).map(moment).sum::<f64>();
                }
            }
        }
        Ok(pooled)
    }

    /// Σ over all reads of Σ_cd Σ_cd·(WᵀW)_cd over the channels c of unit i and d of unit j, which
    /// is the covariance of what the units contribute to the next layers: `[U][U]`. The lasso
    /// orders units by it.
    ///
    /// # Errors
    /// If there are no statistics of the group.
    pub(super) fn contribution_covariance(&self, group: &ChannelGroup) -> Result<Vec<Vec<f64>>> {
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
