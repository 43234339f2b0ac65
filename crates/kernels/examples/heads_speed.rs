//! Times the forward and backward pass of forty attention heads, and both in one operation where
//! images are small enough for it (such as SIZE = 32):
//! `cargo run --release -p foresee-kernels --example heads_speed -- [SIZE] [BATCH]`.

use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor, Var};
use foresee_kernels::channels_last::{LossOfMeans, attention_heads_with_loss};
use foresee_kernels::{Precision, Rows, attention_heads, instruction_set, measure_peak};

/// The sum of all means.
struct SumOfMeans;

impl LossOfMeans for SumOfMeans {
    fn gradient(&self, _: usize, _: usize, _: [&[f32]; 2], gradient: [&mut [f32]; 2]) {
        gradient.into_iter().for_each(|of_means| of_means.fill(1.));
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|a| a.parse::<usize>());
    let size = arguments.next().transpose()?.unwrap_or(64);
    let batch = arguments.next().transpose()?.unwrap_or(8);
    let k = 40;
    let c = 128;
    // Features that lie in memory pixel by pixel, as the convolutions give them.
    let features = Var::randn(0f32, 1., (batch, size, size, c), &Device::Cpu)?;
    let weight = Var::randn(0f32, 0.1, (k * c, c, 1, 1), &Device::Cpu)?;
    let bias = Tensor::zeros(k * c, DType::F32, &Device::Cpu)?;
    println!(
        "{:?}, peak {:.0} GFLOP/s in f32",
        instruction_set(),
        measure_peak(Duration::from_secs(1)) * 1e-9
    );
    for precision in [Precision::F32, Precision::Bf16] {
        for _ in 0..3 {
            let start = Instant::now();
            let pooled =
                attention_heads(&features.permute((0, 3, 1, 2))?, &weight, &bias, precision)?;
            let forward = start.elapsed();
            (pooled.features.sum_all()? + pooled.masks.sum_all()?)?.backward()?;
            let both = start.elapsed();
            let gflop = 2e-9 * (batch * size * size * k * c * c) as f64;
            println!(
                "{precision:?}: forward {forward:.1?} ({:.0} GFLOP/s), with backward {both:.1?} \
                 ({:.0} GFLOP/s executed)",
                gflop / forward.as_secs_f64(),
                4. * gflop / both.as_secs_f64()
            );
            let start = Instant::now();
            let rows = Rows::all(k, c);
            let fused = attention_heads_with_loss(
                &features,
                &weight,
                &bias,
                &rows,
                precision,
                &SumOfMeans,
            )?;
            if let Some(fused) = fused {
                fused.gradients.backward()?;
                let both = start.elapsed();
                println!(
                    "{precision:?}: with the loss {both:.1?} ({:.0} GFLOP/s executed)",
                    3. * gflop / both.as_secs_f64()
                );
            }
        }
    }
    Ok(())
}
