//! The forward pass in training mode: batch norms use the moments of the batch.

use candle_core::Tensor;
use foresee_kernels::Moments;

use crate::error::{Error, Result};
use crate::forward::normalize_batch;
use crate::graph::{Graph, Node, NodeId, ValueId};
use crate::op::{Op, Unary};
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
    /// change. Values that nobody sees need not be computed one by one: a batch norm and the ReLU
    /// that alone reads it are one operation.
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
        let mut moments = Vec::new();
        let plan = self.plan(given, wanted)?;
        let seen = |id: ValueId| {
            wanted.contains(&id) || changed.contains(&id) || given.iter().any(|(of, _)| *of == id)
        };
        let followed: Vec<Option<NodeId>> =
            plan.iter().map(|&id| self.relu_after(id).filter(|_| !seen(self.output(id)))).collect();
        let mut run = Run::new(self, &plan, given.to_vec(), wanted)?;
        for (&id, relu) in plan.iter().zip(&followed) {
            let mut compute = |node: &Node, inputs: &[Option<Tensor>]| match node.op {
                Op::BatchNorm { epsilon } => {
                    let (y, of_batch) = normalize(node, inputs, epsilon, relu.is_some())?;
                    moments.push((id, of_batch));
                    Ok(vec![y])
                }
                // Its batch norm did it.
                _ if followed.contains(&Some(id)) => Ok(inputs.iter().flatten().cloned().collect()),
                _ => node.run(inputs),
            };
            let mut see = |id, tensor: Tensor| match changed.contains(&id) {
                true => change(id, &tensor),
                false => Ok(tensor),
            };
            run.node_by(id, &mut compute, &mut see)?;
        }
        let values = wanted.iter().map(|&id| run.get(id)).collect::<Result<_>>()?;
        Ok(TrainingPass { values, moments })
    }

    /// The ReLU that alone reads a batch norm.
    fn relu_after(&self, id: NodeId) -> Option<NodeId> {
        if !matches!(self.node(id).op, Op::BatchNorm { .. }) {
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

fn normalize(
    node: &Node,
    inputs: &[Option<Tensor>],
    epsilon: f64,
    relu: bool,
) -> Result<(Tensor, Moments)> {
    normalize_batch(inputs, epsilon, relu).map_err(|source| Error::Node {
        node: node.name.clone(),
        op: node.op.name(),
        source,
    })
}
