//! Training on a batch that ranks share: the same bits on any number of them, and the gradients of
//! the whole batch.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use foresee_model::{
    Network, NetworkConfig, Result, SharedBatch, Sparsity, StepReport, TrainConfig, Trainer,
};
use foresee_ranks::{Alone, Communicator, Counted, on_threads};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const STEPS: usize = 34;

fn config() -> NetworkConfig {
    NetworkConfig { attributes: 3, channels: 6, ..Default::default() }
}

fn trainer(config: TrainConfig) -> Result<Trainer> {
    trainer_on(&Device::Cpu, config)
}

fn trainer_on(device: &Device, config: TrainConfig) -> Result<Trainer> {
    let network = Network::new(self::config(), 7, device)?;
    // Some masks are shut from the start.
    let heads: HashMap<String, _> = network.tensors().into_iter().collect();
    let bias = heads["heads.mask.bias"];
    let shift: Vec<f32> =
        (0..bias.elem_count()).map(|i| if i % 3 == 0 { -30. } else { 0. }).collect();
    bias.set(&(bias.as_tensor() + Tensor::from_vec(shift, bias.shape(), device)?)?)?;
    Trainer::new(network, config, STEPS)
}

/// Images and labels of a step, always the same.
fn batch(step: usize, images: usize, size: usize) -> Result<(Tensor, Tensor)> {
    let mut rng = ChaCha8Rng::seed_from_u64(step as u64);
    let mut draw =
        |count: usize| -> Vec<f32> { (0..count).map(|_| rng.random_range(-1f32..1.)).collect() };
    let pixels = draw(images * 3 * size * size);
    let labels: Vec<f32> =
        draw(images * 3).into_iter().map(|v| if v > 0. { 1. } else { 0. }).collect();
    let images = (images, 3, size, size);
    Ok((
        Tensor::from_vec(pixels, images, &Device::Cpu)?,
        Tensor::from_vec(labels, (images.0, 3), &Device::Cpu)?,
    ))
}

/// The reports of some steps, and the bits of all tensors after them.
type Trained = (Vec<StepReport>, HashMap<String, Vec<u32>>);

/// Some steps on batches of 10 images of 9 pixels.
fn train(
    ranks: &dyn Communicator,
    micro_batch: usize,
    steps: usize,
    config: &TrainConfig,
) -> Result<Trained> {
    train_on(&Device::Cpu, ranks, micro_batch, steps, config)
}

fn train_on(
    device: &Device,
    ranks: &dyn Communicator,
    micro_batch: usize,
    steps: usize,
    config: &TrainConfig,
) -> Result<Trained> {
    let mut trainer = trainer_on(device, config.clone())?;
    let shared = SharedBatch::new(ranks, 10, micro_batch);
    let own = shared.images();
    let mut reports = vec![];
    for step in 0..steps {
        let (images, labels) = batch(step, 10, 9)?;
        let share = |x: Tensor| x.narrow(0, own.start, own.len())?.to_device(device);
        let (images, labels) = (share(images)?, share(labels)?);
        reports.push(trainer.step_of_ranks(&images, &labels, &shared)?);
    }
    let tensors = trainer.network().tensors().into_iter();
    let bits = tensors.map(|(name, var)| {
        let values = var.flatten_all()?.to_vec1::<f32>()?;
        Ok((name, values.into_iter().map(f32::to_bits).collect()))
    });
    Ok((reports, bits.collect::<Result<_>>()?))
}

#[test]
fn any_number_of_ranks_trains_the_same_bits() -> Result<()> {
    for sleep in [0., 0.01] {
        let config = TrainConfig { sleep, lambda: 1e-4, ..Default::default() };
        let alone = train(&Alone, 3, STEPS, &config)?;
        let asleep = alone.0.iter().filter_map(|report| report.awake).any(|awake| awake < 18);
        assert_eq!(asleep, sleep > 0.);
        for ranks in [2, 3, 4, 7] {
            for found in on_threads(ranks, |ranks| train(ranks, 3, STEPS, &config)) {
                assert!(found? == alone, "{ranks} ranks, sleep {sleep}");
            }
        }
    }
    Ok(())
}

#[test]
fn any_number_of_threads_trains_the_same_bits() -> Result<()> {
    let config = TrainConfig::default();
    let of = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| train(&Alone, 4, 3, &config))
    };
    let one = of(1)?;
    for threads in [2, 3, 8] {
        assert!(of(threads)? == one, "{threads} threads");
    }
    Ok(())
}

/// Everything that a step may do to its images, features and masks.
fn all_options() -> TrainConfig {
    TrainConfig {
        sparsity: Sparsity::Pixels,
        lambda: 1e-3,
        budget: 0.3,
        drop: 0.8,
        drop_correlated: 0.8,
        noise: 0.2,
        noise_detach: 0.5,
        mask_decay: 0.3,
        curve: 0.5,
        ..Default::default()
    }
}

#[test]
fn options_of_training_do_not_depend_on_ranks() -> Result<()> {
    let config = TrainConfig { sleep: 0.01, decorrelate: 0.1, variation: 0.2, ..all_options() };
    let alone = train(&Alone, 3, STEPS, &config)?;
    assert!(alone != train(&Alone, 3, STEPS, &TrainConfig { drop: 0., ..config.clone() })?);
    for ranks in [2, 3, 7] {
        for found in on_threads(ranks, |ranks| train(ranks, 3, STEPS, &config)) {
            assert!(found? == alone, "{ranks} ranks");
        }
    }
    Ok(())
}

/// Without a GPU it skips, saying so.
#[cfg(feature = "cuda")]
#[test]
fn any_number_of_ranks_on_a_gpu_trains_the_same_bits() -> Result<()> {
    let Ok(gpu) = Device::new_cuda_with_stream(0) else {
        eprintln!("skipped: there is no GPU");
        return Ok(());
    };
    let config = TrainConfig { sleep: 0.01, decorrelate: 0.1, variation: 0.2, ..all_options() };
    let alone = train_on(&gpu, &Alone, 3, STEPS, &config)?;
    for ranks in [2, 3] {
        for found in on_threads(ranks, |ranks| train_on(&gpu, ranks, 3, STEPS, &config)) {
            assert!(found? == alone, "{ranks} ranks");
        }
    }
    let config = TrainConfig { micro_batch: 3, gpu_micro_batch: 3, ..config };
    let step_on = |device: &Device| -> Result<Trainer> {
        let mut trainer = trainer_on(device, config.clone())?;
        let (images, labels) = batch(0, 10, 9)?;
        trainer.step(&images.to_device(device)?, &labels.to_device(device)?)?;
        Ok(trainer)
    };
    check_moments(&step_on(&Device::Cpu)?, &step_on(&gpu)?, 3)
}

#[test]
fn a_trainer_cuts_batches_as_ranks_share_them() -> Result<()> {
    let config = TrainConfig { micro_batch: 3, ..all_options() };
    let (expected, _) = train(&Alone, 3, 4, &config)?;
    let mut trainer = trainer(config)?;
    for (step, expected) in expected.iter().enumerate() {
        let (images, labels) = batch(step, 10, 9)?;
        assert_eq!(trainer.step(&images, &labels)?, *expected);
    }
    Ok(())
}

/// The whole batch at once is another order of the same sums.
#[test]
fn micro_batches_have_the_gradients_of_the_whole_batch() -> Result<()> {
    let of_norm = |sparsity, lambda| TrainConfig { sparsity, lambda, ..Default::default() };
    for config in [of_norm(Sparsity::Sum, 1e-3), of_norm(Sparsity::Mean, 1.), all_options()] {
        for micro_batch in [1, 3, 4, 10, 100] {
            let mut whole = trainer(config.clone())?;
            let mut shared = trainer(TrainConfig { micro_batch, ..config.clone() })?;
            let (images, labels) = batch(0, 10, 9)?;
            let weights = [0.5, 1.5, 1., 0., 2., 1., 1., 3., 0., 0.];
            let expected = whole.step_weighted(&images, &labels, Some(&weights))?;
            let found = shared.step_weighted(&images, &labels, Some(&weights))?;
            let pairs = [
                (found.loss, expected.loss),
                (found.classification, expected.classification),
                (found.sparsity, expected.sparsity),
                (found.accuracy, expected.accuracy),
                (found.mask_mean, expected.mask_mean),
            ];
            for (found, expected) in pairs {
                let most = 1e-5 * expected.abs();
                assert!((found - expected).abs() <= most, "{found}, expected {expected}");
            }
            check_moments(&whole, &shared, micro_batch)?;
        }
    }
    Ok(())
}

/// AdamW's first moments after one step are a tenth of the gradients.
fn check_moments(whole: &Trainer, shared: &Trainer, micro_batch: usize) -> Result<()> {
    let folder = tempfile::tempdir().expect("a folder");
    let tensors = |trainer: &Trainer, name: &str| -> Result<HashMap<String, Tensor>> {
        let path = folder.path().join(name);
        trainer.save_checkpoint(&path)?;
        Ok(candle_core::safetensors::load(&path, &Device::Cpu)?)
    };
    let (whole, shared) = (tensors(whole, "whole")?, tensors(shared, "shared")?);
    let mut compared = 0;
    for (name, expected) in &whole {
        if !name.starts_with("optimizer.first") && !name.contains("running") {
            continue;
        }
        let values = |x: &Tensor| x.flatten_all()?.to_vec1::<f32>();
        let (found, expected) = (values(&shared[name])?, values(expected)?);
        let most = expected.iter().fold(1e-4f32, |most, v| most.max(v.abs()));
        for (found, expected) in found.iter().zip(&expected) {
            let off = (found - expected).abs() / most;
            assert!(off < 2e-4, "{name} is off by {off} in micro-batches of {micro_batch}");
        }
        compared += 1;
    }
    assert_eq!(compared, 20 + 8);
    Ok(())
}

#[test]
fn images_that_are_not_the_ranks_share_are_refused() -> Result<()> {
    let mut trainer = trainer(TrainConfig::default())?;
    let (images, labels) = batch(0, 4, 9)?;
    let refused = trainer.step_of_ranks(&images, &labels, &SharedBatch::new(&Alone, 5, 2));
    assert!(refused.unwrap_err().to_string().contains("given 4 images"));
    assert_eq!(trainer.position().step, 0);
    Ok(())
}

/// What the rank that sends most sends in a step of 16 micro-batches, in sizes of the gradients:
/// the gradients by at most 2, and batch norm's sums. The network is the paper's; what is sent does
/// not depend on the images.
#[test]
fn a_step_sends_little() -> Result<()> {
    for (size, most) in [(2, 1.03), (3, 1.72), (4, 1.54), (5, 1.66), (6, 2.05), (7, 1.92), (8, 1.8)]
    {
        let sent = on_threads(size, |ranks| -> Result<f64> {
            let counted = Counted::new(ranks);
            let network = Network::new(NetworkConfig::default(), 0, &Device::Cpu)?;
            let gradients = (4 * network.parameters()) as f64;
            let mut trainer = Trainer::new(network, TrainConfig::default(), 1)?;
            let shared = SharedBatch::new(&counted, 16, 1);
            let own = shared.images().len();
            let images = Tensor::zeros((own, 3, 4, 4), DType::F32, &Device::Cpu)?;
            let labels = Tensor::zeros((own, 40), DType::F32, &Device::Cpu)?;
            trainer.step_of_ranks(&images, &labels, &shared)?;
            Ok(counted.sent() as f64 / gradients)
        });
        let sent = sent.into_iter().collect::<Result<Vec<_>>>()?.into_iter().fold(0., f64::max);
        println!("{size} ranks: {sent:.3}");
        assert!(sent <= most, "{size} ranks: {sent}");
    }
    Ok(())
}
