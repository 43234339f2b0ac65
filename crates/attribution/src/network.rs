//! The paper's network as layers.

use std::collections::HashMap;

use candle_core::Tensor;
use foresee_kernels::{BATCH_NORM_EPSILON, LEAKY_RELU_SLOPE, Rows};

use crate::error::{Error, Result};
use crate::layers::{BatchNorm, Conv2d, Layers};

/// The activation that the CAM family looks at: the features z, behind the last block.
pub const FEATURES: &str = "extractor.3.relu";

/// Images at once through [`network_layers`], which keep every activation.
const BATCH: usize = 8;

/// The paper's network from tensors by the names that they have in a run's `model.safetensors`
/// (foresee-model's `Network::tensors`): [`attention_network`] if it has masks, of the rows
/// that have one (`Heads::rows`), else [`pooling_network`]; at most 8 images at once.
///
/// # Errors
/// As for [`attention_network`], or if the rows are of other attributes or channels.
pub fn network_layers(
    tensors: impl IntoIterator<Item = (String, Tensor)>,
    dilations: &[usize],
    masks: Option<&Rows>,
) -> Result<Layers> {
    let layers = match masks {
        Some(_) => masked_network(tensors, dilations, masks)?,
        None => pooling_network(tensors, dilations)?,
    };
    Ok(layers.batch(BATCH))
}

/// Tables 1 and 2 from tensors by the names that they have in a run's `model.safetensors`
/// (foresee-model's `Network::tensors`): blocks `extractor.0.conv.weight` and so on, of the given
/// dilations (1, 2, 3, 2 in the paper), masks, and readout.
///
/// The layers are `extractor.0.conv`, `extractor.0.relu`, ..., `heads.masks`, `heads.pool`,
/// `heads.readout`; batch norm is merged. The last extractor's ReLU is the activation for the CAM
/// family.
///
/// # Errors
/// If a tensor is missing or the shapes do not fit each other.
pub fn attention_network(
    tensors: impl IntoIterator<Item = (String, Tensor)>,
    dilations: &[usize],
) -> Result<Layers> {
    masked_network(tensors, dilations, None)
}

/// With the masks of these rows, or of all.
fn masked_network(
    tensors: impl IntoIterator<Item = (String, Tensor)>,
    dilations: &[usize],
    rows: Option<&Rows>,
) -> Result<Layers> {
    let tensors: HashMap<String, Tensor> = tensors.into_iter().collect();
    let of = |name: &str| get(&tensors, format!("heads.{name}"));
    let (name, weight, bias) = ("heads.masks", of("mask.weight")?, of("mask.bias")?);
    let features = extractor(&tensors, dilations)?;
    let masked = match rows {
        Some(rows) => features.gate_of_rows(name, weight, bias, rows)?,
        None => features.gate(name, weight, bias)?,
    };
    masked.global_average_pool("heads.pool")?.readout(
        "heads.readout",
        of("readout.weight")?,
        of("readout.bias")?,
    )
}

/// The same network without masks, which allows CAM: features, `heads.pool`, and `heads.readout`, a
/// linear layer.
///
/// # Errors
/// As for [`attention_network`].
pub fn pooling_network(
    tensors: impl IntoIterator<Item = (String, Tensor)>,
    dilations: &[usize],
) -> Result<Layers> {
    let tensors: HashMap<String, Tensor> = tensors.into_iter().collect();
    let of = |name: &str| get(&tensors, format!("heads.{name}"));
    extractor(&tensors, dilations)?.global_average_pool("heads.pool")?.linear(
        "heads.readout",
        of("readout.weight")?,
        Some(of("readout.bias")?),
    )
}

fn get(tensors: &HashMap<String, Tensor>, name: String) -> Result<&Tensor> {
    tensors.get(&name).ok_or(Error::NoTensor { name })
}

fn extractor(tensors: &HashMap<String, Tensor>, dilations: &[usize]) -> Result<Layers> {
    let mut layers = Layers::new();
    for (i, &dilation) in dilations.iter().enumerate() {
        let of = |name: &str| get(tensors, format!("extractor.{i}.{name}"));
        let norm = BatchNorm {
            weight: of("bn.weight")?.clone(),
            bias: of("bn.bias")?.clone(),
            mean: of("bn.running_mean")?.clone(),
            variance: of("bn.running_var")?.clone(),
            epsilon: BATCH_NORM_EPSILON,
        };
        let name = |layer: &str| format!("extractor.{i}.{layer}");
        let options = Conv2d { padding: dilation, dilation, stride: 1 };
        layers = layers
            .conv2d(&name("conv"), of("conv.weight")?, Some(of("conv.bias")?), options)?
            .batch_norm(&name("bn"), &norm)?
            .leaky_relu(&name("relu"), LEAKY_RELU_SLOPE)?;
    }
    Ok(layers)
}
