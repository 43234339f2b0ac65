//! Speed and peak memory of gradient methods on the paper's network, for `speed.py` to compare with Captum:
//! `cargo run --release -p foresee-attribution --example speed -- METHOD [IMAGES [SIZE]]`, METHOD of `sensitivity`, `integrated`, `grad_cam`,
//! `layers_sensitivity`, `layers_grad_cam`, `lrp`. A process for each method, so that memory is its own. Linux only, for the memory.

use std::time::Instant;

use candle_core::{Device, Error, Tensor};
use foresee_attribution::{
    Composite, GradCam, IntegratedGradients, Split, Target, attention_network, grad_cam, integrated_gradients, lrp, sensitivity,
};
use foresee_model::{Network, NetworkConfig};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

const STEPS: usize = 10;
const ROUNDS: usize = 3;

/// VmRSS or VmHWM in MiB.
fn memory(key: &str) -> AnyResult<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(key)).ok_or("no such line in /proc/self/status")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse::<f64>()? / 1024.)
}

fn main() -> AnyResult {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let method = arguments.first().map_or("sensitivity", |m| m);
    let number = |at: usize, default: usize| arguments.get(at).map_or(Ok(default), |n| n.parse());
    let (images, size) = (number(1, 8)?, number(2, 64)?);
    let network = Network::new(NetworkConfig::default(), 0, &Device::Cpu)?;
    let tensors = network.tensors().into_iter().map(|(name, var)| (name, var.as_detached_tensor()));
    let layers = attention_network(tensors, &[1, 2, 3, 2])?.batch(images);
    let forward = |x: &Tensor| Ok(network.forward(x).map_err(Error::wrap)?.logits);
    let target = Target::new(forward, 20).batch(images);
    let split = Split::new(
        |x: &Tensor| network.extractor().forward(x).map_err(Error::wrap),
        |z: &Tensor| Ok(network.forward_features(z).map_err(Error::wrap)?.logits),
    );
    let x = Tensor::from_iter((0..images * 3 * size * size).map(|i| (0.17 * (i * i % 9973) as f32).sin()), &Device::Cpu)?;
    let x = x.reshape((images, 3, size, size))?;
    let options = GradCam { batch: images, ..Default::default() };
    let run = || -> AnyResult<Tensor> {
        Ok(match method {
            "sensitivity" => sensitivity(&target, &x)?,
            "integrated" => integrated_gradients(&target, &x, None, &IntegratedGradients { steps: STEPS, ..Default::default() })?.attribution,
            "grad_cam" => grad_cam(&split, &x, 20, &options)?,
            "layers_sensitivity" => layers.gradient(&x, 20)?.abs()?,
            "layers_grad_cam" => grad_cam(&layers.at("extractor.3.relu")?, &x, 20, &options)?,
            "lrp" => lrp(&layers, &x, 20, &Composite::epsilon_plus())?.attribution,
            other => return Err(format!("there is no method {other}").into()),
        })
    };
    let before = memory("VmRSS")?;
    run()?;
    let mut seconds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            run().map(|_| start.elapsed().as_secs_f64())
        })
        .collect::<AnyResult<_>>()?;
    seconds.sort_by(f64::total_cmp);
    println!(
        "foresee {method}: {:.2} images/s (median of {ROUNDS}; best {:.2}), peak {:.0} MiB, {:.0} MiB above the network",
        images as f64 / seconds[ROUNDS / 2],
        images as f64 / seconds[0],
        memory("VmHWM")?,
        memory("VmHWM")? - before
    );
    Ok(())
}
