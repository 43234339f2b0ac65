//! Trains a small network to recognise three attributes of drawn squares (red, large, on the left)
//! and prints its accuracy on new ones: `cargo run --release -p foresee-model --example squares`.

use candle_core::{Device, Tensor};
use foresee_model::{Network, NetworkConfig, Predictions, Sparsity, TrainConfig, Trainer};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SIZE: usize = 16;
const ATTRIBUTES: [&str; 3] = ["red", "large", "left"];

/// Images [B, 3, 16, 16] and labels [B, 3].
fn batch(rng: &mut ChaCha8Rng, images: usize) -> candle_core::Result<(Tensor, Tensor)> {
    let mut pixels = vec![0f32; images * 3 * SIZE * SIZE];
    let mut labels = vec![];
    for image in pixels.chunks_exact_mut(3 * SIZE * SIZE) {
        let [red, large, left]: [bool; 3] = rng.random();
        let side = if large { 7 } else { 4 };
        let x = rng.random_range(0..2) + if left { 0 } else { 7 };
        let y = rng.random_range(0..8);
        let channel = if red { 0 } else { 2 };
        for row in y..y + side {
            image[channel * SIZE * SIZE + row * SIZE + x..][..side].fill(1.);
        }
        image.iter_mut().for_each(|v| *v += rng.random_range(-0.2..0.2));
        labels.extend([red, large, left].map(|present| f32::from(u8::from(present))));
    }
    Ok((
        Tensor::from_vec(pixels, (images, 3, SIZE, SIZE), &Device::Cpu)?,
        Tensor::from_vec(labels, (images, 3), &Device::Cpu)?,
    ))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = NetworkConfig { attributes: 3, channels: 16, ..Default::default() };
    let network = Network::new(config, 1, &Device::Cpu)?;
    let config = TrainConfig {
        epochs: 1,
        learning_rate: 1e-2,
        lambda: 1e-3,
        sparsity: Sparsity::Mean,
        ..Default::default()
    };
    let mut trainer = Trainer::new(network, config, 120)?;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    while !trainer.is_done() {
        let (images, labels) = batch(&mut rng, 32)?;
        let report = trainer.step(&images, &labels)?;
        if trainer.position().step % 20 == 0 {
            println!(
                "step {}: loss {:.3}, accuracy {:.1} %",
                trainer.position().step,
                report.loss,
                100. * report.accuracy
            );
        }
    }
    let mut predictions = Predictions::default();
    let (images, labels) = batch(&mut rng, 500)?;
    predictions.add(&trainer.network().forward(&images)?.logits, &labels)?;
    for (name, metrics) in ATTRIBUTES.iter().zip(predictions.metrics()?.each) {
        println!("{name}: accuracy {:.1} %, AUC {:.3}", 100. * metrics.accuracy, metrics.auc);
    }
    Ok(())
}
