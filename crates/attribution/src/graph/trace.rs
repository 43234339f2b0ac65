//! All values of a pass, for the methods that go back through the nodes.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::Tensor;
use foresee_graph::{Node, NodeId, Op, ValueId};

use super::GraphModel;
use crate::error::{Error, Result};

/// All values of a pass.
pub(super) struct Trace<'a> {
    pub model: &'a GraphModel,
    values: BTreeMap<ValueId, Tensor>,
    /// The numbers that change with the input, and are no integers.
    active: BTreeSet<ValueId>,
}

impl<'a> Trace<'a> {
    pub fn new(model: &'a GraphModel, x: &Tensor) -> Result<Self> {
        let nodes = model.needed.iter().map(|&id| model.node(id));
        let wanted: Vec<ValueId> = nodes.clone().flat_map(|node| node.outputs.clone()).collect();
        let computed = model.graph.evaluate(&[(model.input, x.detach())], &wanted)?;
        let mut values: BTreeMap<ValueId, Tensor> =
            wanted.into_iter().zip(computed.iter().map(Tensor::detach)).collect();
        values.insert(model.input, x.detach());
        let mut active = BTreeSet::from([model.input]);
        for node in nodes {
            let reads_shape = matches!(node.op, Op::Shape { .. } | Op::Size);
            if !reads_shape && node.inputs.iter().flatten().any(|id| active.contains(id)) {
                let is_float = |id: &&ValueId| values[*id].dtype().is_float();
                active.extend(node.outputs.iter().filter(is_float));
            }
        }
        Ok(Self { model, values, active })
    }

    /// A value of the pass, or a weight.
    pub fn get(&self, id: ValueId) -> Result<&Tensor> {
        match self.values.get(&id).or_else(|| self.model.graph.weight(id)) {
            Some(tensor) => Ok(tensor),
            None => {
                let name = self.model.graph.value(id).name.clone();
                Err(Error::Graph(foresee_graph::Error::Missing { name }))
            }
        }
    }

    pub fn is_active(&self, id: ValueId) -> bool {
        self.active.contains(&id)
    }

    /// Whether the node's input at a place is there and changes with the graph's input.
    pub fn has_active(&self, node: &Node, place: usize) -> bool {
        node.input(place).is_some_and(|id| self.is_active(id))
    }

    /// The places at which a node reads what changes with the graph's input.
    pub fn active_places(&self, node: &Node) -> Vec<usize> {
        (0..node.inputs.len()).filter(|&place| self.has_active(node, place)).collect()
    }

    /// What a node reads.
    pub fn inputs(&self, node: &Node) -> Result<Vec<Option<Tensor>>> {
        let get = |id: &Option<ValueId>| id.map(|id| self.get(id).cloned()).transpose();
        node.inputs.iter().map(get).collect()
    }

    /// The nodes from the output back.
    pub fn backwards(&self) -> impl Iterator<Item = NodeId> + 'a {
        self.model.needed.iter().rev().copied()
    }
}

impl GraphModel {
    /// Whether the batch is the first dimension of every value that changes with the input, found
    /// by a run on one of the inputs x and one on two of them.
    pub(super) fn leads_with_batch(&self, x: &Tensor) -> Result<bool> {
        if let Some(&known) = self.leads_with_batch.get() {
            return Ok(known);
        }
        if self.batch == 1 || x.dim(0)? == 1 {
            return Ok(false);
        }
        let (one, two) =
            (Trace::new(self, &x.narrow(0, 0, 1)?)?, Trace::new(self, &x.narrow(0, 0, 2)?)?);
        let mut leads = true;
        for &id in &one.active {
            let (one, two) = (one.get(id)?.dims(), two.get(id)?.dims());
            leads &= one.first() == Some(&1) && two.first() == Some(&2) && one[1..] == two[1..];
        }
        Ok(*self.leads_with_batch.get_or_init(|| leads))
    }
}

/// 1 in column `index` of the outputs [B, K], which is output `target` of a model.
pub(super) fn one_hot(outputs: &Tensor, index: usize, target: usize) -> Result<Tensor> {
    match *outputs.dims() {
        [_, k] if index < k => {
            let row = (0..k).map(|i| f64::from(u8::from(i == index)));
            let row = Tensor::from_iter(row, outputs.device())?.to_dtype(outputs.dtype())?;
            Ok(row.broadcast_as(outputs.shape())?.contiguous()?)
        }
        ref shape => Err(Error::Target { target, shape: shape.to_vec() }),
    }
}

/// A sum of tensors for each value.
#[derive(Default)]
pub(super) struct Sums(BTreeMap<ValueId, Tensor>);

impl Sums {
    pub fn add(&mut self, id: ValueId, tensor: Tensor) -> Result<()> {
        let sum = match self.0.remove(&id) {
            Some(sum) => (sum + tensor)?,
            None => tensor,
        };
        self.0.insert(id, sum);
        Ok(())
    }

    pub fn take(&mut self, id: ValueId) -> Option<Tensor> {
        self.0.remove(&id)
    }

    /// What has arrived at a node's outputs.
    pub fn take_outputs(&mut self, node: &Node) -> Vec<Option<Tensor>> {
        node.outputs.iter().map(|&id| self.take(id)).collect()
    }
}
