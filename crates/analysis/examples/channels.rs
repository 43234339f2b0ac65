//! Finds redundant channels of a feature map: `cargo run --release -p foresee-analysis
//! --example channels`.

use candle_core::{Device, Tensor};
use foresee_analysis::{ChannelCorrelation, groups, similar_order};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Six channels: 0, 2 and 5 follow one signal, 1 and 4 another, 3 none.
    let mut correlation = ChannelCorrelation::new(6);
    for _ in 0..20 {
        let signals = Tensor::randn(0f32, 1., (8, 2, 12, 12), &Device::Cpu)?;
        let noise = Tensor::randn(0f32, 0.4, (8, 6, 12, 12), &Device::Cpu)?;
        let (a, b) = (signals.narrow(1, 0, 1)?, signals.narrow(1, 1, 1)?);
        let none = a.zeros_like()?;
        correlation.add(&(Tensor::cat(&[&a, &b, &a, &none, &b, &a], 1)? + noise)?)?;
    }
    let matrix = correlation.finish()?;
    for row in 0..6 {
        println!(
            "{}",
            (0..6).map(|column| format!("{:6.2}", matrix.get(row, column))).collect::<String>()
        );
    }
    println!(
        "groups: {:?}; order of the dendrogram: {:?}",
        groups(&matrix, 0.5)?,
        similar_order(&matrix)?
    );
    Ok(())
}
