//! Multiply-accumulates and parameters, beside those that torchvision lists
//! (<https://docs.pytorch.org/vision/stable/models.html>).

use candle_core::Device;
use foresee_baselines::{Depth, ResNetConfig, Stem};
use foresee_graph::Cost;

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

#[test]
fn residual_networks_cost_what_torchvision_lists() -> AnyResult {
    // GFLOPS 1.81, 3.66, 4.09 and 7.80 in its table, which counts multiply-accumulates.
    let listed = [
        (Depth::D18, 1_814_073_344, 11_689_512),
        (Depth::D34, 3_663_761_408, 21_797_672),
        (Depth::D50, 4_089_184_256, 25_557_032),
        (Depth::D101, 7_801_405_440, 44_549_160),
    ];
    for (depth, macs, parameters) in listed {
        let config = ResNetConfig { depth, stem: Stem::Large, width: 64, attributes: 1000 };
        let graph = config.graph(0, &Device::Cpu)?;
        let cost = graph.cost(&graph.shapes(1, &[224, 224])?);
        assert_eq!(cost, Cost { macs, parameters }, "{depth:?}");
    }
    Ok(())
}
