//! The kernels of `cuda/norm.cu`, run on the CPU, against this crate's operations there.

#[path = "cuda_emulation/emulator.rs"]
mod emulator;
#[path = "cuda_emulation/plans.rs"]
mod plans;
#[path = "cuda_emulation/values.rs"]
mod values;

use candle_core::Tensor;
use emulator::Emulator;
use foresee_kernels::cuda::norm::{backward, forward, input_gradient, moments};
use foresee_kernels::{BATCH_NORM_EPSILON, LEAKY_RELU_SLOPE, channels_last};
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
