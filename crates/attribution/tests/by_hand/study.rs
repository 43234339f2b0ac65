//! The methods of the study as maps, and the paper's network as a model.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use foresee_attribution::*;

use crate::{AnyResult, assert_near, tensor, values};

/// z = 2x, which the CAM family looks at.
fn features() -> Result<Layers> {
    Layers::new()
        .conv2d("extractor.3.conv", &tensor(&[2.], &[1, 1, 1, 1]), None, Conv2d::default())?
        .leaky_relu(FEATURES, 1.)
}

/// M = 1/2 everywhere: f = 3·mean(M ⊗ z) = 3·mean x.
fn with_masks() -> Result<GraphModel> {
    features()?
        .gate("heads.masks", &tensor(&[0.], &[1, 1, 1, 1]), &tensor(&[0.], &[1]))?
        .global_average_pool("heads.pool")?
        .readout("heads.readout", &tensor(&[3.], &[1, 1]), &tensor(&[0.], &[1]))?
        .model()
}

fn explainer() -> Explainer {
    Explainer {
        steps: 4,
        grid: 2,
        lime_samples: 50,
        seed: 7,
        region_maps: HashMap::new(),
        references: None,
        cam_node: None,
        attention_node: None,
        composite: None,
    }
}

#[test]
fn maps_of_all_methods() -> AnyResult {
    let (layers, x) = (with_masks()?, tensor(&[1., 2., 3., 4.], &[1, 1, 2, 2]));
    let map = |method| explainer().maps(method, &layers, &x, &[5], 0);
    // Of four pixels each has a gradient of 3/4.
    let times_x = |factor: f64| [1., 2., 3., 4.].map(|x| factor * x);
    for (method, expected) in [
        (Method::Sensitivity, [0.75; 4]),
        (Method::InputXGradient, times_x(0.75)),
        (Method::SmoothGrad, [0.75; 4]),
        (Method::IntegratedGradients, times_x(0.75)),
        (Method::GuidedBackprop, [0.75; 4]),
        // z = 2x times its gradient of 3/8, and α = 1/(2 + 3/8·20) at each pixel.
        (Method::GradCam, times_x(0.75)),
        (Method::GradCamPlusPlus, times_x(2. * 4. * 0.375 / 9.5)),
        (Method::GuidedGradCam, times_x(0.75 * 0.75)),
        (Method::Masks, times_x(3.)),
        (Method::MeanMask, [0.5; 4]),
    ] {
        let found = map(method)?;
        assert_eq!(found.dims(), [1, 2, 2], "{method:?}");
        assert_near(&values(&found), &expected);
    }
    // Up to its stabilisers.
    let relevance = values(&map(Method::Lrp)?);
    assert!(relevance.iter().zip(times_x(0.75)).all(|(r, x)| (r - x).abs() < 1e-5));
    assert!(matches!(map(Method::Cam), Err(Error::Layer { .. })));
    assert!(matches!(map(Method::PermutationRegions), Err(Error::Degenerate(_))));
    Ok(())
}

#[test]
fn a_network_without_masks_has_cam() -> AnyResult {
    let layers = features()?.global_average_pool("heads.pool")?.linear(
        "heads.readout",
        &tensor(&[3.], &[1, 1]),
        None,
    )?;
    let layers = layers.model()?;
    let x = tensor(&[1., 2., 3., 4.], &[1, 1, 2, 2]);
    let cam = explainer().maps(Method::Cam, &layers, &x, &[0], 0)?;
    assert_near(&values(&cam), &[6., 12., 18., 24.]);
    Ok(())
}

#[test]
fn the_map_of_regions_is_the_same_for_every_image() -> AnyResult {
    let map = tensor(&[1., 2., 3., 4.], &[1, 2, 2]);
    let explainer = Explainer { region_maps: HashMap::from([(0, map)]), ..explainer() };
    let x = tensor(&[0.; 8], &[2, 1, 2, 2]);
    let maps = explainer.maps(Method::PermutationRegions, &with_masks()?, &x, &[0, 1], 0)?;
    assert_eq!(values(&maps), [1., 2., 3., 4., 1., 2., 3., 4.]);
    Ok(())
}

#[test]
fn lime_says_how_well_it_fits() -> AnyResult {
    let (layers, x) = (with_masks()?, tensor(&[1., 2., 3., 4.], &[1, 1, 2, 2]));
    let explainer = explainer();
    let lime = explainer.explain(Method::Lime, &layers, &x, &[5], 0)?;
    let direct = explainer.lime(&layers, &x, &[5], 0)?;
    assert_eq!(values(&lime.maps), values(&direct.attribution));
    assert_eq!(values(&lime.maps), values(&explainer.maps(Method::Lime, &layers, &x, &[5], 0)?));
    // The network is linear, but for the ridge.
    assert_eq!(lime.local_r2, [direct.fits[0].r2]);
    assert!(lime.local_r2[0] > 0.9);
    let other = explainer.explain(Method::Masks, &layers, &x, &[5], 0)?;
    assert!(other.local_r2[0].is_nan());
    Ok(())
}

#[test]
fn an_image_has_the_same_map_in_every_batch() -> AnyResult {
    let layers = with_masks()?;
    let x = tensor(&[1., 2., 3., 4., 4., 0., -1., 2.], &[2, 1, 2, 2]);
    let explainer = Explainer { lime_samples: 20, ..explainer() };
    for method in [
        Method::SmoothGrad,
        Method::Lime,
        Method::Rise,
        Method::KernelShap,
        Method::ShapleySampling,
        Method::Chance,
    ] {
        let maps = |x: &Tensor, images: &[usize]| -> AnyResult<Tensor> {
            Ok(explainer.maps(method, &layers, x, images, 0)?.to_dtype(DType::F64)?)
        };
        let both = maps(&x, &[3, 9])?;
        for (at, image) in [3, 9].into_iter().enumerate() {
            let alone = maps(&x.narrow(0, at, 1)?, &[image])?;
            assert_near(&values(&alone), &values(&both.narrow(0, at, 1)?.contiguous()?));
        }
    }
    Ok(())
}

#[test]
fn chance_is_decided_by_the_image_and_the_attribute() -> AnyResult {
    let x = tensor(&[0.; 32], &[2, 1, 4, 4]);
    let of = |images: &[usize], attribute, seed| -> AnyResult<Vec<f32>> {
        Ok(chance(&x, images, attribute, seed)?.flatten_all()?.to_vec1()?)
    };
    let both = of(&[3, 9], 1, 0)?;
    assert!(both.iter().all(|v| (0. ..1.).contains(v)));
    let swapped = of(&[9, 3], 1, 0)?;
    assert_eq!((&both[..16], &both[16..]), (&swapped[16..], &swapped[..16]));
    assert_ne!(both, of(&[3, 9], 2, 0)?);
    assert_ne!(both, of(&[3, 9], 1, 1)?);
    assert!(chance(&x, &[3], 1, 0).is_err());
    Ok(())
}

/// Four blocks of one channel that multiply by `factor` (batch norm divides by √(1 + 1e-5)), masks
/// and readout.
fn tensors(factor: f64, mask_bias: f64, readout: f64) -> Vec<(String, Tensor)> {
    let mut all = vec![
        ("heads.mask.weight".to_owned(), tensor(&[0.], &[1, 1, 1, 1])),
        ("heads.mask.bias".to_owned(), tensor(&[mask_bias], &[1])),
        ("heads.readout.weight".to_owned(), tensor(&[readout], &[1, 1])),
        ("heads.readout.bias".to_owned(), tensor(&[0.], &[1])),
    ];
    for block in 0..4 {
        let kernel = [0., 0., 0., 0., factor, 0., 0., 0., 0.];
        all.push((format!("extractor.{block}.conv.weight"), tensor(&kernel, &[1, 1, 3, 3])));
        let of_channel =
            [("conv.bias", 0.), ("bn.weight", 1.), ("bn.bias", 0.), ("bn.running_mean", 0.)];
        for (name, value) in of_channel.into_iter().chain([("bn.running_var", 1.)]) {
            all.push((format!("extractor.{block}.{name}"), tensor(&[value], &[1])));
        }
    }
    all
}

const DILATIONS: [usize; 4] = [1, 2, 3, 2];

#[test]
fn the_cascade_goes_from_the_output_back() -> AnyResult {
    let x = Tensor::ones((1, 1, 1, 1), candle_core::DType::F64, &Device::Cpu)?;
    let shrink = 1.00001f64.powi(-2);
    // With a bias of 0 masks are 1/2, with one of 1000 they are 1.
    let (trained, untrained) = (|| tensors(1., 0., 1.), || tensors(2., 1000., 5.));
    let rows = foresee_kernels::Rows::all(1, 1);
    for (masks, first, steps) in [
        (
            Some(&rows),
            0.5,
            vec![
                ("heads.readout", 2.5),
                ("heads.mask", 5.),
                ("extractor.3", 10.),
                ("extractor.2", 20.),
                ("extractor.1", 40.),
                ("extractor.0", 80.),
            ],
        ),
        (
            None,
            1.,
            vec![
                ("heads.readout", 5.),
                ("extractor.3", 10.),
                ("extractor.2", 20.),
                ("extractor.1", 40.),
                ("extractor.0", 80.),
            ],
        ),
    ] {
        let layers = network_model(trained(), &DILATIONS, masks)?;
        assert_eq!(layers.batch_size(), 8);
        assert_near(&values(&layers.forward(&x)?), &[first * shrink]);
        let cascade = randomised_cascade(trained(), untrained(), &DILATIONS, masks)?;
        let names: Vec<&str> = cascade.iter().map(|(name, _)| &name[..]).collect();
        assert_eq!(names, steps.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        for ((name, layers), (_, expected)) in cascade.iter().zip(steps) {
            let output = values(&layers.forward(&x)?)[0];
            assert!((output - expected * shrink).abs() < 1e-9, "{name}: {output}");
        }
    }
    let incomplete = tensors(1., 0., 1.).into_iter().skip(1);
    let error = network_model(incomplete, &DILATIONS, Some(&rows)).unwrap_err();
    assert!(error.to_string().contains("heads.mask.weight"), "{error}");
    Ok(())
}

#[test]
fn an_attention_map_is_one_for_all_outputs_or_one_for_each() -> AnyResult {
    let x = tensor(&[1., 2., 3., 4.], &[1, 1, 2, 2]);
    let of = |maps: usize, outputs: usize| -> Result<GraphModel> {
        let weights: Vec<f64> = (1..=maps).map(|map| map as f64).collect();
        Layers::new()
            .conv2d(ATTENTION, &tensor(&weights, &[maps, 1, 1, 1]), None, Conv2d::default())?
            .global_average_pool("pool")?
            .linear("readout", &Tensor::ones((outputs, maps), x.dtype(), &Device::Cpu)?, None)?
            .model()
    };
    let map =
        |model: &GraphModel, output| explainer().maps(Method::Attention, model, &x, &[0], output);
    let (one, each) = (of(1, 2)?, of(2, 2)?);
    for (model, output, factor) in [(&one, 0, 1.), (&one, 1, 1.), (&each, 0, 1.), (&each, 1, 2.)] {
        assert_near(&values(&map(model, output)?), &[1., 2., 3., 4.].map(|x| factor * x));
    }
    assert!(matches!(map(&each, 2), Err(Error::Target { .. })));
    assert!(matches!(map(&of(2, 3)?, 0), Err(Error::Layer { .. })));
    assert!(matches!(with_masks()?.attention_map(ATTENTION, &x, 0), Err(Error::NoLayer { .. })));
    let elsewhere = Explainer { attention_node: Some("extractor.3.conv".into()), ..explainer() };
    let found = elsewhere.maps(Method::Attention, &with_masks()?, &x, &[0], 0)?;
    assert_near(&values(&found), &[2., 4., 6., 8.]);
    Ok(())
}
