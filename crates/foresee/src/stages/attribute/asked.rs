//! The answers that are asked for, without the work of the others.

use candle_core::{Error as CandleError, Result as CandleResult, Tensor};
use foresee_model::{Network, Output};

use crate::error::Result;

/// A network of some attributes only. Its logits are [B, A], a column for each of them, in the
/// order in which they were asked for: there is no other attribute's to be read by mistake.
pub(super) struct Asked {
    network: Network,
    attributes: Vec<usize>,
}

impl Asked {
    pub fn new(network: &Network, attributes: &[usize]) -> Result<Self> {
        let network = network.keep_attributes(attributes)?.frozen();
        Ok(Self { network, attributes: attributes.to_vec() })
    }

    /// The columns of the logits.
    pub fn columns(&self) -> Vec<usize> {
        (0..self.attributes.len()).collect()
    }

    /// The columns of labels [N, K] of all attributes.
    pub fn labels(&self, all: &Tensor) -> Result<Tensor> {
        let attributes: Vec<u32> = self.attributes.iter().map(|&k| k as u32).collect();
        let index = Tensor::from_vec(attributes, self.attributes.len(), all.device())?;
        Ok(all.index_select(&index, 1)?)
    }

    /// Logits [B, A] of images.
    pub fn logits(&self, images: &Tensor) -> CandleResult<Tensor> {
        Ok(self.network.forward(images).map_err(CandleError::wrap)?.logits)
    }

    /// Logits [B, A] of features z [B, C, H, W].
    pub fn logits_of_features(&self, z: &Tensor) -> CandleResult<Tensor> {
        Ok(self.network.forward_features(z).map_err(CandleError::wrap)?.logits)
    }

    /// Logits and mean masks of features z [B, C, H, W].
    pub fn output_of_features(&self, z: &Tensor) -> Result<Output> {
        Ok(self.network.forward_features(z)?)
    }
}
