//! Layers that follow each other as in the paper's network, as one step of its kernels: feature
//! maps lie in memory pixel by pixel from the image to the heads, and no mask is stored.

use std::sync::Arc;

use candle_core::{DType, Error, Result, Tensor};
use foresee_kernels::{Precision, attention_heads_of_rows, channels_last};

use super::layer::{Layer, NamedLayer, forward_all};
use super::leaky_relu::leaky_relu;
use super::ops::keeps_size;

/// The layers, with those at the beginning in one that the kernels take: convolutions that keep the
/// image's size, with leaky ReLUs, then perhaps masks with their average over the pixels. It has
/// the same values and gradients but for rounding; a method that looks at a layer needs the layers
/// themselves.
pub(super) fn fused(layers: &[NamedLayer]) -> Vec<NamedLayer> {
    let convolutions = layers.iter().take_while(|named| is_of_features(&named.layer)).count();
    let (before, after) = layers.split_at(convolutions);
    let heads = match after {
        [gate, pool, ..] if is_gate(&gate.layer) => match pool.layer {
            Layer::GlobalAveragePool => 2,
            _ => 0,
        },
        _ => 0,
    };
    let has_convolution = before.iter().any(|named| matches!(named.layer, Layer::Conv2d { .. }));
    if heads == 0 && !has_convolution {
        return layers.to_vec();
    }
    let (run, rest) = layers.split_at(convolutions + heads);
    let name = run.iter().map(|named| named.name.as_str()).collect::<Vec<_>>().join(", ");
    let run = run.to_vec();
    let function = Arc::new(move |x: &Tensor| forward(&run, x));
    let layer = Layer::Other { function, may_have_relus: true };
    std::iter::once(NamedLayer { name, layer }).chain(rest.iter().cloned()).collect()
}

fn is_of_features(layer: &Layer) -> bool {
    match layer {
        Layer::Conv2d { weight, options, .. } => {
            weight.dtype() == DType::F32 && keeps_size(weight, options)
        }
        Layer::LeakyRelu { .. } => true,
        _ => false,
    }
}

fn is_gate(layer: &Layer) -> bool {
    matches!(layer, Layer::Gate { weight, .. } if weight.dtype() == DType::F32)
}

/// x [B, C, H, W] through the run.
fn forward(run: &[NamedLayer], x: &Tensor) -> Result<Tensor> {
    if x.rank() != 4 || x.dtype() != DType::F32 {
        return forward_all(run, x);
    }
    let mut x = x.permute((0, 2, 3, 1))?.contiguous()?;
    for named in run {
        x = match &named.layer {
            Layer::Conv2d { weight, bias, options } => {
                let dilation = options.dilation;
                channels_last::conv2d(&x, weight, bias, dilation, Precision::F32)
                    .map_err(Error::wrap)?
            }
            Layer::LeakyRelu { slope } => leaky_relu(&x, *slope)?,
            // With the average over the pixels, which is the last layer of the run.
            Layer::Gate { weight, bias, rows } => {
                let z = x.permute((0, 3, 1, 2))?;
                let pooled = attention_heads_of_rows(&z, weight, bias, rows, Precision::F32);
                return Ok(pooled.map_err(Error::wrap)?.features);
            }
            _ => candle_core::bail!("layer {:?} is not one of a run", named.name),
        };
    }
    x.permute((0, 3, 1, 2))?.contiguous()
}
