//! Gaussian noise on the input image (Figure 8).

use candle_core::Tensor;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::error::{Error, Result};

/// The first random stream of the noise. It is above the numbers of images, so that no other draw
/// under the same seed (initial weights, order of faces) shares a stream with the noise.
const FIRST_STREAM: u64 = 5 << 48;

/// Gaussian noise on images, and the normalisation that the images have had: the noise is added to
/// pixels in [0, 1].
#[derive(Debug, Clone, PartialEq)]
pub struct Noise {
    /// Standard deviation, in units of the pixels' range.
    pub sigma: f64,
    /// Clip noisy pixels back to [0, 1].
    pub clip: bool,
    /// The mean of each channel that the normalisation subtracted.
    pub mean: Vec<f32>,
    /// The standard deviation of each channel that it then divided by.
    pub deviation: Vec<f32>,
    /// The seed, which decides an image's noise together with the image's number.
    pub seed: u64,
}

/// Adds noise to normalised images [B, C, H, W]. The seed and an image's number in `numbers` alone
/// decide its noise, which grows with σ without changing its pattern. σ = 0 changes no bit.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use foresee_perturb::{Noise, add_noise};
///
/// let images = Tensor::zeros((2, 3, 4, 4), DType::F32, &Device::Cpu)?;
/// let (mean, deviation) = (vec![0.; 3], vec![1.; 3]);
/// let noise = Noise { sigma: 0.1, clip: false, mean, deviation, seed: 0 };
/// let both = add_noise(&images, &[7, 8], &noise)?;
/// // Image 8 has the same noise in any batch.
/// let alone = add_noise(&images.narrow(0, 1, 1)?, &[8], &noise)?;
/// let values = |images: &Tensor| images.flatten_all().and_then(|all| all.to_vec1::<f32>());
/// assert_eq!(values(&both.narrow(0, 1, 1)?)?, values(&alone)?);
/// assert_ne!(values(&both.narrow(0, 0, 1)?)?, values(&alone)?);
/// # Ok::<(), foresee_perturb::Error>(())
/// ```
///
/// # Errors
/// If σ is negative or not finite, or there is not one number per image, or not one mean and one
/// deviation per channel.
pub fn add_noise(images: &Tensor, numbers: &[usize], noise: &Noise) -> Result<Tensor> {
    if !(noise.sigma >= 0. && noise.sigma.is_finite()) {
        return Err(Error::Parameter {
            parameter: "σ",
            value: noise.sigma.to_string(),
            expected: "a number from 0",
        });
    }
    if noise.sigma == 0. {
        return Ok(images.clone());
    }
    let (b, channels, h, w) = images.dims4()?;
    let (means, deviations) = (noise.mean.len(), noise.deviation.len());
    if numbers.len() != b || means != channels || deviations != channels {
        return Err(candle_core::Error::Msg(format!(
            "{} numbers, {means} means and {deviations} deviations for images {:?}",
            numbers.len(),
            images.dims()
        ))
        .into());
    }
    let mut values = images.flatten_all()?.to_vec1::<f32>()?;
    for (image, &number) in values.chunks_exact_mut(channels * h * w).zip(numbers) {
        let mut rng = ChaCha8Rng::seed_from_u64(noise.seed);
        rng.set_stream(FIRST_STREAM | number as u64);
        for (c, plane) in image.chunks_exact_mut(h * w).enumerate() {
            let (mean, deviation) = (noise.mean[c], noise.deviation[c]);
            for value in plane {
                let draw: f32 = StandardNormal.sample(&mut rng);
                let pixel = *value * deviation + mean + noise.sigma as f32 * draw;
                *value = (if noise.clip { pixel.clamp(0., 1.) } else { pixel } - mean) / deviation;
            }
        }
    }
    Ok(Tensor::from_vec(values, images.shape(), images.device())?)
}
