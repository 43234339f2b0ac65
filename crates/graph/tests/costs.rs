//! Multiply-accumulates and parameters, beside those that torchvision lists: MobileNetV2 0.301·10⁹
//! and 3,504,872 (<https://docs.pytorch.org/vision/stable/models.html>). Those of ResNets are in
//! foresee-baselines.

use candle_core::{DType, Device, Tensor};
use foresee_graph::{
    Binary, Builder, ConvTranspose, Cost, Gemm, Graph, Op, Padding, PoolKind, ValueId, Window,
    attention_network,
};
use foresee_kernels::Rows;

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

struct Network {
    builder: Builder,
    count: usize,
}

impl Network {
    fn new() -> Self {
        Self { builder: Builder::new(), count: 0 }
    }

    fn image(&mut self) -> AnyResult<ValueId> {
        Ok(self.builder.input("x", vec![None, Some(3), Some(224), Some(224)])?)
    }

    fn weight(&mut self, shape: &[usize]) -> AnyResult<ValueId> {
        self.count += 1;
        let zeros = Tensor::zeros(shape, DType::F32, &Device::Cpu)?;
        Ok(self.builder.weight(&format!("weight.{}", self.count), zeros)?)
    }

    fn node(&mut self, op: Op, inputs: &[ValueId]) -> AnyResult<ValueId> {
        self.count += 1;
        Ok(self.builder.node(&format!("node.{}", self.count), op, inputs)?)
    }

    /// A square convolution that keeps the size but for the stride, and its batch norm.
    fn conv(
        &mut self,
        x: ValueId,
        [inputs, outputs]: [usize; 2],
        [kernel, stride, groups]: [usize; 3],
    ) -> AnyResult<ValueId> {
        let weight = self.weight(&[outputs, inputs / groups, kernel, kernel])?;
        let padding = Padding::Explicit(vec![(kernel / 2, kernel / 2); 2]);
        let window = Window { stride: vec![stride; 2], padding, groups, ..Window::new(2) };
        let y = self.node(Op::Conv(window), &[x, weight])?;
        let mut read = vec![y];
        for _ in 0..4 {
            read.push(self.weight(&[outputs])?);
        }
        self.node(Op::BatchNorm { epsilon: 1e-5 }, &read)
    }

    fn classify(mut self, x: ValueId, channels: usize) -> AnyResult<Graph> {
        let x = self.node(Op::GlobalPool(PoolKind::Average), &[x])?;
        let x = self.node(Op::Flatten { axis: 1 }, &[x])?;
        let (weight, bias) = (self.weight(&[1000, channels])?, self.weight(&[1000])?);
        let linear = Op::Gemm(Gemm { transpose_b: true, ..Gemm::default() });
        let y = self.node(linear, &[x, weight, bias])?;
        Ok(self.builder.finish(vec![y])?)
    }
}

#[test]
fn mobilenet_v2() -> AnyResult {
    let mut network = Network::new();
    let x = network.image()?;
    let mut x = network.conv(x, [3, 32], [3, 2, 1])?;
    let mut inputs = 32;
    let stages = [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ];
    for (expansion, channels, blocks, first) in stages {
        for block in 0..blocks {
            let stride = if block == 0 { first } else { 1 };
            let wide = inputs * expansion;
            let mut y = x;
            if expansion > 1 {
                y = network.conv(y, [inputs, wide], [1, 1, 1])?;
            }
            y = network.conv(y, [wide, wide], [3, stride, wide])?;
            y = network.conv(y, [wide, channels], [1, 1, 1])?;
            x = match stride == 1 && inputs == channels {
                true => network.node(Op::Binary(Binary::Add), &[x, y])?,
                false => y,
            };
            inputs = channels;
        }
    }
    let x = network.conv(x, [320, 1280], [1, 1, 1])?;
    let graph = network.classify(x, 1280)?;
    let cost = graph.cost(&graph.shapes(1, &[])?);
    assert_eq!(cost, Cost { macs: 300_774_272, parameters: 3_504_872 });
    // Of a batch: so many times as much.
    let pair = graph.cost(&graph.shapes(2, &[])?);
    assert_eq!(pair, Cost { macs: 2 * cost.macs, ..cost });
    Ok(())
}

/// Counted by hand.
#[test]
fn products() -> AnyResult {
    let mut network = Network::new();
    let x = network.builder.input("up", vec![Some(2), Some(4), Some(5), Some(6)])?;
    let w = network.weight(&[4, 3, 2, 2])?;
    let window = Window { stride: vec![2, 2], groups: 2, ..Window::new(2) };
    let op = ConvTranspose { window, output_padding: vec![0, 0], output_shape: None };
    let up = network.node(Op::ConvTranspose(op), &[x, w])?;
    let a = network.builder.input("a", vec![Some(7), Some(2), Some(3)])?;
    let b = network.builder.input("b", vec![Some(3), Some(5)])?;
    let product = network.node(Op::MatMul, &[a, b])?;
    let c = network.builder.input("c", vec![Some(8), Some(3)])?;
    let d = network.builder.input("d", vec![Some(4), Some(8)])?;
    let turned = Gemm { transpose_a: true, transpose_b: true, ..Gemm::default() };
    let gemm = network.node(Op::Gemm(turned), &[c, d])?;
    // A weight that two read counts once.
    let shared = network.node(Op::Binary(Binary::Mul), &[w, w])?;
    let graph = network.builder.finish(vec![up, product, gemm, shared])?;
    let costs = graph.costs(&graph.shapes(1, &[])?);
    let macs: Vec<u64> = costs.iter().map(|cost| cost.macs).collect();
    assert_eq!(macs, [2 * 4 * 5 * 6 * 3 * 2 * 2, 7 * 2 * 5 * 3, 3 * 4 * 8, 0]);
    let parameters: Vec<usize> = costs.iter().map(|cost| cost.parameters).collect();
    assert_eq!(parameters, [48, 0, 0, 0]);
    Ok(())
}

/// Masks cost a convolution to each row that is kept.
#[test]
fn heads() -> AnyResult {
    let shapes: [(&str, &[usize]); 10] = [
        ("extractor.0.conv.weight", &[4, 3, 3, 3]),
        ("extractor.0.conv.bias", &[4]),
        ("extractor.0.bn.weight", &[4]),
        ("extractor.0.bn.bias", &[4]),
        ("extractor.0.bn.running_mean", &[4]),
        ("extractor.0.bn.running_var", &[4]),
        ("heads.mask.weight", &[8, 4, 3, 3]),
        ("heads.mask.bias", &[8]),
        ("heads.readout.weight", &[2, 4]),
        ("heads.readout.bias", &[2]),
    ];
    let mut tensors = Vec::new();
    for (name, shape) in shapes {
        tensors.push((name.to_owned(), Tensor::zeros(shape, DType::F32, &Device::Cpu)?));
    }
    let rows = Rows::new(4, vec![vec![1], vec![0, 3]])?;
    let graph = attention_network(tensors, &[1], Some(&rows))?;
    let costs = graph.costs(&graph.shapes(1, &[6, 7])?);
    let macs: Vec<u64> = costs.iter().map(|cost| cost.macs).collect();
    let pixels = 6 * 7;
    assert_eq!(macs, [pixels * 4 * 27, 0, 0, pixels * 3 * 36, 0, 8]);
    Ok(())
}
