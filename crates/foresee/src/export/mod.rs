//! A trained network for other programs: a folder for PyTorch, a file for ONNX runtimes.

mod examples;
mod pytorch;

use std::path::Path;

use anyhow::Context;
use candle_core::Device;
use foresee_graph::{Builder, Error, Op, Unary};
use foresee_model::{Crop, ModelCard, Network, Precision};
use serde_json::{Value, json};

pub(crate) use self::examples::Examples;
pub(crate) use self::pytorch::{files, is_export};
use crate::error::{Result, input};
use crate::networks::notes::KEY;
use crate::stages::attribute::graph_of;

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

/// The network as an ONNX model: normalised images [batch, 3, H, W] to `logits` and `probabilities`
/// [batch, K].
///
/// # Errors
/// If it is too large for the format.
pub(crate) fn onnx_model(source: &Source) -> Result<Vec<u8>> {
    let Source { network, card, .. } = source;
    let graph = graph_of(network)?;
    let (images, readout) = (graph.inputs()[0], graph.outputs()[0]);
    let size = Some(card.image_size);
    let graph = graph.with_input_sizes(images, vec![None, Some(3), size, size])?;
    let mut builder = Builder::from_graph(graph);
    let logits = builder.node("logits", Op::Identity, &[readout])?;
    let probabilities = builder.node("probabilities", Op::Unary(Unary::Sigmoid), &[logits])?;
    let graph = builder.finish(vec![logits, probabilities])?;
    let preprocessing = preprocessing(card).to_string();
    let card = serde_json::to_string(card)?;
    let metadata = [(KEY, preprocessing.as_str()), ("foresee", card.as_str())];
    graph.to_onnx(&metadata).map_err(|error| match error {
        Error::OnnxTooLarge { .. } => input(format!("--onnx: {error}; export it with --pytorch")),
        error => error.into(),
    })
}
