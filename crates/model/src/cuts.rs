//! The logits of many smaller networks without making them.

use candle_core::Tensor;
use foresee_kernels::{ChannelCut, HeadWeights, StandIn, attention_logits_of_cuts};

use crate::error::Result;
use crate::heads::Heads;
use crate::reconstruction::Reconstruction;

impl Reconstruction {
    /// The cut of a feature map that leaves the kept channels, which stand in for the others.
    pub fn channel_cut(&self) -> ChannelCut<'_> {
        ChannelCut {
            kept: &self.kept,
            stand_in: Some(StandIn {
                weights: &self.weights,
                offsets: &self.offsets,
                readout: &self.readout,
                readout_offsets: &self.readout_offsets,
            }),
        }
    }
}

impl Heads {
    /// Logits [B, K] of the smaller network of each cut, from the features z [B, C, H, W] of this
    /// one. But for rounding they are those of
    /// [`Network::keep_channels`](crate::Network::keep_channels) and
    /// [`Network::reconstruct_channels`](crate::Network::reconstruct_channels), and cost far less:
    /// see [`attention_logits_of_cuts`]. They carry no gradients.
    ///
    /// `None` for heads without attention, with masks of more than one pixel (n > 1), or not on the
    /// CPU. The smaller networks are then to be made and run.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use foresee_kernels::ChannelCut;
    /// use foresee_model::{Network, NetworkConfig};
    ///
    /// let config = NetworkConfig { attributes: 2, channels: 4, ..Default::default() };
    /// let network = Network::new(config, 7, &Device::Cpu)?;
    /// let images = Tensor::ones((1, 3, 8, 8), DType::F32, &Device::Cpu)?;
    /// let z = network.extractor().forward(&images)?;
    /// let cuts = [ChannelCut::plain(&[0, 3]), ChannelCut::plain(&[1])];
    /// let logits = network.heads().logits_of_cuts(&z, &cuts)?.expect("masks of 1×1 on the CPU");
    /// let pruned = network.keep_channels(&[0, 3])?.forward(&images)?.logits;
    /// let difference = (&logits[0] - &pruned)?.abs()?.max_all()?.to_scalar::<f32>()?;
    /// assert!(difference < 1e-5);
    /// # Ok::<(), foresee_model::Error>(())
    /// ```
    ///
    /// # Errors
    /// If z has another number of channels, or a cut does not fit the heads.
    pub fn logits_of_cuts(&self, z: &Tensor, cuts: &[ChannelCut]) -> Result<Option<Vec<Tensor>>> {
        if !self.attention {
            return Ok(None);
        }
        let heads = HeadWeights {
            mask_weight: self.mask_weight.as_tensor(),
            mask_bias: self.mask_bias.as_tensor(),
            readout_weight: self.readout_weight.as_tensor(),
            readout_bias: self.readout_bias.as_tensor(),
            rows: &self.rows,
        };
        Ok(attention_logits_of_cuts(z, &heads, cuts, self.precision)?)
    }
}
