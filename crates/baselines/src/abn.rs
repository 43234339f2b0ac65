//! The Attention Branch Network (Fukui, Hirakawa, Yamashita & Fujiyoshi, 2019, "Attention Branch
//! Network: learning of attention mechanism for visual explanation").
//!
//! What the paper did: behind the third stage of a ResNet an attention branch answers by itself,
//! from the means of maps with a channel for each class, and gives an attention map. A perception
//! branch, the fourth stage, sees the features under that map and gives the final answers. Both
//! branches are trained by the loss of their answers, L = L_att + L_per. For the attributes of
//! CelebA each attribute has a map of its own, under which the perception branch sees the features
//! once more, with the same weights: ResNet-101, 91.07 % of the answers right.
//!
//! What we do: the network of the authors' code for CelebA
//! (machine-perception-robotics-group/ABN_CelebA_PyTorch, `resnet_mtabn_v1.py`, which says that it
//! is the paper's) as [`Maps::Attributes`], and that of their code for ImageNet
//! (machine-perception-robotics-group/attention_branch_network, `models/imagenet/resnet.py`) as
//! [`Maps::Shared`], under the authors' names. The map is the value [`ATTENTION`] of the graph.
//!
//! Where they differ: the authors' code normalises the perception branch's batches attribute by
//! attribute, and moves its running moments 40 times a step; here the features of all attributes
//! are one batch, and their moments those with which the network is evaluated. The answers' weights
//! are one tensor `output_per.weight` [K, D] instead of K tensors. The binary cross entropies are
//! summed over the attributes instead of averaged, to which the optimizer is indifferent. The
//! optimizer and the schedule are those of the trainer. [`Stem::Small`](crate::Stem::Small) is
//! ours. Under maps for each attribute the fourth stage is computed K times: most of the work.
//!
//! The authors' first code for CelebA (machine-perception-robotics-group/ABN_CelebA_Chainer, 2019)
//! has no 1 in (1 + M)·z, which is [`AbnConfig::residual`], takes the greatest value of a map
//! instead of the mean as the attention branch's answer, answers with a softmax of two, which is
//! the sigmoid of their difference, and begins with weights of ImageNet
//! ([`Baseline::load_torchvision`](crate::Baseline::load_torchvision)).

use candle_core::Device;
use foresee_graph::{Graph, Op, Unary, ValueId};
use serde::{Deserialize, Serialize};

use crate::draw::Initial;
use crate::error::Result;
use crate::layers::{Built, Conv, Layers};
use crate::resnet::{ResNetConfig, Stage};

/// The graph's value that is the attention map: [B, K, H', W'] for [`Maps::Attributes`], which can
/// be of any sign, and [B, 1, H', W'] between 0 and 1 for [`Maps::Shared`].
pub const ATTENTION: &str = "attention";

/// How many attention maps there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Maps {
    /// One for each attribute: the paper's network for CelebA.
    #[default]
    Attributes,
    /// One for all, the paper's network for classes of images. It costs little more than the
    /// ResNet.
    Shared,
}

/// An Attention Branch Network.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use foresee_baselines::{ATTENTION, AbnConfig, Depth, ResNetConfig};
///
/// let resnet = ResNetConfig { depth: Depth::D18, width: 4, attributes: 3, ..Default::default() };
/// let graph = AbnConfig { resnet, ..Default::default() }.graph(7, &Device::Cpu)?;
/// let images = graph.given(&[Tensor::zeros((1, 3, 16, 16), DType::F32, &Device::Cpu)?])?;
/// // The answers, those of the attention branch, and the attention maps.
/// let values = graph.evaluate(&images, graph.outputs())?;
/// assert_eq!((values[0].dims(), values[1].dims()), (&[1, 3][..], &[1, 3][..]));
/// assert_eq!(values[2].dims(), [1, 3, 4, 4]);
/// assert_eq!(graph.find(ATTENTION)?, graph.outputs()[2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AbnConfig {
    /// The network whose fourth stage becomes the two branches.
    pub resnet: ResNetConfig,
    /// How many attention maps there are. Default [`Maps::Attributes`].
    pub maps: Maps,
    /// Whether features z are seen as (1 + M)·z under a map M, as the paper writes; otherwise as
    /// M·z. Default true.
    pub residual: bool,
}

impl Default for AbnConfig {
    fn default() -> Self {
        Self { resnet: ResNetConfig::default(), maps: Maps::default(), residual: true }
    }
}

impl AbnConfig {
    /// The network with initial weights: images [B, 3, H, W] → logits [B, K] of the perception
    /// branch, logits [B, K] of the attention branch, and the map [`ATTENTION`].
    ///
    /// # Errors
    /// If the configuration is impossible.
    pub fn graph(&self, seed: u64, device: &Device) -> Result<Graph> {
        Ok(self.build(seed, device)?.graph)
    }

    pub(crate) fn check(&self) -> Result<()> {
        self.resnet.check()
    }

    pub(crate) fn build(&self, seed: u64, device: &Device) -> Result<Built> {
        self.check()?;
        let mut layers = Layers::new(seed, device);
        let mut z = self.resnet.stem(&mut layers)?;
        for stage in 0..3 {
            let name = format!("layer{}", stage + 1);
            z = self.resnet.stage(&mut layers, &name, z, Stage::number(stage))?;
        }
        let outputs = match self.maps {
            Maps::Attributes => self.with_a_map_each(&mut layers, z)?,
            Maps::Shared => self.with_one_map(&mut layers, z)?,
        };
        layers.finish(outputs)
    }

    /// The stage of the attention branch, which keeps the size of its features.
    fn attention_stage(&self, layers: &mut Layers, name: &str, z: ValueId) -> Result<ValueId> {
        self.resnet.stage(layers, name, z, Stage { stride: 1, ..Stage::number(3) })
    }

    /// M + 1, or M.
    fn gate(&self, layers: &mut Layers, map: ValueId) -> Result<ValueId> {
        if !self.residual {
            return Ok(map);
        }
        let one = layers.constant("attention.one", 1.)?;
        layers.sum("attention.gate", map, one)
    }

    fn with_a_map_each(&self, layers: &mut Layers, z: ValueId) -> Result<Vec<ValueId>> {
        let attributes = self.resnet.attributes;
        let a = self.attention_stage(layers, "layer4_att", z)?;
        let conv = Conv::new(self.resnet.channels(3), attributes, 1);
        let a = layers.conv("conv_att", a, conv)?;
        let map = layers.add(ATTENTION, Op::Identity, &[a])?;
        let attention_logits = layers.mean_pixels("output_att", map)?;
        // [B, K, 1, H', W']·[B, 1, C, H', W'], one image for each pair of image and attribute.
        let gate = self.gate(layers, map)?;
        let (two, one) = (layers.integers("axis.2", &[2])?, layers.integers("axis.1", &[1])?);
        let gate = layers.add("attention.channels", Op::Unsqueeze, &[gate, two])?;
        let z_of_all = layers.add("features.attributes", Op::Unsqueeze, &[z, one])?;
        let seen = layers.product("attention.seen", z_of_all, gate)?;
        let seen = as_images(layers, seen, z, self.resnet.channels(2))?;
        let y = self.resnet.stage(layers, "layer4", seen, Stage::number(3))?;
        let y = layers.mean_pixels("avgpool", y)?;
        let inputs = self.resnet.channels(3);
        let shape = [-1, attributes as i64, inputs as i64];
        let shape = layers.integers("attributes.shape", &shape)?;
        let y = layers.add("avgpool.attributes", Op::Reshape { allow_zero: false }, &[y, shape])?;
        let draw = Initial::linear(inputs);
        let weight = layers.weight("output_per.weight", &[attributes, inputs], draw)?;
        let bias = layers.weight("output_per.bias", &[attributes], draw)?;
        let logits = layers.add("output_per", Op::Readout, &[y, weight, bias])?;
        Ok(vec![logits, attention_logits, map])
    }

    fn with_one_map(&self, layers: &mut Layers, z: ValueId) -> Result<Vec<ValueId>> {
        let (attributes, channels) = (self.resnet.attributes, self.resnet.channels(3));
        let a = self.attention_stage(layers, "att_layer4", z)?;
        let a = layers.batch_norm("bn_att", a, channels)?;
        let a = layers.conv("att_conv", a, Conv::new(channels, attributes, 1))?;
        let a = layers.batch_norm("bn_att2", a, attributes)?;
        let a = layers.relu("att_relu", a)?;
        let map = layers.conv("att_conv3", a, Conv::new(attributes, 1, 3))?;
        let map = layers.batch_norm("bn_att3", map, 1)?;
        let map = layers.add(ATTENTION, Op::Unary(Unary::Sigmoid), &[map])?;
        let maps = layers.conv("att_conv2", a, Conv::new(attributes, attributes, 1))?;
        let attention_logits = layers.mean_pixels("att_gap", maps)?;
        let gate = self.gate(layers, map)?;
        let seen = layers.product("attention.seen", z, gate)?;
        let y = self.resnet.stage(layers, "layer4", seen, Stage::number(3))?;
        let y = layers.mean_pixels("avgpool", y)?;
        let logits = self.resnet.answers(layers, y)?;
        Ok(vec![logits, attention_logits, map])
    }
}

/// x [B, K, C, H', W'] → [B·K, C, H', W'], where H' and W' are those of z [B, C, H', W'].
fn as_images(layers: &mut Layers, x: ValueId, z: ValueId, channels: usize) -> Result<ValueId> {
    let first = layers.integers("images.shape", &[-1, channels as i64])?;
    let pixels = layers.add("features.pixels", Op::Shape { start: 2, end: None }, &[z])?;
    let shape = layers.add("attention.shape", Op::Concat { axis: 0 }, &[first, pixels])?;
    layers.add("attention.images", Op::Reshape { allow_zero: false }, &[x, shape])
}
