//! Times a step of forty attention heads: `cargo run --release -p foresee-kernels --example heads_speed -- [SIZE] [BATCH]`.

use std::time::Instant;

use candle_core::{DType, Device, Tensor, Var};
use foresee_kernels::attention_heads;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|a| a.parse::<usize>());
    let size = arguments.next().transpose()?.unwrap_or(64);
    let batch = arguments.next().transpose()?.unwrap_or(8);
    let (k, c) = (40, 128);
    let z = Var::randn(0f32, 1., (batch, c, size, size), &Device::Cpu)?;
    let weight = Var::randn(0f32, 0.1, (k * c, c, 1, 1), &Device::Cpu)?;
    let bias = Tensor::zeros(k * c, DType::F32, &Device::Cpu)?;
    for round in 0..3 {
        let start = Instant::now();
        let pooled = attention_heads(&z, &weight, &bias)?;
        let forward = start.elapsed();
        (pooled.features.sum_all()? + pooled.masks.sum_all()?)?.backward()?;
        let both = start.elapsed();
        let gflop = 2e-9 * (batch * size * size * k * c * c) as f64;
        println!(
            "round {round}: forward {forward:.1?} ({:.0} GFLOP/s), with backward {both:.1?} ({:.0} GFLOP/s executed)",
            gflop / forward.as_secs_f64(),
            4. * gflop / both.as_secs_f64()
        );
    }
    Ok(())
}
