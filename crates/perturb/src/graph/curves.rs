//! Accuracy over the number of pruned units of one group.

use std::iter::Peekable;

use candle_core::Tensor;
use foresee_graph::{ChannelGroup, Graph, NodeId, Removal, ValueId};

use super::order::GroupOrder;
use super::statistics::GroupStatistics;
use crate::error::{Error, Result};
use crate::prune::Takeover;
use crate::tally::Tally;

/// Bytes of what comes before a group that are held at once, for as many batches as they suffice.
const HELD_BYTES: usize = 1 << 29;

impl GroupStatistics<'_> {
    /// The curves of a group: every order with every one of these takeovers, pruned to each of
    /// `counts`, and how often the smaller network is right by its first output. Each network is
    /// made when it runs. What comes before the group is computed once for all.
    ///
    /// `batches` yields images and labels [B, K], or classes `[B]` as [`Tally::add`] takes them.
    /// Counts that leave nothing of a part of the channels are left out.
    ///
    /// # Errors
    /// The first error of a batch or of a network, or if the graph has several inputs, or the group
    /// is fixed or has no statistics.
    pub fn curves<E: From<Error>>(
        &self,
        group: &ChannelGroup,
        orders: &[GroupOrder],
        (takeovers, counts): (&[Takeover], &[usize]),
        batches: impl Iterator<Item = std::result::Result<(Tensor, Tensor), E>>,
    ) -> std::result::Result<Vec<GroupCurve>, E> {
        let curve = |order: &GroupOrder, takeover| GroupCurve {
            order: order.clone(),
            takeover,
            tallies: counts.iter().map(|&count| (count, Tally::default())).collect(),
        };
        let mut curves: Vec<GroupCurve> =
            orders.iter().flat_map(|o| takeovers.iter().map(move |&t| curve(o, t))).collect();
        let graph = self.graph;
        let border = border(graph, first_changed(graph, group));
        let mut batches = batches.peekable();
        while batches.peek().is_some() {
            let held = hold(graph, &border, &mut batches)?;
            for GroupCurve { order, takeover, tallies } in &mut curves {
                for (count, tally) in tallies {
                    let removal = Removal { group, units: order.pruned(*count) };
                    match self.cut(&[removal], *takeover) {
                        Err(Error::Graph(foresee_graph::Error::NothingLeft { .. })) => {}
                        smaller => add(&smaller?, &held, tally)?,
                    }
                }
            }
        }
        curves.iter_mut().for_each(|curve| curve.tallies.retain(|(_, of)| of.images() > 0));
        Ok(curves)
    }
}

/// An order of pruning a group under a takeover.
#[derive(Debug, Clone)]
pub struct GroupCurve {
    /// The order.
    pub order: GroupOrder,
    /// What the kept channels do.
    pub takeover: Takeover,
    /// For each number of pruned units, how often the network is right.
    pub tallies: Vec<(usize, Tally)>,
}

/// A batch before a group: values at the border, and labels.
type Held = (Vec<(ValueId, Tensor)>, Tensor);

/// The next batches, as many as can be held, at least one.
fn hold<E: From<Error>>(
    graph: &Graph,
    border: &[ValueId],
    batches: &mut Peekable<impl Iterator<Item = std::result::Result<(Tensor, Tensor), E>>>,
) -> std::result::Result<Vec<Held>, E> {
    let (mut held, mut bytes) = (vec![], 0);
    while bytes < HELD_BYTES
        && let Some(batch) = batches.next()
    {
        let (images, labels) = batch?;
        let given = before(graph, &images, border)?;
        let size = |tensor: &Tensor| tensor.elem_count() * tensor.dtype().size_in_bytes();
        bytes += given.iter().map(|(_, value)| size(value)).sum::<usize>();
        held.push((given, labels));
    }
    Ok(held)
}

/// The values at the border, from images.
fn before(graph: &Graph, images: &Tensor, border: &[ValueId]) -> Result<Vec<(ValueId, Tensor)>> {
    let values = graph.evaluate(&graph.given(std::slice::from_ref(images))?, border)?;
    Ok(border.iter().copied().zip(values.into_iter().map(|value| value.detach())).collect())
}

/// Classifies batches with a smaller network.
fn add(smaller: &Graph, held: &[Held], tally: &mut Tally) -> Result<()> {
    held.iter().try_for_each(|(given, labels)| {
        let logits = smaller.evaluate(given, &smaller.outputs()[..1])?.remove(0).detach();
        tally.add(&logits, labels)
    })
}

/// The first node that changes when units of a group are removed.
fn first_changed(graph: &Graph, group: &ChannelGroup) -> Option<NodeId> {
    let of_places = group.places.iter().flat_map(|place| match place.reader {
        Some((node, _)) => vec![node],
        None => graph.readers(place.value).map(|(node, _)| node).collect(),
    });
    group.producers.iter().map(|producer| producer.node).chain(of_places).min()
}

/// What the nodes from one on need of the inputs and of those before it.
fn border(graph: &Graph, first: Option<NodeId>) -> Vec<ValueId> {
    let is_before = |id: ValueId| match graph.producer(id) {
        Some(node) => first.is_none_or(|first| node < first),
        None => graph.weight(id).is_none(),
    };
    let after = graph.nodes().filter(|(node, _)| first.is_some_and(|first| *node >= first));
    let read = after.flat_map(|(_, node)| node.inputs.iter().flatten().copied());
    let mut border: Vec<ValueId> =
        read.chain(graph.outputs().iter().copied()).filter(|&id| is_before(id)).collect();
    border.sort_unstable();
    border.dedup();
    border
}
