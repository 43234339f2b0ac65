//! First-order contributions of units to the loss.

use std::cell::RefCell;

use candle_core::{D, Tensor, Var};
use foresee_graph::{ChannelGroup, Graph, NodeId, Read, ValueId};

use crate::error::{Error, Result};

/// Taylor terms of the units of some groups: |Σ a·∂L/∂a| over everything that the nodes read of a
/// unit, over all images (Molchanov et al., 2017). It is the change of the loss, to first order,
/// when the unit is removed.
#[derive(Debug)]
pub struct Taylor<'a> {
    groups: Vec<&'a ChannelGroup>,
    /// The graph, in which what each node reads is a value of its own.
    graph: Graph,
    /// These values.
    taps: Vec<ValueId>,
    /// What they are of: a group, and one of its reads.
    of: Vec<(usize, usize)>,
    sums: Vec<Vec<f64>>,
}

impl<'a> Taylor<'a> {
    /// For groups of this graph.
    ///
    /// # Errors
    /// If a group is of another graph.
    pub fn new(graph: &Graph, groups: &[&'a ChannelGroup]) -> Result<Self> {
        let (mut places, mut of): (Vec<(NodeId, usize)>, Vec<_>) = (vec![], vec![]);
        for (number, group) in groups.iter().enumerate() {
            for (read, reads) in group.reads.iter().enumerate() {
                for consumer in &reads.consumers {
                    places.push((consumer.node, consumer.input));
                    of.push((number, read));
                }
            }
        }
        let mut distinct = places.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let (graph, values) = graph.with_taps(&distinct)?;
        let tap = |place| distinct.binary_search(place).map(|at| values[at]);
        let taps = places.iter().filter_map(|place| tap(place).ok()).collect();
        let sums = groups.iter().map(|group| vec![0.; group.units]).collect();
        Ok(Self { groups: groups.to_vec(), graph, taps, of, sums })
    }

    /// Adds a batch: a tensor for each input, and the loss of the graph's outputs, summed over the
    /// images (see [`loss_of`]).
    ///
    /// # Errors
    /// If an input does not fit, or the loss fails.
    pub fn add(
        &mut self,
        inputs: &[Tensor],
        loss: impl Fn(&[Tensor]) -> Result<Tensor>,
    ) -> Result<()> {
        let given: Vec<(ValueId, Tensor)> =
            self.graph.inputs().iter().copied().zip(inputs.iter().cloned()).collect();
        let read: RefCell<Vec<(ValueId, Tensor, Var)>> = RefCell::new(vec![]);
        // A change of 0 of what is read: its gradient counts all ways to the loss.
        let change = |id: ValueId, value: &Tensor| {
            if !self.taps.contains(&id) {
                return Ok(None);
            }
            let zero = Var::from_tensor(&value.zeros_like()?)?;
            let changed = (value + zero.as_tensor())?;
            read.borrow_mut().push((id, value.detach(), zero));
            Ok(Some(changed))
        };
        let outputs = self.graph.evaluate_mapped(&given, self.graph.outputs(), &change)?;
        let gradients = loss(&outputs)?.backward()?;
        for (id, value, zero) in read.into_inner() {
            let Some(gradient) = gradients.get(&zero) else { continue };
            let terms = (value * gradient)?;
            for (&(group, of_read), _) in self.of.iter().zip(&self.taps).filter(|of| *of.1 == id) {
                let read = &self.groups[group].reads[of_read];
                add_terms(read, &terms, &mut self.sums[group])?;
            }
        }
        Ok(())
    }

    /// The terms of each group's units so far.
    pub fn terms(&self) -> Vec<Vec<f64>> {
        self.sums.iter().map(|sums| sums.iter().map(|sum| sum.abs()).collect()).collect()
    }
}

/// Adds the terms of all positions to those of the units.
fn add_terms(read: &Read, terms: &Tensor, sums: &mut [f64]) -> Result<()> {
    let terms = read.samples(&terms.to_dtype(candle_core::DType::F64)?)?;
    let by_channel = terms.sum(2)?.sum(0)?.to_vec1::<f64>()?;
    for (sum, channels) in sums.iter_mut().zip(&read.units) {
        *sum += channels.iter().map(|&channel| by_channel[channel]).sum::<f64>();
    }
    Ok(())
}

/// The loss of logits [B, K], summed over the images: the cross-entropy of classes `[B]`, or the
/// binary cross-entropy of labels [B, K], summed over the attributes.
///
/// # Errors
/// If the shapes do not fit.
pub fn loss_of(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    match (logits.dims(), labels.dims()) {
        ([images, _], [classes]) if images == classes => {
            let highest = logits.max_keepdim(D::Minus1)?.detach();
            let moved = logits.broadcast_sub(&highest)?;
            let sums = moved.exp()?.sum(D::Minus1)?.log()?;
            let classes = labels.to_dtype(candle_core::DType::U32)?.unsqueeze(1)?;
            let own = moved.gather(&classes.contiguous()?, 1)?.squeeze(1)?;
            Ok((sums - own)?.sum_all()?)
        }
        (logits_of, labels_of) if logits_of == labels_of => {
            // max(x, 0) - x·y + log(1 + e^-|x|), which does not overflow.
            let labels = labels.to_dtype(logits.dtype())?;
            let positive = logits.relu()?;
            let soft = (logits.abs()?.neg()?.exp()? + 1.)?.log()?;
            Ok(((positive - (logits * labels)?)? + soft)?.sum_all()?)
        }
        _ => Err(Error::Labels("there are other numbers of logits and labels")),
    }
}
