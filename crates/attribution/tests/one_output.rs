//! One output alone, and heads of which some rows have no masks.

mod distance;

use candle_core::{D, DType, Device, Error as CandleError, Result as CandleResult, Tensor, Var};
use foresee_attribution::*;
use foresee_kernels::{Precision, Rows, attention_heads_of_rows};
use foresee_model::{Network, NetworkConfig};

use distance::off;

type AnyResult<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const ATTRIBUTES: usize = 5;
const CHANNELS: usize = 40;

fn values(t: &Tensor) -> AnyResult<Vec<f64>> {
    Ok(t.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

fn assert_near(what: &str, got: &Tensor, expected: &Tensor, tolerance: f64) -> AnyResult {
    assert_eq!(got.dims(), expected.dims(), "{what}");
    let (got, expected) = (values(got)?, values(expected)?);
    let (largest, off) = off(&got, &expected);
    assert!(largest > 0. && off < tolerance, "{what} is off by {off:e}");
    Ok(())
}

fn network(mask_kernel: usize) -> AnyResult<Network> {
    let config = NetworkConfig {
        attributes: ATTRIBUTES,
        channels: CHANNELS,
        mask_kernel,
        ..Default::default()
    };
    Ok(Network::new(config, 3, &Device::Cpu)?.frozen())
}

/// Each attribute keeps others; one keeps none, and one all.
fn some_rows() -> AnyResult<Rows> {
    let kept = vec![
        (0..CHANNELS).step_by(3).collect(),
        vec![],
        vec![7],
        (0..CHANNELS).collect(),
        vec![0, 33, 39],
    ];
    Ok(Rows::new(CHANNELS, kept)?)
}

fn all_rows() -> Rows {
    Rows::all(ATTRIBUTES, CHANNELS)
}

fn images() -> AnyResult<Tensor> {
    let values = (0..3 * 3 * 13 * 9).map(|i| (0.37 * (i * i % 1009) as f32).sin());
    Ok(Tensor::from_iter(values, &Device::Cpu)?.reshape((3, 3, 13, 9))?)
}

fn tensors(network: &Network) -> Vec<(String, Tensor)> {
    let all = network.tensors().into_iter();
    all.map(|(name, var)| (name, var.as_detached_tensor())).collect()
}

fn tensor(network: &Network, name: &str) -> AnyResult<Tensor> {
    let found = tensors(network).into_iter().find(|(of, _)| of == name);
    Ok(found.ok_or("no such tensor")?.1)
}

fn layers(tensors: Vec<(String, Tensor)>, rows: &Rows) -> AnyResult<GraphModel> {
    Ok(network_model(tensors, &[1, 2, 3, 2], Some(rows))?)
}

/// All logits [B, K] of features z, by the heads of all attributes together.
fn all_logits(network: &Network, rows: &Rows, z: &Tensor) -> AnyResult<Tensor> {
    let of = |name: &str| tensor(network, &format!("heads.{name}"));
    let (weight, bias) = (of("mask.weight")?, of("mask.bias")?);
    let pooled = attention_heads_of_rows(z, &weight, &bias, rows, Precision::F32)?.features;
    let sums = pooled.broadcast_mul(&of("readout.weight")?)?.sum(D::Minus1)?;
    Ok(sums.broadcast_add(&of("readout.bias")?)?)
}

#[test]
fn an_output_alone_is_that_of_all_bit_for_bit() -> AnyResult {
    let x = images()?;
    for mask_kernel in [1, 3] {
        let network = network(mask_kernel)?;
        for rows in [all_rows(), some_rows()?] {
            let layers = layers(tensors(&network), &rows)?;
            let z = layers.split_at(FEATURES)?.features(&x)?;
            let logits = all_logits(&network, &rows, &z)?;
            for k in 0..ATTRIBUTES {
                let alone = layers.target(k).values(&x)?;
                let of_all = logits.narrow(1, k, 1)?.squeeze(1)?;
                assert_eq!(values(&alone)?, values(&of_all)?, "attribute {k}");
            }
        }
    }
    Ok(())
}

#[test]
fn the_activation_and_the_gradient_in_it_are_those_of_all_bit_for_bit() -> AnyResult {
    let x = images()?;
    let network = network(1)?;
    for rows in [all_rows(), some_rows()?] {
        let layers = layers(tensors(&network), &rows)?;
        for k in [0, 2, 3, 4] {
            let (z, gradient) = layers.split_at(FEATURES)?.activation_and_gradient(&x, k)?;
            assert_eq!(values(&z)?, values(&layers.split_at(FEATURES)?.features(&x)?)?);
            let z = Var::from_tensor(&z)?;
            let of_all = all_logits(&network, &rows, &z)?.narrow(1, k, 1)?.sum_all()?.backward()?;
            let of_all = of_all.get(&z).ok_or("no gradient")?;
            assert_eq!(values(&gradient)?, values(of_all)?, "attribute {k}");
        }
    }
    Ok(())
}

#[test]
fn layers_of_some_rows_are_the_network_of_these() -> AnyResult {
    let x = images()?;
    for mask_kernel in [1, 3] {
        let whole = network(mask_kernel)?;
        let rows = some_rows()?;
        let network = whole.with_rows(rows.clone())?;
        let layers = layers(tensors(&network), &rows)?;
        let forward = |x: &Tensor| -> CandleResult<Tensor> {
            Ok(network.forward(x).map_err(CandleError::wrap)?.logits)
        };
        assert_near("logits", &layers.forward(&x)?, &forward(&x)?.detach(), 1e-5)?;
        for k in [0, 2, 3, 4] {
            let fused = Target::new(forward, k).unchecked();
            let expected = fused.gradient(&x)?;
            assert_near("gradients", &layers.target(k).gradient(&x)?, &expected, 1e-4)?;
            // What each pixel adds to the logit.
            let map = layers.mask_map(&x, k, MaskWeights::Contribution)?;
            let bias = tensor(&network, "heads.readout.bias")?.get(k)?;
            let logits = forward(&x)?.detach().narrow(1, k, 1)?.squeeze(1)?;
            let without_bias = logits.broadcast_sub(&bias)?;
            assert_near("the map of masks", &map.mean((1, 2))?, &without_bias, 1e-3)?;
        }
    }
    Ok(())
}

/// Whatever the weights of a row that is left out.
#[test]
fn rows_that_are_left_out_say_nothing() -> AnyResult {
    let x = images()?;
    let network = network(1)?;
    let rows = some_rows()?;
    let before = layers(tensors(&network), &rows)?;
    let open = |(name, t): (String, Tensor)| -> AnyResult<(String, Tensor)> {
        if name != "heads.mask.bias" {
            return Ok((name, t));
        }
        let mut biases = t.to_vec1::<f32>()?;
        for (row, bias) in biases.iter_mut().enumerate() {
            if !rows.has(row / CHANNELS, row % CHANNELS) {
                *bias = 50.;
            }
        }
        Ok((name, Tensor::new(biases, &Device::Cpu)?))
    };
    let opened = tensors(&network).into_iter().map(open).collect::<AnyResult<Vec<_>>>()?;
    let after = layers(opened, &rows)?;
    let explainer = Explainer {
        steps: 3,
        grid: 3,
        lime_samples: 20,
        seed: 1,
        region_maps: Default::default(),
        references: None,
        cam_node: None,
        attention_node: None,
        composite: None,
    };
    let methods = Method::studied(true, false).into_iter().chain([Method::DeepLift]);
    for method in methods {
        let maps = |layers: &GraphModel| explainer.maps(method, layers, &x, &[0, 1, 2], 2);
        assert_eq!(values(&maps(&before)?)?, values(&maps(&after)?)?, "{}", method.id());
    }
    assert_eq!(values(&before.forward(&x)?)?, values(&after.forward(&x)?)?);
    Ok(())
}

/// Its logit is the bias, and has the gradient 0.
#[test]
fn an_attribute_without_masks_is_explained_by_nothing() -> AnyResult {
    let x = images()?;
    let network = network(1)?;
    let layers = layers(tensors(&network), &some_rows()?)?;
    let bias = tensor(&network, "heads.readout.bias")?.get(1)?.to_scalar::<f32>()?;
    assert_eq!(values(&layers.target(1).values(&x)?)?, [f64::from(bias); 3]);
    let gradient = layers.target(1).gradient(&x)?;
    assert!(values(&gradient)?.iter().all(|v| *v == 0.));
    let map = layers.mask_map(&x, 1, MaskWeights::Mean)?;
    assert!(values(&map)?.iter().all(|v| *v == 0.));
    Ok(())
}

#[test]
fn rows_of_another_network_are_refused() -> AnyResult {
    let network = network(1)?;
    for rows in [Rows::all(ATTRIBUTES + 1, CHANNELS), Rows::all(ATTRIBUTES, CHANNELS - 1)] {
        let error = layers(tensors(&network), &rows).map(drop).unwrap_err().to_string();
        assert!(error.contains("heads.masks") && error.contains("attributes"), "{error}");
    }
    let layers = layers(tensors(&network), &all_rows())?;
    assert!(layers.target(ATTRIBUTES).values(&images()?).is_err());
    Ok(())
}
