//! The paper's network as layers.

use std::collections::HashMap;

use candle_core::Tensor;

use crate::error::{Error, Result};
use crate::layers::{BatchNorm, Conv2d, Layers};

/// Slope of the leaky ReLU (Table 1), and PyTorch's ε of batch norm.
const SLOPE: f64 = 0.01;
const EPSILON: f64 = 1e-5;

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
    let tensors: HashMap<String, Tensor> = tensors.into_iter().collect();
    let of = |name: &str| get(&tensors, format!("heads.{name}"));
    let gated = extractor(&tensors, dilations)?.gate(
        "heads.masks",
        of("mask.weight")?,
        of("mask.bias")?,
    )?;
    gated.global_average_pool("heads.pool")?.readout(
        "heads.readout",
        of("readout.weight")?,
        of("readout.bias")?,
    )
}

/// The same network without masks, which allows CAM: features, `heads.pool`, and `heads.readout`, a
/// linear layer.
///
/// # Errors
/// As of [`attention_network`].
pub fn pooling_network(
    tensors: impl IntoIterator<Item = (String, Tensor)>,
    dilations: &[usize],
) -> Result<Layers> {
    let tensors: HashMap<String, Tensor> = tensors.into_iter().collect();
    let of = |name: &str| get(&tensors, format!("heads.{name}"));
    let pooled = extractor(&tensors, dilations)?.global_average_pool("heads.pool")?;
    pooled.linear("heads.readout", of("readout.weight")?, Some(of("readout.bias")?))
}

fn get(tensors: &HashMap<String, Tensor>, name: String) -> Result<&Tensor> {
    tensors.get(&name).ok_or(Error::NoTensor { name })
}

fn extractor(tensors: &HashMap<String, Tensor>, dilations: &[usize]) -> Result<Layers> {
    let mut layers = Layers::new();
    for (i, &dilation) in dilations.iter().enumerate() {
        let of = |name: &str| get(tensors, format!("extractor.{i}.{name}"));
        let (weight, bias) = (of("conv.weight")?, of("conv.bias")?);
        let own = |name: &str| Ok::<_, Error>(of(name)?.clone());
        let norm = BatchNorm {
            weight: own("bn.weight")?,
            bias: own("bn.bias")?,
            mean: own("bn.running_mean")?,
            variance: own("bn.running_var")?,
            epsilon: EPSILON,
        };
        let options = Conv2d { padding: dilation, dilation, stride: 1 };
        layers = layers.conv2d(&format!("extractor.{i}.conv"), weight, Some(bias), options)?;
        layers = layers
            .batch_norm(&format!("extractor.{i}.bn"), &norm)?
            .leaky_relu(&format!("extractor.{i}.relu"), SLOPE)?;
    }
    Ok(layers)
}
