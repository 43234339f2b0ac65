//! The layers of a network, added to a graph with their initial weights, under PyTorch's names.

use candle_core::{Device, Tensor};
use foresee_graph::{
    Binary, Builder, Coordinates, Gemm, Graph, Kind, Nearest, Op, Padding, Pool, PoolKind, Resize,
    ResizeMode, Unary, ValueId, Window,
};

use crate::draw::Initial;
use crate::error::Result;

/// PyTorch's ε of batch norms.
const EPSILON: f64 = 1e-5;

/// A network with its initial weights.
#[derive(Debug, Clone)]
pub(crate) struct Layers<'a> {
    builder: Builder,
    seed: u64,
    device: &'a Device,
    variables: Vec<ValueId>,
    dropout: Vec<Dropout>,
    stopped: Vec<ValueId>,
    features: Option<ValueId>,
}

/// A value that training drops with a probability.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dropout {
    pub value: ValueId,
    pub probability: f64,
}

/// What layers become.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    pub graph: Graph,
    /// The weights that are variables, in the order of their numbers.
    pub variables: Vec<ValueId>,
    pub dropout: Vec<Dropout>,
    /// Values through which no gradient flows back.
    pub stopped: Vec<ValueId>,
    /// What linear support vector machines answer from, [B, D].
    pub features: Option<ValueId>,
}

/// A square convolution whose results are its input's pixels, or every `stride`-th one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conv {
    pub inputs: usize,
    pub outputs: usize,
    pub kernel: usize,
    pub stride: usize,
    pub bias: bool,
    /// Outputs see the inputs of their group.
    pub groups: usize,
    /// Whether the input is padded so that its size stays.
    pub padded: bool,
}

impl Conv {
    /// Of one group, without a bias, with a stride of 1 and with padding.
    pub fn new(inputs: usize, outputs: usize, kernel: usize) -> Self {
        Self { inputs, outputs, kernel, stride: 1, bias: false, groups: 1, padded: true }
    }

    pub fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    pub fn bias(self) -> Self {
        Self { bias: true, ..self }
    }
}

impl<'a> Layers<'a> {
    pub fn new(seed: u64, device: &'a Device) -> Self {
        Self {
            builder: Builder::new(),
            seed,
            device,
            variables: vec![],
            dropout: vec![],
            stopped: vec![],
            features: None,
        }
    }

    /// Colour images [B, 3, H, W].
    pub fn images(&mut self, [height, width]: [Option<usize>; 2]) -> Result<ValueId> {
        Ok(self.builder.input("images", vec![None, Some(3), height, width])?)
    }

    /// `name.weight` (and `name.bias`, 0) of a convolution, drawn as [`Initial::fan_out`].
    pub fn conv(&mut self, name: &str, x: ValueId, conv: Conv) -> Result<ValueId> {
        let Conv { inputs, outputs, kernel, stride, bias, groups, padded } = conv;
        let initial = Initial::fan_out(outputs / groups, kernel * kernel);
        let shape = [outputs, inputs / groups, kernel, kernel];
        let mut read = vec![x, self.weight(&format!("{name}.weight"), &shape, initial)?];
        if bias {
            let zero = Initial::Constant(0.);
            read.push(self.weight(&format!("{name}.bias"), &[outputs], zero)?);
        }
        let mut window = Window { groups, ..window(kernel, stride) };
        if !padded {
            window.padding = Padding::Explicit(vec![(0, 0); 2]);
        }
        self.add(name, Op::Conv(window), &read)
    }

    /// [`conv`](Self::conv), [`batch_norm`](Self::batch_norm) and [`relu`](Self::relu) as
    /// `name.conv`, `name.bn` and `name`.
    pub fn conv_norm(&mut self, name: &str, x: ValueId, conv: Conv) -> Result<ValueId> {
        let x = self.conv(&format!("{name}.conv"), x, conv)?;
        let x = self.batch_norm(&format!("{name}.bn"), x, conv.outputs)?;
        self.relu(name, x)
    }

    /// `name.weight` (1), `bias` (0), `running_mean` (0) and `running_var` (1).
    pub fn batch_norm(&mut self, name: &str, x: ValueId, channels: usize) -> Result<ValueId> {
        let mut read = vec![x];
        let parts = [("weight", 1.), ("bias", 0.), ("running_mean", 0.), ("running_var", 1.)];
        for (part, value) in parts {
            let part = format!("{name}.{part}");
            read.push(self.weight(&part, &[channels], Initial::Constant(value))?);
        }
        self.add(name, Op::BatchNorm { epsilon: EPSILON }, &read)
    }

    /// `name.weight` [outputs, inputs] and `name.bias`.
    pub fn linear(
        &mut self,
        name: &str,
        x: ValueId,
        shape: [usize; 2],
        [weight, bias]: [Initial; 2],
    ) -> Result<ValueId> {
        let weight = self.weight(&format!("{name}.weight"), &shape, weight)?;
        let bias = self.weight(&format!("{name}.bias"), &shape[..1], bias)?;
        let gemm = Gemm { transpose_b: true, ..Gemm::default() };
        self.add(name, Op::Gemm(gemm), &[x, weight, bias])
    }

    pub fn relu(&mut self, name: &str, x: ValueId) -> Result<ValueId> {
        self.add(name, Op::Unary(Unary::Relu), &[x])
    }

    pub fn sum(&mut self, name: &str, a: ValueId, b: ValueId) -> Result<ValueId> {
        self.add(name, Op::Binary(Binary::Add), &[a, b])
    }

    pub fn product(&mut self, name: &str, a: ValueId, b: ValueId) -> Result<ValueId> {
        self.add(name, Op::Binary(Binary::Mul), &[a, b])
    }

    /// The greatest of square windows.
    pub fn max_pool(
        &mut self,
        name: &str,
        x: ValueId,
        kernel: usize,
        stride: usize,
    ) -> Result<ValueId> {
        let pool = Pool {
            kind: PoolKind::Max,
            kernel: vec![kernel; 2],
            window: window(kernel, stride),
            ceil: false,
            count_include_pad: false,
        };
        self.add(name, Op::Pool(pool), &[x])
    }

    /// The mean of all pixels: [B, C, H, W] → [B, C].
    pub fn mean_pixels(&mut self, name: &str, x: ValueId) -> Result<ValueId> {
        let x = self.add(&format!("{name}.pixels"), Op::GlobalPool(PoolKind::Average), &[x])?;
        self.add(name, Op::Flatten { axis: 1 }, &[x])
    }

    /// x [B, C, height, width] → [B, C, size, size], by bilinear interpolation.
    pub fn resize(
        &mut self,
        name: &str,
        x: ValueId,
        [height, width]: [usize; 2],
        size: usize,
    ) -> Result<ValueId> {
        let scales = [1., 1., scale(height, size), scale(width, size)];
        let scales = Tensor::new(&scales, &Device::Cpu)?;
        let scales = self.builder.weight(&format!("{name}.scales"), scales)?;
        let linear = Resize {
            mode: ResizeMode::Linear,
            coordinates: Coordinates::HalfPixel,
            nearest: Nearest::RoundPreferFloor,
        };
        let inputs = vec![Some(x), None, Some(scales)];
        Ok(self.builder.push(name, Op::Resize(linear), inputs, &[name])?[0])
    }

    /// Dropout, which is the identity but in training.
    pub fn dropout(&mut self, name: &str, x: ValueId, probability: f64) -> Result<ValueId> {
        let value = self.add(name, Op::Identity, &[x])?;
        self.dropout.push(Dropout { value, probability });
        Ok(value)
    }

    /// The same value, through which no gradient flows back in training.
    pub fn stop(&mut self, name: &str, x: ValueId) -> Result<ValueId> {
        let value = self.add(name, Op::Identity, &[x])?;
        self.stopped.push(value);
        Ok(value)
    }

    /// Linear support vector machines on features [B, D]: `svm.weight` [K, D] and `svm.bias`. While
    /// the network is trained they learn as a linear layer does, but no gradient flows from them
    /// into the features.
    pub fn machines(&mut self, features: ValueId, [k, d]: [usize; 2]) -> Result<ValueId> {
        let features = self.stop("svm.features", features)?;
        self.features = Some(features);
        self.linear("svm", features, [k, d], [Initial::linear(d); 2])
    }

    /// Integers that an operation reads, such as axes.
    pub fn integers(&mut self, name: &str, values: &[i64]) -> Result<ValueId> {
        Ok(self.builder.weight(name, Tensor::new(values, &Device::Cpu)?)?)
    }

    /// The numbers 0, 1, …, so many, along an axis of [1, 1, h, w].
    pub fn numbers(&mut self, name: &str, count: usize, axis: usize) -> Result<ValueId> {
        let mut shape = vec![1; 4];
        shape[axis] = count;
        let numbers: Vec<i64> = (0..count as i64).collect();
        let numbers = Tensor::from_vec(numbers, shape, self.device)?;
        let numbers = self.builder.weight(&format!("{name}.numbers"), numbers)?;
        self.add(name, Op::Cast(Kind::Float), &[numbers])
    }

    /// A number that training does not change.
    pub fn constant(&mut self, name: &str, value: f32) -> Result<ValueId> {
        Ok(self.builder.weight(name, Tensor::new(value, self.device)?)?)
    }

    /// A tensor of the network.
    pub fn weight(&mut self, name: &str, shape: &[usize], initial: Initial) -> Result<ValueId> {
        let number = self.variables.len() as u64;
        let tensor = initial.draw(self.seed, number, shape, self.device)?;
        let value = self.builder.weight(name, tensor)?;
        self.variables.push(value);
        Ok(value)
    }

    pub fn add(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> Result<ValueId> {
        Ok(self.builder.node(name, op, inputs)?)
    }

    /// The network that gives these values.
    pub fn finish(self, outputs: Vec<ValueId>) -> Result<Built> {
        let Self { builder, variables, dropout, stopped, features, .. } = self;
        Ok(Built { graph: builder.finish(outputs)?, variables, dropout, stopped, features })
    }
}

/// The scale with which ⌊old · scale⌋, computed as `f32`, is the new size.
fn scale(old: usize, new: usize) -> f32 {
    let scale = new as f32 / old as f32;
    match (old as f32 * scale).floor() as usize == new {
        true => scale,
        false => scale.next_up(),
    }
}

/// A square window around each pixel, or each `stride`-th one; of an even size from that pixel on.
fn window(kernel: usize, stride: usize) -> Window {
    let before = (kernel - 1) / 2;
    let padding = Padding::Explicit(vec![(before, before); 2]);
    Window { stride: vec![stride; 2], padding, ..Window::new(2) }
}
