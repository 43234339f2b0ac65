//! The paper's network as a graph.

use std::collections::HashMap;

use candle_core::Tensor;
use foresee_kernels::{BATCH_NORM_EPSILON, LEAKY_RELU_SLOPE, Rows};

use crate::error::{Error, Result};
use crate::forward::check_mask_weight;
use crate::graph::{Builder, Graph, ValueId};
use crate::op::{Gemm, Op, Padding, PoolKind, Reduce, Reduction, Unary, Window};

/// The paper's network from tensors by the names that they have in a run's `model.safetensors`
/// (foresee-model's `Network::tensors`): blocks of convolution, batch norm and leaky ReLU with
/// these dilations (Table 1; 1, 2, 3, 2 in the paper), then heads (Table 2) with the masks of these
/// rows. Without `masks` the heads read the mean of each channel: the network without attention.
///
/// The input `images` is [B, 3, H, W], the output, the logits, [B, K]. Nodes are
/// `extractor.0.conv`, `extractor.0.bn`, `extractor.0.relu`, ..., `heads.masks`, `heads.pool`,
/// `heads.readout`; each computes the value of its name.
///
/// # Errors
/// If a tensor is missing, or the masks' weight is not that of these rows.
pub fn attention_network(
    tensors: impl IntoIterator<Item = (String, Tensor)>,
    dilations: &[usize],
    masks: Option<&Rows>,
) -> Result<Graph> {
    let tensors = tensors.into_iter().collect();
    let mut network = Network { tensors, builder: Builder::new() };
    let channels = network.tensor("extractor.0.conv.weight")?.dims().get(1).copied();
    let mut x = network.builder.input("images", vec![None, channels, None, None])?;
    for (block, &dilation) in dilations.iter().enumerate() {
        x = network.block(x, &format!("extractor.{block}"), dilation)?;
    }
    let logits = match masks {
        Some(rows) => network.masked_heads(x, rows)?,
        None => network.heads(x)?,
    };
    network.builder.finish(vec![logits])
}

struct Network {
    tensors: HashMap<String, Tensor>,
    builder: Builder,
}

impl Network {
    fn tensor(&self, name: &str) -> Result<&Tensor> {
        self.tensors.get(name).ok_or_else(|| Error::NoTensor { name: name.into() })
    }

    fn weight(&mut self, name: &str) -> Result<ValueId> {
        let tensor = self.tensor(name)?.detach();
        self.builder.weight(name, tensor)
    }

    /// A node that reads x and weights of these names.
    fn node(&mut self, name: &str, op: Op, x: ValueId, weights: &[String]) -> Result<ValueId> {
        let mut inputs = vec![x];
        for name in weights {
            inputs.push(self.weight(name)?);
        }
        self.builder.node(name, op, &inputs)
    }

    fn block(&mut self, x: ValueId, name: &str, dilation: usize) -> Result<ValueId> {
        let window = Window {
            padding: Padding::Explicit(vec![(dilation, dilation); 2]),
            dilation: vec![dilation; 2],
            ..Window::new(2)
        };
        let of = |part: &str, names: &[&str]| -> Vec<String> {
            names.iter().map(|weight| format!("{name}.{part}.{weight}")).collect()
        };
        let conv = of("conv", &["weight", "bias"]);
        let x = self.node(&format!("{name}.conv"), Op::Conv(window), x, &conv)?;
        let norm = Op::BatchNorm { epsilon: BATCH_NORM_EPSILON };
        let moments = of("bn", &["weight", "bias", "running_mean", "running_var"]);
        let x = self.node(&format!("{name}.bn"), norm, x, &moments)?;
        let relu = Op::Unary(Unary::LeakyRelu(LEAKY_RELU_SLOPE));
        self.node(&format!("{name}.relu"), relu, x, &[])
    }

    /// Masks, their products' means, and the readout.
    fn masked_heads(&mut self, z: ValueId, rows: &Rows) -> Result<ValueId> {
        let masks = ["heads.mask.weight", "heads.mask.bias"].map(String::from);
        let op = Op::AttentionMasks(rows.clone());
        check_mask_weight(self.tensor(&masks[0])?, rows).map_err(|source| Error::Node {
            node: "heads.masks".into(),
            op: op.name(),
            source,
        })?;
        let masked = self.node("heads.masks", op, z, &masks)?;
        let mean = Op::Reduce(Reduce {
            kind: Reduction::Mean,
            axes: Some(vec![-2, -1]),
            keep_dims: false,
            empty_is_nothing: false,
        });
        let pooled = self.node("heads.pool", mean, masked, &[])?;
        let readout = ["heads.readout.weight", "heads.readout.bias"].map(String::from);
        self.node("heads.readout", Op::Readout, pooled, &readout)
    }

    /// The channels' means and the readout.
    fn heads(&mut self, z: ValueId) -> Result<ValueId> {
        let pooled = self.node("heads.pool", Op::GlobalPool(PoolKind::Average), z, &[])?;
        let flat = self.node("heads.flatten", Op::Flatten { axis: 1 }, pooled, &[])?;
        let linear = Op::Gemm(Gemm { transpose_b: true, ..Gemm::default() });
        let readout = ["heads.readout.weight", "heads.readout.bias"].map(String::from);
        self.node("heads.readout", linear, flat, &readout)
    }
}
