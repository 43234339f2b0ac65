//! Residual networks (He, Zhang, Ren & Sun, 2016, "Deep residual learning for image recognition").
//!
//! What the paper did: convolutions in blocks, each of which adds what it computes to its input, in
//! four stages of 64, 128, 256 and 512 channels (four times as many behind the bottlenecks of
//! ResNet-50 and deeper), for 224 pixels and 1000 classes. Kimura & Tanaka cite a ResNet-101 for
//! the 40 attributes of CelebA, as Fukui et al. (2019) measured it.
//!
//! What we do: the same network with one logit for each attribute, under torchvision's names, with
//! its initial weights (normal by the fan out, He et al., 2015) and, as there, the stride of a
//! bottleneck in its 3×3 convolution. The loss is the binary cross entropy of all attributes.
//!
//! Where they differ: [`Stem::Small`] begins with a 3×3 convolution and no pool, as the paper's own
//! networks for images of 32 pixels do: with the stem for large images a face of 64 pixels would
//! have 2×2 pixels left behind the last stage. The optimizer and the schedule are those of the
//! trainer, the same for all networks that are compared.

use std::ops::RangeInclusive;

use candle_core::Device;
use foresee_graph::{Graph, ValueId};
use serde::{Deserialize, Serialize};

use crate::draw::Initial;
use crate::error::{Result, check};
use crate::layers::{Built, Conv, Layers};

/// How many attributes a network can have.
pub(crate) const ATTRIBUTES: RangeInclusive<usize> = 1..=4096;
/// Channels of the first stage.
pub(crate) const WIDTHS: RangeInclusive<usize> = 1..=1024;

/// How many layers a network has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Depth {
    /// ResNet-18: blocks of two 3×3 convolutions.
    #[serde(rename = "18")]
    D18,
    /// ResNet-34: the same blocks, twice as many.
    #[serde(rename = "34")]
    D34,
    /// ResNet-50: bottlenecks, a 3×3 convolution between two of 1×1.
    #[serde(rename = "50")]
    D50,
    /// ResNet-101: the same bottlenecks, and 17 more in the third stage.
    #[default]
    #[serde(rename = "101")]
    D101,
}

impl Depth {
    /// All depths.
    pub const ALL: [Self; 4] = [Self::D18, Self::D34, Self::D50, Self::D101];

    /// The number of layers.
    pub fn layers(self) -> usize {
        match self {
            Self::D18 => 18,
            Self::D34 => 34,
            Self::D50 => 50,
            Self::D101 => 101,
        }
    }

    /// Blocks of each stage.
    pub fn blocks(self) -> [usize; 4] {
        match self {
            Self::D18 => [2, 2, 2, 2],
            Self::D34 | Self::D50 => [3, 4, 6, 3],
            Self::D101 => [3, 4, 23, 3],
        }
    }

    /// How many times as many channels as its convolutions a block gives.
    pub fn expansion(self) -> usize {
        match self {
            Self::D18 | Self::D34 => 1,
            Self::D50 | Self::D101 => 4,
        }
    }
}

/// How a network begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stem {
    /// A 3×3 convolution with stride 1: the first stage sees all pixels.
    #[default]
    Small,
    /// A 7×7 convolution with stride 2 and a 3×3 maximum with stride 2: it sees a quarter of the
    /// height and width.
    Large,
}

/// A residual network.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use foresee_baselines::{Depth, ResNetConfig};
///
/// let config = ResNetConfig { depth: Depth::D18, width: 4, ..Default::default() };
/// let graph = config.graph(7, &Device::Cpu)?;
/// let images = Tensor::zeros((1, 3, 16, 16), DType::F32, &Device::Cpu)?;
/// assert_eq!(graph.forward(&[images])?[0].dims(), [1, 40]);
/// // The last feature maps, for Grad-CAM.
/// assert!(graph.find("layer4.1").is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResNetConfig {
    /// How many layers it has. Default [`Depth::D101`].
    pub depth: Depth,
    /// How it begins. Default [`Stem::Small`].
    pub stem: Stem,
    /// Channels of the stem and of the first stage's convolutions, 1 to 1024; each further stage
    /// has twice as many. Default 64.
    pub width: usize,
    /// K, the number of logits, 1 to 4096. Default 40.
    pub attributes: usize,
}

impl Default for ResNetConfig {
    fn default() -> Self {
        Self { depth: Depth::default(), stem: Stem::default(), width: 64, attributes: 40 }
    }
}

impl ResNetConfig {
    /// The network with initial weights: images [B, 3, H, W] → logits [B, K]. Values have the names
    /// of torchvision's modules; `layer1.0` is the result of the first stage's first block.
    ///
    /// # Errors
    /// If the configuration is impossible.
    pub fn graph(&self, seed: u64, device: &Device) -> Result<Graph> {
        Ok(self.build(seed, device)?.graph)
    }

    pub(crate) fn check(&self) -> Result<()> {
        let Self { width, attributes, .. } = *self;
        check("width", width, WIDTHS.contains(&width), "a number from 1 to 1024")?;
        let is_possible = ATTRIBUTES.contains(&attributes);
        check("attributes", attributes, is_possible, "a number from 1 to 4096")
    }

    pub(crate) fn build(&self, seed: u64, device: &Device) -> Result<Built> {
        self.check()?;
        let mut layers = Layers::new(seed, device);
        let mut x = self.stem(&mut layers)?;
        for stage in 0..4 {
            x = self.stage(&mut layers, &format!("layer{}", stage + 1), x, Stage::number(stage))?;
        }
        let x = layers.mean_pixels("avgpool", x)?;
        let logits = self.answers(&mut layers, x)?;
        layers.finish(vec![logits])
    }

    /// Channels of a stage's results.
    pub(crate) fn channels(&self, stage: usize) -> usize {
        (self.width << stage) * self.depth.expansion()
    }

    /// The images and what the first stage sees of them.
    pub(crate) fn stem(&self, layers: &mut Layers) -> Result<ValueId> {
        let images = layers.images([None; 2])?;
        let conv = match self.stem {
            Stem::Small => Conv::new(3, self.width, 3),
            Stem::Large => Conv::new(3, self.width, 7).stride(2),
        };
        let x = layers.conv("conv1", images, conv)?;
        let x = layers.batch_norm("bn1", x, self.width)?;
        let x = layers.relu("relu", x)?;
        match self.stem {
            Stem::Small => Ok(x),
            Stem::Large => layers.max_pool("maxpool", x, 3, 2),
        }
    }

    /// The blocks of a stage.
    pub(crate) fn stage(
        &self,
        layers: &mut Layers,
        name: &str,
        x: ValueId,
        stage: Stage,
    ) -> Result<ValueId> {
        let mut x = x;
        let mut inputs = match stage.number {
            0 => self.width,
            number => self.channels(number - 1),
        };
        for block in 0..self.depth.blocks()[stage.number] {
            let stride = if block == 0 { stage.stride } else { 1 };
            let block = format!("{name}.{block}");
            x = self.block(layers, &block, x, (inputs, self.width << stage.number), stride)?;
            inputs = self.channels(stage.number);
        }
        Ok(x)
    }

    /// Convolutions, each with its norm, whose results are added to the block's input.
    fn block(
        &self,
        layers: &mut Layers,
        name: &str,
        x: ValueId,
        (inputs, width): (usize, usize),
        stride: usize,
    ) -> Result<ValueId> {
        let outputs = width * self.depth.expansion();
        let convs = match self.depth.expansion() {
            1 => vec![Conv::new(inputs, width, 3).stride(stride), Conv::new(width, width, 3)],
            _ => vec![
                Conv::new(inputs, width, 1),
                Conv::new(width, width, 3).stride(stride),
                Conv::new(width, outputs, 1),
            ],
        };
        let mut y = x;
        for (at, &conv) in convs.iter().enumerate() {
            let number = at + 1;
            y = layers.conv(&format!("{name}.conv{number}"), y, conv)?;
            y = layers.batch_norm(&format!("{name}.bn{number}"), y, conv.outputs)?;
            if number < convs.len() {
                y = layers.relu(&format!("{name}.relu{number}"), y)?;
            }
        }
        let shortcut = match stride == 1 && inputs == outputs {
            true => x,
            false => {
                let conv = Conv::new(inputs, outputs, 1).stride(stride);
                let x = layers.conv(&format!("{name}.downsample.0"), x, conv)?;
                layers.batch_norm(&format!("{name}.downsample.1"), x, outputs)?
            }
        };
        let sum = layers.sum(&format!("{name}.sum"), y, shortcut)?;
        layers.relu(name, sum)
    }

    /// The logits from the last stage's means.
    pub(crate) fn answers(&self, layers: &mut Layers, x: ValueId) -> Result<ValueId> {
        let inputs = self.channels(3);
        layers.linear("fc", x, [self.attributes, inputs], [Initial::linear(inputs); 2])
    }
}

/// A stage of blocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stage {
    /// From 0.
    pub number: usize,
    /// Of its first block.
    pub stride: usize,
}

impl Stage {
    /// Stage 0 to 3; all but the first halve height and width.
    pub fn number(number: usize) -> Self {
        Self { number, stride: if number > 0 { 2 } else { 1 } }
    }
}
