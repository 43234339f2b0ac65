//! How long does a training step take?
//!
//! ```text
//! cargo run --release --package foresee-baselines --example step_speed -- 64 8 18
//! ```
//!
//! The arguments are the images' size, their number, and the layers of the ResNet. The least of
//! five steps is written, after one that is not counted.

use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use foresee_baselines::{AbnConfig, Baseline, Depth, Maps, MoonConfig, ResNetConfig, System};
use foresee_model::{TrainConfig, Trainer};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> AnyResult {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let mut next = |otherwise: usize| arguments.next().unwrap_or(Ok(otherwise));
    let (size, images, layers) = (next(64)?, next(8)?, next(18)?);
    let depth = Depth::ALL.into_iter().find(|depth| depth.layers() == layers);
    let depth = depth.ok_or("a ResNet has 18, 34, 50 or 101 layers")?;
    let resnet = ResNetConfig { depth, ..Default::default() };
    let abn = AbnConfig { resnet: resnet.clone(), maps: Maps::Shared, residual: true };
    let moon = MoonConfig { image_size: [size; 2], ..Default::default() };
    for system in [System::ResNet(resnet), System::Abn(abn), System::Moon(moon)] {
        let network = Baseline::new(system, 7, &Device::Cpu)?;
        let mut trainer = Trainer::new(network, TrainConfig::default(), 1000)?;
        let x = Tensor::randn(0f32, 1., (images, 3, size, size), &Device::Cpu)?;
        let labels = Tensor::randn(0f32, 1., (images, 40), &Device::Cpu)?;
        let labels = labels.gt(0f64)?.to_dtype(DType::F32)?;
        let mut least = f64::INFINITY;
        for step in 0..6 {
            let start = Instant::now();
            trainer.step(&x, &labels)?;
            if step > 0 {
                least = least.min(start.elapsed().as_secs_f64());
            }
        }
        let title = trainer.network().system().title();
        println!("{title:<20} {least:.3} s, {:.1} images a second", images as f64 / least);
    }
    Ok(())
}
