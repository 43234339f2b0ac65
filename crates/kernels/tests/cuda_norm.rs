//! The kernels of `cuda/norm.cu`, run on the CPU, against this crate's operations there.

#[path = "cuda_emulation/emulator.rs"]
mod emulator;
#[path = "cuda_emulation/plans.rs"]
mod plans;
#[path = "cuda_emulation/values.rs"]
mod values;

use candle_core::Tensor;
use emulator::Emulator;
use foresee_kernels::channels_last::{self, NormOfBatch, NormSums};
use foresee_kernels::cuda::norm::{
    backward, forward, gradient_sums, input_gradient, input_gradient_of_part, lines, moments,
};
use foresee_kernels::{BATCH_NORM_EPSILON, LEAKY_RELU_SLOPE};
use values::{AnyResult, assert_close, flat, values};

const KERNELS: [&str; 6] = [
    "moments_sums",
    "moments_total",
    "norm_leaky_relu",
    "gradient_sums",
    "gradient_total",
    "input_gradient",
];
const EPSILON: f32 = BATCH_NORM_EPSILON as f32;
const SLOPE: f32 = LEAKY_RELU_SLOPE as f32;

/// Shapes [B, H, W, C] that fill no block and no part.
const SHAPES: [[usize; 4]; 5] =
    [[1, 1, 2, 1], [2, 3, 5, 7], [1, 9, 11, 33], [3, 10, 13, 64], [5, 23, 29, 3]];

/// One test, since the kernels are built for each.
#[test]
fn the_kernels_are_right() -> AnyResult {
    let Some(emulator) = Emulator::new("norm.cu", &KERNELS) else { return Ok(()) };
    norm_is_the_cpus_forward_and_backward(&emulator)?;
    parts_of_a_batch_have_the_gradient_of_the_whole(&emulator)?;
    orders_of_blocks_and_threads_change_no_bit(&emulator)?;
    constant_channels_have_no_variance_and_nan_is_not_hidden(&emulator);
    Ok(())
}

fn norm_is_the_cpus_forward_and_backward(emulator: &Emulator) -> AnyResult {
    for (seed, shape) in SHAPES.into_iter().enumerate() {
        let [b, h, w, c] = shape;
        let n = b * h * w;
        let name = format!("{shape:?}");
        let x = values(&shape, 2., seed as u64 + 1).affine(1., 5.)?;
        let x = candle_core::Var::from_tensor(&x)?;
        let gamma = values(&[c], 1., 2);
        let beta = values(&[c], 1., 3);
        let g = values(&shape, 1., 4);
        let expected = channels_last::channel_moments(&x)?;
        let made = plans::run(emulator, &moments(n, c), &[&flat(&x)?], seed as u64);
        assert_close(&format!("{name}: mean"), &made[0], &flat(&expected.mean)?, 1e-6);
        assert_close(&format!("{name}: variance"), &made[1], &flat(&expected.variance)?, 1e-5);
        for training in [true, false] {
            let operation = match training {
                true => channels_last::norm_leaky_relu,
                false => channels_last::scale_shift_leaky_relu,
            };
            let y = operation(&x, &expected, &gamma, &beta, EPSILON.into(), SLOPE)?;
            let gradients = (&y * g.as_tensor())?.sum_all()?.backward()?;
            let parts = [
                flat(&x)?,
                flat(&expected.mean)?,
                flat(&expected.variance)?,
                flat(&gamma)?,
                flat(&beta)?,
                flat(&g)?,
            ];
            let inputs: Vec<&[f32]> = parts.iter().map(Vec::as_slice).collect();
            let made =
                plans::run(emulator, &forward(n, c, EPSILON, SLOPE), &inputs[..5], seed as u64);
            assert_close(&format!("{name}: y"), &made[0], &flat(&y)?, 1e-5);
            let made = plans::run(
                emulator,
                &backward(n, c, EPSILON, SLOPE, training),
                &inputs,
                seed as u64,
            );
            let gradient = |of: &Tensor| flat(gradients.get(of).expect("a gradient"));
            for (name, made, of) in
                [("dx", &made[0], &x), ("dγ", &made[1], &gamma), ("dβ", &made[2], &beta)]
            {
                assert_close(
                    &format!("{shape:?}: {name}, training {training}"),
                    made,
                    &gradient(of)?,
                    3e-5,
                );
            }
            if !training {
                let input_only = plans::run(
                    emulator,
                    &input_gradient(n, c, EPSILON, SLOPE),
                    &inputs,
                    seed as u64,
                );
                assert_eq!(input_only.len(), 1);
                assert!(
                    input_only[0]
                        .iter()
                        .map(|v| v.to_bits())
                        .eq(made[0].iter().map(|v| v.to_bits())),
                    "{shape:?}: dx without those of γ and β"
                );
            }
        }
    }
    Ok(())
}

/// Two images of which each is a part: their sums and gradients, as the CPU makes them.
fn parts_of_a_batch_have_the_gradient_of_the_whole(emulator: &Emulator) -> AnyResult {
    for (seed, c) in [1, 7, 40].into_iter().enumerate() {
        let (h, w) = (19, 23);
        let n = h * w;
        let x = values(&[2, h, w, c], 2., 7).affine(1., 5.)?;
        let (gamma, beta, g) =
            (values(&[c], 1., 2), values(&[c], 1., 3), values(&[2, h, w, c], 1., 4));
        let moments = channels_last::channel_moments(&x)?;
        let epsilon = BATCH_NORM_EPSILON;
        let (gamma, beta) = (gamma.as_tensor(), beta.as_tensor());
        let norm = NormOfBatch { moments: &moments, gamma, beta, epsilon, slope: SLOPE };
        let [mean, variance] = [flat(&moments.mean)?, flat(&moments.variance)?];
        let (gamma, beta) = (flat(gamma)?, flat(beta)?);
        let (mut all, mut parts) = (NormSums { gamma: vec![0.; c], beta: vec![0.; c] }, vec![]);
        for image in 0..2 {
            let [x, g] = [x.narrow(0, image, 1)?, g.narrow(0, image, 1)?];
            let [xs, gs] = [flat(&x)?, flat(&g)?];
            let inputs = [&xs, &mean, &variance, &gamma, &beta, &gs].map(Vec::as_slice);
            let plan = gradient_sums(n, c, EPSILON, SLOPE);
            let made = plans::run(emulator, &plan, &inputs, seed as u64);
            let expected = norm.sums(&x, &g)?;
            let (of_gamma, of_beta) = (single(&expected.gamma), single(&expected.beta));
            assert_close(&format!("{c} channels: Σ g'·x̂"), &made[0], &of_gamma, 1e-5);
            assert_close(&format!("{c} channels: Σ g'"), &made[1], &of_beta, 1e-5);
            for (all, part) in [(&mut all.gamma, expected.gamma), (&mut all.beta, expected.beta)] {
                all.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
            }
            parts.push((x, g));
        }
        let lines = lines(&variance, &gamma, epsilon, [&all.gamma, &all.beta], 2 * n);
        for (x, g) in parts {
            let [xs, gs] = [flat(&x)?, flat(&g)?];
            let inputs = [&xs, &mean, &variance, &gamma, &beta, &gs, &lines].map(Vec::as_slice);
            let plan = input_gradient_of_part(n, c, EPSILON, SLOPE);
            let made = plans::run(emulator, &plan, &inputs, seed as u64);
            let expected = flat(&norm.input_gradient(&x, &g, &all)?)?;
            assert_close(&format!("{c} channels: dx of a part"), &made[0], &expected, 1e-5);
        }
    }
    Ok(())
}

fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

fn orders_of_blocks_and_threads_change_no_bit(emulator: &Emulator) -> AnyResult {
    let n = 700;
    let c = 37;
    let drawn = [vec![n, c], vec![c], vec![c], vec![c], vec![c], vec![n, c]]
        .into_iter()
        .zip(1..)
        .map(|(shape, seed)| values(&shape, 1., seed).sqr());
    let inputs = drawn.collect::<Result<Vec<_>, _>>()?;
    let inputs = inputs.iter().map(flat).collect::<AnyResult<Vec<_>>>()?;
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let bits = |seed| -> Vec<u32> {
        let made = plans::run(emulator, &backward(n, c, EPSILON, SLOPE, true), &inputs, seed);
        made[..3].iter().flatten().map(|v| v.to_bits()).collect()
    };
    assert_eq!(bits(0), bits(1));
    assert_eq!(bits(0), bits(2));
    Ok(())
}

fn constant_channels_have_no_variance_and_nan_is_not_hidden(emulator: &Emulator) {
    let x: Vec<f32> = (0..300).flat_map(|i| [1e4, if i == 299 { f32::NAN } else { 1. }]).collect();
    let made = plans::run(emulator, &moments(300, 2), &[&x], 0);
    assert_eq!((made[0][0], made[1][0]), (1e4, 0.));
    assert!(made[0][1].is_nan() && made[1][1].is_nan());
}
