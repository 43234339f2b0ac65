use foresee_kernels::Precision;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How a head turns its pooled channels p_k `[C]` into one logit (Table 2 does not say).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Readout {
    /// w_k · p_k + b_k, with learned w and b.
    #[default]
    Linear,
    /// mean_c p_kc + b_k, with learned b: `heads.readout.weight` is 1/C throughout and is not
    /// trained.
    Mean,
}

/// The architecture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// K, the number of binary classifiers. Default 40.
    pub attributes: usize,
    /// C, the channels of the last feature map and of every mask. Default 128.
    pub channels: usize,
    /// Size n of the masks' n×n convolution, 1 or 3. Default 1.
    pub mask_kernel: usize,
    /// Default [`Readout::Linear`].
    pub readout: Readout,
    /// Whether masks are learned (default). Without, they are all 1: the same network with plain
    /// global average pooling, to compare with.
    pub attention: bool,
    /// How the factors of matrix products are held; weights, sums and everything else are `f32` in
    /// either case. Default [`Precision::F32`].
    pub precision: Precision,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            attributes: 40,
            channels: 128,
            mask_kernel: 1,
            readout: Readout::Linear,
            attention: true,
            precision: Precision::F32,
        }
    }
}

impl NetworkConfig {
    /// # Errors
    /// If a value is outside its range.
    pub fn check(&self) -> Result<()> {
        range("model.attributes", self.attributes, 1..=4096, "a number from 1 to 4096")?;
        range("model.channels", self.channels, 1..=4096, "a number from 1 to 4096")?;
        match self.mask_kernel {
            1 | 3 => Ok(()),
            n => Err(Error::Config {
                key: "model.mask_kernel",
                value: n.to_string(),
                expected: "1 or 3",
            }),
        }
    }
}

/// Over what ‖M‖₁ of Eq. 10 is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sparsity {
    /// The sum over K, C, H and W, averaged over the batch: the norm as written.
    #[default]
    Sum,
    /// The mean over all entries.
    Mean,
}

/// Eq. 10's second term.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossConfig {
    /// λ. Default 1e-5, the paper's.
    pub lambda: f64,
    /// Default [`Sparsity::Sum`].
    pub sparsity: Sparsity,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self { lambda: 1e-5, sparsity: Sparsity::Sum }
    }
}

/// How the network is trained. The paper says nothing but λ; these are this project's choices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training images. Default 5.
    pub epochs: usize,
    /// Highest learning rate of the one-cycle schedule. Default 3e-3.
    pub learning_rate: f64,
    /// Decoupled weight decay of AdamW, on convolution and readout weights only. Default 1e-4.
    pub weight_decay: f64,
    /// Share of the steps in which the learning rate rises. Default 0.3.
    pub warmup: f64,
    /// Decay of the moving average of all weights and running moments that training ends with; 0
    /// (default): none, the last ones.
    pub average: f64,
    /// λ and its reading.
    pub loss: LossConfig,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 5,
            learning_rate: 3e-3,
            weight_decay: 1e-4,
            warmup: 0.3,
            average: 0.,
            loss: LossConfig::default(),
        }
    }
}

impl TrainConfig {
    /// # Errors
    /// If a value is outside its range.
    pub fn check(&self) -> Result<()> {
        range("train.epochs", self.epochs, 1..=100_000, "a number from 1 to 100000")?;
        range("train.learning_rate", self.learning_rate, 1e-9..=10., "a number from 1e-9 to 10")?;
        range("train.weight_decay", self.weight_decay, 0. ..=10., "a number from 0 to 10")?;
        range("train.warmup", self.warmup, 0. ..=1., "a share from 0 to 1")?;
        range("train.average", self.average, 0. ..=0.999_999, "a decay from 0 to 0.999999")?;
        range("train.lambda", self.loss.lambda, 0. ..=1e6, "a number from 0 to 1e6")
    }
}

fn range<T: PartialOrd + std::fmt::Display>(
    key: &'static str,
    value: T,
    range: std::ops::RangeInclusive<T>,
    expected: &'static str,
) -> Result<()> {
    match range.contains(&value) {
        true => Ok(()),
        false => Err(Error::Config { key, value: value.to_string(), expected }),
    }
}
