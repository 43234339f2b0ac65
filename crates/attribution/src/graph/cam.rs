//! CAM and guided Grad-CAM of a graph.

use candle_core::{D, Tensor};
use foresee_graph::{Binary, Node, Op, PoolKind, Reduction, ValueId};

use super::GraphModel;
use crate::error::{Error, Result};
use crate::maps::{Interpolation, resize};
use crate::methods::{GradCam, cam, grad_cam};
use crate::tensors::in_batches;

impl GraphModel {
    /// CAM (Zhou et al., 2016) of the value of this name, or of what the node of this name gives,
    /// [B, H, W].
    ///
    /// # Errors
    /// If another way leads from there to the output than global average pooling and one linear
    /// layer: the error names the node that does not allow CAM.
    pub fn cam(&self, name: &str, x: &Tensor, target: usize) -> Result<Tensor> {
        self.cam_at(self.find(name)?, x, target)
    }

    pub(crate) fn cam_at(&self, value: ValueId, x: &Tensor, target: usize) -> Result<Tensor> {
        let weights = self.readout(value, target)?;
        in_batches(x, self.batch, |x| {
            let z = self.evaluate(&[(self.input, x.detach())], value)?;
            cam(&z.detach(), &weights)
        })
    }

    /// [`guided_backprop`](Self::guided_backprop) times Grad-CAM's positive part at a value,
    /// enlarged (Selvaraju et al., 2017). Of x's shape [B, C, H, W].
    ///
    /// # Errors
    /// As for both.
    pub fn guided_grad_cam(
        &self,
        name: &str,
        x: &Tensor,
        target: usize,
        interpolation: Interpolation,
    ) -> Result<Tensor> {
        let map = grad_cam(&self.split_at(name)?, x, target, &GradCam::default())?;
        let (height, width) = (x.dim(D::Minus2)?, x.dim(D::Minus1)?);
        let map = resize(&map, height, width, interpolation)?.unsqueeze(1)?;
        Ok(self.guided_backprop(x, target)?.broadcast_mul(&map)?)
    }

    /// The weights `[C]` with which output `target` reads the means of a value's channels.
    fn readout(&self, value: ValueId, target: usize) -> Result<Tensor> {
        let refuse = |node: Option<&Node>, reason: &str| Error::Layer {
            method: "CAM",
            layer: node.map_or(self.graph.value(value).name.as_str(), |node| &node.name).into(),
            reason: format!("{reason}; use Grad-CAM"),
        };
        let pool = self.only_reader(value).ok_or_else(|| {
            refuse(None, "exactly global average pooling and a linear layer must follow")
        })?;
        if !self.is_global_average(pool) {
            return Err(refuse(Some(pool), "it is not global average pooling"));
        }
        let mut at = pool.outputs[0];
        let linear = loop {
            match self.only_reader(at) {
                Some(node) if only_reshapes(&node.op) => at = node.outputs[0],
                Some(node) => break node,
                None => return Err(refuse(None, "a linear layer must follow the pool")),
            }
        };
        let weights = self
            .linear_weights(linear, at)?
            .filter(|_| self.ends_with(linear))
            .ok_or_else(|| refuse(Some(linear), "it is not the one linear layer at the end"))?;
        match weights.dims() {
            &[outputs, _] if target < outputs => Ok(weights.get(target)?),
            shape => Err(Error::Target { target, shape: shape.to_vec() }),
        }
    }

    fn only_reader(&self, value: ValueId) -> Option<&Node> {
        let mut readers = self.readers(value);
        readers.next().filter(|_| readers.next().is_none() && value != self.output)
    }

    pub(super) fn is_global_average(&self, node: &Node) -> bool {
        let axes =
            |value| -> Option<Vec<f64>> { crate::tensors::to_f64(self.graph.weight(value)?).ok() };
        match &node.op {
            Op::GlobalPool(PoolKind::Average) => true,
            Op::Reduce(reduce) if reduce.kind == Reduction::Mean => {
                let given = node.input(1).and_then(axes);
                let fixed = || reduce.axes.as_ref().map(|a| a.iter().map(|&a| a as f64).collect());
                let mut axes: Vec<f64> = given.or_else(fixed).unwrap_or_default();
                axes.sort_by(f64::total_cmp);
                axes == [2., 3.] || axes == [-2., -1.]
            }
            _ => false,
        }
    }

    /// The weights [K, C] of a linear layer that reads a value.
    fn linear_weights(&self, node: &Node, value: ValueId) -> Result<Option<Tensor>> {
        let reads_first = node.input(0) == Some(value);
        let Some(weight) = node.input(1).and_then(|id| self.graph.weight(id)) else {
            return Ok(None);
        };
        Ok(match &node.op {
            Op::Gemm(gemm) if reads_first && !gemm.transpose_a => {
                let weight = if gemm.transpose_b { weight.clone() } else { weight.t()? };
                Some((weight * gemm.alpha)?)
            }
            Op::MatMul if reads_first && weight.rank() == 2 => Some(weight.t()?),
            _ => None,
        })
    }

    /// Whether nothing but a bias comes behind a node.
    fn ends_with(&self, node: &Node) -> bool {
        let value = node.outputs[0];
        let adds_constant = |node: &Node| {
            let others = node.inputs.iter().flatten().filter(|id| **id != value);
            matches!(node.op, Op::Binary(Binary::Add))
                && others.clone().count() == 1
                && others.into_iter().all(|&id| self.graph.weight(id).is_some())
                && node.outputs[0] == self.output
        };
        value == self.output || self.only_reader(value).is_some_and(adds_constant)
    }
}

fn only_reshapes(op: &Op) -> bool {
    matches!(
        op,
        Op::Reshape { .. } | Op::Flatten { .. } | Op::Squeeze | Op::Unsqueeze | Op::Identity
    )
}
