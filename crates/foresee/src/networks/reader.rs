//! From image files to the numbers that a network is given.

use std::path::Path;

use candle_core::{Device, Tensor};
use foresee_celeba::Framing;
use rayon::prelude::*;
use serde::Serialize;

use super::images::ImageList;
use crate::error::Result;

/// Where the channels of an image are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Layout {
    /// [B, C, H, W], as in PyTorch.
    Nchw,
    /// [B, H, W, C], as in TensorFlow.
    Nhwc,
}

/// How images are read.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    /// The part of an image, and the size.
    pub framing: Framing,
    /// The mean of each channel, which is subtracted from pixels in [0, 1]; their number is that of
    /// the channels, 1 or 3.
    pub mean: Vec<f32>,
    /// The standard deviation of each channel, which they are divided by.
    pub deviation: Vec<f32>,
}

impl Reader {
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
            (share - self.mean[channel]) / self.deviation[channel]
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
        let reader = Reader { framing, mean: vec![0., 0.5, 1.], deviation: vec![1., 0.5, 0.5] };
        let rgb = [0, 255, 255, 255, 0, 0];
        assert_eq!(reader.normalised(&rgb, Layout::Nchw), [0., 1., 1., -1., 0., -2.]);
        assert_eq!(reader.normalised(&rgb, Layout::Nhwc), [0., 1., 0., 1., -1., -2.]);
        let grey = Reader { mean: vec![0.5], deviation: vec![0.5], ..reader };
        let values = grey.normalised(&rgb, Layout::Nchw);
        assert!((values[0] - 0.402).abs() < 1e-6 && (values[1] + 0.402).abs() < 1e-6);
    }
}
