//! What a step does to its images and features, so that the network learns to stand it.

mod channels;
mod key;
mod noise;
mod order;

use std::ops::Range;

use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use self::channels::Leaver;
pub(super) use self::key::Key;
use self::noise::Noise;
pub(super) use self::order::SemanticOrder;
use crate::config::TrainConfig;
use crate::error::Result;

/// The high bits of the streams' numbers, which keep these draws apart from those of other
/// purposes.
const PURPOSE: u64 = 8 << 48;

/// The stream of draws that all images of a step share.
const OF_STEP: u64 = 9 << 48;

/// What draws depend on besides the step and the image.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    /// Of [`Key::value`].
    pub key: u64,
    /// The order of semantic pruning, if channels are left out in it.
    pub order: Option<&'a [usize]>,
}

/// What happens to each of some images in a step. It is drawn from a key, the number of the step
/// and that of the image in the batch alone.
pub(super) struct Perturbation {
    /// 0 for the channels that are left out of an image's features, otherwise 1: [B, C].
    keep: Option<Tensor>,
    /// Whether any channel is left out of an image; empty if none may be.
    leaves: Vec<bool>,
    /// What is added to the images, [B, 3, H, W].
    noise: Option<Tensor>,
    /// β of the tone curve on each image's masks; empty if there is none.
    betas: Vec<f32>,
    /// The share of each image's gradient that reaches the extractor, [B, 1, 1, 1]; `None` if all
    /// of it does.
    reach: Option<Tensor>,
    /// Draws an attribute.
    lot: u64,
}

impl Perturbation {
    /// Of the images of a batch with these numbers, on a network of so many channels.
    pub fn draw(
        config: &TrainConfig,
        source: Source,
        step: usize,
        numbers: Range<usize>,
        images: &Tensor,
        channels: usize,
    ) -> Result<Self> {
        let leaver = Leaver::new(config, source.order, channels);
        let noise = Noise::new(config);
        let (mut keep, mut leaves, mut added, mut betas) = (vec![], vec![], vec![], vec![]);
        let mut reach = vec![];
        let pixels = images.dims()[1..].iter().product();
        for number in numbers {
            let mut rng = ChaCha8Rng::seed_from_u64(source.key.wrapping_add(step as u64));
            rng.set_stream(PURPOSE | number as u64);
            if let Some(leaver) = &leaver {
                let of_image = leaver.draw(&mut rng);
                leaves.push(of_image.contains(&0.));
                keep.extend(of_image);
            }
            if let Some(noise) = &noise {
                let share = noise.draw(&mut rng, pixels, &mut added);
                betas.push((share * config.curve) as f32);
                if config.noise_detach > 0. {
                    reach.push(if share > 0. { 1. - config.noise_detach as f32 } else { 1. });
                }
            }
        }
        let device = images.device();
        Ok(Self {
            keep: tensor(keep, (images.dim(0)?, channels), device)?,
            leaves,
            noise: tensor(added, images.dims4()?, device)?,
            betas: if config.curve > 0. { betas } else { vec![] },
            reach: tensor(reach, (images.dim(0)?, 1, 1, 1), device)?,
            lot: lot(source.key, step),
        })
    }

    /// The images with their noise.
    pub fn images(&self, images: &Tensor) -> Result<Tensor> {
        match &self.noise {
            Some(noise) => Ok((images + noise)?),
            None => Ok(images.clone()),
        }
    }

    /// What happens to the features of these images.
    pub fn of(&self, images: &[u32]) -> Result<Self> {
        let select = |x: &Tensor| x.index_select(&Tensor::new(images, x.device())?, 0);
        let each = || images.iter().map(|&image| image as usize);
        Ok(Self {
            keep: self.keep.as_ref().map(select).transpose()?,
            leaves: each().filter_map(|image| self.leaves.get(image)).copied().collect(),
            noise: None,
            reach: self.reach.as_ref().map(select).transpose()?,
            betas: each().filter_map(|image| self.betas.get(image)).copied().collect(),
            lot: self.lot,
        })
    }

    /// One of so many attributes, the same for all images of a step.
    pub fn one_of(&self, attributes: usize) -> usize {
        (self.lot % attributes as u64) as usize
    }

    /// Those of `images` with all channels, and those of which some are left out.
    pub fn by_channels(&self, images: usize) -> (Vec<u32>, Vec<u32>) {
        let leaves = |image: &u32| self.leaves.get(*image as usize).copied().unwrap_or_default();
        (0..images as u32).partition(|image| !leaves(image))
    }

    /// Features z [B, H, W, C] without the channels that are left out. They pass on as much of
    /// their gradient as reaches the extractor.
    pub fn features(&self, z: &Tensor) -> Result<Tensor> {
        let z = match &self.reach {
            Some(reach) => (z.broadcast_mul(reach)? + z.detach().broadcast_mul(&(1. - reach)?)?)?,
            None => z.clone(),
        };
        match &self.keep {
            Some(keep) => Ok(z.broadcast_mul(&keep.unsqueeze(1)?.unsqueeze(1)?)?),
            None => Ok(z.clone()),
        }
    }

    /// Means [B, K, C] or [1, K, C] without the channels that are left out.
    pub fn means(&self, means: &Tensor) -> Result<Tensor> {
        match &self.keep {
            Some(keep) => Ok(means.broadcast_mul(&keep.unsqueeze(1)?)?),
            None => Ok(means.clone()),
        }
    }

    /// Means of mask ⊗ feature, [B, K, C] or [1, K, C], under the tone curves. The curves are
    /// linear: ((1 + β)·M - β) ⊗ z has the mean (1 + β)·p - β·z̄, for features z [B, H, W, C].
    pub fn under_curves(&self, features: &Tensor, z: &Tensor) -> Result<Tensor> {
        if self.betas.is_empty() {
            return Ok(features.clone());
        }
        let betas = Tensor::from_slice(&self.betas, (self.betas.len(), 1, 1), z.device())?;
        let means = z.mean((1, 2))?.unsqueeze(1)?.broadcast_mul(&betas)?;
        Ok(features.broadcast_mul(&(betas + 1.)?)?.broadcast_sub(&means)?)
    }

    /// What the curves multiply each of `images` means by: 1 + β.
    pub fn slopes(&self, images: usize) -> Vec<f32> {
        (0..images).map(|i| 1. + self.betas.get(i).copied().unwrap_or_default()).collect()
    }
}

/// The values in this shape; `None` if there are none.
fn tensor<S: Into<candle_core::Shape>>(
    values: Vec<f32>,
    shape: S,
    device: &Device,
) -> Result<Option<Tensor>> {
    match values.is_empty() {
        true => Ok(None),
        false => Ok(Some(Tensor::from_vec(values, shape, device)?)),
    }
}
fn lot(key: u64, step: usize) -> u64 {
    let mut rng = ChaCha8Rng::seed_from_u64(key.wrapping_add(step as u64));
    rng.set_stream(OF_STEP);
    rng.random()
}
