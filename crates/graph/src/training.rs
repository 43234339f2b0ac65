//! The forward pass in training mode: batch norms use the moments of the batch.

use candle_core::Tensor;
use foresee_kernels::Moments;

use crate::error::{Error, OpError, Result};
use crate::forward::{Carried, Computed, Given, How, carry, is_carried, normalize_batch};
use crate::graph::{Graph, Node, NodeId, ValueId};
use crate::op::{Binary, Op, Unary};
use crate::run::Run;

/// What a pass in training mode gives.
#[derive(Debug, Clone)]
pub struct TrainingPass {
    /// The values that were wanted.
    pub values: Vec<Tensor>,
    /// For each batch norm that ran, in the order of the nodes, the mean and the biased variance of
    /// its batch, with which a training moves the running ones. They have no gradient.
    pub moments: Vec<(NodeId, Moments)>,
}

/// What is put in the place of a value that a node computes.
pub type Change<'a> = dyn Fn(ValueId, &Tensor) -> Result<Tensor> + 'a;

impl Graph {
    /// The values `wanted` in training mode, from those that are given, as
    /// [`evaluate`](Self::evaluate) takes them: a [`Op::BatchNorm`] uses the mean and the variance
    /// of the batch instead of its inputs. Differentiable where the given values are variables: a
    /// training gives those weights that it changes.
    ///
    /// `change` is shown each of the values `changed` when a node has computed it, and gives what
    /// all nodes read instead that come after. Dropout, in the graph an [`Op::Identity`], is such a
    /// change. Values that nobody sees need not be computed one by one: a batch norm or a sum and
    /// the ReLU that alone reads it are one operation. In `f32` on the CPU, gradients of
    /// convolutions, batch norms and sums do not go through candle, which would add each to zeros.
    ///
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use foresee_graph::{Builder, Op};
    ///
    /// let mut builder = Builder::new();
    /// let x = builder.input("x", vec![None, Some(1)])?;
    /// let mut read = vec![x];
    /// for (name, value) in [("weight", 1f32), ("bias", 0.), ("mean", 7.), ("variance", 9.)] {
    ///     read.push(builder.weight(name, Tensor::new(&[value], &Device::Cpu)?)?);
    /// }
    /// let y = builder.node("norm", Op::BatchNorm { epsilon: 0. }, &read)?;
    /// let graph = builder.finish(vec![y])?;
    ///
    /// let x = graph.given(&[Tensor::new(&[[1f32], [3.]], &Device::Cpu)?])?;
    /// let pass = graph.evaluate_training(&x, &[y], &[], &|_, value| Ok(value.clone()))?;
    /// // The batch's mean is 2 and its variance 1, whatever the graph's are.
    /// assert_eq!(pass.values[0].to_vec2::<f32>()?, [[-1.], [1.]]);
    /// assert_eq!(pass.moments[0].1.mean.to_vec1::<f32>()?, [2.]);
    ///
    /// let pass = graph.evaluate_training(&x, &[y], &[y], &|_, value| Ok((value * 3.)?))?;
    /// assert_eq!(pass.values[0].to_vec2::<f32>()?, [[-3.], [3.]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`evaluate`](Self::evaluate), if a batch norm sees a single value of a channel, whose
    /// variance says nothing, and the first error of `change`.
    pub fn evaluate_training(
        &self,
        given: &[(ValueId, Tensor)],
        wanted: &[ValueId],
        changed: &[ValueId],
        change: &Change,
    ) -> Result<TrainingPass> {
        let plan = self.plan(given, wanted)?;
        let seen = |id: ValueId| {
            wanted.contains(&id) || changed.contains(&id) || given.iter().any(|(of, _)| *of == id)
        };
        let followed: Vec<Option<NodeId>> =
            plan.iter().map(|&id| self.relu_after(id).filter(|_| !seen(self.output(id)))).collect();
        let mut run = Run::new(self, &plan, given.to_vec(), wanted)?;
        let mut pass = Pass { carried: vec![None; self.values().count()], moments: vec![] };
        for (&id, relu) in plan.iter().zip(&followed) {
            let mut compute = |node: &Node, inputs: &[Option<Tensor>]| {
                // What it follows did it.
                if followed.contains(&Some(id)) {
                    return pass.handed_on(node, inputs);
                }
                let how =
                    How { relu: relu.is_some(), carried: self.is_carried_on(id, *relu, &seen) };
                pass.compute(id, node, inputs, how).map_err(|source| Error::Node {
                    node: node.name.clone(),
                    op: node.op.name(),
                    source,
                })
            };
            let mut see = |id, tensor: Tensor| match changed.contains(&id) {
                true => change(id, &tensor),
                false => Ok(tensor),
            };
            run.node_by(id, &mut compute, &mut see)?;
            for id in self.node(id).inputs.iter().flatten().filter(|id| !run.is_needed(**id)) {
                pass.carried[id.0] = None;
            }
        }
        let values = wanted.iter().map(|&id| run.get(id)).collect::<Result<_>>()?;
        Ok(TrainingPass { values, moments: pass.moments })
    }

    /// Whether nodes alone read the result of a node (with the ReLU that follows it), and one of
    /// them at least takes carried values.
    fn is_carried_on(
        &self,
        id: NodeId,
        relu: Option<NodeId>,
        seen: &dyn Fn(ValueId) -> bool,
    ) -> bool {
        let result = self.output(relu.unwrap_or(id));
        let mut readers = self.readers(result);
        !seen(result) && readers.any(|(reader, _)| is_carried(&self.node(reader).op))
    }

    /// The ReLU that alone reads a batch norm or a sum.
    fn relu_after(&self, id: NodeId) -> Option<NodeId> {
        if !matches!(self.node(id).op, Op::BatchNorm { .. } | Op::Binary(Binary::Add)) {
            return None;
        }
        let (reader, _) = self.only_reader(self.output(id))?;
        (self.node(reader).op == Op::Unary(Unary::Relu)).then_some(reader)
    }

    /// The first output of a node.
    fn output(&self, id: NodeId) -> ValueId {
        self.node(id).outputs[0]
    }
}

/// A pass in training mode that is under way.
struct Pass {
    /// Of each value, if candle does not follow it; a run has its numbers in its place.
    carried: Vec<Option<Carried>>,
    moments: Vec<(NodeId, Moments)>,
}

impl Pass {
    /// What a node computes, and with `relu` the ReLU that follows it.
    fn compute(
        &mut self,
        id: NodeId,
        node: &Node,
        inputs: &[Option<Tensor>],
        how: How,
    ) -> std::result::Result<Vec<Tensor>, OpError> {
        let mut given = Vec::with_capacity(inputs.len());
        for (id, tensor) in node.inputs.iter().zip(inputs) {
            let carried = id.and_then(|id| self.carried[id.0].as_ref());
            let followed = tensor.as_ref().map(Given::Followed);
            given.push(carried.map(Given::Carried).or(followed));
        }
        if let Some((computed, of_batch)) = carry(&node.op, &given, how)? {
            self.moments.extend(of_batch.map(|of_batch| (id, of_batch)));
            let value = match computed {
                Computed::Followed(value) => return Ok(vec![value]),
                Computed::Carried(value) => value,
            };
            let numbers = value.data().clone();
            self.carried[node.outputs[0].0] = Some(value);
            return Ok(vec![numbers]);
        }
        let followed = |given: Option<Given>| match given {
            Some(Given::Carried(value)) => value.leave().map(Some),
            Some(Given::Followed(tensor)) => Ok(Some(tensor.clone())),
            None => Ok(None),
        };
        let inputs = given.into_iter().map(followed).collect::<candle_core::Result<Vec<_>>>()?;
        if let Op::BatchNorm { epsilon } = node.op {
            let (y, of_batch) = normalize_batch(&inputs, epsilon, how.relu)?;
            self.moments.push((id, of_batch));
            return Ok(vec![y]);
        }
        let computed = node.op.forward(&inputs)?;
        match how.relu {
            true => Op::Unary(Unary::Relu).forward(&[computed.into_iter().next()]),
            false => Ok(computed),
        }
    }

    /// What a node gives on that has nothing left to do.
    fn handed_on(&mut self, node: &Node, inputs: &[Option<Tensor>]) -> Result<Vec<Tensor>> {
        let value = node.input(0).and_then(|id| self.carried[id.0].clone());
        self.carried[node.outputs[0].0] = value;
        Ok(inputs.iter().flatten().cloned().collect())
    }
}
