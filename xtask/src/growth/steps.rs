//! How the time of a step grows with pixels, channels and attributes.

use std::time::Instant;

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use foresee_model::{Network, NetworkConfig, Precision, TrainConfig, Trainer};
use foresee_report::record;
use foresee_stats::CostModel;
use indicatif::ProgressBar;

use super::GrowthArgs;

/// Images of a micro-batch, which a step is measured on.
pub const MICRO_BATCH: usize = 8;

/// A network on images of some size.
#[derive(Clone, Copy)]
pub struct Size {
    pub pixels: usize,
    pub channels: usize,
    pub attributes: usize,
}

pub const BASE: Size = Size { pixels: 32, channels: 128, attributes: 40 };

impl Size {
    pub fn trainer(self) -> Result<Trainer> {
        let Self { channels, attributes, .. } = self;
        let precision = Precision::Bf16;
        let config = NetworkConfig { channels, attributes, precision, ..Default::default() };
        let network = Network::new(config, 0, &Device::Cpu)?;
        let config = TrainConfig { micro_batch: MICRO_BATCH, ..Default::default() };
        Ok(Trainer::new(network, config, 1_000_000)?)
    }

    /// Images and labels of a micro-batch.
    fn images(self) -> Result<(Tensor, Tensor)> {
        let shape = (MICRO_BATCH, 3, self.pixels, self.pixels);
        let images = Tensor::randn(0f32, 1., shape, &Device::Cpu)?;
        let labels = Tensor::zeros((MICRO_BATCH, self.attributes), DType::F32, &Device::Cpu)?;
        Ok((images, labels))
    }

    /// The fastest of some steps, in seconds.
    fn seconds(self, steps: u32) -> Result<f64> {
        let (mut trainer, (images, labels)) = (self.trainer()?, self.images()?);
        let mut best = f64::INFINITY;
        for _ in 0..=steps {
            let start = Instant::now();
            trainer.step(&images, &labels)?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        Ok(best)
    }

    /// What the time of a step is made of: products of the convolutions and of the heads, values
    /// of feature maps and of masks, weights; in units of 10⁹.
    fn terms(self) -> [f64; 5] {
        let Self { pixels, channels, attributes } = self;
        let [images, c, k] =
            [MICRO_BATCH * pixels * pixels, channels, attributes].map(|n| n as f64);
        let convolutions = 9. * (3. * 32. + 32. * 64. + 64. * 64. + 64. * c);
        let weights = k * c * c + convolutions;
        [images * convolutions, images * k * c * c, images * (160. + c), images * k * c, weights]
            .map(|count| count * 1e-9)
    }
}

record! {
    /// A measured step on one micro-batch of 8 images.
    pub struct Step {
        /// What is varied.
        pub varied: String,
        pub pixels: usize,
        pub channels: usize,
        pub attributes: usize,
        /// Of the fastest step.
        pub seconds: f64,
        /// What the fitted sum of terms says.
        pub reckoned_seconds: f64,
        /// Of the weights' gradients.
        pub gradient_bytes: usize,
        /// Of memory that a step needs, as `reproduce` estimates it.
        pub memory_bytes: u64,
    }
}

/// All sizes that are measured, by what varies.
fn sizes(most: usize) -> Vec<(&'static str, Size)> {
    let pixels = [16, 24, 32, 48, 64, 96, 128, 178].into_iter().filter(|&pixels| pixels <= most);
    let pixels = pixels.map(|pixels| ("pixels", Size { pixels, ..BASE }));
    let channels = [32, 64, 128, 256, 512].map(|channels| ("channels", Size { channels, ..BASE }));
    let attributes =
        [1, 4, 10, 40, 100, 400].map(|attributes| ("attributes", Size { attributes, ..BASE }));
    pixels.chain(channels).chain(attributes).collect()
}

pub type Reckon = Box<dyn Fn(Size) -> f64>;

/// Times steps of all sizes, and fits a sum of terms to them.
pub fn measure(args: &GrowthArgs) -> Result<(Vec<Step>, Reckon)> {
    let sizes = sizes(args.pixels as usize);
    let bar = ProgressBar::new(sizes.len() as u64);
    let seconds = sizes.iter().map(|(_, size)| {
        let seconds = size.seconds(args.steps);
        bar.inc(1);
        seconds
    });
    let seconds = seconds.collect::<Result<Vec<f64>>>()?;
    bar.finish_and_clear();
    let terms: Vec<[f64; 5]> = sizes.iter().map(|(_, size)| size.terms()).collect();
    let model = CostModel::fit(&terms, &seconds)?;
    let reckon = move |size: Size| model.cost(&size.terms());
    let row = |((varied, size), seconds): (&(&str, Size), f64)| -> Result<Step> {
        let network = size.trainer()?;
        let network = network.network();
        Ok(Step {
            varied: (*varied).into(),
            pixels: size.pixels,
            channels: size.channels,
            attributes: size.attributes,
            seconds,
            reckoned_seconds: reckon(*size),
            gradient_bytes: 4 * network.parameters(),
            memory_bytes: network.training_bytes(MICRO_BATCH, size.pixels),
        })
    };
    let rows = sizes.iter().zip(seconds).map(row).collect::<Result<_>>()?;
    Ok((rows, Box::new(reckon)))
}
