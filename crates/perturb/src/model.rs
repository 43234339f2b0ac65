//! What the operations need of a network.

use candle_core::{Error, Result, Tensor};
use foresee_kernels::{ChannelCut, ToneCurve, select_channels};
use foresee_model::Network;

use crate::prune::Cut;

/// A network with gates from 0 to 1, such as attention masks, that tone curves can transform.
pub trait GatedModel: Sized {
    /// What comes before the gates: features [B, C, H, W] of images [B, 3, H, W], or whatever
    /// [`logits_with_curves`](Self::logits_with_curves) reads.
    ///
    /// # Errors
    /// If the images do not fit the network.
    fn features(&self, images: &Tensor) -> Result<Tensor>;

    /// Logits [B, K] from features, with the masks transformed by each of the curves in turn (Eq.
    /// 13): one tensor for each curve.
    ///
    /// # Errors
    /// If the features do not fit the network.
    fn logits_with_curves(
        &self,
        features: &Tensor,
        curves: &[&dyn ToneCurve],
    ) -> Result<Vec<Tensor>>;
}

/// A network that extracts features [B, C, H, W] and classifies them through attention masks.
pub trait AttentionModel: GatedModel {
    /// C, the number of channels that can be pruned.
    fn channels(&self) -> usize;

    /// Logits [B, K] from features.
    ///
    /// # Errors
    /// If the features do not fit the network.
    fn logits(&self, features: &Tensor) -> Result<Tensor>;

    /// The physically smaller network. With [`Cut::Plain`] it computes what this network does when
    /// the features of all other channels are 0. With [`Cut::With`] the kept channels take over
    /// what the others did.
    ///
    /// # Errors
    /// If a channel does not exist, or this model does not support a cut of this kind.
    fn cut(&self, cut: &Cut) -> Result<Self>;

    /// Logits [B, K] of the smaller network of each cut, from the features of this network: one
    /// tensor for each cut, in their order.
    ///
    /// If it is not given, each smaller network is made and run. Making it costs far less than
    /// running it, so none is kept. A network whose cuts share arithmetic can do better, as
    /// `foresee_model::Network` does.
    ///
    /// # Errors
    /// As [`cut`](Self::cut), or if the features do not fit the network.
    fn logits_of_cuts(&self, features: &Tensor, cuts: &[&Cut]) -> Result<Vec<Tensor>> {
        cuts.iter().map(|cut| logits_of_cut(self, features, cut)).collect()
    }
}

/// The logits of one smaller network.
fn logits_of_cut<M: AttentionModel>(model: &M, features: &Tensor, cut: &Cut) -> Result<Tensor> {
    model.cut(cut)?.logits(&select_channels(features, cut.kept())?)
}

impl GatedModel for Network {
    fn features(&self, images: &Tensor) -> Result<Tensor> {
        self.extractor().forward(images).map(|z| z.detach()).map_err(Error::wrap)
    }

    fn logits_with_curves(
        &self,
        features: &Tensor,
        curves: &[&dyn ToneCurve],
    ) -> Result<Vec<Tensor>> {
        let pooled = self.heads().pool_with_curves(features, curves).map_err(Error::wrap)?;
        let read_out = |features: &Tensor| {
            let logits = self.heads().read_out(features).map_err(Error::wrap)?;
            Ok(logits.detach())
        };
        pooled.iter().map(|pooled| read_out(&pooled.features)).collect()
    }
}

impl AttentionModel for Network {
    fn channels(&self) -> usize {
        self.config().channels
    }

    fn logits(&self, features: &Tensor) -> Result<Tensor> {
        self.forward_features(features).map(|output| output.logits.detach()).map_err(Error::wrap)
    }

    fn cut(&self, cut: &Cut) -> Result<Self> {
        match cut {
            Cut::Plain(kept) => self.keep_channels(kept),
            Cut::With(stand_in) => self.reconstruct_channels(stand_in),
        }
        .map_err(Error::wrap)
    }

    fn logits_of_cuts(&self, features: &Tensor, cuts: &[&Cut]) -> Result<Vec<Tensor>> {
        let of_channels: Vec<ChannelCut> = cuts.iter().map(|cut| cut.of_channels()).collect();
        match self.heads().logits_of_cuts(features, &of_channels).map_err(Error::wrap)? {
            Some(logits) => Ok(logits),
            None => cuts.iter().map(|cut| logits_of_cut(self, features, cut)).collect(),
        }
    }
}
