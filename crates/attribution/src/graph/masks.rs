//! The paper's masks in a graph.

use candle_core::Tensor;
use foresee_graph::{Node, Op};

use super::GraphModel;
use crate::error::{Error, Result};
use crate::layers::masks;
use crate::methods::{MaskWeights, mask_map};
use crate::tensors::in_batches;

impl GraphModel {
    /// [`mask_map`] of output `target` for a graph that ends with the paper's heads: the operations
    /// [`AttentionMasks`](Op::AttentionMasks), global average pooling and
    /// [`Readout`](Op::Readout).
    ///
    /// # Errors
    /// If the graph ends in another way, there is no such output, or x does not fit.
    pub fn mask_map(&self, x: &Tensor, target: usize, weights: MaskWeights) -> Result<Tensor> {
        let refuse = || Error::Layer {
            method: "the map of masks",
            layer: self.graph.value(self.output).name.clone(),
            reason: "the graph must end with AttentionMasks, global average pooling and Readout"
                .into(),
        };
        let (readout, heads) = self.heads().ok_or_else(refuse)?;
        let Op::AttentionMasks(rows) = &heads.op else { return Err(refuse()) };
        let weight_of = |node: &Node, place| {
            let id = node.input(place);
            id.and_then(|id| self.graph.weight(id)).ok_or_else(refuse)
        };
        let readout = weight_of(readout, 1)?;
        let (outputs, channels) = readout.dims2()?;
        if target >= outputs {
            return Err(Error::Target { target, shape: vec![x.dim(0)?, outputs] });
        }
        let part = |of: &Tensor| -> Result<Tensor> {
            Ok(of.narrow(0, target * channels, channels)?.contiguous()?)
        };
        let (weight, bias) = (part(weight_of(heads, 1)?)?, part(weight_of(heads, 2)?)?);
        let rows = rows.on_attributes(&[target]);
        let features = heads.input(0).ok_or_else(refuse)?;
        in_batches(x, self.batch, |x| {
            let z = self.evaluate(&[(self.input, x.detach())], features)?.detach();
            let masks = masks(&z, &weight, &bias, &rows)?.squeeze(1)?;
            mask_map(&masks, &z, &readout.get(target)?, weights)
        })
    }

    /// The readout at the end and the masks whose mean it reads.
    fn heads(&self) -> Option<(&Node, &Node)> {
        let readout = self.producer(self.output).filter(|node| matches!(node.op, Op::Readout))?;
        let pool = self.producer(readout.input(0)?)?;
        let means = match &pool.op {
            Op::Reduce(reduce) => reduce.kind == foresee_graph::Reduction::Mean,
            _ => false,
        };
        let heads = self.producer(pool.input(0)?)?;
        (means && matches!(heads.op, Op::AttentionMasks(_))).then_some((readout, heads))
    }
}
