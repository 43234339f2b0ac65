//! How long does a training step take?
//!
//! ```text
//! cargo run --release --package foresee-baselines --example step_speed -- 64 8 18 resnet abn
//! ```
//!
//! The arguments are the images' size, their number, the layers of the ResNet, and the systems
//! (all: `resnet abn abn-each moon lnets-anet lnets-anet-5`; without any the first, second and
//! fourth). The least of five steps is written, after one that is not counted.

use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use foresee_baselines::{
    AbnConfig, Baseline, Depth, LnetsAnetConfig, Maps, MoonConfig, ResNetConfig, System,
};
use foresee_model::{TrainConfig, Trainer};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> AnyResult {
    let mut arguments = std::env::args().skip(1);
    let mut next = |otherwise: &str| arguments.next().unwrap_or(otherwise.into()).parse::<usize>();
    let (size, images, layers) = (next("64")?, next("8")?, next("18")?);
    let depth = Depth::ALL.into_iter().find(|depth| depth.layers() == layers);
    let depth = depth.ok_or("a ResNet has 18, 34, 50 or 101 layers")?;
    let mut names: Vec<String> = arguments.collect();
    if names.is_empty() {
        names = ["resnet", "abn", "moon"].map(String::from).to_vec();
    }
    for name in names {
        let system = system(&name, depth, size).ok_or(format!("no system is called {name}"))?;
        let seconds = least_step(system, size, images)?;
        println!("{name:<14} {seconds:.3} s, {:.1} images a second", images as f64 / seconds);
    }
    Ok(())
}

fn system(name: &str, depth: Depth, size: usize) -> Option<System> {
    let resnet = ResNetConfig { depth, ..Default::default() };
    let abn = |maps| System::Abn(AbnConfig { resnet: resnet.clone(), maps, residual: true });
    let face_size = (size * 3 / 4).next_multiple_of(16);
    let lnets_anet = |windows| {
        let image_size = size;
        System::LnetsAnet(LnetsAnetConfig { image_size, face_size, windows, ..Default::default() })
    };
    Some(match name {
        "resnet" => System::ResNet(resnet),
        "abn" => abn(Maps::Shared),
        "abn-each" => abn(Maps::Attributes),
        "moon" => System::Moon(MoonConfig { image_size: [size; 2], ..Default::default() }),
        "lnets-anet" => lnets_anet(1),
        "lnets-anet-5" => lnets_anet(5),
        _ => return None,
    })
}

/// The least time of five steps.
fn least_step(system: System, size: usize, images: usize) -> AnyResult<f64> {
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
    Ok(least)
}
