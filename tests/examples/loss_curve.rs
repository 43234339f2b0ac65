//! A short training, step by step, for comparison with PyTorch's from the same weights on the same
//! batches:
//!
//! ```text
//! cargo run --release -p foresee-tests --example loss_curve -- \
//!     CELEBA_DIR FACES SIZE EPOCHS loss_curve.safetensors
//! python tests/python/loss_curve.py loss_curve.safetensors
//! ```
//!
//! The file holds initial weights, all batches in order, the learning rates and this program's
//! losses. It holds faces: keep it to yourself.

use candle_core::{Device, Tensor};
use foresee_celeba::{ATTRIBUTES, BatchOptions, CelebA, Epoch, Split, SplitRule};
use foresee_model::{Network, NetworkConfig, TrainConfig, Trainer};

const BATCH: usize = 32;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, faces, size, epochs, out] = &arguments[..] else {
        return Err("usage: loss_curve CELEBA_DIR FACES SIZE EPOCHS OUT.safetensors".into());
    };
    let (count, image_size, epochs): (usize, usize, usize) =
        (faces.parse()?, size.parse()?, epochs.parse()?);
    let data = CelebA::open(folder, SplitRule::Official)?;
    let faces = &data.split(Split::Train)?[..count];
    let network = Network::new(
        NetworkConfig { attributes: ATTRIBUTES.len(), ..Default::default() },
        0,
        &Device::Cpu,
    )?;
    let mut tensors: Vec<(String, Tensor)> = vec![];
    for (name, var) in network.tensors() {
        tensors.push((format!("initial.{name}"), var.as_tensor().copy()?));
    }
    let config = TrainConfig { epochs, weight_decay: 0., ..Default::default() };
    let mut trainer = Trainer::new(network, config, count / BATCH)?;
    let (mut losses, mut rates) = (vec![], vec![]);
    while !trainer.is_done() {
        let epoch = Epoch::new(0, trainer.position().epoch as u64);
        let options = BatchOptions {
            image_size,
            batch_size: BATCH,
            epoch: Some(Epoch { flip: true, ..epoch }),
            drop_last: true,
            ..Default::default()
        };
        for batch in data.batches(faces, &options) {
            let batch = batch?;
            let step = losses.len();
            let report = trainer.step(&batch.images, &batch.labels)?;
            println!(
                "step {step}: loss {:.4}, classification {:.4}, mask mean {:.4}",
                report.loss, report.classification, report.mask_mean
            );
            losses.push(report.loss);
            rates.push(report.learning_rate as f32);
            tensors.push((format!("images.{step}"), batch.images));
            tensors.push((format!("labels.{step}"), batch.labels));
        }
    }
    let steps = losses.len();
    tensors.push(("losses".into(), Tensor::from_vec(losses, steps, &Device::Cpu)?));
    tensors.push(("learning_rates".into(), Tensor::from_vec(rates, steps, &Device::Cpu)?));
    safetensors::serialize_to_file(tensors, None, std::path::Path::new(out))?;
    Ok(())
}
