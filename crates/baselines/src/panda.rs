//! PANDA (Zhang, Paluri, Ranzato, Darrell & Bourdev, 2014, "PANDA: pose aligned networks for deep
//! attribute modeling"), in the form PANDA-l of Liu et al. (2015).
//!
//! What the papers did: poselets find parts of a person, and each part has a convolutional network
//! of its own: four stages of convolution, pooling and normalisation and a fully connected layer,
//! trained by the attributes. The features of all parts, and of a network that sees everything, are
//! joined, and a linear support vector machine answers for each attribute. Liu et al. cut the parts
//! of a face where its landmarks are (PANDA-l).
//!
//! What we do: CelebA's images are aligned by their landmarks, which then hardly move from face to
//! face, so the parts are fixed rectangles ([`Part`]): about the mean landmarks of the training
//! faces if they are known, else where the alignment puts them. Each is cut out and resized; then a
//! network for each part, of four stages (a 5×5 convolution, then 3×3, each with a batch norm, a
//! ReLU and the maximum of 2×2 pixels) and a fully connected layer. Each has answers of its own,
//! and all are trained by the sum of their binary cross entropies. The part networks are the groups
//! of grouped convolutions: no part sees another. On the joined features linear support vector
//! machines are trained when the networks are
//! ([`Baseline::fit_machines`](crate::Baseline::fit_machines)).
//!
//! Where they differ: the parts are eight rectangles of a face in place of poselets of a person,
//! and are the same for all faces, which needs no landmarks of a face that is judged.
//! Widths and sizes are settings, for small images. The normalisation is a batch norm before each
//! ReLU, also of the features, of which many would otherwise be 0 for all faces. Until the machines
//! are trained, their weights are a linear layer's, which learns beside the networks without
//! changing the features, so that accuracies while training say something.

use candle_core::Device;
use foresee_graph::{Graph, Op, ValueId};
use foresee_model::Crop;
use serde::{Deserialize, Serialize};

use crate::error::{Result, check};
use crate::layers::{Built, Conv, Layers};
use crate::parts::{ALIGNED_LANDMARKS, Part};
use crate::resnet::ATTRIBUTES;

/// How many parts there are.
const PARTS: usize = Part::ALL.len();
/// How far, in pixels, mean landmarks may lie from those that the alignment aims at: others are of
/// images of another size, or not aligned.
const FARTHEST: f32 = 25.;
/// Kernels of the four stages.
const KERNELS: [usize; 4] = [5, 3, 3, 3];
/// How many times the pools halve height and width in all.
const HALVED: usize = 1 << KERNELS.len();

/// The networks of the parts and the machines that answer.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use foresee_baselines::PandaConfig;
///
/// let config = PandaConfig { image_size: 32, part_size: 16, width: 8, ..Default::default() };
/// let graph = config.graph(7, &Device::Cpu)?;
/// let images = Tensor::zeros((1, 3, 32, 32), DType::F32, &Device::Cpu)?;
/// // The answers, and those of all eight parts.
/// let outputs = graph.forward(&[images])?;
/// assert_eq!((outputs[0].dims(), outputs[1].dims()), (&[1, 40][..], &[1, 320][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PandaConfig {
    /// K, the number of answers, 1 to 4096. Default 40.
    pub attributes: usize,
    /// Height and width of the images, 16 to 1024. Default 64.
    pub image_size: usize,
    /// Which part of CelebA's aligned images they show. Default [`Crop::Square`].
    pub crop: Crop,
    /// Where landmarks lie on average, as [`ALIGNED_LANDMARKS`] are, which `None` means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub landmarks: Option<[[f32; 2]; 5]>,
    /// Height and width that a part is resized to, a multiple of 16 up to 256. Default 32.
    pub part_size: usize,
    /// Channels of each convolution of a part, 8 to 1024. With fewer than there are parts, whole
    /// parts would be pruned in place of channels. Default 64.
    pub width: usize,
    /// Features of a part, 8 to 4096. Default 128.
    pub hidden: usize,
}

impl Default for PandaConfig {
    fn default() -> Self {
        Self {
            attributes: 40,
            image_size: 64,
            crop: Crop::Square,
            landmarks: None,
            part_size: 32,
            width: 64,
            hidden: 128,
        }
    }
}

impl PandaConfig {
    /// The network with initial weights: images [B, 3, H, W] → answers [B, K], and those of each
    /// part's network, [B, 8·K], part after part.
    ///
    /// # Errors
    /// If the configuration is impossible.
    pub fn graph(&self, seed: u64, device: &Device) -> Result<Graph> {
        Ok(self.build(seed, device)?.graph)
    }

    pub(crate) fn check(&self) -> Result<()> {
        let Self { attributes, image_size, part_size, width, hidden, .. } = *self;
        let is_possible = ATTRIBUTES.contains(&attributes);
        check("attributes", attributes, is_possible, "a number from 1 to 4096")?;
        let is_possible = (16..=1024).contains(&image_size);
        check("image_size", image_size, is_possible, "a number from 16 to 1024")?;
        let is_possible = (HALVED..=256).contains(&part_size) && part_size % HALVED == 0;
        check("part_size", part_size, is_possible, "a multiple of 16 up to 256")?;
        check("width", width, (PARTS..=1024).contains(&width), "a number from 8 to 1024")?;
        let is_possible = (PARTS..=4096).contains(&hidden);
        check("hidden", hidden, is_possible, "a number from 8 to 4096")?;
        if let Some(landmarks) = &self.landmarks {
            let near = |(found, usual): (&[f32; 2], &[f32; 2])| {
                (0..2).all(|axis| (found[axis] - usual[axis]).abs() <= FARTHEST)
            };
            let are_near = landmarks.iter().zip(&ALIGNED_LANDMARKS).all(near);
            let expected = "means of CelebA's aligned images, 178 by 218 pixels";
            check("landmarks", format!("{landmarks:?}"), are_near, expected)?;
        }
        for (part, [left, right, top, bottom]) in self.parts() {
            let key = format!("the part {}", part.id());
            let shown = left < right && top < bottom;
            let expected = "landmarks of CelebA's aligned images, 178 by 218 pixels";
            check("landmarks", key, shown, expected)?;
        }
        Ok(())
    }

    /// Each part: left, right, top and bottom in pixels of the images, the right column and the
    /// bottom row not included.
    pub fn parts(&self) -> [(Part, [usize; 4]); 8] {
        let landmarks = self.landmarks.as_ref().unwrap_or(&ALIGNED_LANDMARKS);
        Part::ALL.map(|part| (part, part.pixels(landmarks, self.crop, self.image_size)))
    }

    pub(crate) fn build(&self, seed: u64, device: &Device) -> Result<Built> {
        self.check()?;
        let mut layers = Layers::new(seed, device);
        let images = layers.images([Some(self.image_size); 2])?;
        let mut parts = vec![];
        for (part, corners) in self.parts() {
            parts.push(self.part(&mut layers, (part, corners), images)?);
        }
        let x = layers.add("parts", Op::Concat { axis: 1 }, &parts)?;
        let features = self.networks(&mut layers, x)?;
        let joined = PARTS * self.hidden;
        let conv = Conv::new(joined, PARTS * self.attributes, 1).groups(PARTS).bias();
        let logits = layers.conv("heads", features, conv)?;
        let logits = layers.add("heads.all", Op::Flatten { axis: 1 }, &[logits])?;
        let features = layers.add("features", Op::Flatten { axis: 1 }, &[features])?;
        let answers = layers.machines(features, [self.attributes, joined])?;
        layers.finish(vec![answers, logits])
    }

    /// A part, cut out and resized: [B, 3, part_size, part_size].
    fn part(
        &self,
        layers: &mut Layers,
        (part, [left, right, top, bottom]): (Part, [usize; 4]),
        images: ValueId,
    ) -> Result<ValueId> {
        let id = part.id();
        let name = |of: &str| format!("part.{id}.{of}");
        let starts = layers.integers(&name("starts"), &[top as i64, left as i64])?;
        let ends = layers.integers(&name("ends"), &[bottom as i64, right as i64])?;
        let axes = layers.integers(&name("axes"), &[2, 3])?;
        let x = layers.add(&name("cut"), Op::Slice, &[images, starts, ends, axes])?;
        let sizes = [bottom - top, right - left];
        layers.resize(&format!("part.{id}"), x, sizes, self.part_size)
    }

    /// The networks of all parts: their stages and their features, [B, 8·hidden, 1, 1].
    fn networks(&self, layers: &mut Layers, parts: ValueId) -> Result<ValueId> {
        let (mut x, mut inputs) = (parts, PARTS * 3);
        for (stage, kernel) in KERNELS.into_iter().enumerate() {
            let name = format!("stage{}", stage + 1);
            let outputs = PARTS * self.width;
            let conv = Conv::new(inputs, outputs, kernel).groups(PARTS);
            x = layers.conv_norm(&name, x, conv)?;
            x = layers.max_pool(&format!("{name}.pool"), x, 2, 2)?;
            inputs = outputs;
        }
        let pixels = self.part_size / HALVED;
        let conv = Conv::new(inputs, PARTS * self.hidden, pixels).groups(PARTS);
        layers.conv_norm("fc", x, Conv { padded: false, ..conv })
    }
}
