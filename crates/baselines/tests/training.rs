//! Training of the systems: checkpoints, threads, dropout, what is not finite, settings.

mod small;

use candle_core::{DType, Device, Tensor};
use foresee_baselines::{
    AbnConfig, AnetConfig, Baseline, Depth, LnetsAnetConfig, Maps, MoonConfig, ResNetConfig, System,
};
use foresee_model::{Batch, Error, TrainConfig, Trainable, Trainer};

use small::{SIZE, panda};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

const BATCHES: usize = 3;

fn resnet() -> ResNetConfig {
    ResNetConfig { depth: Depth::D18, width: 4, attributes: 3, ..Default::default() }
}

fn moon() -> MoonConfig {
    let image_size = [SIZE; 2];
    MoonConfig { attributes: 3, image_size, width: 4, hidden: 16, ..Default::default() }
}

/// The systems, in small.
fn systems() -> [System; 7] {
    let abn = |maps| AbnConfig { resnet: resnet(), maps, residual: true };
    [
        System::ResNet(resnet()),
        System::Abn(abn(Maps::Attributes)),
        System::Abn(abn(Maps::Shared)),
        System::Moon(moon()),
        System::Panda(panda(3)),
        System::LnetsAnet(lnets_anet()),
        System::Anet(AnetConfig { lnets_anet: lnets_anet(), people: 3, similarity: 0.05 }),
    ]
}

fn lnets_anet() -> LnetsAnetConfig {
    LnetsAnetConfig {
        attributes: 3,
        image_size: SIZE,
        face_size: 16,
        width: 8,
        hidden: 16,
        ..Default::default()
    }
}

fn batch(seed: usize) -> AnyResult<(Tensor, Tensor)> {
    let value = |i: usize| ((i * 7919 + seed * 104_729) % 1000) as f32 / 500. - 1.;
    let values: Vec<f32> = (0..4 * 3 * SIZE * SIZE).map(value).collect();
    let labels: Vec<f32> = (0..12).map(|i| ((i * i + seed) % 3 % 2) as f32).collect();
    Ok((
        Tensor::from_vec(values, (4, 3, SIZE, SIZE), &Device::Cpu)?,
        Tensor::from_vec(labels, (4, 3), &Device::Cpu)?,
    ))
}

fn start(system: &System) -> AnyResult<Trainer<Baseline>> {
    let network = Baseline::new(system.clone(), 4, &Device::Cpu)?;
    let config = TrainConfig { epochs: 2, average: 0.5, ..Default::default() };
    Ok(Trainer::new(network, config, BATCHES)?)
}

fn steps(trainer: &mut Trainer<Baseline>, steps: std::ops::Range<usize>) -> AnyResult {
    for step in steps {
        let (images, labels) = batch(step)?;
        trainer.step(&images, &labels)?;
    }
    Ok(())
}

/// The weights and their moving average.
fn bits(trainer: &Trainer<Baseline>) -> AnyResult<Vec<u32>> {
    let mut all = vec![];
    for (_, var) in trainer.network().tensors().into_iter().chain(trainer.trained().tensors()) {
        all.extend(var.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f32::to_bits));
    }
    Ok(all)
}

#[test]
fn training_goes_on_from_a_checkpoint_with_the_same_bits_on_any_threads() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("checkpoint.safetensors");
    for system in systems() {
        let mut uninterrupted = start(&system)?;
        steps(&mut uninterrupted, 0..4)?;
        uninterrupted.save_checkpoint(&path)?;
        steps(&mut uninterrupted, 4..6)?;
        assert!(uninterrupted.is_done());
        let expected = bits(&uninterrupted)?;
        assert!(expected != bits(&start(&system)?)?);
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
            let resumed = pool.install(|| {
                let run = || -> AnyResult<Vec<u32>> {
                    let mut resumed = start(&system)?;
                    resumed.resume(&path)?;
                    steps(&mut resumed, 4..6)?;
                    bits(&resumed)
                };
                run().map_err(|e| e.to_string())
            })?;
            assert!(resumed == expected, "{}, {threads} threads", system.title());
        }
    }
    Ok(())
}

#[test]
fn a_checkpoint_of_another_system_is_refused() -> AnyResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("checkpoint.safetensors");
    let [resnet, _, _, moon, ..] = systems();
    start(&resnet)?.save_checkpoint(&path)?;
    assert!(matches!(start(&moon)?.resume(&path), Err(Error::File { .. })));
    start(&resnet)?.resume(&path)?;
    Ok(())
}

#[test]
fn a_training_learns_what_it_sees() -> AnyResult {
    for mut system in systems() {
        if let System::Moon(config) = &mut system {
            config.batch_norm = true;
        }
        let network = Baseline::new(system, 4, &Device::Cpu)?;
        let config = TrainConfig { epochs: 120, learning_rate: 2e-3, ..Default::default() };
        let mut trainer = Trainer::new(network, config, 1)?;
        let (images, labels) = batch(0)?;
        let first = trainer.step(&images, &labels)?;
        let mut last = first;
        while !trainer.is_done() {
            last = trainer.step(&images, &labels)?;
        }
        let title = trainer.network().system().title();
        let (first, last) = (first.loss, last.loss);
        assert!(last < 0.7 * first, "{title}: {first}, at last {last}");
    }
    Ok(())
}

/// The gradients of a step.
fn gradients(network: &Baseline, step: usize) -> AnyResult<Vec<f32>> {
    let (images, labels) = batch(0)?;
    let batch = Batch { images: &images, labels: &labels, weights: None };
    let pass = network.pass(&mut (), &batch, &TrainConfig::default(), step)?;
    let mut all = vec![];
    for (name, var) in network.trainable() {
        let gradient = pass.gradients.get(var).ok_or(name)?;
        all.extend(gradient.flatten_all()?.to_vec1::<f32>()?);
    }
    Ok(all)
}

#[test]
fn dropout_is_drawn_anew_in_every_step_and_is_none_in_evaluation() -> AnyResult {
    let network = |dropout, seed| {
        Baseline::new(System::Moon(MoonConfig { dropout, ..moon() }), seed, &Device::Cpu)
    };
    let dropped = network(0.5, 4)?;
    assert!(gradients(&dropped, 1)? == gradients(&dropped, 1)?);
    assert!(gradients(&dropped, 1)? != gradients(&dropped, 2)?);
    let whole = network(0., 4)?;
    assert!(gradients(&whole, 1)? == gradients(&whole, 2)?);
    let (images, _) = batch(0)?;
    let answers =
        |network: &Baseline| -> AnyResult<_> { Ok(network.forward(&images)?.to_vec2::<f32>()?) };
    assert_eq!(answers(&dropped)?, answers(&whole)?);
    Ok(())
}

#[test]
fn what_is_not_finite_is_named() -> AnyResult {
    let (images, labels) = batch(0)?;
    let first_of = |change: &str| -> AnyResult<String> {
        let mut trainer = start(&System::ResNet(resnet()))?;
        for (name, var) in trainer.network().tensors() {
            if name == change {
                var.set(&Tensor::full(f32::INFINITY, var.shape(), &Device::Cpu)?)?;
            }
        }
        let images = if change == "images" { (&images * f64::NAN)? } else { images.clone() };
        match trainer.step(&images, &labels) {
            Err(Error::NotFinite { tensor, step: 0, .. }) => Ok(tensor),
            other => Err(format!("{other:?}").into()),
        }
    };
    assert_eq!(first_of("images")?, "the images");
    assert_eq!(first_of("layer2.0.bn1.bias")?, "layer2.0.bn1.bias");
    // The weights are finite, what they compute is not.
    let mut trainer = start(&System::ResNet(resnet()))?;
    for (name, var) in trainer.network().tensors() {
        if name == "layer3.1.bn2.weight" {
            var.set(&Tensor::full(1e38f32, var.shape(), &Device::Cpu)?)?;
        }
    }
    match trainer.step(&images, &labels) {
        Err(Error::NotFinite { tensor, .. }) => {
            assert_eq!(tensor, "the output of layer3.1.bn2");
        }
        other => return Err(format!("{other:?}").into()),
    }
    Ok(())
}

#[test]
fn a_batch_without_a_variance_is_refused_with_the_layer() -> AnyResult {
    let (images, labels) = batch(0)?;
    let tiny = images.narrow(0, 0, 1)?.narrow(2, 0, 4)?.narrow(3, 0, 4)?;
    let refused = start(&System::ResNet(resnet()))?.step(&tiny, &labels.narrow(0, 0, 1)?);
    let message = match refused {
        Ok(report) => return Err(format!("{report:?}").into()),
        Err(error) => error.to_string(),
    };
    assert!(message.contains("layer3.0.bn1"), "{message}");
    Ok(())
}

#[test]
fn images_of_another_type_are_converted() -> AnyResult {
    let (images, labels) = batch(0)?;
    let wide = images.to_dtype(DType::F64)?;
    let network = || Baseline::new(System::ResNet(resnet()), 4, &Device::Cpu);
    let after = |images: &Tensor| -> AnyResult<Vec<Vec<f32>>> {
        let network = network()?;
        let batch = Batch { images, labels: &labels, weights: None };
        network.pass(&mut (), &batch, &TrainConfig::default(), 0)?;
        Ok(network.forward(images)?.to_vec2()?)
    };
    assert_eq!(after(&images)?, after(&wide)?);
    Ok(())
}

#[test]
fn a_weight_counts_an_image_so_many_times() -> AnyResult {
    let (images, labels) = batch(0)?;
    for system in systems() {
        let network = Baseline::new(system, 4, &Device::Cpu)?;
        let loss = |weights: Option<&[f32]>| -> AnyResult<f32> {
            let batch = Batch { images: &images, labels: &labels, weights };
            let pass = network.pass(&mut (), &batch, &TrainConfig::default(), 0)?;
            Ok(pass.loss.total.to_scalar()?)
        };
        let one = |image: usize| -> AnyResult<f32> {
            let mut weights = [0.; 4];
            weights[image] = 1.;
            loss(Some(&weights))
        };
        let parts = (0..4).map(one).collect::<AnyResult<Vec<_>>>()?;
        assert!((parts.iter().sum::<f32>() - loss(None)?).abs() < 1e-4);
        let doubled = loss(Some(&[2., 1., 1., 1.]))?;
        assert!((doubled - loss(None)? - parts[0]).abs() < 1e-4);
    }
    Ok(())
}

#[test]
fn impossible_settings_are_refused_and_possible_ones_written() -> AnyResult {
    let refused = |system: System| match Baseline::new(system, 4, &Device::Cpu) {
        Ok(_) => "nothing is wrong".into(),
        Err(error) => error.to_string(),
    };
    let wide = refused(System::ResNet(ResNetConfig { width: 0, ..resnet() }));
    assert_eq!(wide, "width = 0 is not possible: a number from 1 to 1024");
    let many =
        AbnConfig { resnet: ResNetConfig { attributes: 0, ..resnet() }, ..Default::default() };
    assert!(refused(System::Abn(many)).contains("attributes = 0"));
    let small = refused(System::Moon(MoonConfig { image_size: [64, 31], ..moon() }));
    assert!(small.contains("image_size = 31"), "{small}");
    let drop = refused(System::Moon(MoonConfig { dropout: f32::NAN, ..moon() }));
    assert!(drop.contains("dropout = NaN"), "{drop}");
    let pairs = refused(System::Moon(MoonConfig { class_weights: vec![[1.; 2]], ..moon() }));
    assert!(pairs.contains("class_weights = 1 pairs is not possible: none, or 3 pairs"), "{pairs}");

    for system in systems() {
        let text = serde_json::to_string(&system)?;
        assert_eq!(serde_json::from_str::<System>(&text)?, system, "{text}");
    }
    let text = r#"{"resnet": {"depth": "34", "stem": "large"}}"#;
    let System::ResNet(config) = serde_json::from_str(text)? else { return Err(text.into()) };
    assert_eq!((config.depth, config.attributes), (Depth::D34, 40));
    assert!(serde_json::from_str::<System>(r#"{"resnet": {"layers": 34}}"#).is_err());
    Ok(())
}
