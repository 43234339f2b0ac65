//! Table 2 and Eq. 9: binary classifiers, each with an attention mask for every channel.

use candle_core::{D, DType, Tensor, Var};
use foresee_kernels::channels_last::{self, LossOfMeans, PooledWithGradients};
use foresee_kernels::{
    Pooled, Precision, Rows, ToneCurve, attention_heads_of_rows, attention_heads_with_curves,
    attention_masks,
};

use crate::config::{NetworkConfig, Readout};
use crate::error::Result;
use crate::initial::Initial;
use crate::tensor::detach;

/// K heads: masks M^k = sigmoid(conv_k(z)), the average of M^k ⊗ z over the pixels, and a readout
/// to one logit.
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
    /// The rows that have masks.
    pub(crate) rows: Rows,
    /// Whether masks are computed. Otherwise they are all 1.
    pub(crate) attention: bool,
    pub(crate) precision: Precision,
    /// Whether weights are detached in evaluation mode.
    pub(crate) frozen: bool,
}

/// The name of the masks' convolution.
pub(crate) const MASK_WEIGHT: &str = "heads.mask.weight";

/// The masks' biases without attention: sigmoid(40) is 1 in `f32`.
const OPEN: f32 = 40.;

/// What a channel adds to a sum before any training, about: a mask of 1/2 times the mean 0.4 of a
/// leaky ReLU of a standard normal. Biases of a sum begin so that logits begin near 0.
const FIRST_TERM: f32 = 0.2;

/// The readout's initial weights [K, C].
fn readout_weight(readout: Readout, (k, c): (usize, usize), initial: &Initial) -> Result<Var> {
    let drawn = || initial.uniform(102, &[k, c], c);
    match readout {
        Readout::Linear => Ok(drawn()?),
        Readout::Mean => Ok(initial.constant(1. / c as f32, &[k, c])?),
        Readout::Sum => Ok(initial.constant(1., &[k, c])?),
        Readout::Positive => Ok(Var::from_tensor(&drawn()?.as_detached_tensor().abs()?)?),
        Readout::Signs => {
            let speaks_for = drawn()?.as_detached_tensor().ge(0f32)?.to_dtype(DType::F32)?;
            Ok(Var::from_tensor(&speaks_for.affine(2., -1.)?)?)
        }
    }
}

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
        let filters = [k * c, c, n, n];
        let biases = [k * c];
        Ok(Self {
            mask_weight: match attention {
                true => initial.uniform(100, &filters, c * n * n)?,
                false => initial.constant(0., &filters)?,
            },
            mask_bias: match attention {
                true => initial.uniform(101, &biases, c * n * n)?,
                false => initial.constant(OPEN, &biases)?,
            },
            readout_weight: readout_weight(readout, (k, c), initial)?,
            readout_bias: match readout {
                Readout::Sum => initial.constant(-FIRST_TERM * c as f32, &[k])?,
                _ => initial.uniform(103, &[k], c)?,
            },
            rows: Rows::all(k, c),
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
        if !self.attention {
            return self.pool_without_masks(&z.mean((2, 3))?);
        }
        let weight = detach(&self.mask_weight, self.frozen);
        let bias = detach(&self.mask_bias, self.frozen);
        Ok(attention_heads_of_rows(z, &weight, &bias, &self.rows, self.precision)?)
    }

    /// [`pool`](Self::pool) for z [B, H, W, C] and weights that are not detached.
    pub(crate) fn pool_channels_last(&self, z: &Tensor) -> Result<Pooled> {
        if !self.attention {
            return self.pool_without_masks(&z.mean((1, 2))?);
        }
        let Self { mask_weight, mask_bias, rows, precision, .. } = self;
        Ok(channels_last::attention_heads(z, mask_weight, mask_bias, rows, *precision)?)
    }

    /// [`pool_channels_last`](Self::pool_channels_last) with the gradients of a loss, if one
    /// operation computes both.
    pub(crate) fn pool_with_loss(
        &self,
        z: &Tensor,
        loss: &dyn LossOfMeans,
    ) -> Result<Option<PooledWithGradients>> {
        if !self.attention {
            return Ok(None);
        }
        let Self { mask_weight, mask_bias, rows, precision, .. } = self;
        let pooled = channels_last::attention_heads_with_loss(
            z,
            mask_weight,
            mask_bias,
            rows,
            *precision,
            loss,
        )?;
        Ok(pooled)
    }

    /// The same heads with weights that are not detached.
    pub(crate) fn unfrozen(&self) -> Self {
        Self { frozen: false, ..self.clone() }
    }

    /// All masks are 1: every attribute gets the channels' means [B, C].
    fn pool_without_masks(&self, means: &Tensor) -> Result<Pooled> {
        let (b, c) = means.dims2()?;
        let features = means.unsqueeze(1)?.broadcast_as((b, self.readout_weight.dims()[0], c))?;
        Ok(Pooled { masks: features.ones_like()?, features })
    }

    /// [`pool`](Self::pool) with the masks transformed by each curve (Eq. 13), for evaluation only:
    /// one result for each curve.
    ///
    /// # Errors
    /// If z has another number of channels.
    pub fn pool_with_curves(&self, z: &Tensor, curves: &[&dyn ToneCurve]) -> Result<Vec<Pooled>> {
        let Self { mask_weight, mask_bias, rows, precision, .. } = self;
        Ok(attention_heads_with_curves(z, mask_weight, mask_bias, rows, curves, *precision)?)
    }

    /// Logits [B, K] from pooled products [B, K, C]: w_k · p_k + b_k.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn read_out(&self, pooled: &Tensor) -> Result<Tensor> {
        let weight = detach(&self.readout_weight, self.frozen);
        let bias = detach(&self.readout_bias, self.frozen);
        Ok(pooled.broadcast_mul(&weight)?.sum(D::Minus1)?.broadcast_add(&bias)?)
    }

    /// The masks of the chosen attributes for z [B, C, H, W]: [B, A, C, H, W].
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use foresee_model::{Network, NetworkConfig};
    ///
    /// let config = NetworkConfig { attributes: 3, channels: 4, ..Default::default() };
    /// let network = Network::new(config, 7, &Device::Cpu)?;
    /// let images = Tensor::zeros((1, 3, 8, 8), DType::F32, &Device::Cpu)?;
    /// let z = network.extractor().forward(&images)?;
    /// // The masks of attributes 2 and 0.
    /// let masks = network.heads().masks(&z, &[2, 0])?;
    /// assert_eq!(masks.dims(), [1, 2, 4, 8, 8]);
    /// # Ok::<(), foresee_model::Error>(())
    /// ```
    ///
    /// # Errors
    /// If an attribute does not exist.
    pub fn masks(&self, z: &Tensor, attributes: &[usize]) -> Result<Tensor> {
        Ok(attention_masks(z, &self.mask_weight, &self.mask_bias, &self.rows, attributes)?)
    }

    /// The rows (attribute, channel) that have masks. The masks of all others are 0.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// The readout weights w, [K, C].
    ///
    /// # Errors
    /// If candle fails.
    pub fn readout_weights(&self) -> Result<Vec<Vec<f32>>> {
        Ok(self.readout_weight.to_vec2()?)
    }

    /// The Gram matrix WᵀW [C, C] of the masks' convolutions of all attributes: how similarly the
    /// masks weigh two channels.
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
            (MASK_WEIGHT.into(), &self.mask_weight),
            ("heads.mask.bias".into(), &self.mask_bias),
            ("heads.readout.weight".into(), &self.readout_weight),
            ("heads.readout.bias".into(), &self.readout_bias),
        ]
    }

    /// The heads of only these attributes, each with the masks of all channels. They share no
    /// variable with these.
    pub(crate) fn keep_attributes(&self, attributes: &[usize]) -> Result<Self> {
        let c = self.readout_weight.dims()[1];
        let device = self.mask_weight.device();
        let index = |numbers: Vec<u32>| Tensor::from_iter(numbers, device);
        let heads = index(attributes.iter().map(|&k| k as u32).collect())?;
        let rows = |&k: &usize| (k * c) as u32..((k + 1) * c) as u32;
        let rows = index(attributes.iter().flat_map(rows).collect())?;
        let select = |var: &Var, index: &Tensor| -> Result<Var> {
            Ok(Var::from_tensor(&var.as_detached_tensor().index_select(index, 0)?)?)
        };
        Ok(Self {
            mask_weight: select(&self.mask_weight, &rows)?,
            mask_bias: select(&self.mask_bias, &rows)?,
            readout_weight: select(&self.readout_weight, &heads)?,
            readout_bias: select(&self.readout_bias, &heads)?,
            rows: self.rows.on_attributes(attributes),
            ..self.clone()
        })
    }

    /// The heads on only these channels. They share no variable with these.
    /// `index` holds them too.
    pub(crate) fn keep_channels(&self, channels: &[usize], index: &Tensor) -> Result<Self> {
        let (k, c) = self.readout_weight.dims2()?;
        let n = self.mask_weight.dims()[2];
        let kept = channels.len();
        let mask_weight = self
            .mask_weight
            .reshape((k, c, c, n, n))?
            .index_select(index, 1)?
            .index_select(index, 2)?;
        let mask_weight = mask_weight.reshape((k * kept, kept, n, n))?.contiguous()?;
        let mask_bias = self.mask_bias.reshape((k, c))?.index_select(index, 1)?;
        let mask_bias = mask_bias.reshape(k * kept)?.contiguous()?;
        let readout_weight = self.readout_weight.index_select(index, 1)?.contiguous()?;
        Ok(Self {
            mask_weight: Var::from_tensor(&mask_weight)?,
            mask_bias: Var::from_tensor(&mask_bias)?,
            readout_weight: Var::from_tensor(&readout_weight)?,
            readout_bias: Var::from_tensor(&self.readout_bias.as_tensor().copy()?)?,
            rows: self.rows.on_channels(channels),
            attention: self.attention,
            precision: self.precision,
            frozen: self.frozen,
        })
    }
}
