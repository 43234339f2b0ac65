//! From image files to the numbers that a network is given.

use std::path::Path;

use candle_core::{Device, Tensor};
use foresee_celeba::Framing;
use rayon::prelude::*;

use super::image_input::{ImageInput, Layout};
use super::images::ImageList;
use crate::error::{Result, input as refusal};

/// What pixels of colour images are normalised by if nothing else is said: ImageNet's.
const IMAGENET: [[f32; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
/// What grey pixels are.
const GREY: [[f32; 1]; 2] = [[0.5], [0.5]];
/// No mean or standard deviation of pixels in [0, 1] is larger.
const LARGE: f32 = 2.;

/// How images are read.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    /// The part of an image, and the size.
    pub framing: Framing,
    /// The mean of each channel, which is subtracted from pixels in [0, 1]; their number is that of
    /// the channels, 1 or 3.
    pub mean: Vec<f32>,
    /// The standard deviation of each channel, which they are divided by.
    pub std: Vec<f32>,
}

impl Reader {
    /// With this mean and standard deviation: a number for each channel, one for all, or none for
    /// the usual ones. An input of bytes takes no other than those that leave 0 to 255.
    ///
    /// # Errors
    /// If a number of numbers or a number does not fit.
    pub fn new(framing: Framing, input: &ImageInput, mean: &[f32], std: &[f32]) -> Result<Self> {
        let is_open = mean.is_empty() && std.is_empty();
        if input.takes_bytes && !is_open {
            return Err(refusal(
                "--mean and --std: the network takes the bytes of the pixels, 0 to 255, and \
                 normalises them itself; leave both out",
            ));
        }
        let ([usual_mean, usual_std], whose) = match (input.takes_bytes, input.channels) {
            (true, channels) => ([vec![0.; channels], vec![1. / 255.; channels]], ""),
            (false, 1) => (GREY.map(|values| values.to_vec()), ""),
            (false, _) => (IMAGENET.map(|values| values.to_vec()), "ImageNet's "),
        };
        if input.takes_bytes {
            tracing::info!("the network takes the bytes of the pixels, 0 to 255");
        } else if mean.is_empty() || std.is_empty() {
            tracing::info!(
                "pixels in [0, 1] are normalised by {whose}mean {usual_mean:?} and standard \
                 deviation {usual_std:?} where --mean and --std say nothing else"
            );
        }
        let mean = of_channels("--mean", mean, usual_mean)?;
        let std = of_channels("--std", std, usual_std)?;
        if let Some(value) = std.iter().find(|value| **value <= 0.) {
            return Err(refusal(format!("--std {value}: a standard deviation is above 0")));
        }
        if mean.iter().chain(&std).any(|value| value.abs() > LARGE) {
            tracing::warn!(
                "--mean and --std are of pixels in [0, 1]: if yours are of 0 to 255, divide them \
                 by 255"
            );
        }
        Ok(Self { framing, mean, std })
    }

    /// Images as the network takes them, [B, C, H, W] or [B, H, W, C]. Of networks with one channel
    /// they are grey (ITU-R BT.601).
    ///
    /// # Errors
    /// If an image cannot be read, with its path.
    pub fn read(&self, list: &ImageList, images: &[usize], layout: Layout) -> Result<Tensor> {
        let read = |&image: &usize| -> Result<Vec<f32>> {
            Ok(self.normalised(&self.pixels(list.path(image))?, layout))
        };
        let values: Vec<Vec<f32>> = images.par_iter().map(read).collect::<Result<_>>()?;
        let Framing { height, width, .. } = self.framing;
        let (b, c) = (images.len(), self.mean.len());
        let shape = match layout {
            Layout::Nchw => (b, c, height, width),
            Layout::Nhwc => (b, height, width, c),
        };
        Ok(Tensor::from_vec(values.concat(), shape, &Device::Cpu)?)
    }

    /// The pixels that the network sees, RGB row by row.
    ///
    /// # Errors
    /// If the image cannot be read.
    pub fn pixels(&self, path: &Path) -> Result<Vec<u8>> {
        Ok(self.framing.read(path)?)
    }

    fn normalised(&self, rgb: &[u8], layout: Layout) -> Vec<f32> {
        let channels = self.mean.len();
        let value = |pixel: &[u8], channel: usize| {
            let share = match channels {
                1 => grey(pixel),
                _ => f32::from(pixel[channel]) / 255.,
            };
            (share - self.mean[channel]) / self.std[channel]
        };
        let pixels = || rgb.chunks_exact(3);
        match layout {
            Layout::Nchw => (0..channels)
                .flat_map(|channel| pixels().map(move |pixel| value(pixel, channel)))
                .collect(),
            Layout::Nhwc => pixels()
                .flat_map(|pixel| (0..channels).map(move |channel| value(pixel, channel)))
                .collect(),
        }
    }
}

/// A number for each channel.
fn of_channels(option: &str, given: &[f32], usual: Vec<f32>) -> Result<Vec<f32>> {
    let channels = usual.len();
    if let Some(value) = given.iter().find(|value| !value.is_finite()) {
        return Err(refusal(format!("{option} {value}: is no finite number")));
    }
    match given.len() {
        0 => Ok(usual),
        1 => Ok(vec![given[0]; channels]),
        count if count == channels => Ok(given.to_vec()),
        count => Err(refusal(format!(
            "{option}: {count} numbers are given, but the network's images have {channels} \
             channels"
        ))),
    }
}

fn grey(pixel: &[u8]) -> f32 {
    let [red, green, blue] = [0, 1, 2].map(|channel| f32::from(pixel[channel]));
    (0.299 * red + 0.587 * green + 0.114 * blue) / 255.
}

#[cfg(test)]
mod tests {
    use foresee_celeba::Crop;

    use super::*;

    #[test]
    fn pixels_become_planes_or_stay_together() {
        let framing = Framing { crop: Crop::Square, share: 1., height: 1, width: 2 };
        let reader = Reader { framing, mean: vec![0., 0.5, 1.], std: vec![1., 0.5, 0.5] };
        let rgb = [0, 255, 255, 255, 0, 0];
        assert_eq!(reader.normalised(&rgb, Layout::Nchw), [0., 1., 1., -1., 0., -2.]);
        assert_eq!(reader.normalised(&rgb, Layout::Nhwc), [0., 1., 0., 1., -1., -2.]);
        let grey = Reader { mean: vec![0.5], std: vec![0.5], ..reader };
        let values = grey.normalised(&rgb, Layout::Nchw);
        assert!((values[0] - 0.402).abs() < 1e-6 && (values[1] + 0.402).abs() < 1e-6);
    }

    #[test]
    fn one_number_is_for_all_channels() -> Result<()> {
        let of = |given: &[f32]| of_channels("--mean", given, vec![1., 2., 3.]);
        assert_eq!(of(&[])?, [1., 2., 3.]);
        assert_eq!(of(&[0.5])?, [0.5; 3]);
        assert_eq!(of(&[0.1, 0.2, 0.3])?, [0.1, 0.2, 0.3]);
        assert!(of(&[0.1, 0.2]).unwrap_err().to_string().contains("2 numbers are given"));
        assert!(of(&[f32::NAN]).is_err());
        Ok(())
    }
}
