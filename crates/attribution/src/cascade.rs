//! The paper's network with more and more random layers.

use candle_core::Tensor;
use foresee_kernels::Rows;

use crate::error::{Error, Result};
use crate::graph::GraphModel;
use crate::network::network_model;

/// The masks of the network, among the layers that are randomised.
const MASKS: &str = "heads.mask";

/// Layers from the output back, in the order in which they are randomised.
const FROM_THE_OUTPUT: [&str; 6] =
    ["heads.readout", MASKS, "extractor.3", "extractor.2", "extractor.1", "extractor.0"];

/// The cascade of [`randomisation_check`](crate::randomisation_check) for the paper's network: the
/// readout as in an untrained network, then also the masks if there are any, then also each block
/// of the extractor. Each step has the name of the layer that is randomised last.
///
/// `trained` and `untrained` are the tensors of two networks of one architecture as in
/// [`network_model`], in the same order. `masks` are the rows of the trained network that have
/// masks, if it has any; once its masks are those of an untrained network, all rows have.
///
/// # Errors
/// As for [`network_model`].
pub fn randomised_cascade(
    trained: impl IntoIterator<Item = (String, Tensor)>,
    untrained: impl IntoIterator<Item = (String, Tensor)>,
    dilations: &[usize],
    masks: Option<&Rows>,
) -> Result<Vec<(String, GraphModel)>> {
    let pairs: Vec<_> = trained.into_iter().zip(untrained).collect();
    if let Some(((name, _), _)) = pairs.iter().find(|((name, _), (other, _))| name != other) {
        return Err(Error::OtherNetwork { name: name.clone() });
    }
    let steps = (1..=FROM_THE_OUTPUT.len()).map(|count| FROM_THE_OUTPUT.split_at(count).0);
    let steps = steps.filter(|randomised| masks.is_some() || !randomised.ends_with(&[MASKS]));
    let all = masks.map(|rows| Rows::all(rows.attributes(), rows.channels()));
    steps
        .map(|randomised| {
            let tensors = pairs.iter().map(|((name, trained), (_, untrained))| {
                let is_random = randomised.iter().any(|layer| is_tensor_of(name, layer));
                (name.clone(), if is_random { untrained } else { trained }.clone())
            });
            let rows = if randomised.contains(&MASKS) { all.as_ref() } else { masks };
            let model = network_model(tensors, dilations, rows)?;
            Ok((randomised[randomised.len() - 1].to_owned(), model))
        })
        .collect()
}

/// Whether `extractor.3.conv.weight` and the like are tensors of a layer such as `extractor.3`.
fn is_tensor_of(tensor: &str, layer: &str) -> bool {
    tensor.strip_prefix(layer).is_some_and(|rest| rest.starts_with('.'))
}
