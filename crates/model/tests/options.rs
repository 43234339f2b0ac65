//! Options of training that prepare a network for the operations on it.

use std::ops::Range;

use candle_core::{Device, Tensor};
use foresee_model::{
    Error, Network, NetworkConfig, Readout, Reconstruction, Result, Sparsity, TrainConfig, Trainer,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn config() -> NetworkConfig {
    NetworkConfig { attributes: 3, channels: 12, ..Default::default() }
}

fn all_options() -> TrainConfig {
    TrainConfig {
        epochs: 2,
        learning_rate: 1e-3,
        lambda: 1e-4,
        average: 0.9,
        sleep: 0.03,
        budget: 0.1,
        drop: 0.8,
        drop_correlated: 0.8,
        noise: 0.2,
        noise_detach: 0.5,
        mask_decay: 0.3,
        curve: 0.5,
        decorrelate: 0.1,
        variation: 0.2,
        micro_batch: 2,
        ..Default::default()
    }
}

/// Of a network of which every third mask is shut.
fn trainer(config: TrainConfig, seed: u64) -> Result<Trainer> {
    let network = Network::new(self::config(), seed, &Device::Cpu)?;
    let tensors = network.tensors();
    let (_, bias) = tensors.iter().find(|(name, _)| name == "heads.mask.bias").expect("a bias");
    let shut = bias.to_vec1::<f32>()?.into_iter().enumerate();
    let shut: Vec<f32> = shut.map(|(i, bias)| if i % 3 == 0 { bias - 9. } else { bias }).collect();
    bias.set(&Tensor::new(shut, &Device::Cpu)?)?;
    Trainer::new(network, config, 50)
}

/// Images and labels that depend on the step alone. How many masks were awake at the last look.
fn run(trainer: &mut Trainer, steps: Range<u64>) -> Result<Option<usize>> {
    let mut awake = None;
    for step in steps {
        let mut rng = ChaCha8Rng::seed_from_u64(step);
        let mut draw =
            |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random_range(-1f32..1.)).collect() };
        let images = Tensor::from_vec(draw(4 * 3 * 81), (4, 3, 9, 9), &Device::Cpu)?;
        let labels = draw(12).into_iter().map(|v| f32::from(u8::from(v > 0.))).collect();
        let labels = Tensor::from_vec(labels, (4, 3), &Device::Cpu)?;
        awake = trainer.step(&images, &labels)?.awake.or(awake);
    }
    Ok(awake)
}

fn bits(network: &Network) -> Result<Vec<u32>> {
    let mut all = vec![];
    for (_, var) in network.tensors() {
        all.extend(var.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f32::to_bits));
    }
    Ok(all)
}

#[test]
fn a_resume_and_any_number_of_threads_give_the_same_bits() -> Result<()> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("checkpoint.safetensors");
    let mut uninterrupted = trainer(all_options(), 4)?;
    // Between two looks.
    let awake = run(&mut uninterrupted, 0..40)?;
    assert!(awake.is_some_and(|awake| awake < 36), "no mask sleeps: {awake:?}");
    uninterrupted.save_checkpoint(&path)?;
    run(&mut uninterrupted, 40..70)?;
    let expected = bits(uninterrupted.network())?;
    // The draws go on from the checkpoint, whatever the network began with.
    for seed in [4, 5] {
        let mut resumed = trainer(all_options(), seed)?;
        resumed.resume(&path)?;
        run(&mut resumed, 40..70)?;
        assert!(bits(resumed.network())? == expected, "resumed elsewhere");
    }
    for threads in [1, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        let found = pool.install(|| {
            let mut trainer = trainer(all_options(), 4)?;
            run(&mut trainer, 0..70)?;
            bits(trainer.network())
        });
        assert!(found? == expected, "{threads} threads end elsewhere");
    }
    Ok(())
}

#[test]
fn a_positive_readout_stays_positive() -> Result<()> {
    let architecture = NetworkConfig { readout: Readout::Positive, ..config() };
    let network = Network::new(architecture, 4, &Device::Cpu)?;
    let options = TrainConfig { learning_rate: 0.05, ..all_options() };
    let mut trainer = Trainer::new(network, options, 50)?;
    run(&mut trainer, 0..20)?;
    let (mut zeros, mut above) = (0, 0);
    for network in [trainer.network(), trainer.trained()] {
        for weight in network.heads().readout_weights()?.concat() {
            assert!(weight >= 0., "{weight}");
            zeros += usize::from(weight == 0.);
            above += usize::from(weight > 0.);
        }
    }
    assert!(zeros > 0 && above > 0, "{zeros} weights of 0, {above} above");
    // A takeover may give a channel any weight.
    let kept = vec![0];
    let column = |n: usize| vec![vec![-1f32]; n];
    let takeover = Reconstruction {
        kept,
        weights: column(12),
        offsets: vec![0.; 12],
        readout: column(3),
        readout_offsets: vec![0.; 3],
    };
    let smaller = trainer.network().reconstruct_channels(&takeover)?;
    assert_eq!(smaller.config().readout, Readout::Linear);
    Ok(())
}

/// The weights are 1 or -1 for good, and the features they read keep their scale.
#[test]
fn sums_and_signs_stay_so() -> Result<()> {
    let linear = Network::new(config(), 4, &Device::Cpu)?.heads().readout_weights()?.concat();
    let signs: Vec<f32> = linear.into_iter().map(f32::signum).collect();
    assert!(signs.contains(&1.) && signs.contains(&-1.));
    for (readout, expected) in [(Readout::Sum, vec![1.; 36]), (Readout::Signs, signs)] {
        let architecture = NetworkConfig { readout, ..config() };
        let mut trainer =
            Trainer::new(Network::new(architecture, 4, &Device::Cpu)?, all_options(), 50)?;
        run(&mut trainer, 0..5)?;
        assert_eq!(trainer.network().heads().readout_weights()?.concat(), expected);
        for (name, var) in trainer.network().tensors() {
            let values = || var.to_vec1::<f32>();
            match name.as_str() {
                "extractor.3.bn.weight" => assert_eq!(values()?, [1.; 12]),
                "extractor.3.bn.bias" => assert_eq!(values()?, [0.; 12]),
                "extractor.2.bn.bias" => assert!(values()?.iter().all(|shift| *shift != 0.)),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Logits of a sum over many channels begin near 0, not far above.
#[test]
fn a_sum_begins_near_0() -> Result<()> {
    let architecture = NetworkConfig { readout: Readout::Sum, channels: 128, ..config() };
    let network = Network::new(architecture, 4, &Device::Cpu)?;
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let values: Vec<f32> = (0..4 * 3 * 81).map(|_| rng.random_range(-1f32..1.)).collect();
    let images = Tensor::from_vec(values, (4, 3, 9, 9), &Device::Cpu)?;
    let logits = network.forward_train(&images)?.logits.flatten_all()?.to_vec1::<f32>()?;
    // Without its first bias each would be near 0.2·128.
    assert!(logits.iter().all(|logit| logit.abs() < 8.), "{logits:?}");
    Ok(())
}

#[test]
fn the_masks_decay_by_their_own_measure() -> Result<()> {
    let weights = |mask_decay: f64| -> Result<Vec<f32>> {
        let network = Network::new(config(), 4, &Device::Cpu)?;
        let options = TrainConfig { mask_decay, ..Default::default() };
        let mut trainer = Trainer::new(network, options, 50)?;
        run(&mut trainer, 0..1)?;
        let tensors = trainer.network().tensors();
        let norm = |name: &str| -> Result<f32> {
            let (_, var) = tensors.iter().find(|(of, _)| of == name).expect("a tensor");
            Ok(var.sqr()?.sum_all()?.to_scalar()?)
        };
        Ok(vec![norm("heads.mask.weight")?, norm("extractor.1.conv.weight")?])
    };
    let (none, some) = (weights(0.)?, weights(50.)?);
    assert!(some[0] < 0.99 * none[0] && some[1] == none[1], "{none:?} {some:?}");
    Ok(())
}

#[test]
fn options_without_effect_are_refused() {
    let plain = NetworkConfig { attention: false, ..config() };
    let single = NetworkConfig { channels: 1, ..config() };
    let usual = TrainConfig::default();
    let group = TrainConfig { sparsity: Sparsity::Group, ..usual.clone() };
    for (network, train, key) in [
        (&plain, TrainConfig { curve: 0.1, ..usual.clone() }, "train.curve"),
        (&plain, TrainConfig { budget: 0.1, ..usual.clone() }, "train.budget"),
        (&plain, TrainConfig { mask_decay: 0.1, ..usual.clone() }, "train.mask_decay"),
        (&plain, TrainConfig { noise_detach: 1., ..usual.clone() }, "train.noise_detach"),
        (&plain, group.clone(), "train.lambda"),
        (&single, TrainConfig { drop: 0.9, ..usual.clone() }, "train.drop"),
        (&config(), TrainConfig { drop_correlated: 0.01, ..usual }, "train.drop_correlated"),
        (&config(), TrainConfig { budget: 0.1, ..group }, "train.budget"),
    ] {
        let network = Network::new(network.clone(), 4, &Device::Cpu).expect("a network");
        let refused = Trainer::new(network, train, 1).err().expect("a refusal");
        assert!(matches!(refused, Error::Config { key: found, .. } if found == key), "{refused}");
    }
}
