//! A trained network for other programs: a folder for PyTorch, a file for ONNX runtimes.

mod examples;
mod onnx;
mod protobuf;
mod pytorch;

use std::path::Path;

use anyhow::Context;
use candle_core::Device;
use foresee_kernels::{BATCH_NORM_EPSILON, LEAKY_RELU_SLOPE};
use foresee_model::{Crop, ModelCard, Network, Precision};
use serde_json::{Value, json};

pub(crate) use self::examples::Examples;
pub(crate) use self::onnx::START as ONNX_START;
use self::onnx::{Form, Weight};
pub(crate) use self::pytorch::{files, is_export};
use crate::error::{Result, input};
use crate::networks::notes::KEY;

/// More bytes than this no protocol buffer holds.
const LARGEST_ONNX: usize = i32::MAX as usize;

/// A model file that is exported.
pub(crate) struct Source {
    /// The file as it is.
    pub bytes: Vec<u8>,
    /// Its network, to be evaluated with products in `f32`, as other programs do.
    pub network: Network,
    pub card: ModelCard,
}

impl Source {
    pub fn read(path: &Path) -> Result<Self> {
        let (network, card) = Network::load(path, &Device::Cpu)?;
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        Ok(Self { bytes, network: network.frozen().with_precision(Precision::F32), card })
    }
}

/// What an image goes through before the network sees it, and what its answer means: as data, and
/// in words.
pub(crate) fn preprocessing(card: &ModelCard) -> Value {
    let conventions = card.conventions;
    json!({
        "crop": card.crop,
        "size": card.image_size,
        "filter": conventions.filter,
        "channel_order": conventions.channel_order,
        "value_range": conventions.value_range,
        "mean": card.mean,
        "deviation": card.deviation,
        "threshold": conventions.threshold,
        "attributes": card.attributes,
        "steps": steps(card),
    })
}

/// The preprocessing in words, step by step.
fn steps(card: &ModelCard) -> Vec<String> {
    let crop = match card.crop {
        Crop::Square => {
            "crop the largest centred square: with s = min(width, height), from left = (width - \
             s) / 2 and top = (height - s) / 2"
        }
        Crop::Whole => "take the whole image, whatever its aspect ratio",
    };
    let size = card.image_size;
    vec![
        "decode to RGB bytes, turned as the EXIF data say; transparency is dropped".into(),
        crop.into(),
        format!(
            "resize to {size}×{size} pixels, bilinear with antialias=True, rows first, rounded to \
             bytes after the rows and after the columns"
        ),
        "divide by 255".into(),
        format!(
            "subtract the mean {:?} and divide by the deviation {:?} of red, green and blue",
            card.mean, card.deviation
        ),
    ]
}

/// The bytes of the network as an ONNX model.
///
/// # Errors
/// If it is too large for the format.
pub(crate) fn onnx_model(source: &Source) -> Result<Vec<u8>> {
    let Source { network, card, .. } = source;
    let tensors = network.tensors();
    let values: usize = tensors.iter().map(|(_, var)| var.elem_count()).sum();
    if 4 * values > LARGEST_ONNX {
        return Err(input(format!(
            "--onnx: the network has {values} weights, but a file of ONNX holds 2 GB at most; \
             export it with --pytorch"
        )));
    }
    let weight = |(name, var): (String, &candle_core::Var)| -> Result<Weight> {
        let values = var.flatten_all()?.to_vec1::<f32>()?;
        Ok(Weight { name, shape: var.dims().to_vec(), values })
    };
    let weights: Vec<Weight> = tensors.into_iter().map(weight).collect::<Result<_>>()?;
    let config = network.config();
    let form = Form {
        attributes: config.attributes,
        channels: config.channels,
        dilations: network.extractor().plan().into_iter().map(|block| block.2).collect(),
        mask_kernel: config.mask_kernel,
        attention: config.attention,
        image_size: card.image_size,
        epsilon: BATCH_NORM_EPSILON as f32,
        slope: LEAKY_RELU_SLOPE as f32,
    };
    let preprocessing = preprocessing(card).to_string();
    let card = serde_json::to_string(card)?;
    let metadata = [(KEY, preprocessing.as_str()), ("foresee", card.as_str())];
    Ok(onnx::model(&form, &weights, &metadata))
}
