//! Table 2 and Eq. 9: binary classifiers, each with an attention mask for every channel.

use candle_core::{D, Tensor, Var};
use foresee_kernels::{Pooled, Precision, ToneCurve};

use crate::config::{NetworkConfig, Readout};
use crate::error::Result;
use crate::extractor::seen;
use crate::initial::Initial;
use crate::ops;

/// K heads: masks M^k = sigmoid(conv_k(z)), average of M^k ⊗ z over the pixels, readout to one
/// logit.
#[derive(Debug, Clone)]
pub struct Heads {
    /// [K·C, C, n, n], row k·C + c.
    pub(crate) mask_weight: Var,
    /// `[K·C]`.
    pub(crate) mask_bias: Var,
    /// [K, C].
    pub(crate) readout_weight: Var,
    /// `[K]`.
    pub(crate) readout_bias: Var,
    /// Whether masks are computed; else they are all 1.
    pub(crate) attention: bool,
    pub(crate) precision: Precision,
    /// Whether weights are constants to gradients.
    pub(crate) frozen: bool,
}

/// sigmoid(40) is 1 in `f32`.
const OPEN: f32 = 40.;

impl Heads {
    pub(crate) fn new(config: &NetworkConfig, initial: &Initial) -> Result<Self> {
        let NetworkConfig {
            attributes: k,
            channels: c,
            mask_kernel: n,
            readout,
            attention,
            precision,
        } = *config;
        let (filters, biases) = ([k * c, c, n, n], [k * c]);
        Ok(Self {
            mask_weight: if attention {
                initial.uniform(100, &filters, c * n * n)?
            } else {
                initial.constant(0., &filters)?
            },
            mask_bias: if attention {
                initial.uniform(101, &biases, c * n * n)?
            } else {
                initial.constant(OPEN, &biases)?
            },
            readout_weight: match readout {
                Readout::Linear => initial.uniform(102, &[k, c], c)?,
                Readout::Mean => initial.constant(1. / c as f32, &[k, c])?,
            },
            readout_bias: initial.uniform(103, &[k], c)?,
            attention,
            precision,
            frozen: false,
        })
    }

    /// Means over the pixels of M^k ⊗ z and of M^k, each [B, K, C], for z [B, C, H, W].
    ///
    /// # Errors
    /// If z has another number of channels.
    pub fn pool(&self, z: &Tensor) -> Result<Pooled> {
        match self.attention {
            true => ops::attention(
                z,
                &seen(&self.mask_weight, self.frozen),
                &seen(&self.mask_bias, self.frozen),
                self.precision,
            ),
            false => self.average(&z.mean((2, 3))?),
        }
    }

    /// The same of z [B, H, W, C].
    pub(crate) fn pool_pixels(&self, z: &Tensor) -> Result<Pooled> {
        match self.attention {
            true => ops::attention_of_pixels(z, &self.mask_weight, &self.mask_bias, self.precision),
            false => self.average(&z.mean((1, 2))?),
        }
    }

    /// All masks are 1: every attribute sees the channels' means [B, C].
    fn average(&self, means: &Tensor) -> Result<Pooled> {
        let (b, c) = means.dims2()?;
        let features = means.unsqueeze(1)?.broadcast_as((b, self.readout_weight.dims()[0], c))?;
        Ok(Pooled { masks: features.ones_like()?, features })
    }

    /// The same with the masks transformed by each curve (Eq. 13), for evaluation only.
    ///
    /// # Errors
    /// If z has another number of channels.
    pub fn pool_under(&self, z: &Tensor, curves: &[&dyn ToneCurve]) -> Result<Vec<Pooled>> {
        ops::attention_under(z, &self.mask_weight, &self.mask_bias, curves, self.precision)
    }

    /// Logits [B, K] from pooled products [B, K, C].
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn read_out(&self, pooled: &Tensor) -> Result<Tensor> {
        let (weight, bias) =
            (seen(&self.readout_weight, self.frozen), seen(&self.readout_bias, self.frozen));
        Ok(pooled.broadcast_mul(&weight)?.sum(D::Minus1)?.broadcast_add(&bias)?)
    }

    /// The masks of chosen attributes, [B, A, C, H, W].
    ///
    /// # Errors
    /// If an attribute does not exist.
    pub fn masks(&self, z: &Tensor, attributes: &[usize]) -> Result<Tensor> {
        ops::masks(z, &self.mask_weight, &self.mask_bias, attributes)
    }

    /// The readout weights w, [K, C].
    ///
    /// # Errors
    /// If candle fails.
    pub fn readout_weights(&self) -> Result<Vec<Vec<f32>>> {
        Ok(self.readout_weight.to_vec2()?)
    }

    /// WᵀW [C, C] of the masks' convolutions of all attributes: how alike two channels are to those
    /// who read them.
    ///
    /// # Errors
    /// If candle fails.
    pub fn mask_gram(&self) -> Result<Vec<Vec<f32>>> {
        let c = self.mask_weight.dims()[1];
        let columns = self.mask_weight.transpose(0, 1)?.contiguous()?.reshape((c, ()))?;
        Ok(columns.matmul(&columns.t()?)?.to_vec2()?)
    }

    pub(crate) fn tensors(&self) -> [(String, &Var); 4] {
        [
            ("heads.mask.weight".into(), &self.mask_weight),
            ("heads.mask.bias".into(), &self.mask_bias),
            ("heads.readout.weight".into(), &self.readout_weight),
            ("heads.readout.bias".into(), &self.readout_bias),
        ]
    }

    /// The same heads on only these channels.
    pub(crate) fn keeping(&self, channels: &Tensor) -> Result<Self> {
        let (k, c) = self.readout_weight.dims2()?;
        let n = self.mask_weight.dims()[2];
        let kept = channels.elem_count();
        let mask_weight = self
            .mask_weight
            .reshape((k, c, c, n, n))?
            .index_select(channels, 1)?
            .index_select(channels, 2)?;
        let mask_bias = self.mask_bias.reshape((k, c))?.index_select(channels, 1)?;
        Ok(Self {
            mask_weight: Var::from_tensor(
                &mask_weight.reshape((k * kept, kept, n, n))?.contiguous()?,
            )?,
            mask_bias: Var::from_tensor(&mask_bias.reshape(k * kept)?.contiguous()?)?,
            readout_weight: Var::from_tensor(
                &self.readout_weight.index_select(channels, 1)?.contiguous()?,
            )?,
            readout_bias: Var::from_tensor(&self.readout_bias.as_tensor().copy()?)?,
            attention: self.attention,
            precision: self.precision,
            frozen: self.frozen,
        })
    }
}
