//! The paper's network as foresee-model has it (`f32`, fused kernels), through the methods.

mod distance;

use candle_core::{DType, Device, Error, Result as CandleResult, Tensor};
use foresee_attribution::*;
use foresee_model::{Network, NetworkConfig};

use distance::off;

type AnyResult<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const TARGET: usize = 2;

fn values(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_near(what: &str, got: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_eq!(got.dims(), expected.dims(), "{what}");
    let (got, expected) = (values(got), values(expected));
    assert!(got.iter().chain(&expected).all(|v| v.is_finite()), "{what} is not finite");
    let (largest, off) = off(&got, &expected);
    assert!(largest > 0. && off < tolerance, "{what} is off by {off:e}");
}

/// Small, with running moments that are not those of a new network.
fn network(mask_kernel: usize) -> AnyResult<(Network, GraphModel, Tensor)> {
    let network = Network::new(
        NetworkConfig { attributes: 5, channels: 16, mask_kernel, ..Default::default() },
        3,
        &Device::Cpu,
    )?;
    let wave = |n: usize, f: f64| {
        Tensor::from_iter((0..n).map(|i| (f * (i * i) as f64).sin() as f32), &Device::Cpu)
    };
    network.forward_train(&wave(2 * 3 * 14 * 11, 0.31)?.reshape((2, 3, 14, 11))?)?;
    let dilations: Vec<usize> =
        network.extractor().plan().iter().map(|&(_, _, dilation)| dilation).collect();
    let tensors = network.tensors().into_iter().map(|(name, var)| (name, var.as_detached_tensor()));
    Ok((
        network.clone(),
        network_model(tensors, &dilations, Some(network.heads().rows()))?.batch(2),
        wave(3 * 3 * 14 * 11, 0.17)?.reshape((3, 3, 14, 11))?,
    ))
}

#[test]
fn the_model_of_its_tensors_is_the_network() -> AnyResult {
    for mask_kernel in [1, 3] {
        let (network, layers, x) = network(mask_kernel)?;
        let forward = |x: &Tensor| -> CandleResult<Tensor> {
            Ok(network.forward(x).map_err(Error::wrap)?.logits)
        };
        assert_near("logits", &layers.forward(&x)?, &forward(&x)?.detach(), 1e-5);
        let fused = Target::new(forward, TARGET).batch(2);
        assert_near("gradients", &layers.target(TARGET).gradient(&x)?, &fused.gradient(&x)?, 1e-4);
        let split = SplitModel::new(
            |x: &Tensor| network.extractor().forward(x).map_err(Error::wrap),
            |z: &Tensor| Ok(network.forward_features(z).map_err(Error::wrap)?.logits),
        );
        let signed = GradCam { relu: false, ..Default::default() };
        assert_near(
            "Grad-CAM",
            &grad_cam(&layers.split_at("extractor.3.relu")?, &x, TARGET, &signed)?,
            &grad_cam(&split, &x, TARGET, &signed)?,
            1e-4,
        );
        // The network's own masks through the same interface.
        let z = network.extractor().forward(&x)?.detach();
        let masks = network.heads().masks(&z, &[TARGET])?.squeeze(1)?;
        let readout =
            Tensor::new(network.heads().readout_weights()?[TARGET].clone(), &Device::Cpu)?;
        for weights in [MaskWeights::Mean, MaskWeights::Readout, MaskWeights::Contribution] {
            assert_near(
                "the masks",
                &layers.mask_map(&x, TARGET, weights)?,
                &mask_map(&masks, &z, &readout, weights)?,
                1e-4,
            );
        }
    }
    Ok(())
}

/// Eq. 2 in `f32`: with biases left out each layer's sum is the logit, to 1e-4 of the relevance
/// that moves.
#[test]
fn relevance_is_conserved_through_the_masks() -> AnyResult {
    let (_, layers, x) = network(1)?;
    let composite = Composite { bias: Bias::Ignore, ..Composite::epsilon(1e-6) };
    let found = layers.lrp(&x, TARGET, &composite)?;
    let moving = found.attribution.abs()?.flatten_from(1)?.sum(1)?.to_vec1::<f32>()?;
    assert_eq!(found.layers.len(), 11);
    for layer in &found.layers {
        for ((sum, f), moving) in layer.relevance.iter().zip(&found.output).zip(&moving) {
            assert!(
                (sum - f).abs() < 1e-4 * f64::from(*moving).max(f.abs()),
                "{}: {sum} of {f}",
                layer.layer
            );
        }
    }
    Ok(())
}

/// Without masks the network is average pooling and a linear layer: the mean of CAM is the logit
/// without its bias, and layers are the network.
#[test]
fn without_masks_cam_is_allowed() -> AnyResult {
    let network = Network::new(
        NetworkConfig { attributes: 5, channels: 16, attention: false, ..Default::default() },
        3,
        &Device::Cpu,
    )?;
    let x = Tensor::from_iter(
        (0..2 * 3 * 9 * 9).map(|i| (0.17 * (i * i % 997) as f32).sin()),
        &Device::Cpu,
    )?
    .reshape((2, 3, 9, 9))?;
    let dilations: Vec<usize> =
        network.extractor().plan().iter().map(|&(_, _, dilation)| dilation).collect();
    let tensors: Vec<(String, Tensor)> =
        network.tensors().into_iter().map(|(name, var)| (name, var.as_detached_tensor())).collect();
    let layers = network_model(tensors.clone(), &dilations, None)?;
    let logits = network.forward(&x)?.logits.detach();
    assert_near("logits", &layers.forward(&x)?, &logits, 1e-5);
    let bias = tensors
        .iter()
        .find(|(name, _)| name == "heads.readout.bias")
        .ok_or("no bias")?
        .1
        .get(TARGET)?;
    let without_bias = logits.narrow(1, TARGET, 1)?.squeeze(1)?.broadcast_sub(&bias)?;
    assert_near(
        "CAM",
        &layers.cam("extractor.3.relu", &x, TARGET)?.mean((1, 2))?,
        &without_bias,
        1e-4,
    );
    assert!(layers.mask_map(&x, TARGET, MaskWeights::Mean).is_err());
    Ok(())
}
