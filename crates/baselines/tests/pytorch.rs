//! Every system compared with PyTorch: answers, attention maps, loss, every gradient and every
//! running moment (`fixtures/pytorch.py`).

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use foresee_baselines::{
    AbnConfig, Baseline, Depth, LnetsAnetConfig, Maps, MoonConfig, PandaConfig, ResNetConfig, Stem,
    System,
};
use foresee_model::{Batch, Crop, TrainConfig, Trainable};

const TOLERANCE: f64 = 1e-4;
const BATCH: usize = 6;

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn formula(shape: &[usize], seed: u64, scale: f64) -> AnyResult<Tensor> {
    let value = |i: u64| {
        let bits = i.wrapping_mul(2_654_435_761).wrapping_add(seed * 40_503 + 12_345) % (1 << 32);
        let bits = (bits ^ (bits >> 15)).wrapping_mul(2_246_822_519) % (1 << 32);
        ((bits as f64 / (1u64 << 32) as f64 - 0.5) * 2. * scale) as f32
    };
    let values: Vec<f32> = (0..shape.iter().product::<usize>() as u64).map(value).collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// Weights by the formula, in the order of their sorted names.
fn fill(network: &Baseline) -> AnyResult {
    let mut tensors = network.tensors();
    tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (seed, (name, var)) in tensors.into_iter().enumerate() {
        let fan_in = var.elem_count() / var.dims()[0];
        let scale = if var.rank() == 1 { 0.3 } else { (3. / fan_in as f64).sqrt() * 1.3 };
        let shift = match (var.rank(), name.rsplit('.').next()) {
            (_, Some("running_var")) => 1.,
            (1, Some("weight" | "bias")) => 0.5,
            _ => 0.,
        };
        let values = (formula(var.dims(), seed as u64, scale)? + shift)?;
        var.set(&values)?;
    }
    Ok(())
}

fn check(name: &str, what: &str, got: &Tensor, fixture: &HashMap<String, Tensor>) -> AnyResult {
    let expected = fixture.get(what).ok_or(format!("{name}: no {what}"))?;
    assert_eq!(got.dims(), expected.dims(), "{name}: {what}");
    let values = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
    let (got, expected) = (values(got)?, values(expected)?);
    let largest = expected.iter().fold(1f64, |most, v| most.max(f64::from(v.abs())));
    for (a, b) in got.iter().zip(&expected) {
        let off = f64::from((a - b).abs()) / largest;
        assert!(off < TOLERANCE, "{name}: {what} is off by {off}: {a}, expected {b}");
    }
    Ok(())
}

fn compare(name: &str, system: System, size: [usize; 2]) -> AnyResult {
    let path = format!("{}/tests/fixtures/{name}.safetensors", env!("CARGO_MANIFEST_DIR"));
    let fixture = candle_core::safetensors::load(Path::new(&path), &Device::Cpu)?;
    let network = Baseline::new(system, 7, &Device::Cpu)?;
    fill(&network)?;
    let attributes = network.system().attributes();
    let images = formula(&[BATCH, 3, size[0], size[1]], 1000, 1.)?;
    let labels = formula(&[BATCH, attributes], 1001, 1.)?.gt(0f64)?.to_dtype(DType::F32)?;

    let graph = network.graph();
    let outputs = graph.forward(std::slice::from_ref(&images))?;
    check(name, "eval", &outputs[0], &fixture)?;
    let further: &[&str] = match network.system() {
        System::Abn(_) => &["", "attention"],
        System::Panda(_) => &["parts"],
        System::LnetsAnet(_) => &["lnet_o", "lnet_s", "anet"],
        _ => &[],
    };
    let further: Vec<(&&str, &Tensor)> =
        further.iter().zip(&outputs[1..]).filter(|(what, _)| !what.is_empty()).collect();
    for (what, values) in &further {
        check(name, what, values, &fixture)?;
    }

    let batch = Batch { images: &images, labels: &labels, weights: None };
    let pass = network.pass(&mut (), &batch, &TrainConfig::default(), 0)?;
    check(name, "train", &pass.logits, &fixture)?;
    check(name, "loss", &pass.loss.total, &fixture)?;
    let mut compared = 3 + further.len();
    for (tensor, var) in network.trainable() {
        let gradient = pass.gradients.get(var).ok_or(format!("{tensor} has no gradient"))?;
        check(name, &format!("gradient.{tensor}"), gradient, &fixture)?;
        compared += 1;
    }
    for (tensor, var) in network.tensors() {
        if tensor.contains("running_") {
            check(name, &format!("running.{tensor}"), var, &fixture)?;
            compared += 1;
        }
    }
    assert_eq!(compared, fixture.len(), "{name}: all that PyTorch has is compared");
    Ok(())
}

#[test]
fn residual_networks() -> AnyResult {
    let config = ResNetConfig { depth: Depth::D18, stem: Stem::Small, width: 3, attributes: 5 };
    compare("resnet18", System::ResNet(config), [12, 10])?;
    let config = ResNetConfig { depth: Depth::D50, stem: Stem::Large, width: 2, attributes: 5 };
    compare("resnet50", System::ResNet(config), [66, 72])
}

#[test]
fn attention_branch_networks() -> AnyResult {
    let resnet = ResNetConfig { depth: Depth::D18, stem: Stem::Small, width: 2, attributes: 3 };
    let each = AbnConfig { resnet: resnet.clone(), maps: Maps::Attributes, residual: true };
    compare("abn_attributes", System::Abn(each), [12, 10])?;
    let shared = AbnConfig { resnet, maps: Maps::Shared, residual: false };
    compare("abn_shared", System::Abn(shared), [12, 10])
}

#[test]
fn mixed_objective_networks() -> AnyResult {
    let config = MoonConfig {
        attributes: 3,
        image_size: [32, 64],
        width: 2,
        hidden: 6,
        dropout: 0.,
        batch_norm: false,
        class_weights: vec![[0.25, 1.], [1., 0.5], [1., 1.]],
    };
    compare("moon", System::Moon(config.clone()), [32, 64])?;
    let class_weights = vec![];
    let norms = MoonConfig { image_size: [64; 2], batch_norm: true, class_weights, ..config };
    compare("moon_bn", System::Moon(norms), [64, 64])
}

#[test]
fn networks_of_parts() -> AnyResult {
    let config = PandaConfig {
        attributes: 3,
        image_size: 32,
        crop: Crop::Whole,
        landmarks: None,
        part_size: 16,
        width: 8,
        hidden: 8,
    };
    compare("panda", System::Panda(config), [32, 32])
}

#[test]
fn localisation_networks() -> AnyResult {
    let config = LnetsAnetConfig {
        attributes: 3,
        image_size: 20,
        face_size: 16,
        width: 4,
        hidden: 6,
        windows: 1,
    };
    compare("lnets_anet", System::LnetsAnet(config.clone()), [20, 20])?;
    let windows = LnetsAnetConfig { windows: 5, ..config };
    compare("lnets_anet_windows", System::LnetsAnet(windows), [20, 20])
}
