#![allow(missing_docs, clippy::all)]
use candle_core::{Device, Tensor};
use foresee_model::*;
use foresee_ranks::Alone;
fn cpu()->f64{let s=std::fs::read_to_string("/proc/self/stat").unwrap();let f:Vec<&str>=s.rsplit(')').next().unwrap().split_whitespace().collect();(f[11].parse::<f64>().unwrap()+f[12].parse::<f64>().unwrap())/100.}
fn main() -> Result<()> {
    let size: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let rounds: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    for precision in [foresee_kernels::Precision::F32, foresee_kernels::Precision::Bf16] {
    let c = NetworkConfig { attributes: 40, channels: 128, precision, ..Default::default() };
    let t = TrainConfig { epochs: 1, ..Default::default() };
    let mk = || Trainer::new(Network::new(c.clone(), 7, &Device::Cpu).unwrap(), t.clone(), 1000).unwrap();
    let b = 32;
    let x = Tensor::randn(0f32, 1., (b, 3, size, size), &Device::Cpu)?;
    let y = Tensor::zeros((b, 40), candle_core::DType::F32, &Device::Cpu)?;
    let mut whole = mk();
    let micros = [4, 8, 16, 32];
    let mut shared: Vec<_> = micros.iter().map(|_| mk()).collect();
    let mut best = vec![f64::MAX; 5];
    for _ in 0..rounds {
        let s = cpu(); whole.step(&x, &y)?; best[0] = best[0].min((cpu()-s));
        for (i, m) in micros.iter().enumerate() {
            let sb = SharedBatch::new(&Alone, b, *m);
            let s = cpu(); shared[i].step_of_ranks(&x, &y, &sb)?; best[i+1] = best[i+1].min((cpu()-s));
        }
    }
    println!("{size} px {precision:?}: whole {:.4}, micro 4 {:.4}, 8 {:.4}, 16 {:.4}, 32 {:.4}", best[0], best[1], best[2], best[3], best[4]);
    }
    Ok(())
}
