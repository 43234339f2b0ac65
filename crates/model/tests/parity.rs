//! The network compared with PyTorch: logits, masks, loss, every gradient, running moments and two
//! optimizer steps (`fixtures/parity.py`).

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use foresee_model::{AdamW, AdamWConfig, Network, NetworkConfig, Sparsity, loss};

const TOLERANCE: f64 = 1e-4;

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn formula(shape: &[usize], seed: u64, scale: f64) -> Vec<f32> {
    (0..shape.iter().product::<usize>() as u64)
        .map(|i| {
            let bits =
                i.wrapping_mul(2_654_435_761).wrapping_add(seed * 40_503 + 12_345) % (1 << 32);
            let bits = (bits ^ (bits >> 15)).wrapping_mul(2_246_822_519) % (1 << 32);
            ((bits as f64 / (1u64 << 32) as f64 - 0.5) * 2. * scale) as f32
        })
        .collect()
}

/// The network of the fixture: PyTorch lists parameters in another order than files do.
fn network() -> AnyResult<Network> {
    let network = Network::new(
        NetworkConfig { attributes: 5, channels: 16, ..Default::default() },
        0,
        &Device::Cpu,
    )?;
    let tensors: HashMap<_, _> = network.tensors().into_iter().collect();
    let blocks = (0..4).flat_map(|i| {
        ["conv.weight", "conv.bias", "bn.weight", "bn.bias"].map(|n| format!("extractor.{i}.{n}"))
    });
    let heads = ["mask.weight", "mask.bias", "readout.weight", "readout.bias"]
        .map(|n| format!("heads.{n}"));
    for (seed, name) in blocks.chain(heads).enumerate() {
        let var = tensors[&name];
        let fan_in = if var.rank() > 1 { var.elem_count() / var.dims()[0] } else { 16 };
        let mut values = formula(var.dims(), seed as u64, 1.5 / (fan_in as f64).sqrt());
        if name.ends_with("bn.weight") {
            values.iter_mut().for_each(|v| *v += 1.);
        }
        var.set(&Tensor::from_vec(values, var.dims(), &Device::Cpu)?)?;
    }
    Ok(network)
}

fn assert_close(name: &str, got: &Tensor, expected: &Tensor, scale: f64) {
    let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let got = values(got);
    let expected = values(expected);
    assert_eq!(got.len(), expected.len(), "{name}");
    let largest = expected.iter().fold(scale, |m, v| m.max(f64::from(v.abs())));
    let off = got
        .iter()
        .zip(&expected)
        .map(|(a, b)| f64::from((a - b).abs()))
        .max_by(f64::total_cmp)
        .unwrap_or(0.)
        / largest;
    println!("{name}: {off:.1e} relative");
    assert!(off < TOLERANCE, "{name} is off by {off:e} relative to {largest:e}");
}

#[test]
fn the_network_is_pytorchs() -> AnyResult {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/parity.safetensors");
    let expected = candle_core::safetensors::load(path, &Device::Cpu)?;
    let network = network()?;
    let images = Tensor::from_vec(formula(&[3, 3, 11, 11], 100, 1.), (3, 3, 11, 11), &Device::Cpu)?;
    let labels = Tensor::from_vec(
        formula(&[3, 5], 101, 1.)
            .into_iter()
            .map(|v| f32::from(u8::from(v > 0.)))
            .collect::<Vec<_>>(),
        (3, 5),
        &Device::Cpu,
    )?;

    let output = network.forward(&images)?;
    let l1 =
        |o: &foresee_model::Output| (o.mask_means.sum_all().unwrap() * o.pixels as f64).unwrap();
    assert_close("evaluation: logits", &output.logits, &expected["eval.logits"], 0.);
    assert_close("evaluation: ‖M‖₁", &l1(&output), &expected["eval.mask_l1"], 0.);
    let masks = network.heads().masks(&network.extractor().forward(&images)?, &[1])?;
    assert_close("evaluation: masks", &masks, &expected["eval.masks"], 0.);

    let loss = |output: &foresee_model::Output| loss(output, &labels, 1e-3, Sparsity::Sum);
    let mut adam = AdamW::new(
        network.trainable(),
        AdamWConfig { epsilon: 1e-3, weight_decay: 0.1, ..Default::default() },
    )?;
    let output = network.forward_train(&images)?;
    let first = loss(&output)?;
    assert_close("training: logits", &output.logits, &expected["train.logits"], 0.);
    assert_close("training: ‖M‖₁", &l1(&output), &expected["train.mask_l1"], 0.);
    assert_close("training: loss", &first.total, &expected["train.loss"], 0.);
    let gradients = first.total.backward()?;
    for (name, var) in network.trainable() {
        // The gradient of a bias before batch norm is 0 in exact arithmetic: it is measured against
        // the weights'.
        let scale = if name.ends_with("conv.bias") { 1e-2 } else { 0. };
        assert_close(
            &format!("gradient of {name}"),
            gradients.get(var).expect("a gradient"),
            &expected[&format!("gradient.{name}")],
            scale,
        );
    }
    adam.step(&gradients, 1e-2)?;
    let second = loss(&network.forward_train(&images)?)?;
    assert_close("second step: loss", &second.total, &expected["second.loss"], 0.);
    adam.step(&second.total.backward()?, 1e-2)?;
    for (name, var) in network.tensors() {
        let every = if name.contains("running") { 1 } else { 13 };
        let index = Tensor::arange_step(0, var.elem_count() as u32, every, &Device::Cpu)?;
        let values = var.flatten_all()?.index_select(&index, 0)?;
        assert_close(
            &format!("after two steps: {name}"),
            &values,
            &expected[&format!("after.{name}")],
            1e-2,
        );
    }
    Ok(())
}
