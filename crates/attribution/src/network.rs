//! The paper's network as a model to explain.

use candle_core::Tensor;
use foresee_graph::attention_network;
use foresee_kernels::Rows;

use crate::error::Result;
use crate::graph::GraphModel;

/// The activation that the CAM family looks at in the paper's network: the features z, behind the
/// last block.
pub const FEATURES: &str = "extractor.3.relu";

/// The paper's network from tensors by the names that they have in a run's `model.safetensors`
/// (foresee-model's `Network::tensors`), as [`attention_network`] makes a graph of it: with the
/// masks of these rows, or without `masks` average pooling and a linear layer, which allow CAM.
///
/// Batch norms are merged into the convolutions. The nodes are `extractor.0.conv`,
/// `extractor.0.relu`, ..., `heads.masks`, `heads.pool`, `heads.readout`. At most 8 images at once.
///
/// # Errors
/// If a tensor is missing, or the shapes do not fit each other.
pub fn network_model(
    tensors: impl IntoIterator<Item = (String, Tensor)>,
    dilations: &[usize],
    masks: Option<&Rows>,
) -> Result<GraphModel> {
    let graph = attention_network(tensors, dilations, masks)?.merge_batch_norms()?;
    let output = graph.outputs()[0];
    GraphModel::new(graph, output)
}
