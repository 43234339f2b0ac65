//! Pruning: what a network infers, and what each of many smaller ones does.

use candle_core::Tensor;
use foresee_perturb::{AttentionModel, ChannelStatistics, Cut, Takeover};
use foresee_stats::Matrix;

use super::operations::{Progress, to_rows};
use crate::definition::{Change, difference};
use crate::error::{AnyError, Error, Result};

/// Prunes the first channels of an order. The strength is their number.
pub(super) struct Prune<'a> {
    /// The name of the order.
    pub name: String,
    /// The channels, first to go first.
    pub order: Vec<usize>,
    /// What the kept channels do.
    pub takeover: Takeover,
    /// What the takeover is computed from.
    pub statistics: &'a ChannelStatistics,
    /// Partners are chosen by |ρ| instead of ρ.
    pub absolute: bool,
}

impl Prune<'_> {
    /// The first `count` channels of the order, or all of them if there are fewer.
    pub fn pruned(&self, count: usize) -> &[usize] {
        &self.order[..count.min(self.order.len())]
    }

    fn cut(&self, count: usize) -> Result<Cut> {
        self.statistics
            .cut(self.pruned(count), self.takeover, self.absolute)
            .map_err(Error::of_model(&what(&self.name, count)))
    }
}

/// A perturbation in words.
fn what(name: &str, count: usize) -> String {
    format!("{name}, strength {count}")
}

/// The outputs of a network and of smaller ones on the same images.
pub(super) struct PrunedOutputs {
    before: Matrix,
    after: Vec<Pruned>,
}

/// The outputs of a smaller network.
struct Pruned {
    /// The index of its order.
    number: usize,
    /// The name of its order.
    name: String,
    /// How many channels are pruned.
    count: usize,
    /// [images, attributes].
    outputs: Matrix,
}

impl PrunedOutputs {
    /// The logits of a network and of its smaller networks, each order pruned to each of `counts`.
    /// All are run together, batch by batch of features [B, C, H, W].
    ///
    /// # Errors
    /// If a cut cannot be made, or the network fails.
    pub fn logits<M: AttentionModel>(
        network: &M,
        features: &[Tensor],
        prunes: &[Prune],
        counts: &[usize],
        progress: Progress,
    ) -> Result<Self> {
        let of_order = |(number, prune)| counts.iter().map(move |&count| (number, prune, count));
        let each: Vec<(usize, &Prune, usize)> =
            prunes.iter().enumerate().flat_map(of_order).collect();
        let cuts: Vec<Cut> =
            each.iter().map(|(_, prune, count)| prune.cut(*count)).collect::<Result<_>>()?;
        let (before, after) =
            infer(network, features, &cuts, progress).map_err(Error::of_model("pruning"))?;
        let pruned = |((number, prune, count), outputs): ((usize, &Prune, usize), Matrix)| Pruned {
            number,
            name: prune.name.clone(),
            count,
            outputs,
        };
        let after = each.into_iter().zip(after).map(pruned).collect();
        Ok(Self { before, after })
    }

    /// All tables of outputs.
    pub fn tables(&self) -> impl Iterator<Item = &Matrix> {
        std::iter::once(&self.before).chain(self.after.iter().map(|pruned| &pruned.outputs))
    }

    /// The same, to be changed.
    pub fn tables_mut(&mut self) -> impl Iterator<Item = &mut Matrix> {
        let after = self.after.iter_mut().map(|pruned| &mut pruned.outputs);
        std::iter::once(&mut self.before).chain(after)
    }

    /// The same with decisions instead of logits: 1 for a logit above 0, else 0. The effect of an
    /// operation is then the share of decisions that flip.
    pub fn decisions(&self) -> Self {
        let decide = |logits: &Matrix| {
            let decision = |i: usize, j: usize| f64::from(u8::from(logits.row(i)[j] > 0.));
            Matrix::from_fn(logits.rows(), logits.columns(), decision)
        };
        let of = |pruned: &Pruned| {
            let Pruned { number, name, count, outputs } = pruned;
            Pruned { number: *number, name: name.clone(), count: *count, outputs: decide(outputs) }
        };
        Self { before: decide(&self.before), after: self.after.iter().map(of).collect() }
    }

    /// The changes of the outputs, order by order.
    ///
    /// # Errors
    /// If the outputs of a smaller network have another shape.
    pub fn changes(&self) -> Result<Vec<Change>> {
        let change = |Pruned { number, name, count, outputs }: &Pruned| {
            Ok(Change {
                number: *number,
                operation: name.clone(),
                strength: *count as f64,
                by_item: difference(&self.before, outputs, &what(name, *count))?,
            })
        };
        self.after.iter().map(change).collect()
    }
}

/// The logits of a network, and those of the smaller network of each cut.
fn infer<M: AttentionModel>(
    network: &M,
    features: &[Tensor],
    cuts: &[Cut],
    progress: Progress,
) -> std::result::Result<(Matrix, Vec<Matrix>), AnyError> {
    let all: Vec<&Cut> = cuts.iter().collect();
    let mut before = vec![];
    let mut after: Vec<Vec<Vec<f64>>> = vec![vec![]; cuts.len()];
    for z in features {
        let images = z.dims()[0];
        before.extend(to_rows(&network.logits(z)?)?);
        progress(images);
        for (rows, logits) in after.iter_mut().zip(network.logits_of_cuts(z, &all)?) {
            rows.extend(to_rows(&logits)?);
        }
        progress(images * cuts.len());
    }
    let after = after.iter().map(|rows| Matrix::from_rows(rows)).collect();
    Ok((Matrix::from_rows(&before), after))
}
