//! The operations that are checked, over shapes that fill no tile.

use candle_core::Tensor;
use foresee_kernels::{
    AdamWStep, Identity, Moments, Precision, ToneCurve, adamw_step, attention_heads_under, attention_masks, moving_average, pixels,
};
use foresee_model::{LossConfig, Network, NetworkConfig, TrainConfig, Trainer};

use super::Check;

const EPSILON: f64 = 1e-5;
const SLOPE: f32 = 0.01;

/// All checks.
pub fn all() -> Vec<Check> {
    let mut checks = vec![];
    for shape in [[1, 2, 3, 1], [2, 3, 5, 7], [3, 11, 9, 33], [2, 16, 16, 128]] {
        checks.extend([true, false].map(|training| norm(shape, training)));
    }
    for precision in [Precision::F32, Precision::Bf16] {
        for sizes in [[1, 1, 1, 1, 1, 1], [2, 5, 7, 3, 32, 1], [1, 9, 11, 5, 6, 3], [3, 17, 19, 36, 70, 2], [2, 32, 31, 64, 128, 2]] {
            checks.push(conv(sizes, precision));
        }
        for sizes in [[1, 1, 1, 1, 1], [2, 3, 9, 17, 37], [3, 5, 13, 11, 64], [2, 40, 16, 15, 128]] {
            checks.push(heads(sizes, precision));
            checks.push(heads_under(sizes, precision));
        }
        checks.push(steps(precision));
    }
    checks.extend([masks(), adamw(), average()]);
    checks
}

/// Relative to the largest value. Factors of bf16 have 8 bits: their rounding errors are relative to single terms, of which a sum can be much smaller.
fn check(name: String, precision: Precision, inputs: Vec<(&'static str, Vec<usize>, f32)>, compute: super::Compute) -> Check {
    let (tolerance, gradient_tolerance) = if precision == Precision::F32 { (2e-5, 1e-4) } else { (2e-2, 3e-2) };
    Check { name, inputs, compute, tolerance, gradient_tolerance }
}

fn text(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "f32",
        Precision::Bf16 => "bf16",
    }
}

fn norm([b, h, w, c]: [usize; 4], training: bool) -> Check {
    let name = format!("norm + leaky ReLU, {} {b}×{h}×{w}×{c}", if training { "training" } else { "evaluation" });
    let mut inputs = vec![("x", vec![b, h, w, c], 2.), ("gamma", vec![c], 1.), ("beta", vec![c], 1.)];
    if !training {
        inputs.extend([("mean", vec![c], 1.), ("variance", vec![c], 1.)]);
    }
    let compute = move |t: &[Tensor]| -> anyhow::Result<_> {
        if training {
            let moments = pixels::channel_moments(&t[0])?;
            let y = pixels::norm_leaky_relu(&t[0], &moments, &t[1], &t[2], EPSILON, SLOPE)?;
            return Ok(vec![("y", y), ("mean", moments.mean), ("variance", moments.variance)]);
        }
        let moments = Moments { mean: t[3].detach(), variance: (t[4].detach().sqr()? + 0.1)?, count: 0 };
        Ok(vec![("y", pixels::scale_shift_leaky_relu(&t[0], &moments, &t[1], &t[2], EPSILON, SLOPE)?)])
    };
    check(name, Precision::F32, inputs, Box::new(compute))
}

fn conv([b, h, w, i, o, dilation]: [usize; 6], precision: Precision) -> Check {
    let name = format!("convolution {}, {b}×{h}×{w}×{i} → {o}, dilation {dilation}", text(precision));
    let inputs = vec![("x", vec![b, h, w, i], 1.), ("weight", vec![o, i, 3, 3], 1.), ("bias", vec![o], 1.)];
    check(name, precision, inputs, Box::new(move |t| Ok(vec![("y", pixels::conv2d(&t[0], &t[1], &t[2], dilation, precision)?)])))
}

fn head_inputs([b, k, h, w, c]: [usize; 5]) -> Vec<(&'static str, Vec<usize>, f32)> {
    // Logits of about the same size for any number of channels.
    vec![("z", vec![b, h, w, c], 1.), ("weight", vec![k * c, c, 1, 1], 3. / (c as f32).sqrt()), ("bias", vec![k * c], 1.)]
}

fn heads(sizes: [usize; 5], precision: Precision) -> Check {
    let [b, k, h, w, c] = sizes;
    let compute = move |t: &[Tensor]| {
        let pooled = pixels::attention_heads(&t[0], &t[1], &t[2], precision)?;
        Ok(vec![("features", pooled.features), ("masks", pooled.masks)])
    };
    check(format!("heads {}, {b}×{h}×{w}×{c}, {k} attributes", text(precision)), precision, head_inputs(sizes), Box::new(compute))
}

/// m ↦ m² for every second attribute.
struct Square;

impl ToneCurve for Square {
    fn apply(&self, attribute: usize, _channel: usize, mask: &mut [f32]) {
        if attribute.is_multiple_of(2) {
            mask.iter_mut().for_each(|m| *m *= *m);
        }
    }
}

fn heads_under(sizes: [usize; 5], precision: Precision) -> Check {
    let [b, k, h, w, c] = sizes;
    let compute = move |t: &[Tensor]| {
        let z = t[0].permute((0, 3, 1, 2))?;
        let [plain, square]: [_; 2] = attention_heads_under(&z, &t[1], &t[2], &[&Identity, &Square], precision)?
            .try_into()
            .map_err(|_| anyhow::anyhow!("two curves, two results"))?;
        Ok(vec![("features", plain.features), ("masks", plain.masks), ("features under", square.features), ("masks under", square.masks)])
    };
    check(format!("heads under curves {}, {b}×{h}×{w}×{c}, {k} attributes", text(precision)), precision, head_inputs(sizes), Box::new(compute))
}

fn masks() -> Check {
    let compute = |t: &[Tensor]| Ok(vec![("masks", attention_masks(&t[0].permute((0, 3, 1, 2))?, &t[1], &t[2], &[2, 0])?)]);
    check("masks of two attributes".into(), Precision::F32, head_inputs([2, 3, 5, 7, 9]), Box::new(compute))
}

fn adamw() -> Check {
    let compute = |t: &[Tensor]| {
        let (value, gradient) = (candle_core::Var::from_tensor(&t[0].detach().copy()?)?, t[1].detach());
        let (mut first, mut second) = (gradient.zeros_like()?, gradient.zeros_like()?);
        for number in 1..=3 {
            let step = AdamWStep { learning_rate: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.3, number };
            adamw_step(&value, &gradient, &mut first, &mut second, &step)?;
        }
        Ok(vec![("value", value.as_detached_tensor()), ("first", first), ("second", second)])
    };
    check("AdamW, three steps".into(), Precision::F32, vec![("value", vec![37, 5], 1.), ("gradient", vec![37, 5], 1.)], Box::new(compute))
}

fn average() -> Check {
    let compute = |t: &[Tensor]| {
        let average = candle_core::Var::from_tensor(&t[0].detach().copy()?)?;
        moving_average(&average, &t[1].detach(), 0.9)?;
        Ok(vec![("average", average.as_detached_tensor())])
    };
    check("moving average".into(), Precision::F32, vec![("average", vec![91], 1.), ("value", vec![91], 1.)], Box::new(compute))
}

/// The loss in training: a network and the device's share of it. It has no form in f64, so that f32 on the CPU is the reference too.
fn steps(precision: Precision) -> Check {
    let compute = move |t: &[Tensor]| {
        let images = t[0].to_dtype(candle_core::DType::F32)?;
        let config = NetworkConfig { attributes: 5, channels: 24, precision, ..Default::default() };
        let train = TrainConfig { epochs: 1, loss: LossConfig::default(), ..Default::default() };
        let mut trainer = Trainer::new(Network::new(config, 0, images.device())?, train, 100)?;
        let labels = images.narrow(1, 0, 1)?.flatten_from(1)?.narrow(1, 0, 5)?.gt(0f64)?.to_dtype(candle_core::DType::F32)?;
        let losses = (0..3).map(|_| Ok(trainer.step(&images, &labels)?.loss)).collect::<anyhow::Result<Vec<f32>>>()?;
        Ok(vec![("losses", Tensor::new(losses, t[0].device())?.to_dtype(t[0].dtype())?)])
    };
    let name = format!("three training steps of the network, {}", text(precision));
    Check {
        tolerance: if precision == Precision::F32 { 1e-4 } else { 1e-2 },
        ..check(name, precision, vec![("images", vec![4, 3, 12, 11], 1.)], Box::new(compute))
    }
}
