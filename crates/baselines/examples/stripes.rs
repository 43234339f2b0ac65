//! Are the stripes of an image upright, and are they red? Three systems learn it.
//!
//! ```text
//! cargo run --release --package foresee-baselines --example stripes
//! ```

use candle_core::{Device, Tensor};
use foresee_baselines::{AbnConfig, Baseline, Depth, Maps, MoonConfig, ResNetConfig, System};
use foresee_model::{Predictions, TrainConfig, Trainer};

const SIZE: usize = 32;
const BATCH: usize = 16;
const STEPS: usize = 120;

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// A batch of images, and their labels: upright, red.
fn batch(number: usize) -> AnyResult<(Tensor, Tensor)> {
    let mut images = Vec::new();
    let mut labels = Vec::new();
    for i in number * BATCH..(number + 1) * BATCH {
        let (upright, red, phase) = (i % 2 == 0, i / 2 % 2 == 0, i * 7 % 5);
        labels.extend([upright, red].map(|yes| f32::from(u8::from(yes))));
        for channel in 0..3 {
            let strength = if (channel == 0) == red { 1f32 } else { 0.3 };
            images.extend((0..SIZE * SIZE).map(|p| {
                let along = if upright { p % SIZE } else { p / SIZE };
                if (along + phase) / 4 % 2 == 0 { strength } else { -0.5 }
            }));
        }
    }
    Ok((
        Tensor::from_vec(images, (BATCH, 3, SIZE, SIZE), &Device::Cpu)?,
        Tensor::from_vec(labels, (BATCH, 2), &Device::Cpu)?,
    ))
}

fn main() -> AnyResult {
    let resnet = ResNetConfig { depth: Depth::D18, width: 8, attributes: 2, ..Default::default() };
    let abn = AbnConfig { resnet: resnet.clone(), maps: Maps::Attributes, residual: true };
    let moon = MoonConfig {
        attributes: 2,
        image_size: [SIZE; 2],
        width: 8,
        hidden: 32,
        batch_norm: true,
        ..Default::default()
    };
    for system in [System::ResNet(resnet), System::Abn(abn), System::Moon(moon)] {
        let network = Baseline::new(system, 7, &Device::Cpu)?;
        let settings = TrainConfig { epochs: 1, ..Default::default() };
        let mut trainer = Trainer::new(network, settings, STEPS)?;
        let mut loss = 0.;
        for step in 0..STEPS {
            let (images, labels) = batch(step)?;
            loss = trainer.step(&images, &labels)?.loss;
        }
        let mut predictions = Predictions::default();
        for number in STEPS..STEPS + 4 {
            let (images, labels) = batch(number)?;
            predictions.add(&trainer.trained().forward(&images)?, &labels)?;
        }
        let accuracy = 100. * predictions.metrics()?.accuracy();
        let title = trainer.network().system().title();
        println!("{title:<22} last loss {loss:.3}, accuracy {accuracy:.1} %");
    }
    Ok(())
}
