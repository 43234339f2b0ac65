//! MOON, the Mixed Objective Optimization Network (Rudd, Günther & Boult, 2016, "MOON: a mixed
//! objective optimization network for the recognition of facial attributes").
//!
//! What the paper did: one VGG-16 (Simonyan & Zisserman, 2015) answers all 40 attributes of CelebA
//! at once, from faces of 178×218 pixels. It is trained by the squared distance of its answers from
//! targets of -1 and 1, and the sign is the answer. Each attribute's two classes count by weights
//! that adapt the training images' share of positive labels to that of a target domain
//! ([`class_weights`](crate::class_weights)). The 90.94 % of the answers right that the paper
//! reports on CelebA are without adaptation: the target is CelebA's own share, and all weights are
//! 1.
//!
//! What we do: the same network and loss, under torchvision's names of a VGG-16, with its initial
//! weights. [`MoonConfig::class_weights`] are given for a balanced target, or any other.
//!
//! Where they differ: the images' size is a setting, and the two hidden layers have
//! [`MoonConfig::hidden`] units instead of 4096, which for the 2×2 pixels that are left of 64 would
//! be nearly all weights of the network. Batch norms are an option that the paper does not have:
//! without them 13 convolutions learn slowly from nothing. The paper trained by RMSProp; here the
//! optimizer and the schedule are those of the trainer, the same for all networks that are
//! compared.

use candle_core::Device;
use foresee_graph::{Graph, Op, ValueId};
use serde::{Deserialize, Serialize};

use crate::draw::Initial;
use crate::error::{Result, check};
use crate::layers::{Built, Conv, Layers};
use crate::resnet::{ATTRIBUTES, WIDTHS};

/// The convolutions of each stage, of 3×3 pixels; behind each stage the maximum of 2×2 pixels.
const STAGES: [usize; 5] = [2, 2, 3, 3, 3];
/// How many times as many channels as the first a stage has.
const WIDER: [usize; 5] = [1, 2, 4, 8, 8];
/// How many times the five pools halve height and width.
const HALVED: usize = 1 << STAGES.len();
/// torchvision's spread of the initial weights of a VGG's linear layers.
const LINEAR: Initial = Initial::Normal(0.01);

/// A Mixed Objective Optimization Network.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use foresee_baselines::MoonConfig;
///
/// let config = MoonConfig { width: 4, hidden: 8, image_size: [64, 32], ..Default::default() };
/// let graph = config.graph(7, &Device::Cpu)?;
/// let images = Tensor::zeros((1, 3, 64, 32), DType::F32, &Device::Cpu)?;
/// assert_eq!(graph.forward(&[images])?[0].dims(), [1, 40]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MoonConfig {
    /// K, the number of answers, 1 to 4096. Default 40.
    pub attributes: usize,
    /// Height and width of the images, 32 to 1024 each. Default 64, 64.
    pub image_size: [usize; 2],
    /// Channels of the first convolutions, 1 to 1024; the further stages have 2, 4, 8 and 8 times
    /// as many. Default 64.
    pub width: usize,
    /// Units of the two hidden layers behind the convolutions, 1 to 16384. Default 512.
    pub hidden: usize,
    /// With which probability training drops a hidden unit, 0 to 0.99. Default 0.5.
    pub dropout: f32,
    /// Whether a batch norm is behind each convolution. Default false.
    pub batch_norm: bool,
    /// For each attribute what a negative and a positive label count in the loss, 0 to 1. Default:
    /// none, all count 1.
    pub class_weights: Vec<[f32; 2]>,
}

impl Default for MoonConfig {
    fn default() -> Self {
        Self {
            attributes: 40,
            image_size: [64; 2],
            width: 64,
            hidden: 512,
            dropout: 0.5,
            batch_norm: false,
            class_weights: vec![],
        }
    }
}

impl MoonConfig {
    /// The network with initial weights: images [B, 3, H, W] → answers [B, K], whose signs are the
    /// attributes'.
    ///
    /// # Errors
    /// If the configuration is impossible.
    pub fn graph(&self, seed: u64, device: &Device) -> Result<Graph> {
        Ok(self.build(seed, device)?.graph)
    }

    pub(crate) fn check(&self) -> Result<()> {
        let Self { attributes, image_size, width, hidden, dropout, .. } = *self;
        let is_possible = ATTRIBUTES.contains(&attributes);
        check("attributes", attributes, is_possible, "a number from 1 to 4096")?;
        for size in image_size {
            let is_possible = (HALVED..=1024).contains(&size);
            check("image_size", size, is_possible, "a number from 32 to 1024")?;
        }
        check("width", width, WIDTHS.contains(&width), "a number from 1 to 1024")?;
        let is_possible = (1..=16_384).contains(&hidden);
        check("hidden", hidden, is_possible, "a number from 1 to 16384")?;
        let is_possible = (0. ..=0.99).contains(&dropout);
        check("dropout", dropout, is_possible, "a probability from 0 to 0.99")?;
        self.check_class_weights()
    }

    fn check_class_weights(&self) -> Result<()> {
        let weights = &self.class_weights;
        let is_possible = weights.is_empty() || weights.len() == self.attributes;
        let expected = format!("none, or {} pairs", self.attributes);
        check("class_weights", format!("{} pairs", weights.len()), is_possible, expected)?;
        weights.iter().flatten().try_for_each(|weight| {
            let is_possible = (0. ..=1.).contains(weight);
            check("class_weights", weight, is_possible, "each is from 0 to 1")
        })
    }

    pub(crate) fn build(&self, seed: u64, device: &Device) -> Result<Built> {
        self.check()?;
        let mut layers = Layers::new(seed, device);
        let images = layers.images(self.image_size.map(Some))?;
        let x = self.convolutions(&mut layers, images)?;
        let mut x = layers.add("flatten", Op::Flatten { axis: 1 }, &[x])?;
        let pixels = self.image_size.map(|size| size / HALVED);
        let mut inputs = WIDER[4] * self.width * pixels[0] * pixels[1];
        let initial = [LINEAR, Initial::Constant(0.)];
        for place in [0, 3] {
            let name = |place: usize| format!("classifier.{place}");
            x = layers.linear(&name(place), x, [self.hidden, inputs], initial)?;
            x = layers.relu(&name(place + 1), x)?;
            x = layers.dropout(&name(place + 2), x, f64::from(self.dropout))?;
            inputs = self.hidden;
        }
        let answers = layers.linear("classifier.6", x, [self.attributes, inputs], initial)?;
        layers.finish(vec![answers])
    }

    fn convolutions(&self, layers: &mut Layers, images: ValueId) -> Result<ValueId> {
        let (mut x, mut inputs, mut place) = (images, 3, 0..);
        let mut name = || format!("features.{}", place.next().unwrap_or_default());
        for (convs, wider) in STAGES.into_iter().zip(WIDER) {
            let outputs = self.width * wider;
            for _ in 0..convs {
                let conv = Conv { bias: true, ..Conv::new(inputs, outputs, 3) };
                x = layers.conv(&name(), x, conv)?;
                if self.batch_norm {
                    x = layers.batch_norm(&name(), x, outputs)?;
                }
                x = layers.relu(&name(), x)?;
                inputs = outputs;
            }
            x = layers.max_pool(&name(), x, 2, 2)?;
        }
        Ok(x)
    }
}
