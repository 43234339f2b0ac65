//! Training, checkpoints, model files and pruned networks.

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use foresee_model::{
    Crop, Error, LeftOut, ModelCard, Network, NetworkConfig, Readout, Rows, Selection, Sparsity,
    TrainConfig, Trainer, bce_with_logits, loss,
};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn config() -> NetworkConfig {
    NetworkConfig { attributes: 3, channels: 12, ..Default::default() }
}

fn card(network: &Network) -> ModelCard {
    ModelCard {
        network: network.config().clone(),
        attributes: (0..network.config().attributes).map(|k| format!("attribute {k}")).collect(),
        image_size: 9,
        crop: Crop::Square,
        mean: [0.5; 3],
        deviation: [0.5; 3],
        conventions: Default::default(),
        seed: 4,
        trained_on: "nothing".into(),
        training_split_sha256: None,
        kept_channels: None,
        left_out: None,
    }
}

fn batch(seed: u64) -> AnyResult<(Tensor, Tensor)> {
    let values: Vec<f32> = (0..4 * 3 * 81)
        .map(|i| ((i as u64 * 7919 + seed * 104_729) % 1000) as f32 / 500. - 1.)
        .collect();
    let labels: Vec<f32> = (0..12).map(|i| ((i + seed) % 2) as f32).collect();
    Ok((
        Tensor::from_vec(values, (4, 3, 9, 9), &Device::Cpu)?,
        Tensor::from_vec(labels, (4, 3), &Device::Cpu)?,
    ))
}

fn bits(network: &Network) -> AnyResult<Vec<u32>> {
    let mut all = vec![];
    for (_, var) in network.tensors() {
        all.extend(var.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f32::to_bits));
    }
    Ok(all)
}

#[test]
fn training_goes_on_from_a_checkpoint_with_the_same_bits() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("checkpoint.safetensors");
    let start = || {
        Trainer::new(
            Network::new(config(), 4, &Device::Cpu)?,
            TrainConfig { epochs: 2, average: 0.5, ..Default::default() },
            3,
        )
    };
    let mut uninterrupted = start()?;
    for i in 0..6 {
        if i == 4 {
            uninterrupted.save_checkpoint(&path)?;
        }
        let (images, labels) = batch(i)?;
        uninterrupted.step(&images, &labels)?;
    }
    assert!(uninterrupted.is_done());
    let mut resumed = start()?;
    resumed.resume(&path)?;
    assert_eq!(
        (resumed.position().epoch, resumed.position().batch, resumed.position().step),
        (1, 1, 4)
    );
    for i in 4..6 {
        let (images, labels) = batch(i)?;
        resumed.step(&images, &labels)?;
    }
    assert!(
        bits(uninterrupted.network())? == bits(resumed.network())?,
        "resumed training ends elsewhere"
    );
    assert!(
        bits(uninterrupted.trained())? == bits(resumed.trained())?,
        "the resumed average ends elsewhere"
    );

    let mut other = Trainer::new(
        Network::new(config(), 4, &Device::Cpu)?,
        TrainConfig { epochs: 3, ..Default::default() },
        3,
    )?;
    assert!(matches!(other.resume(&path), Err(Error::File { .. })));

    let mut bytes = std::fs::read(&path)?;
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes)?;
    let damaged = start()?.resume(&path).unwrap_err().to_string();
    assert!(damaged.contains("its checksum is another"), "{damaged}");
    Ok(())
}

/// A trainer under `train.sleep` of a network in which attribute 1's masks of channels 2 and 5 are
/// shut.
fn drowsy(sleep: f64) -> AnyResult<Trainer> {
    let network = Network::new(config(), 4, &Device::Cpu)?;
    set_mask_bias(&network, -20.)?;
    let config = TrainConfig { epochs: 2, sleep, learning_rate: 1e-4, ..Default::default() };
    Ok(Trainer::new(network, config, 50)?)
}

fn set_mask_bias(network: &Network, value: f32) -> AnyResult {
    let (_, bias) = tensor(network, "heads.mask.bias");
    let mut values = bias.to_vec1::<f32>()?;
    [12 + 2, 12 + 5].into_iter().for_each(|row| values[row] = value);
    Ok(bias.set(&Tensor::new(values, &Device::Cpu)?)?)
}

fn tensor<'a>(network: &'a Network, name: &str) -> (String, &'a Var) {
    network.tensors().into_iter().find(|(of, _)| of == name).expect("a tensor of the network")
}

#[test]
fn shut_rows_sleep_after_two_looks_and_wake_when_they_open() -> AnyResult {
    let mut trainer = drowsy(0.03)?;
    let mut all_awake = drowsy(0.)?;
    let mut looks = vec![];
    for i in 0..97 {
        let (images, labels) = batch(i % 7)?;
        let report = trainer.step(&images, &labels)?;
        let other = all_awake.step(&images, &labels)?;
        looks.extend(report.awake.map(|awake| (i, awake)));
        assert_eq!(other.awake, None);
        if i == 33 {
            // What sleeps contributes next to nothing, and its mean is still counted.
            assert!((report.loss - other.loss).abs() < 1e-4);
            assert!((report.mask_mean - other.mask_mean).abs() < 1e-5);
        }
        if i == 70 {
            set_mask_bias(trainer.network(), 3.)?;
        }
    }
    // All rows count as open before the first look.
    assert_eq!(looks, [(0, 36), (32, 34), (64, 34), (96, 36)]);
    Ok(())
}

#[test]
fn training_with_sleeping_rows_has_the_same_bits_after_a_resume_and_for_any_number_of_threads()
-> AnyResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("checkpoint.safetensors");
    let run = |trainer: &mut Trainer, steps: std::ops::Range<u64>| -> AnyResult {
        for i in steps {
            let (images, labels) = batch(i % 7)?;
            trainer.step(&images, &labels)?;
        }
        Ok(())
    };
    let mut uninterrupted = drowsy(0.03)?;
    run(&mut uninterrupted, 0..40)?;
    uninterrupted.save_checkpoint(&path)?;
    run(&mut uninterrupted, 40..70)?;
    let mut resumed = drowsy(0.03)?;
    resumed.resume(&path)?;
    run(&mut resumed, 40..70)?;
    assert!(bits(uninterrupted.network())? == bits(resumed.network())?, "resumed elsewhere");
    for threads in [1, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        let other = pool.install(|| {
            let mut trainer = drowsy(0.03).ok()?;
            run(&mut trainer, 0..70).ok()?;
            bits(trainer.network()).ok()
        });
        assert!(other == Some(bits(uninterrupted.network())?), "{threads} threads end elsewhere");
    }
    Ok(())
}

#[test]
fn models_are_saved_and_loaded_and_wrong_files_are_refused() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model.safetensors");
    let network = Network::new(config(), 4, &Device::Cpu)?;
    network.save(&path, &card(&network))?;
    let bytes = std::fs::read(&path)?;
    network.save(&path, &card(&network))?;
    assert!(bytes == std::fs::read(&path)?, "the same model gives the same file");
    std::fs::write(folder.path().join("plain"), "")?;
    let permissions = |path: &std::path::Path| std::fs::metadata(path).map(|m| m.permissions());
    assert_eq!(
        permissions(&path)?,
        permissions(&folder.path().join("plain"))?,
        "who may read other files may read a model"
    );
    let (loaded, read) = Network::load(&path, &Device::Cpu)?;
    assert_eq!(read, card(&network));
    assert!(bits(&network)? == bits(&loaded)?);

    let mut wrong = card(&network);
    wrong.network.channels = 13;
    network.save(&path, &wrong)?;
    let message = Network::load(&path, &Device::Cpu).unwrap_err().to_string();
    assert!(
        message.contains("heads.mask.weight")
            && message.contains("[36, 12, 1, 1], expected [39, 13, 1, 1]"),
        "{message}"
    );
    std::fs::write(&path, &bytes[..bytes.len() / 2])?;
    assert!(matches!(Network::load(&path, &Device::Cpu), Err(Error::File { .. })));
    std::fs::write(&path, b"no model")?;
    assert!(
        Network::load(&path, &Device::Cpu)
            .unwrap_err()
            .to_string()
            .contains("is not a safetensors file")
    );
    assert!(Network::load(&folder.path().join("none"), &Device::Cpu).is_err());
    let below_a_file = folder.path().join("plain/model.safetensors");
    let message = network.save(&below_a_file, &card(&network)).unwrap_err().to_string();
    assert!(message.starts_with("writing ") && message.matches("plain").count() == 1, "{message}");
    Ok(())
}

#[test]
fn a_pruned_network_computes_what_masking_does_and_trains_on() -> AnyResult {
    for mask_kernel in [1, 3] {
        let network = Network::new(NetworkConfig { mask_kernel, ..config() }, 4, &Device::Cpu)?;
        let (images, labels) = batch(1)?;
        let kept = [0usize, 2, 3, 7, 11];
        let keep: Vec<f32> = (0..12).map(|c| f32::from(u8::from(kept.contains(&c)))).collect();
        let z = network.extractor().forward(&images)?.broadcast_mul(&Tensor::from_vec(
            keep,
            (1, 12, 1, 1),
            &Device::Cpu,
        )?)?;
        let masked = network.forward_features(&z)?.logits.to_vec2::<f32>()?;
        let small = network.keep_channels(&kept)?;
        let pruned = small.forward(&images)?.logits.to_vec2::<f32>()?;
        for (a, b) in masked.iter().flatten().zip(pruned.iter().flatten()) {
            assert!((a - b).abs() < 1e-5, "{a} and {b}");
        }
        let before = bits(&network)?;
        let mut trainer = Trainer::new(small, TrainConfig::default(), 1)?;
        trainer.step(&images, &labels)?;
        assert!(
            before == bits(&network)?,
            "training the pruned network leaves the unpruned one alone"
        );
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("pruned.safetensors");
        trainer.network().save(
            &path,
            &ModelCard { kept_channels: Some(kept.to_vec()), ..card(trainer.network()) },
        )?;
        assert!(bits(&Network::load(&path, &Device::Cpu)?.0)? == bits(trainer.network())?);
    }
    Ok(())
}

/// The network of [`config`] without some of its rows, one attribute's all.
fn compacted() -> AnyResult<Network> {
    let rows = Rows::new(12, vec![vec![0, 3, 7], vec![], (0..12).collect()])?;
    let selection = Selection { rows, constants: vec![0.5; 3], deviations: vec![0.; 3] };
    Ok(Network::new(config(), 4, &Device::Cpu)?.compact(&selection)?)
}

fn compacted_card(network: &Network) -> ModelCard {
    let left_out = LeftOut::new(network.heads().rows(), 0.1, 10);
    ModelCard { left_out: Some(left_out), ..card(network) }
}

/// For each row that is left out: its bias, and whether a weight of it is not 0.
fn left_out_rows(network: &Network) -> AnyResult<Vec<(f32, bool)>> {
    let rows = network.heads().rows();
    let weights = tensor(network, "heads.mask.weight").1.flatten_from(1)?.to_vec2::<f32>()?;
    let biases = tensor(network, "heads.mask.bias").1.to_vec1::<f32>()?;
    let gone = (0..weights.len()).filter(|row| !rows.has(row / 12, row % 12));
    Ok(gone.map(|row| (biases[row], weights[row].iter().any(|w| *w != 0.))).collect())
}

#[test]
fn a_compacted_network_is_trained_on_with_its_rows() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model.safetensors");
    let network = compacted()?;
    let config = TrainConfig { average: 0.9, weight_decay: 0.1, ..Default::default() };
    let mut trainer = Trainer::new(network.clone(), config, 2)?;
    for step in 0..2 {
        let (images, labels) = batch(step)?;
        trainer.step(&images, &labels)?;
    }
    for trained in [trainer.network(), trainer.trained()] {
        let left_out = left_out_rows(trained)?;
        assert_eq!(left_out.len(), 9 + 12);
        assert!(left_out.iter().all(|&(bias, is_open)| bias <= -80. && !is_open), "{left_out:?}");
        trained.save(&path, &compacted_card(trained))?;
        let (loaded, _) = Network::load(&path, &Device::Cpu)?;
        assert!(bits(&loaded)? == bits(trained)?);
        assert_eq!(loaded.heads().rows(), network.heads().rows());
    }
    Ok(())
}

#[test]
fn a_card_names_the_rows_that_its_network_computes() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model.safetensors");
    let network = compacted()?;
    let dense = network.with_rows(Rows::all(3, 12))?;
    for (network, card) in [
        (&network, card(&network)),
        (&dense, compacted_card(&network)),
        (
            &dense.with_rows(Rows::new(12, vec![vec![0], vec![], vec![]])?)?,
            compacted_card(&network),
        ),
    ] {
        let refused = network.save(&path, &card);
        assert!(matches!(refused, Err(Error::CardRows)), "{refused:?}");
        assert!(!path.exists());
    }
    dense.save(&path, &card(&dense))?;
    network.save(&path, &compacted_card(&network))?;
    // Whose masks are open for a reader that does not know of rows.
    for (name, value) in [("heads.mask.bias", 0.), ("heads.mask.weight", 1e-3)] {
        let opened = compacted()?;
        let var = tensor(&opened, name).1;
        var.set(&Tensor::full(value as f32, var.shape(), var.device())?)?;
        opened.save(&path, &compacted_card(&opened))?;
        let told = Network::load(&path, &Device::Cpu).map(drop).unwrap_err().to_string();
        assert!(told.contains("whose masks are not shut"), "{told}");
    }
    Ok(())
}

#[test]
fn a_checkpoint_of_other_rows_is_refused() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("checkpoint.safetensors");
    let trainer = |network: Network| Trainer::new(network, TrainConfig::default(), 2);
    let network = compacted()?;
    let dense = network.with_rows(Rows::all(3, 12))?;
    for (made, same, other) in [(&network, compacted()?, &dense), (&dense, dense.clone(), &network)]
    {
        trainer(made.clone())?.save_checkpoint(&path)?;
        trainer(same)?.resume(&path)?;
        let refused = trainer(other.clone())?.resume(&path).unwrap_err().to_string();
        assert!(refused.contains("another configuration"), "{refused}");
    }
    Ok(())
}

#[test]
fn the_loss_is_stable_and_both_sparsities_are_as_written() -> AnyResult {
    let logits = Tensor::new(&[[1e4f32, -1e4], [0., 3.]], &Device::Cpu)?;
    let labels = Tensor::new(&[[0f32, 0.], [1., 1.]], &Device::Cpu)?;
    let expected = (1e4 + 0. + 2f64.ln() + (-3f64).exp().ln_1p()) / 2.;
    assert!(
        (f64::from(bce_with_logits(&logits, &labels)?.to_scalar::<f32>()?) - expected).abs() < 1e-3
    );

    let network = Network::new(config(), 4, &Device::Cpu)?;
    let (images, labels) = batch(1)?;
    let output = network.forward(&images)?;
    let masks = network.heads().masks(&network.extractor().forward(&images)?, &[0, 1, 2])?;
    for (sparsity, expected) in
        [(Sparsity::Sum, (masks.sum_all()? / 4.)?), (Sparsity::Mean, masks.mean_all()?)]
    {
        let got = loss(&output, &labels, 1., sparsity)?.sparsity.to_scalar::<f32>()?;
        let expected = expected.to_scalar::<f32>()?;
        assert!((got - expected).abs() < 1e-5 * expected, "{got} and {expected}");
    }
    Ok(())
}

#[test]
fn a_fixed_readout_is_not_trained() -> AnyResult {
    let network =
        Network::new(NetworkConfig { readout: Readout::Mean, ..config() }, 4, &Device::Cpu)?;
    let mut trainer = Trainer::new(network, TrainConfig::default(), 1)?;
    let (images, labels) = batch(1)?;
    trainer.step(&images, &labels)?;
    assert!(trainer.network().heads().readout_weights()?.iter().flatten().all(|&w| w == 1. / 12.));
    Ok(())
}

#[test]
fn training_learns_and_stops_on_a_loss_that_is_not_finite() -> AnyResult {
    let mut trainer = Trainer::new(
        Network::new(config(), 4, &Device::Cpu)?,
        TrainConfig { epochs: 30, ..Default::default() },
        1,
    )?;
    let (images, labels) = batch(1)?;
    let first = trainer.step(&images, &labels)?.loss;
    let mut last = first;
    for _ in 0..25 {
        last = trainer.step(&images, &labels)?.loss;
    }
    assert!(last < 0.8 * first, "{first} → {last}");
    let before = bits(trainer.network())?;
    let broken = (images * f64::NAN)?;
    let first_of = |trainer: &mut Trainer, images: &Tensor| match trainer.step(images, &labels) {
        Err(Error::NotFinite { step: 26, tensor, .. }) => tensor,
        other => format!("{other:?}"),
    };
    assert_eq!(first_of(&mut trainer, &broken), "the images");
    let running = trainer
        .network()
        .tensors()
        .iter()
        .filter(|(n, _)| n.contains("running"))
        .map(|(_, v)| v.elem_count())
        .sum::<usize>();
    let changed = before.iter().zip(bits(trainer.network())?).filter(|(a, b)| **a != *b).count();
    assert!(changed <= running, "only running moments may change");

    let images = batch(1)?.0;
    let mut tensors = trainer.network().tensors();
    let scale = tensors
        .iter_mut()
        .find(|(name, _)| name == "extractor.2.bn.weight")
        .ok_or("a scale")?
        .1
        .clone();
    let good = scale.copy()?;
    scale.set(&(good.ones_like()? * f64::from(f32::MAX))?)?;
    assert_eq!(first_of(&mut trainer, &images), "the output of extractor.2");
    scale.set(&(good * f64::INFINITY)?)?;
    assert_eq!(first_of(&mut trainer, &images), "extractor.2.bn.weight");
    Ok(())
}

#[test]
fn training_ends_with_the_moving_average_of_its_weights() -> AnyResult {
    let train = |average| {
        Trainer::new(
            Network::new(config(), 4, &Device::Cpu)?,
            TrainConfig { average, ..Default::default() },
            10,
        )
    };
    let mut plain = train(0.)?;
    let mut averaged = train(0.9)?;
    let values = |network: &Network| {
        bits(network).map(|bits| bits.into_iter().map(f32::from_bits).collect::<Vec<_>>())
    };
    let mut expected = values(plain.network())?;
    for step in 1..=8 {
        let (images, labels) = batch(step)?;
        plain.step(&images, &labels)?;
        averaged.step(&images, &labels)?;
        let decay = f32::min(0.9, (1. + step as f32) / (10. + step as f32));
        expected
            .iter_mut()
            .zip(values(plain.network())?)
            .for_each(|(e, v)| *e = decay * *e + (1. - decay) * v);
    }
    assert!(
        bits(plain.network())? == bits(averaged.network())?,
        "averaging has no part in training"
    );
    assert!(bits(plain.network())? == bits(plain.trained())?);
    let got = values(averaged.trained())?;
    assert!(got.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5 * (1. + b.abs())));
    assert!(bits(averaged.network())? != bits(averaged.trained())?);
    Ok(())
}

#[test]
fn a_frozen_network_gives_the_images_the_same_gradient_and_its_weights_none() -> AnyResult {
    for attention in [true, false] {
        let network = Network::new(NetworkConfig { attention, ..config() }, 4, &Device::Cpu)?;
        let (images, labels) = batch(1)?;
        let images = Var::from_tensor(&images)?;
        let own = network.forward(&images)?.logits;
        let frozen = network.frozen().forward(&images)?.logits;
        assert_eq!(own.to_vec2::<f32>()?, frozen.to_vec2::<f32>()?);
        let own = own.narrow(1, 1, 1)?.sum_all()?.backward()?;
        let frozen = frozen.narrow(1, 1, 1)?.sum_all()?.backward()?;
        let of_images = |store: &GradStore| {
            store.get(&images).expect("gradient").flatten_all()?.to_vec1::<f32>()
        };
        assert_eq!(of_images(&own)?, of_images(&frozen)?);
        assert!(
            network
                .trainable()
                .iter()
                .all(|(_, var)| own.get(var).is_some() && frozen.get(var).is_none())
        );
        // Without a variable nothing is kept for a backward pass.
        assert!(!network.frozen().forward(&images.detach())?.logits.track_op());
        let mut trainer = Trainer::new(network.frozen(), TrainConfig::default(), 1)?;
        let before = bits(&network)?;
        trainer.step(&images.detach(), &labels)?;
        let moved = before.iter().zip(bits(trainer.network())?).filter(|(a, b)| *a != b).count();
        assert!(
            moved > before.len() / 2,
            "training mode is not frozen: {moved} of {} moved",
            before.len()
        );
    }
    Ok(())
}
