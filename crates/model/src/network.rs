//! The network of Figure 2: extractor and heads.

use candle_core::{Device, Tensor, Var};
use foresee_kernels::{Error as KernelError, Pooled, Precision, Rows};

use crate::config::{NetworkConfig, Readout};
use crate::error::{Error, Result};
use crate::extractor::Extractor;
use crate::heads::{Heads, MASK_WEIGHT};
use crate::initial::Initial;
use crate::tensor::is_finite;

/// The network's output for a batch.
#[derive(Debug, Clone)]
pub struct Output {
    /// Logits [B, K]. Their sigmoid is the probability of an attribute.
    pub logits: Tensor,
    /// Mean over the pixels of every mask, [B, K, C].
    pub mask_means: Tensor,
    /// H·W. ‖M‖₁ of an image is the sum of its `mask_means` times H·W.
    pub pixels: usize,
}

impl Output {
    /// What the heads answer from their means over so many pixels.
    pub(crate) fn new(heads: &Heads, pooled: Pooled, pixels: usize) -> Result<Self> {
        Ok(Self { logits: heads.read_out(&pooled.features)?, mask_means: pooled.masks, pixels })
    }
}

/// The network of the paper.
#[derive(Debug, Clone)]
pub struct Network {
    config: NetworkConfig,
    extractor: Extractor,
    heads: Heads,
}

impl Network {
    /// A network with initial weights, which depend on the seed alone.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use foresee_model::{Network, NetworkConfig};
    ///
    /// let config = NetworkConfig { attributes: 2, channels: 4, ..Default::default() };
    /// let network = Network::new(config, 7, &Device::Cpu)?;
    /// let images = Tensor::zeros((1, 3, 8, 8), DType::F32, &Device::Cpu)?;
    /// let output = network.forward(&images)?;
    /// assert_eq!(output.logits.dims(), [1, 2]);
    /// assert_eq!(output.mask_means.dims(), [1, 2, 4]);
    /// // Masks do not reach 0 or 1.
    /// let means = output.mask_means.flatten_all()?.to_vec1::<f32>()?;
    /// assert!(means.iter().all(|mean| (0. ..1.).contains(mean)));
    /// # Ok::<(), foresee_model::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the configuration is impossible.
    pub fn new(config: NetworkConfig, seed: u64, device: &Device) -> Result<Self> {
        config.check()?;
        let initial = Initial { seed, device };
        Ok(Self {
            extractor: Extractor::new(config.channels, config.precision, &initial)?,
            heads: Heads::new(&config, &initial)?,
            config,
        })
    }

    /// The architecture.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// The dilated feature extractor (Table 1).
    pub fn extractor(&self) -> &Extractor {
        &self.extractor
    }

    /// The attribute heads (Table 2).
    pub fn heads(&self) -> &Heads {
        &self.heads
    }

    /// Forward pass in evaluation mode: images [B, 3, H, W], normalised as in training. Batch norm
    /// uses its running moments.
    ///
    /// # Errors
    /// If the images are not of three channels.
    pub fn forward(&self, images: &Tensor) -> Result<Output> {
        self.forward_features(&self.extractor.forward(images)?)
    }

    /// The same network with detached weights, for evaluation and explanation. It shares memory
    /// with this one. A forward pass keeps nothing for a backward pass unless the images are
    /// variables, and a backward pass to these computes no gradients of weights. Training mode is
    /// not changed.
    #[must_use]
    pub fn frozen(&self) -> Self {
        Self {
            config: self.config.clone(),
            extractor: self.extractor.frozen(),
            heads: Heads { frozen: true, ..self.heads.clone() },
        }
    }

    /// The same network with factors of matrix products in another precision. It shares memory with
    /// this one.
    #[must_use]
    pub fn with_precision(&self, precision: Precision) -> Self {
        Self {
            config: NetworkConfig { precision, ..self.config.clone() },
            extractor: self.extractor.with_precision(precision),
            heads: Heads { precision, ..self.heads.clone() },
        }
    }

    /// The same network in which only these rows (attribute, channel) of the heads have masks. The
    /// masks of all others are 0, and cost nothing on the CPU and on CUDA devices. It shares memory
    /// with this one.
    ///
    /// A logit depends on the rows of its own attribute only, so that of an attribute all of whose
    /// rows are kept does not change by a bit.
    ///
    /// ```
    /// use candle_core::Device;
    /// use foresee_model::{Network, NetworkConfig, Rows};
    ///
    /// let config = NetworkConfig { attributes: 2, channels: 4, ..Default::default() };
    /// let network = Network::new(config, 7, &Device::Cpu)?;
    /// // The second attribute alone.
    /// let rows = Rows::new(4, vec![vec![], vec![0, 1, 2, 3]])?;
    /// assert_eq!(network.with_rows(rows)?.heads().rows().count(), 4);
    /// # Ok::<(), foresee_model::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the rows are of another number of attributes or channels, and [`Error::Config`] if they
    /// leave any out of a network without attention.
    pub fn with_rows(&self, rows: Rows) -> Result<Self> {
        let NetworkConfig { attributes, channels, .. } = self.config;
        if (rows.attributes(), rows.channels()) != (attributes, channels) {
            let given = [rows.attributes(), rows.channels()];
            return Err(KernelError::RowsOf { given, needed: [attributes, channels] }.into());
        }
        if !self.config.attention && !rows.is_all() {
            return Err(Error::Config {
                key: "model.attention",
                value: "false".into(),
                expected: "true: without masks there is no row to leave out",
            });
        }
        Ok(Self { heads: Heads { rows, ..self.heads.clone() }, ..self.clone() })
    }

    /// Forward pass in training mode: images [B, 3, H, W]. Batch norm uses the batch's moments and
    /// updates its running moments.
    ///
    /// # Errors
    /// If the images are not of three channels.
    pub fn forward_train(&self, images: &Tensor) -> Result<Output> {
        let z = self.extractor.forward_train_channels_last(images)?;
        let heads = self.heads.unfrozen();
        let (_, h, w, _) = z.dims4()?;
        Output::new(&heads, heads.pool_channels_last(&z)?, h * w)
    }

    /// The heads' part of the forward pass in evaluation mode, from features z [B, C, H, W].
    ///
    /// # Errors
    /// If z has another number of channels.
    pub fn forward_features(&self, z: &Tensor) -> Result<Output> {
        let pooled = self.heads.pool(z)?;
        Output::new(&self.heads, pooled, z.dims()[2..].iter().product())
    }

    /// All tensors by their names in `model.safetensors`.
    pub fn tensors(&self) -> Vec<(String, &Var)> {
        self.extractor.tensors().chain(self.heads.tensors()).collect()
    }

    /// The tensors that training changes by gradient, by name: all but the running moments, and but
    /// the readout's weights, the last batch norm and the masks if they are fixed.
    pub fn trainable(&self) -> Vec<(String, &Var)> {
        let readout = self.config.readout;
        let last_norm = format!("extractor.{}.bn.", self.extractor.plan().len() - 1);
        let fixed = |name: &str| match name {
            "heads.readout.weight" => !readout.is_trained(),
            MASK_WEIGHT | "heads.mask.bias" => !self.config.attention,
            _ if name.starts_with(&last_norm) && readout.keeps_scale() => true,
            _ => name.contains("running_"),
        };
        self.tensors().into_iter().filter(|(name, _)| !fixed(name)).collect()
    }

    /// The number of trainable values.
    pub fn parameters(&self) -> usize {
        self.trainable().iter().map(|(_, var)| var.elem_count()).sum()
    }

    /// An estimate of the bytes that a training step needs, for images of this height and width:
    /// the weights with their gradients and moments, the activations that each layer keeps for the
    /// backward pass, and the gradients of the widest layer. It gives 0.22 GB for a batch of 8 at
    /// 64 pixels and 0.65 GB for a batch of 32; 0.18 GB and 0.61 GB were measured.
    pub fn training_bytes(&self, batch: usize, image_size: usize) -> u64 {
        const PROGRAM: usize = 60 << 20;
        let layers = self.extractor.plan();
        let kept: usize = layers.iter().map(|&(_, outputs, _)| 2 * outputs).sum();
        let pixels = batch * image_size * image_size;
        let floats = (kept + 4 * self.config.channels) * pixels + 4 * self.parameters();
        (PROGRAM + 4 * floats) as u64
    }

    /// Which tensor of a training step is the first, in the order of the computation, with a value
    /// that is not finite.
    pub(crate) fn first_not_finite(&self, images: &Tensor, labels: &Tensor) -> Result<String> {
        for (name, tensor) in [("the images", images), ("the labels", labels)] {
            if !is_finite(tensor)? {
                return Ok(name.into());
            }
        }
        for (name, var) in self.trainable() {
            if !is_finite(var)? {
                return Ok(name);
            }
        }
        Ok(match self.extractor.first_not_finite(images)? {
            Some(block) => format!("the output of extractor.{block}"),
            None if is_finite(&self.forward_train(images)?.logits)? => "the loss".into(),
            None => "the logits".into(),
        })
    }

    /// A smaller network with only these channels of the last feature map. It computes what this
    /// network computes with the features of all other channels set to 0. It shares no weights with
    /// this network and can be trained on.
    ///
    /// ```
    /// use candle_core::Device;
    /// use foresee_model::{Network, NetworkConfig};
    ///
    /// let config = NetworkConfig { attributes: 2, channels: 4, ..Default::default() };
    /// let network = Network::new(config, 7, &Device::Cpu)?;
    /// let pruned = network.keep_channels(&[0, 3])?;
    /// assert_eq!(pruned.config().channels, 2);
    /// // The channels' weights in the readout are the same.
    /// let (all, kept) = (network.heads().readout_weights()?, pruned.heads().readout_weights()?);
    /// assert_eq!(kept[1], [all[1][0], all[1][3]]);
    /// assert!(network.keep_channels(&[4]).is_err());
    /// # Ok::<(), foresee_model::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `channels` is empty or one of them does not exist.
    pub fn keep_channels(&self, channels: &[usize]) -> Result<Self> {
        self.with_channels(channels, |index| self.heads.keep_channels(channels, index))
    }

    /// A smaller network with only these attributes, in this order: logits [B, A] of A attributes,
    /// bit for bit those that this network gives them, since no attribute reads the masks of
    /// another. Heads are most of a network's work, so that one answer of many then costs little
    /// more than the extractor. It shares no weights with this network.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use foresee_model::{Network, NetworkConfig};
    ///
    /// let config = NetworkConfig { attributes: 3, channels: 4, ..Default::default() };
    /// let network = Network::new(config, 7, &Device::Cpu)?;
    /// let asked = network.keep_attributes(&[2, 0])?;
    /// let images = Tensor::ones((1, 3, 8, 8), DType::F32, &Device::Cpu)?;
    /// let all = network.forward(&images)?.logits.to_vec2::<f32>()?;
    /// assert_eq!(asked.forward(&images)?.logits.to_vec2::<f32>()?, [[all[0][2], all[0][0]]]);
    /// assert!(network.keep_attributes(&[3]).is_err());
    /// # Ok::<(), foresee_model::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `attributes` is empty or one of them does not exist.
    pub fn keep_attributes(&self, attributes: &[usize]) -> Result<Self> {
        let NetworkConfig { attributes: count, channels, .. } = self.config;
        let config = NetworkConfig { attributes: attributes.len(), ..self.config.clone() };
        config.check()?;
        if let Some(&index) = attributes.iter().find(|&&k| k >= count) {
            let operation = "keep_attributes";
            return Err(KernelError::Attribute { operation, index, attributes: count }.into());
        }
        let every: Vec<usize> = (0..channels).collect();
        let kept = self.with_channels(&every, |_| self.heads.keep_attributes(attributes))?;
        Ok(Self { config, ..kept })
    }

    /// The network with only these channels of its extractor, and with the heads that `heads` makes
    /// for them.
    pub(crate) fn with_channels(
        &self,
        channels: &[usize],
        heads: impl FnOnce(&Tensor) -> Result<Heads>,
    ) -> Result<Self> {
        let config = NetworkConfig { channels: channels.len(), ..self.config.clone() };
        config.check()?;
        let index: Vec<u32> = channels.iter().map(|&c| c as u32).collect();
        let index = Tensor::from_vec(index, channels.len(), self.heads.mask_weight.device())?;
        let extractor = self.extractor.keep_channels(&index)?;
        Ok(Self { config, extractor, heads: heads(&index)? })
    }

    /// This network, whose configuration says that it has another readout.
    pub(crate) fn with_readout(self, readout: Readout) -> Self {
        Self { config: NetworkConfig { readout, ..self.config }, ..self }
    }

    /// The same network in memory of its own.
    pub(crate) fn deep_copy(&self) -> Result<Self> {
        let copy = Self::new(self.config.clone(), 0, self.heads.mask_weight.device())?
            .with_rows(self.heads.rows.clone())?;
        for ((_, to), (_, from)) in copy.tensors().into_iter().zip(self.tensors()) {
            to.set(from)?;
        }
        Ok(copy)
    }
}
