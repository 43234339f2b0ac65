use candle_core::Device;
use foresee_kernels::Precision;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How a head turns its pooled channels p_k `[C]` into one logit. Table 2 does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Readout {
    /// w_k · p_k + b_k, with learned w and b.
    #[default]
    Linear,
    /// mean_c p_kc + b_k, with learned b. Every element of `heads.readout.weight` is 1/C and is not
    /// trained.
    Mean,
    /// w_k · p_k + b_k with w ≥ 0: every channel speaks for an attribute or says nothing, and none
    /// against it. After each step, weights below 0 become 0.
    Positive,
    /// Σ_c p_kc + b_k, with learned b. Every element of `heads.readout.weight` is 1 and is not
    /// trained. Nor are the scale and the shift of the last batch norm, 1 and 0, so that all
    /// channels of z have one scale. How much a channel says of an attribute is in its mask alone.
    Sum,
    /// As [`Sum`](Self::Sum), but every element is 1 or -1, drawn with the initial weights: a
    /// channel speaks for an attribute or against it.
    Signs,
}

impl Readout {
    /// Whether its weights are trained. Otherwise all channels' weights have one size.
    pub fn is_trained(self) -> bool {
        matches!(self, Self::Linear | Self::Positive)
    }

    /// Whether the last batch norm keeps its scale and shift, so that the features have one scale.
    pub(crate) fn keeps_scale(self) -> bool {
        matches!(self, Self::Sum | Self::Signs)
    }
}

/// The architecture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// K, the number of binary classifiers, 1 to 4096. Default 40.
    pub attributes: usize,
    /// C, the channels of the last feature map and of every mask, 1 to 4096. Default 128.
    pub channels: usize,
    /// Size n of the masks' n×n convolution, 1 or 3. Default 1.
    pub mask_kernel: usize,
    /// How pooled channels become a logit. Default [`Readout::Linear`].
    pub readout: Readout,
    /// Whether masks are learned. Otherwise they are all 1: the same network with plain global
    /// average pooling, as a baseline. Default true.
    pub attention: bool,
    /// How the factors of matrix products are held. Weights and sums are `f32` in either case.
    /// Default [`Precision::F32`].
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
    /// Checks that every setting is possible.
    ///
    /// # Errors
    /// [`Error::Config`] if a value is outside its range.
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

/// How ‖M‖₁ of Eq. 10 is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sparsity {
    /// The norm as written: the sum over K, C, H and W, averaged over the batch.
    #[default]
    Sum,
    /// The mean over all entries.
    Mean,
    /// The sum over K, C, H and W, and over the images of the batch too.
    Batch,
    /// The sum over K, C, H and W as an image of 32 × 32 pixels would have it, averaged over the
    /// batch: 1024 times the sum over K and C of the means over H and W. λ then means the same for
    /// images of any size.
    Pixels,
    /// Σ over K and C of H·W·√(mean of the mask + 1e-4), averaged over the batch. The root presses
    /// a mask the more, the less it is open, so that an attribute keeps few channels and these wide
    /// open. It is the group bridge of Huang et al. (2009) with the pixels of a mask as a group.
    Group,
}

/// How the network is trained. The paper states only λ; all defaults but λ's are this project's
/// choices.
///
/// ```
/// use foresee_model::TrainConfig;
///
/// let config = TrainConfig { epochs: 3, lambda: 0., ..Default::default() };
/// assert!(config.check().is_ok());
/// let refused = TrainConfig { epochs: 0, ..config }.check();
/// assert!(refused.unwrap_err().to_string().contains("train.epochs = 0"));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training images, 1 to 100,000. Default 5.
    pub epochs: usize,
    /// Highest learning rate of the one-cycle schedule, 1e-9 to 10. Default 3e-3.
    pub learning_rate: f64,
    /// Decoupled weight decay of AdamW on convolution and readout weights, 0 to 10. Default 1e-4.
    pub weight_decay: f64,
    /// Decoupled weight decay of the masks' convolution besides
    /// [`weight_decay`](Self::weight_decay). A mask then depends less on the features, and more on
    /// its bias. 0 to 100. Default 0; left out of files if it is 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub mask_decay: f64,
    /// Share of the steps in which the learning rate rises, 0 to 1. Default 0.3.
    pub warmup: f64,
    /// λ of Eq. 10, 0 to 1e6. Default 1e-5, the paper's.
    pub lambda: f64,
    /// How ‖M‖₁ of Eq. 10 is read. Default [`Sparsity::Sum`].
    pub sparsity: Sparsity,
    /// Decay of the exponential moving average of all weights and running moments, which is the
    /// result of the training; 0 to 0.999999. With 0 the last weights are the result. Default 0;
    /// left out of files if it is 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub average: f64,
    /// A mask that stays at or below this on every pixel, at two looks in a row, sleeps: it is not
    /// computed on images with all channels, and its mean of the last look stands in for it. From
    /// these it gets no gradient; the optimizer's momentum and weight decay go on for its weights,
    /// and its readout weight is trained on the constant mean. Step 0 and every 32nd step look at
    /// all masks and wake those that opened. On images with dropped channels none sleeps
    /// ([`drop`](Self::drop)). 0 to 1; at 0 none sleeps. Default 0; left out of files if it is 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub sleep: f64,
    /// The share of an attribute's masks, in the mean over channels and pixels, that costs nothing:
    /// ‖M‖₁ of an image and an attribute counts only as far as it is above this. 0 to 1. Default 0:
    /// all of it counts; left out of files if it is 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub budget: f64,
    /// Trains for pruning in any order. Every other image, by chance, passes the heads without some
    /// channels: a number of them drawn from 1 to this share of all, and then so many at random.
    /// They are 0, as after pruning. 0 to 1. Default 0: none; left out of files if it is 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub drop: f64,
    /// Trains for semantic pruning. As [`drop`](Self::drop), but channels go in the order of
    /// semantic pruning (the lower filter norm of the most correlated pair first), by correlations
    /// over the batches of every 32nd step. If both are set, each image draws one of the two.
    #[serde(skip_serializing_if = "is_zero")]
    pub drop_correlated: f64,
    /// Trains for noise. Every other image, by chance, gets Gaussian noise of a standard deviation
    /// drawn from 0 to this, in pixels of [0, 1] that are normalised with a deviation of 0.5, and
    /// not clipped. 0 to 10. Default 0: none; left out of files if it is 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub noise: f64,
    /// The share of the gradient of images with [`noise`](Self::noise) that the heads do not pass
    /// on to the extractor. At 1 the heads alone learn from their labels. The extractor's batch
    /// norms see these images all the same, and so does [`decorrelate`](Self::decorrelate). 0 to
    /// 1. Default 0; left out of files if it is 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub noise_detach: f64,
    /// Trains for tone curves on the masks: Eq. 11 with n = 1, (1 + β)·M - β. With
    /// [`noise`](Self::noise) β is this times the image's share of the greatest noise, so that the
    /// curve tells the heads how noisy an image is. Without, every other image draws β from 0 to
    /// this. 0 to 10. Default 0: none; left out of files if it is 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub curve: f64,
    /// What the mean squared correlation of two channels costs; its cost is part of the reported
    /// sparsity. Over the positions of the images
    /// that are computed together. 0 to 1e6. Default 0; left out of files if it is 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub decorrelate: f64,
    /// What the total variation of the masks costs, so that they lie in one place; its cost is part
    /// of the reported sparsity. It is the mean over images, channels and pixels of the differences
    /// from a pixel's mask to that of the next column and the next row, of one attribute drawn at
    /// each step. 0 to 1e6. Default 0; left out of files if it is 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub variation: f64,
    /// Images of a micro-batch: a step cuts its batch into such, and adds up what each comes to in
    /// one fixed order, which ranks can share ([`SharedBatch`](crate::SharedBatch)). 0 to 65,536;
    /// at 0 the batch is one piece. It always is for networks that
    /// [cannot be shared](crate::Trainable::can_be_shared). Default 0; left out of files if it is
    /// 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub micro_batch: usize,
    /// The same on CUDA devices, which are slow at small pieces. On other GPUs a batch is one
    /// piece.
    #[serde(skip_serializing_if = "is_zero")]
    pub gpu_micro_batch: usize,
}

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 5,
            learning_rate: 3e-3,
            weight_decay: 1e-4,
            mask_decay: 0.,
            warmup: 0.3,
            lambda: 1e-5,
            sparsity: Sparsity::Sum,
            average: 0.,
            sleep: 0.,
            budget: 0.,
            drop: 0.,
            drop_correlated: 0.,
            noise: 0.,
            noise_detach: 0.,
            curve: 0.,
            decorrelate: 0.,
            variation: 0.,
            micro_batch: 0,
            gpu_micro_batch: 0,
        }
    }
}

impl TrainConfig {
    /// Steps from one look at sleeping masks to the next ([`sleep`](Self::sleep)).
    pub const LOOK_EVERY: usize = 32;

    /// Images of a micro-batch where batches are on this device; 0: the batch is one piece.
    pub fn micro_batch_on(&self, device: &Device) -> usize {
        match device {
            Device::Cpu => self.micro_batch,
            Device::Cuda(_) => self.gpu_micro_batch,
            Device::Metal(_) => 0,
        }
    }

    /// Whether masks of such a network may sleep in training.
    pub fn may_sleep(&self, network: &NetworkConfig) -> bool {
        self.sleep > 0. && network.attention
    }

    /// The options of the paper's network in training that are off at 0, by their names in files.
    /// Other networks know none of them.
    pub fn options(&self) -> [(&'static str, f64); 9] {
        [
            ("mask_decay", self.mask_decay),
            ("budget", self.budget),
            ("drop", self.drop),
            ("drop_correlated", self.drop_correlated),
            ("noise", self.noise),
            ("noise_detach", self.noise_detach),
            ("curve", self.curve),
            ("decorrelate", self.decorrelate),
            ("variation", self.variation),
        ]
    }

    /// Those of the [`options`](Self::options) that do something to masks, by their names in
    /// profiles: a network without masks knows none of them.
    pub fn of_masks(&self) -> [(&'static str, f64); 4] {
        [
            ("train.mask_decay", self.mask_decay),
            ("train.budget", self.budget),
            ("train.curve", self.curve),
            ("train.variation", self.variation),
        ]
    }

    /// The settings that files leave out if they are 0, by their names: they came after the first
    /// files. So are [`micro_batch`](Self::micro_batch) and
    /// [`gpu_micro_batch`](Self::gpu_micro_batch), whole numbers.
    pub fn left_out_if_zero(&self) -> impl Iterator<Item = (&'static str, f64)> {
        [("average", self.average), ("sleep", self.sleep)].into_iter().chain(self.options())
    }

    /// Checks that a network of this architecture can be trained so: that its attributes can be
    /// told apart, and that no option is without effect on it.
    ///
    /// # Errors
    /// [`Error::Config`] for one that would be.
    pub fn check_for(&self, network: &NetworkConfig) -> Result<()> {
        let masks = "0 without masks (model.attention=false)";
        let group = if self.sparsity == Sparsity::Group { self.lambda } else { 0. };
        for (key, value) in self.of_masks().into_iter().chain([("train.lambda", group)]) {
            if value > 0. && !network.attention {
                return Err(Error::Config { key, value: value.to_string(), expected: masks });
            }
        }
        let NetworkConfig { readout, attributes, attention, .. } = *network;
        if attributes > 1 && !attention && matches!(readout, Readout::Mean | Readout::Sum) {
            return Err(Error::Config {
                key: "model.readout",
                value: if readout == Readout::Sum { "sum" } else { "mean" }.into(),
                expected: "linear, positive or signs without masks (model.attention=false): all \
                           attributes would read the same",
            });
        }
        let leaving = [("train.drop", self.drop), ("train.drop_correlated", self.drop_correlated)];
        for (key, share) in leaving {
            if share > 0. && self.leaving(share, network.channels) == 0 {
                let expected = "0, or a share that is a channel or more and leaves one";
                let value = format!("{share} with model.channels = {}", network.channels);
                return Err(Error::Config { key, value, expected });
            }
        }
        Ok(())
    }

    /// The most channels that a share of them is; one stays.
    pub(crate) fn leaving(&self, share: f64, channels: usize) -> usize {
        ((share * channels as f64).round() as usize).min(channels - 1)
    }

    /// Checks that every setting is possible.
    ///
    /// # Errors
    /// [`Error::Config`] if a value is outside its range.
    pub fn check(&self) -> Result<()> {
        range("train.epochs", self.epochs, 1..=100_000, "a number from 1 to 100000")?;
        range("train.learning_rate", self.learning_rate, 1e-9..=10., "a number from 1e-9 to 10")?;
        range("train.weight_decay", self.weight_decay, 0. ..=10., "a number from 0 to 10")?;
        range("train.mask_decay", self.mask_decay, 0. ..=100., "a number from 0 to 100")?;
        range("train.warmup", self.warmup, 0. ..=1., "a share from 0 to 1")?;
        range("train.average", self.average, 0. ..=0.999_999, "a decay from 0 to 0.999999")?;
        range("train.sleep", self.sleep, 0. ..=1., "a mask from 0 to 1")?;
        range("train.budget", self.budget, 0. ..=1., "a share from 0 to 1")?;
        range("train.drop", self.drop, 0. ..=1., "a share from 0 to 1")?;
        range("train.drop_correlated", self.drop_correlated, 0. ..=1., "a share from 0 to 1")?;
        range("train.noise", self.noise, 0. ..=10., "a number from 0 to 10")?;
        range("train.noise_detach", self.noise_detach, 0. ..=1., "a share from 0 to 1")?;
        range("train.curve", self.curve, 0. ..=10., "a number from 0 to 10")?;
        range("train.decorrelate", self.decorrelate, 0. ..=1e6, "a number from 0 to 1e6")?;
        range("train.variation", self.variation, 0. ..=1e6, "a number from 0 to 1e6")?;
        for (key, images) in [
            ("train.micro_batch", self.micro_batch),
            ("train.gpu_micro_batch", self.gpu_micro_batch),
        ] {
            range(key, images, 0..=65_536, "a number from 0 to 65536")?;
        }
        if self.noise_detach > 0. && self.noise == 0. {
            let expected = "0 without noise (train.noise=0)";
            let value = self.noise_detach.to_string();
            return Err(Error::Config { key: "train.noise_detach", value, expected });
        }
        if self.sparsity == Sparsity::Group && self.budget > 0. {
            let expected = "0 with train.sparsity=group, which has no budget";
            let value = self.budget.to_string();
            return Err(Error::Config { key: "train.budget", value, expected });
        }
        range("train.lambda", self.lambda, 0. ..=1e6, "a number from 0 to 1e6")
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_section_of_settings_becomes_a_configuration() {
        let section = json!({ "epochs": 7, "lambda": 0.5, "sparsity": "mean" });
        let config: TrainConfig = serde_json::from_value(section).unwrap();
        let expected =
            TrainConfig { epochs: 7, lambda: 0.5, sparsity: Sparsity::Mean, ..Default::default() };
        assert_eq!(config, expected);
        config.check().unwrap();
        let value = serde_json::to_value(&config).unwrap();
        assert!(config.left_out_if_zero().all(|(key, _)| value.get(key).is_none()));
        let drowsy = TrainConfig { sleep: 0.25, ..Default::default() };
        assert_eq!(serde_json::to_value(&drowsy).unwrap()["sleep"], json!(0.25));
        let unknown = serde_json::from_value::<TrainConfig>(json!({ "epoch": 7 }));
        assert!(unknown.unwrap_err().to_string().contains("unknown field `epoch`"));
    }

    #[test]
    fn impossible_settings_are_refused_with_their_range() {
        let message = |config: TrainConfig| config.check().unwrap_err().to_string();
        assert_eq!(
            message(TrainConfig { epochs: 0, ..Default::default() }),
            "train.epochs = 0 is not possible: a number from 1 to 100000"
        );
        assert!(message(TrainConfig { lambda: f64::NAN, ..Default::default() }).contains("lambda"));
        assert_eq!(
            message(TrainConfig { sleep: 2., ..Default::default() }),
            "train.sleep = 2 is not possible: a mask from 0 to 1"
        );
        let wide = NetworkConfig { mask_kernel: 2, ..Default::default() };
        assert!(wide.check().unwrap_err().to_string().contains("model.mask_kernel = 2"));
        for readout in [Readout::Mean, Readout::Sum] {
            let same = NetworkConfig { readout, attention: false, ..Default::default() };
            let refused = TrainConfig::default().check_for(&same).unwrap_err().to_string();
            assert!(refused.contains("attributes would read the same"), "{refused}");
            let one = NetworkConfig { attributes: 1, ..same };
            TrainConfig::default().check_for(&one).unwrap();
        }
    }
}
