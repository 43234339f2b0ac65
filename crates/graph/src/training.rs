//! The forward pass in training mode: batch norms use the moments of the batch.

use candle_core::Tensor;
use foresee_kernels::Moments;

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, NodeId, ValueId};
use crate::op::Op;
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

impl Graph {
    /// The values `wanted` in training mode, from those that are given, as
    /// [`evaluate`](Self::evaluate) takes them: a [`Op::BatchNorm`] uses the mean and the variance
    /// of the batch instead of its inputs. Differentiable where the given values are variables: a
    /// training gives those weights that it changes.
    ///
    /// `map` is shown each value that a node computes, and can put another in its place, as in
    /// [`evaluate_mapped`](Self::evaluate_mapped). Dropout, in the graph an [`Op::Identity`], is
    /// such an operation.
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
    /// let pass = graph.evaluate_training(&x, &[y], &|_, _| Ok(None))?;
    /// // The batch's mean is 2 and its variance 1, whatever the graph's are.
    /// assert_eq!(pass.values[0].to_vec2::<f32>()?, [[-1.], [1.]]);
    /// assert_eq!(pass.moments[0].1.mean.to_vec1::<f32>()?, [2.]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`evaluate`](Self::evaluate), if a batch norm sees a single value of a channel, whose
    /// variance says nothing, and the first error of `map`.
    pub fn evaluate_training(
        &self,
        given: &[(ValueId, Tensor)],
        wanted: &[ValueId],
        map: &dyn Fn(ValueId, &Tensor) -> Result<Option<Tensor>>,
    ) -> Result<TrainingPass> {
        let mut moments = Vec::new();
        let plan = self.plan(given, wanted)?;
        let mut run = Run::new(self, &plan, given.to_vec(), wanted)?;
        for id in plan {
            let mut compute = |node: &Node, inputs: &[Option<Tensor>]| match node.op {
                Op::BatchNorm { epsilon } => {
                    let (y, of_batch) = normalize(node, inputs, epsilon)?;
                    moments.push((id, of_batch));
                    Ok(vec![y])
                }
                _ => node.run(inputs),
            };
            let mut see = |id, tensor| Ok(map(id, &tensor)?.unwrap_or(tensor));
            run.node_by(id, &mut compute, &mut see)?;
        }
        let values = wanted.iter().map(|&id| run.get(id)).collect::<Result<_>>()?;
        Ok(TrainingPass { values, moments })
    }
}

fn normalize(node: &Node, inputs: &[Option<Tensor>], epsilon: f64) -> Result<(Tensor, Moments)> {
    crate::forward::normalize_batch(inputs, epsilon).map_err(|source| Error::Node {
        node: node.name.clone(),
        op: node.op.name(),
        source,
    })
}
