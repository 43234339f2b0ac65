//! ResNets with drawn weights as graphs, and what is measured of them.

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor, Var};
use foresee_attribution::{GradCam, GraphModel, grad_cam};
use foresee_graph::{
    Binary, Builder, Gemm, Graph, Op, Padding, Pool, PoolKind, Unary, ValueId, Window,
};

/// Pixels of a side, and images at once.
pub const SIZE: usize = 224;
pub const BATCH: usize = 8;

/// What is measured of which network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// ResNet-18, its logits.
    Forward,
    /// ResNet-18, its logits and the gradient of one of them with respect to the images.
    Gradient,
    /// ResNet-50, Grad-CAM at the last layer with pixels: the whole network is computed.
    GradCam,
}

impl Pass {
    pub const ALL: [Self; 3] = [Self::Forward, Self::Gradient, Self::GradCam];

    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "resnet18-forward",
            Self::Gradient => "resnet18-gradient",
            Self::GradCam => "resnet50-grad-cam",
        }
    }
}

/// A network and its images.
pub struct ResNet {
    model: GraphModel,
    images: Tensor,
    pass: Pass,
}

impl ResNet {
    pub fn new(pass: Pass, device: &Device) -> Result<Self> {
        let images = Tensor::randn(0f32, 1., (BATCH, 3, SIZE, SIZE), device)?;
        let graph = match pass {
            Pass::GradCam => Layers::new(device, 4).network([3, 4, 6, 3])?,
            _ => Layers::new(device, 1).network([2, 2, 2, 2])?,
        };
        let output = graph.outputs()[0];
        Ok(Self { model: GraphModel::new(graph, output)?.batch(BATCH), images, pass })
    }

    /// Multiplications and additions of one round in units of 10⁹; a gradient costs as much as the
    /// forward pass.
    pub fn gflop(&self) -> Result<f64> {
        let graph = self.model.graph();
        let macs = graph.cost(&graph.shapes(BATCH, &[SIZE, SIZE])?).macs as f64;
        let passes = if self.pass == Pass::Gradient { 2. } else { 1. };
        Ok(2e-9 * macs * passes)
    }

    /// One round.
    pub fn run(&self) -> Result<()> {
        match self.pass {
            Pass::Forward => drop(self.model.forward(&self.images)?),
            Pass::Gradient => {
                let images = Var::from_tensor(&self.images)?;
                let logits = self.model.forward(&images)?;
                let gradients = logits.narrow(1, 0, 1)?.sum_all()?.backward()?;
                gradients.get(&images).context("no gradient of the images")?;
            }
            Pass::GradCam => {
                let layer = self.model.last_spatial(&self.images)?;
                let split = self.model.split_at_value(layer)?;
                grad_cam(&split, &self.images, 0, &GradCam::default())?;
            }
        }
        Ok(())
    }
}

/// Adds layers to a graph.
struct Layers<'a> {
    builder: Builder,
    device: &'a Device,
    /// The last convolution of a block has so many times as many channels as the others.
    expansion: usize,
    count: usize,
}

impl<'a> Layers<'a> {
    fn new(device: &'a Device, expansion: usize) -> Self {
        Self { builder: Builder::new(), device, expansion, count: 0 }
    }

    /// Four stages of so many blocks.
    fn network(mut self, blocks: [usize; 4]) -> Result<Graph> {
        let x = self.builder.input("x", vec![None, Some(3), None, None])?;
        let mut x = self.conv(x, (3, 64), 7, 2)?;
        x = self.add(Op::Unary(Unary::Relu), &[x])?;
        let window = window(3, 2);
        let (kind, kernel) = (PoolKind::Max, vec![3, 3]);
        let pool = Pool { kind, kernel, window, ceil: false, count_include_pad: false };
        x = self.add(Op::Pool(pool), &[x])?;
        let mut inputs = 64;
        for (stage, blocks) in blocks.into_iter().enumerate() {
            for block in 0..blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                x = self.block(x, inputs, 64 << stage, stride)?;
                inputs = (64 << stage) * self.expansion;
            }
        }
        x = self.add(Op::GlobalPool(PoolKind::Average), &[x])?;
        x = self.add(Op::Flatten { axis: 1 }, &[x])?;
        let weight = self.drawn(&[1000, inputs], inputs)?;
        let linear = Op::Gemm(Gemm { transpose_b: true, ..Gemm::default() });
        let logits = self.add(linear, &[x, weight])?;
        Ok(self.builder.finish(vec![logits])?)
    }

    fn block(&mut self, x: ValueId, inputs: usize, width: usize, stride: usize) -> Result<ValueId> {
        let outputs = width * self.expansion;
        let convs = match self.expansion {
            1 => vec![(inputs, width, 3, stride), (width, width, 3, 1)],
            _ => vec![(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)],
        };
        let mut y = x;
        for (at, &(inputs, outputs, kernel, stride)) in convs.iter().enumerate() {
            y = self.conv(y, (inputs, outputs), kernel, stride)?;
            if at + 1 < convs.len() {
                y = self.add(Op::Unary(Unary::Relu), &[y])?;
            }
        }
        let shortcut = match stride == 1 && inputs == outputs {
            true => x,
            false => self.conv(x, (inputs, outputs), 1, stride)?,
        };
        let sum = self.add(Op::Binary(Binary::Add), &[y, shortcut])?;
        self.add(Op::Unary(Unary::Relu), &[sum])
    }

    /// A convolution and its batch norm.
    fn conv(
        &mut self,
        x: ValueId,
        (inputs, outputs): (usize, usize),
        kernel: usize,
        stride: usize,
    ) -> Result<ValueId> {
        let weight = self.drawn(&[outputs, inputs, kernel, kernel], inputs * kernel * kernel)?;
        let x = self.add(Op::Conv(window(kernel, stride)), &[x, weight])?;
        let ones = Tensor::ones(outputs, DType::F32, self.device)?;
        let mut inputs = vec![x];
        for values in [ones.clone(), ones.zeros_like()?, ones.zeros_like()?, ones] {
            inputs.push(self.weight(values)?);
        }
        self.add(Op::BatchNorm { epsilon: 1e-5 }, &inputs)
    }

    fn drawn(&mut self, shape: &[usize], terms: usize) -> Result<ValueId> {
        let deviation = (2. / terms as f32).sqrt();
        self.weight(Tensor::randn(0f32, deviation, shape, self.device)?)
    }

    fn weight(&mut self, values: Tensor) -> Result<ValueId> {
        self.count += 1;
        Ok(self.builder.weight(&format!("weight{}", self.count), values)?)
    }

    fn add(&mut self, op: Op, inputs: &[ValueId]) -> Result<ValueId> {
        self.count += 1;
        Ok(self.builder.node(&format!("node{}", self.count), op, inputs)?)
    }
}

/// A square window whose results are the pixels of its input, or every `stride`-th one.
fn window(kernel: usize, stride: usize) -> Window {
    let before = (kernel - 1) / 2;
    let padding = Padding::Explicit(vec![(before, before); 2]);
    Window { stride: vec![stride; 2], padding, ..Window::new(2) }
}
