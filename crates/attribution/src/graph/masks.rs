//! The paper's masks in a graph.

use candle_core::{DType, Tensor};
use foresee_graph::{Node, Op, Padding, Reduction, ValueId, Window};
use foresee_kernels::{Precision, Rows, attention_heads_of_rows, reference};

use super::GraphModel;
use super::one_node::apply_op;
use crate::error::{Error, Result};
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

    /// The outputs. In `f32` the paper's masks and their means are one step of the kernels, which
    /// stores no mask.
    pub(super) fn outputs(&self, given: &[(ValueId, Tensor)]) -> Result<Tensor> {
        let plainly = || self.evaluate(given, self.output);
        let Some((readout, heads)) = self.heads() else { return plainly() };
        let weight = |place| heads.input(place).and_then(|id| self.graph.weight(id));
        let (Op::AttentionMasks(rows), Some(features), Some(pool), Some(weights), Some(bias)) =
            (&heads.op, heads.input(0), readout.input(0), weight(1), weight(2))
        else {
            return plainly();
        };
        let is_inside = |(id, _): &(ValueId, Tensor)| {
            [pool, self.output].contains(id) || heads.outputs.contains(id)
        };
        // What does not fit is an error of the node.
        let expected = (rows.attributes() * rows.channels(), rows.channels());
        let fits = weights.dims4().is_ok_and(|(rows, c, ..)| (rows, c) == expected);
        if given.iter().any(is_inside) || !fits {
            return plainly();
        }
        let z = self.evaluate(given, features)?;
        if [z.dtype(), weights.dtype()] != [DType::F32; 2] {
            return plainly();
        }
        let pooled = attention_heads_of_rows(&z, weights, bias, rows, Precision::F32);
        let pooled = pooled.map_err(candle_core::Error::wrap)?.features;
        self.evaluate(&[(pool, pooled)], self.output)
    }

    /// The readout at the end and the masks whose mean it reads.
    fn heads(&self) -> Option<(&Node, &Node)> {
        let readout = self.producer(self.output).filter(|node| matches!(node.op, Op::Readout))?;
        let pool = self.producer(readout.input(0)?)?;
        let means = match &pool.op {
            Op::Reduce(reduce) => {
                let axes = reduce.axes.as_deref();
                reduce.kind == Reduction::Mean && !reduce.keep_dims && axes == Some(&[-2, -1])
            }
            _ => false,
        };
        let heads = self.producer(pool.input(0)?)?;
        (means && matches!(heads.op, Op::AttentionMasks(_))).then_some((readout, heads))
    }
}

/// The convolution that masks are computed with, for their weight [K·C, C, n, n].
pub(super) fn mask_convolution(weight: &Tensor) -> Result<Op> {
    let padding = weight.dim(2)? / 2;
    let padding = Padding::Explicit(vec![(padding, padding); 2]);
    Ok(Op::Conv(Window { padding, ..Window::new(2) }))
}

/// sigmoid(conv_k(z)), [B, K, C, H, W], for weights [K·C, C, n, n]; 0 where a row is not kept.
pub(super) fn masks(z: &Tensor, weight: &Tensor, bias: &Tensor, rows: &Rows) -> Result<Tensor> {
    let inputs = [z, weight, bias].map(|input| Some(input.clone()));
    let logits = apply_op(&mask_convolution(weight)?, &inputs)?;
    let (b, _, h, w) = logits.dims4()?;
    let logits = logits.reshape((b, rows.attributes(), rows.channels(), h, w))?;
    Ok(reference::masks_of_logits(&logits, rows).map_err(candle_core::Error::wrap)?)
}
