//! The whole network (Figure 2).

use candle_core::{Device, Tensor, Var};

use crate::config::{NetworkConfig, Readout};
use crate::error::Result;
use crate::extractor::Extractor;
use crate::heads::Heads;
use crate::initial::Initial;
use crate::ops;

/// What the network says of a batch.
#[derive(Debug, Clone)]
pub struct Output {
    /// [B, K]; the probability of an attribute is their sigmoid.
    pub logits: Tensor,
    /// Mean over the pixels of every mask, [B, K, C].
    pub mask_means: Tensor,
    /// H·W: with it, `mask_means` give ‖M‖₁.
    pub pixels: usize,
}

/// The network of the paper.
#[derive(Debug, Clone)]
pub struct Network {
    config: NetworkConfig,
    extractor: Extractor,
    heads: Heads,
}

impl Network {
    /// A network with initial weights that are decided by the seed alone.
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

    /// Table 1.
    pub fn extractor(&self) -> &Extractor {
        &self.extractor
    }

    /// Table 2.
    pub fn heads(&self) -> &Heads {
        &self.heads
    }

    /// Evaluation mode: images [B, 3, H, W], normalised as in training.
    ///
    /// # Errors
    /// If the images are not of three channels.
    pub fn forward(&self, images: &Tensor) -> Result<Output> {
        self.forward_features(&self.extractor.forward(images)?)
    }

    /// The same network in the same memory, whose weights are constants to gradients in evaluation
    /// mode: a forward pass keeps nothing for a backward one unless the images are variables, and a
    /// backward pass to these computes no gradients of weights. What evaluates or explains a
    /// network wants this one. Training mode is not changed.
    #[must_use]
    pub fn frozen(&self) -> Self {
        Self {
            config: self.config.clone(),
            extractor: self.extractor.frozen(),
            heads: Heads { frozen: true, ..self.heads.clone() },
        }
    }

    /// Training mode: batch norm uses the batch's moments and updates the running ones.
    ///
    /// # Errors
    /// If the images are not of three channels.
    pub fn forward_train(&self, images: &Tensor) -> Result<Output> {
        let z = self.extractor.forward_train_pixels(images)?;
        let heads = Heads { frozen: false, ..self.heads.clone() };
        let pooled = heads.pool_pixels(&z)?;
        let (_, h, w, _) = z.dims4()?;
        Ok(Output {
            logits: heads.read_out(&pooled.features)?,
            mask_means: pooled.masks,
            pixels: h * w,
        })
    }

    /// From features z [B, C, H, W] on.
    ///
    /// # Errors
    /// If z has another number of channels.
    pub fn forward_features(&self, z: &Tensor) -> Result<Output> {
        let pooled = self.heads.pool(z)?;
        Ok(Output {
            logits: self.heads.read_out(&pooled.features)?,
            mask_means: pooled.masks,
            pixels: z.dims()[2..].iter().product(),
        })
    }

    /// All tensors by their names in `model.safetensors`.
    pub fn tensors(&self) -> Vec<(String, &Var)> {
        self.extractor.tensors().chain(self.heads.tensors()).collect()
    }

    /// The tensors that training changes by gradient: all but running moments, and the readout's
    /// weights and the masks if they are fixed.
    pub fn trainable(&self) -> Vec<(String, &Var)> {
        let fixed = |name: &str| match name {
            "heads.readout.weight" => self.config.readout == Readout::Mean,
            "heads.mask.weight" | "heads.mask.bias" => !self.config.attention,
            _ => name.contains("running_"),
        };
        self.tensors().into_iter().filter(|(name, _)| !fixed(name)).collect()
    }

    /// The number of trainable values.
    pub fn parameters(&self) -> usize {
        self.trainable().iter().map(|(_, var)| var.elem_count()).sum()
    }

    /// What a training step needs in bytes, for images of this height and width: weights with
    /// gradient and moments, what every layer keeps for the backward pass, and the gradients of the
    /// widest. An estimate: 0.22 GB for a batch of 8 at 64 pixels and 0.65 for 32, where 0.18 and
    /// 0.61 were measured (docs/src/performance.md).
    pub fn training_bytes(&self, batch: usize, image_size: usize) -> u64 {
        const PROGRAM: usize = 60 << 20;
        let kept: usize = self.extractor.plan().iter().map(|&(_, outputs, _)| 2 * outputs).sum();
        let floats = (kept + 4 * self.config.channels) * batch * image_size * image_size
            + 4 * self.parameters();
        (PROGRAM + 4 * floats) as u64
    }

    /// The first tensor of a training step, in the order of the computation, that has a value that
    /// is not finite.
    pub(crate) fn first_not_finite(&self, images: &Tensor, labels: &Tensor) -> Result<String> {
        for (name, tensor) in [("the images", images), ("the labels", labels)] {
            if !ops::is_finite(tensor)? {
                return Ok(name.into());
            }
        }
        for (name, var) in self.trainable() {
            if !ops::is_finite(var)? {
                return Ok(name);
            }
        }
        Ok(match self.extractor.first_not_finite(images)? {
            Some(block) => format!("the output of extractor.{block}"),
            None if ops::is_finite(&self.forward_train(images)?.logits)? => "the loss".into(),
            None => "the logits".into(),
        })
    }

    /// The physically smaller network that has only these channels of the last feature map. It
    /// computes what this network computes when the features of all other channels are set to 0,
    /// shares no weights with it, and can be trained on.
    ///
    /// # Errors
    /// If `channels` is empty or one of them does not exist.
    pub fn keeping(&self, channels: &[usize]) -> Result<Self> {
        self.smaller(channels, |index| self.heads.keeping(index))
    }

    /// The same network in memory of its own.
    pub(crate) fn copied(&self) -> Result<Self> {
        let copy = Self::new(self.config.clone(), 0, self.heads.mask_weight.device())?;
        for ((_, to), (_, from)) in copy.tensors().into_iter().zip(self.tensors()) {
            to.set(from)?;
        }
        Ok(copy)
    }

    /// With only these channels of the extractor, and heads that `heads` makes for them.
    pub(crate) fn smaller(
        &self,
        channels: &[usize],
        heads: impl FnOnce(&Tensor) -> Result<Heads>,
    ) -> Result<Self> {
        let config = NetworkConfig { channels: channels.len(), ..self.config.clone() };
        config.check()?;
        let index: Vec<u32> = channels.iter().map(|&c| c as u32).collect();
        let index = Tensor::from_vec(index, channels.len(), self.heads.mask_weight.device())?;
        Ok(Self { config, extractor: self.extractor.keeping(&index)?, heads: heads(&index)? })
    }
}
