//! The kernels of `cuda/conv.cu`, run on the CPU, against this crate's operations there.

#[path = "cuda_emulation/emulator.rs"]
mod emulator;
#[path = "cuda_emulation/plans.rs"]
mod plans;
#[path = "cuda_emulation/values.rs"]
mod values;

use emulator::Emulator;
use foresee_kernels::Precision::{Bf16, F32};
use foresee_kernels::channels_last;
use foresee_kernels::cuda::conv::Conv;
use values::{AnyResult, assert_close, flat, values};

const KERNELS: [&str; 6] =
    ["pack_weights", "conv_f32", "conv_bf16", "weights_f32", "weights_bf16", "add_parts"];

/// Images, height, width, inputs, outputs, n, dilation: of no whole tile, or of several.
const SHAPES: [[usize; 7]; 7] = [
    [1, 1, 1, 1, 1, 1, 1],
    [2, 5, 7, 3, 32, 3, 1],
    [1, 9, 11, 4, 5, 3, 2],
    [3, 6, 5, 36, 70, 3, 3],
    [1, 4, 3, 8, 12, 5, 1],
    [2, 17, 19, 20, 66, 3, 2],
    [1, 40, 33, 2, 3, 3, 4],
];

/// One test, since the kernels are built for each.
#[test]
fn the_kernels_are_right() -> AnyResult {
    let Some(emulator) = Emulator::new("conv.cu", &KERNELS) else { return Ok(()) };
    for (seed, [images, h, w, inputs, outputs, n, dilation]) in SHAPES.into_iter().enumerate() {
        for precision in [F32, Bf16] {
            let conv = Conv { images, h, w, inputs, outputs, n, dilation, precision };
            convolution_is_the_cpus(&emulator, &conv, seed as u64)?;
        }
    }
    orders_change_no_bit(&emulator)
}

fn convolution_is_the_cpus(emulator: &Emulator, conv: &Conv, seed: u64) -> AnyResult {
    let Conv { images, h, w, inputs, outputs, n, dilation, precision } = *conv;
    let x = values(&[images, h, w, inputs], 1., 10 * seed + 1);
    let weight = values(&[outputs, inputs, n, n], 1., 10 * seed + 2);
    let bias = values(&[outputs], 1., 10 * seed + 3);
    let g = values(&[images, h, w, outputs], 1., 10 * seed + 4);
    let y = channels_last::conv2d(&x, &weight, &bias, dilation, precision)?;
    let gradients = (&y * g.as_tensor())?.sum_all()?.backward()?;
    let expected = |of: &candle_core::Tensor| flat(gradients.get(of).expect("a gradient"));
    let [xs, ws, bs, gs] = [&x, &weight, &bias, &g].map(|t| flat(t).expect("values"));
    let tolerance = 1e-5;
    let out = plans::run(emulator, &conv.forward(), &[&xs, &ws, &bs], seed);
    assert_close(&format!("{conv:?}: out"), &out[0], &flat(&y)?, tolerance);
    let dx = plans::run(emulator, &conv.input_gradient(), &[&gs, &ws], seed);
    assert_close(&format!("{conv:?}: dx"), &dx[0], &expected(&x)?, tolerance);
    let dw = plans::run(emulator, &conv.weight_gradient(), &[&xs, &gs], seed);
    assert_close(&format!("{conv:?}: dweight"), &dw[0], &expected(&weight)?, tolerance);
    assert_close(&format!("{conv:?}: dbias"), &dw[1], &expected(&bias)?, tolerance);
    Ok(())
}

fn orders_change_no_bit(emulator: &Emulator) -> AnyResult {
    let conv =
        Conv { images: 2, h: 21, w: 17, inputs: 6, outputs: 9, n: 3, dilation: 2, precision: Bf16 };
    let x = flat(&values(&[2, 21, 17, 6], 1., 1))?;
    let g = flat(&values(&[2, 21, 17, 9], 1., 2))?;
    let bits = |seed| -> Vec<u32> {
        let made = plans::run(emulator, &conv.weight_gradient(), &[&x, &g], seed);
        made[..2].iter().flatten().map(|v| v.to_bits()).collect()
    };
    assert_eq!(bits(0), bits(1));
    assert_eq!(bits(0), bits(2));
    Ok(())
}

/// The paper's layers at a size that is trained: no grid is larger than a device can have, and
/// every part has pixels.
#[test]
fn launches_of_the_papers_layers_are_possible() {
    for (inputs, outputs, dilation) in [(3, 32, 1), (32, 64, 2), (64, 64, 3), (64, 128, 2)] {
        let conv =
            Conv { images: 256, h: 64, w: 64, inputs, outputs, n: 3, dilation, precision: Bf16 };
        for plan in [conv.forward(), conv.input_gradient(), conv.weight_gradient()] {
            for launch in &plan.launches {
                assert!(
                    launch.grid.1 <= 65_535
                        && launch.grid.2 <= 65_535
                        && launch.shared <= 227 << 10,
                    "{launch:?}"
                );
            }
            let bytes: usize = plan.made.iter().map(|words| 4 * words).sum();
            assert!(bytes < 700 << 20, "{bytes} bytes");
        }
    }
}

#[test]
fn nothing_is_launched_for_no_pixels() {
    let conv =
        Conv { images: 0, h: 8, w: 8, inputs: 3, outputs: 4, n: 3, dilation: 1, precision: F32 };
    assert_eq!(
        conv.forward().launches.iter().map(|l| l.kernel).collect::<Vec<_>>(),
        ["pack_weights"]
    );
    assert_eq!(
        conv.weight_gradient().launches.iter().map(|l| l.kernel).collect::<Vec<_>>(),
        ["add_parts"]
    );
}
