//! What the operations need to know of a network.

use candle_core::{Error, Result, Tensor};
use foresee_kernels::ToneCurve;
use foresee_model::Network;

use crate::prune::Cut;

/// A network that extracts features [B, C, H, W] and classifies them through attention masks.
pub trait AttentionModel: Sized {
    /// C, the number of channels that can be pruned.
    fn channels(&self) -> usize;

    /// Features [B, C, H, W] of images [B, 3, H, W].
    ///
    /// # Errors
    /// If the images do not fit the network.
    fn features(&self, images: &Tensor) -> Result<Tensor>;

    /// Logits [B, K] from features.
    ///
    /// # Errors
    /// If the features do not fit the network.
    fn logits(&self, features: &Tensor) -> Result<Tensor>;

    /// Logits [B, K] from features, with the masks transformed by each of the curves (Eq. 13).
    ///
    /// # Errors
    /// If the features do not fit the network.
    fn logits_under(&self, features: &Tensor, curves: &[&dyn ToneCurve]) -> Result<Vec<Tensor>>;

    /// The physically smaller network. [`Cut::Plain`] computes what this one does when the features
    /// of all other channels are 0; in [`Cut::With`] the kept channels take over what the others
    /// did (a network that cannot do that says so by an error).
    ///
    /// # Errors
    /// If there is no such channel, or the cut is of a kind that this model does not have.
    fn cut(&self, cut: &Cut) -> Result<Self>;
}

impl AttentionModel for Network {
    fn channels(&self) -> usize {
        self.config().channels
    }

    fn features(&self, images: &Tensor) -> Result<Tensor> {
        self.extractor().forward(images).map(|z| z.detach()).map_err(Error::wrap)
    }

    fn logits(&self, features: &Tensor) -> Result<Tensor> {
        self.forward_features(features).map(|output| output.logits.detach()).map_err(Error::wrap)
    }

    fn logits_under(&self, features: &Tensor, curves: &[&dyn ToneCurve]) -> Result<Vec<Tensor>> {
        let pooled = self.heads().pool_under(features, curves).map_err(Error::wrap)?;
        pooled
            .iter()
            .map(|p| {
                self.heads()
                    .read_out(&p.features)
                    .map(|logits| logits.detach())
                    .map_err(Error::wrap)
            })
            .collect()
    }

    fn cut(&self, cut: &Cut) -> Result<Self> {
        match cut {
            Cut::Plain(kept) => self.keeping(kept),
            Cut::With(stand_in) => self.keeping_with(stand_in),
        }
        .map_err(Error::wrap)
    }
}
