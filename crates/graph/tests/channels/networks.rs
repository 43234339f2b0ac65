//! Small networks of random blocks.

use candle_core::{DType, Device, Tensor};
use foresee_graph::{
    Binary, Builder, ConvTranspose, Gemm, Graph, Kind, Op, PadMode, Padding, Pool, PoolKind, Split,
    Unary, ValueId, Variadic, Window,
};

/// Numbers of a seed.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From -1 to 1.
    pub fn real(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 52) as f64 - 1.
    }

    pub fn tensor(&mut self, shape: &[usize], dtype: DType) -> Tensor {
        let all: Vec<f64> = (0..shape.iter().product()).map(|_| self.real()).collect();
        Tensor::from_vec(all, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
    }

    /// Some of these, at least one and not all.
    pub fn some(&mut self, count: usize) -> Vec<usize> {
        let mut some: Vec<usize> = (0..count).filter(|_| self.next().is_multiple_of(3)).collect();
        if some.is_empty() {
            some.push(self.next() as usize % count);
        }
        some.truncate(count - 1);
        some
    }
}

/// A part of a network, which keeps the number of channels and the size of the image unless it says
/// otherwise.
#[derive(Debug, Clone, Copy)]
pub enum Block {
    /// A convolution to 4·n channels.
    Conv(usize),
    /// A convolution of two groups with 2·n outputs each.
    Grouped(usize),
    /// A convolution with one channel and so many outputs in each group.
    Depthwise(usize),
    /// A transposed convolution to 4·n channels.
    Transposed(usize),
    /// A transposed convolution of one channel in each group.
    TransposedDepthwise,
    BatchNorm,
    /// With channels/2 groups.
    GroupNorm,
    InstanceNorm,
    Relu,
    Silu,
    MaxPool,
    /// x + conv(relu(conv(x))).
    Residual,
    /// x and two convolutions of it side by side.
    Dense,
    /// x·sigmoid(conv(relu(conv(mean x)))).
    Gate,
    /// The two halves in the other order, one of them through a convolution.
    Halves,
    /// All but the first and the last channel, by a slice, with padding in their place.
    Inner,
    /// Channels in two rows, transposed.
    Shuffle,
    /// x·a + b with vectors a and b.
    Affine,
    /// x and a convolution of its channels of odd numbers: max of both.
    Picked,
    /// Channels in two rows, transposed, with shapes that are computed, and over the root of the
    /// number of channels.
    Computed,
    /// Channels last, a linear layer with an activation, and back.
    Linear,
    /// The norm of each of so many rows, which have all channels.
    RowNorm(usize),
}

/// All kinds but [`Block::RowNorm`], before which no channel can go.
pub const BLOCKS: [Block; 23] = [
    Block::Conv(1),
    Block::Conv(2),
    Block::Grouped(2),
    Block::Depthwise(1),
    Block::Depthwise(2),
    Block::Transposed(1),
    Block::TransposedDepthwise,
    Block::BatchNorm,
    Block::GroupNorm,
    Block::InstanceNorm,
    Block::Relu,
    Block::Silu,
    Block::MaxPool,
    Block::Residual,
    Block::Dense,
    Block::Gate,
    Block::Halves,
    Block::Inner,
    Block::Shuffle,
    Block::Affine,
    Block::Picked,
    Block::Linear,
    Block::Computed,
];

/// The size of an image.
pub const SIZE: usize = 6;

/// The end of a network.
#[derive(Debug, Clone, Copy)]
pub enum Head {
    /// The mean of each channel, then two linear layers.
    Pooled,
    /// All positions of all channels, then a linear layer.
    Flat,
    /// The paper's masks and readout.
    Masks,
}

pub struct Maker {
    pub builder: Builder,
    pub numbers: Numbers,
    dtype: DType,
    count: usize,
    x: ValueId,
    channels: usize,
}

impl Maker {
    fn name(&mut self, of: &str) -> String {
        self.count += 1;
        format!("{of}{}", self.count)
    }

    fn weight(&mut self, shape: &[usize]) -> ValueId {
        let tensor = self.numbers.tensor(shape, self.dtype);
        let name = self.name("w");
        self.builder.weight(&name, tensor).unwrap()
    }

    fn positive(&mut self, size: usize) -> ValueId {
        let tensor = (self.numbers.tensor(&[size], self.dtype).abs().unwrap() + 0.5).unwrap();
        let name = self.name("w");
        self.builder.weight(&name, tensor).unwrap()
    }

    fn integers(&mut self, all: &[i64]) -> ValueId {
        let tensor = Tensor::new(all, &Device::Cpu).unwrap();
        let name = self.name("i");
        self.builder.weight(&name, tensor).unwrap()
    }

    fn node(&mut self, op: Op, inputs: &[ValueId]) -> ValueId {
        let name = self.name("n");
        self.builder.node(&name, op, inputs).unwrap()
    }

    fn window(&self, kernel: usize, groups: usize) -> Window {
        let pad = kernel / 2;
        let padding = Padding::Explicit(vec![(pad, pad); 2]);
        Window { padding, groups, ..Window::new(2) }
    }

    fn conv(
        &mut self,
        x: ValueId,
        from: usize,
        to: usize,
        kernel: usize,
        groups: usize,
    ) -> ValueId {
        let weight = self.weight(&[to, from / groups, kernel, kernel]);
        let bias = self.weight(&[to]);
        self.node(Op::Conv(self.window(kernel, groups)), &[x, weight, bias])
    }

    fn transposed(&mut self, to: usize, groups: usize) -> ValueId {
        let weight = self.weight(&[self.channels, to / groups, 3, 3]);
        let window = self.window(3, groups);
        let settings = ConvTranspose { window, output_padding: vec![0, 0], output_shape: None };
        self.node(Op::ConvTranspose(settings), &[self.x, weight])
    }

    fn gate(&mut self) -> ValueId {
        let (x, c) = (self.x, self.channels);
        let mean = self.node(Op::GlobalPool(PoolKind::Average), &[x]);
        let squeezed = self.conv(mean, c, 4, 1, 1);
        let squeezed = self.node(Op::Unary(Unary::Relu), &[squeezed]);
        let excited = self.conv(squeezed, 4, c, 1, 1);
        let gate = self.node(Op::Unary(Unary::Sigmoid), &[excited]);
        self.node(Op::Binary(Binary::Mul), &[x, gate])
    }

    fn halves(&mut self) -> ValueId {
        let (x, c) = (self.x, self.channels);
        let split = Op::Split(Split { axis: 1, sizes: None, parts: 2 });
        let (name, a, b) = (self.name("split"), self.name("a"), self.name("b"));
        let parts = self.builder.push(&name, split, vec![Some(x)], &[a, b]).unwrap();
        let first = self.conv(parts[0], c / 2, c / 2, 1, 1);
        self.node(Op::Concat { axis: 1 }, &[parts[1], first])
    }

    fn inner(&mut self) -> ValueId {
        let (x, c) = (self.x, self.channels as i64);
        let (starts, ends, axes) =
            (self.integers(&[1]), self.integers(&[c - 1]), self.integers(&[1]));
        let inner = self.node(Op::Slice, &[x, starts, ends, axes]);
        let pads = self.integers(&[0, 1, 0, 0, 0, 1, 0, 0]);
        let padded = self.node(Op::Pad(PadMode::Constant), &[inner, pads]);
        self.node(Op::Binary(Binary::Add), &[padded, x])
    }

    fn shuffle(&mut self) -> ValueId {
        let (x, c, size) = (self.x, self.channels as i64, SIZE as i64);
        let rows = self.integers(&[-1, 2, c / 2, size, size]);
        let rows = self.node(Op::Reshape { allow_zero: false }, &[x, rows]);
        let turned = self.node(Op::Transpose { order: Some(vec![0, 2, 1, 3, 4]) }, &[rows]);
        let back = self.integers(&[0, c, size, size]);
        self.node(Op::Reshape { allow_zero: false }, &[turned, back])
    }

    fn row_norm(&mut self, rows: usize) -> ValueId {
        let (x, c, size) = (self.x, self.channels as i64, SIZE as i64);
        let shape = self.integers(&[0, rows as i64, -1]);
        let flat = self.node(Op::Reshape { allow_zero: false }, &[x, shape]);
        let (scale, shift) = (self.weight(&[rows]), self.weight(&[rows]));
        let normed = self.node(Op::InstanceNorm { epsilon: 1e-3 }, &[flat, scale, shift]);
        let back = self.integers(&[0, c, size, size]);
        self.node(Op::Reshape { allow_zero: false }, &[normed, back])
    }

    fn computed(&mut self) -> ValueId {
        let x = self.x;
        let shape = self.node(Op::Shape { start: 0, end: None }, &[x]);
        let [zero, one, two] = [0, 1, 2].map(|n| self.integers(&[n]));
        let size = self.integers(&[SIZE as i64, SIZE as i64]);
        let batch = self.node(Op::Gather { axis: 0 }, &[shape, zero]);
        let channels = self.node(Op::Gather { axis: 0 }, &[shape, one]);
        let half = self.node(Op::Binary(Binary::Div), &[channels, two]);
        let target = self.node(Op::Concat { axis: 0 }, &[batch, two, half, size]);
        let rows = self.node(Op::Reshape { allow_zero: false }, &[x, target]);
        let turned = self.node(Op::Transpose { order: Some(vec![0, 2, 1, 3, 4]) }, &[rows]);
        let back = self.node(Op::Reshape { allow_zero: false }, &[turned, shape]);
        let number = self.node(Op::Cast(Kind::Float), &[channels]);
        let root = self.node(Op::Unary(Unary::Sqrt), &[number]);
        self.node(Op::Binary(Binary::Div), &[back, root])
    }

    fn picked(&mut self) -> ValueId {
        let (x, c) = (self.x, self.channels);
        let odd: Vec<i64> = (0..c as i64 / 2).map(|n| 2 * n + 1).collect();
        let indices = self.integers(&odd);
        let odd = self.node(Op::Gather { axis: 1 }, &[x, indices]);
        let all = self.conv(odd, c / 2, c, 1, 1);
        self.node(Op::Variadic(Variadic::Max), &[x, all])
    }

    fn linear(&mut self) -> ValueId {
        let (x, c) = (self.x, self.channels);
        let last = self.node(Op::Transpose { order: Some(vec![0, 2, 3, 1]) }, &[x]);
        let (up, down) = (self.weight(&[c, 6]), self.weight(&[6, c]));
        let hidden = self.node(Op::MatMul, &[last, up]);
        let hidden = self.node(Op::Unary(Unary::Gelu), &[hidden]);
        let out = self.node(Op::MatMul, &[hidden, down]);
        let bias = self.weight(&[c]);
        let out = self.node(Op::Binary(Binary::Add), &[bias, out]);
        self.node(Op::Transpose { order: Some(vec![0, 3, 1, 2]) }, &[out])
    }

    fn norm(&mut self, op: Op) -> ValueId {
        let (x, c) = (self.x, self.channels);
        let (scale, bias) = (self.weight(&[c]), self.weight(&[c]));
        let mut inputs = vec![x, scale, bias];
        if let Op::BatchNorm { .. } = op {
            inputs.extend([self.weight(&[c]), self.positive(c)]);
        }
        self.node(op, &inputs)
    }

    pub fn block(&mut self, block: Block) {
        let (x, c) = (self.x, self.channels);
        let epsilon = 1e-3;
        let unary = |unary| Op::Unary(unary);
        self.x = match block {
            Block::Conv(n) => {
                self.channels = 4 * n;
                self.conv(x, c, 4 * n, 3, 1)
            }
            Block::Grouped(n) => {
                self.channels = 4 * n;
                self.conv(x, c, 4 * n, 1, 2)
            }
            Block::Depthwise(n) => {
                self.channels = c * n;
                self.conv(x, c, c * n, 3, c)
            }
            Block::Transposed(n) => {
                let y = self.transposed(4 * n, 1);
                self.channels = 4 * n;
                y
            }
            Block::TransposedDepthwise => self.transposed(c, c),
            Block::BatchNorm => self.norm(Op::BatchNorm { epsilon }),
            Block::GroupNorm => self.norm(Op::GroupNorm { groups: c / 2, epsilon }),
            Block::InstanceNorm => self.norm(Op::InstanceNorm { epsilon }),
            Block::Relu => self.node(unary(Unary::Relu), &[x]),
            Block::Silu => self.node(unary(Unary::Silu), &[x]),
            Block::MaxPool => {
                let window = self.window(3, 1);
                let (kind, kernel) = (PoolKind::Max, vec![3, 3]);
                let pool = Pool { kind, kernel, window, ceil: false, count_include_pad: false };
                self.node(Op::Pool(pool), &[x])
            }
            Block::Residual => {
                let inner = self.conv(x, c, 5, 3, 1);
                let inner = self.node(unary(Unary::Relu), &[inner]);
                let inner = self.conv(inner, 5, c, 1, 1);
                self.node(Op::Binary(Binary::Add), &[inner, x])
            }
            Block::Dense => {
                let (a, b) = (self.conv(x, c, 3, 1, 1), self.conv(x, c, 5, 3, 1));
                self.channels = c + 8;
                self.node(Op::Concat { axis: 1 }, &[a, x, b])
            }
            Block::Gate => self.gate(),
            Block::Halves => self.halves(),
            Block::Inner => self.inner(),
            Block::Shuffle => self.shuffle(),
            Block::Affine => {
                let (a, b) = (self.weight(&[c, 1, 1]), self.weight(&[1, c, 1, 1]));
                let scaled = self.node(Op::Binary(Binary::Mul), &[x, a]);
                self.node(Op::Binary(Binary::Sub), &[b, scaled])
            }
            Block::Picked => self.picked(),
            Block::Linear => self.linear(),
            Block::Computed => self.computed(),
            Block::RowNorm(rows) => self.row_norm(rows),
        };
    }

    fn head(&mut self, head: Head) -> ValueId {
        let (x, c) = (self.x, self.channels);
        let linear = || Op::Gemm(Gemm { transpose_b: true, alpha: 0.5, ..Gemm::default() });
        match head {
            Head::Pooled => {
                let mean = self.node(Op::GlobalPool(PoolKind::Average), &[x]);
                let target = self.integers(&[0, c as i64]);
                let flat = self.node(Op::Reshape { allow_zero: false }, &[mean, target]);
                let (weight, bias) = (self.weight(&[7, c]), self.weight(&[7]));
                let hidden = self.node(linear(), &[flat, weight, bias]);
                let hidden = self.node(Op::Unary(Unary::Relu), &[hidden]);
                let weight = self.weight(&[3, 7]);
                self.node(linear(), &[hidden, weight])
            }
            Head::Flat => {
                let flat = self.node(Op::Flatten { axis: 1 }, &[x]);
                let (weight, bias) = (self.weight(&[3, c * SIZE * SIZE]), self.weight(&[3]));
                self.node(linear(), &[flat, weight, bias])
            }
            Head::Masks => {
                let rows = foresee_kernels::Rows::all(2, c);
                let (weight, bias) = (self.weight(&[2 * c, c, 3, 3]), self.weight(&[2 * c]));
                let masked = self.node(Op::AttentionMasks(rows), &[x, weight, bias]);
                let axes = foresee_graph::Reduce {
                    kind: foresee_graph::Reduction::Mean,
                    axes: Some(vec![3, 4]),
                    keep_dims: false,
                    empty_is_nothing: false,
                };
                let pooled = self.node(Op::Reduce(axes), &[masked]);
                let (weight, bias) = (self.weight(&[2, c]), self.weight(&[2]));
                self.node(Op::Readout, &[pooled, weight, bias])
            }
        }
    }
}

/// A network from images [B, 3, SIZE, SIZE].
pub fn network(blocks: &[Block], head: Head, seed: u64, dtype: DType) -> Graph {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(3), Some(SIZE), Some(SIZE)]).unwrap();
    let numbers = Numbers::new(seed);
    let mut maker = Maker { builder, numbers, dtype, count: 0, x, channels: 3 };
    maker.block(Block::Conv(2));
    blocks.iter().for_each(|&block| maker.block(block));
    let y = maker.head(head);
    maker.builder.finish(vec![y]).unwrap()
}

/// Images for it.
pub fn images(seed: u64, dtype: DType) -> Tensor {
    Numbers::new(seed ^ 1).tensor(&[2, 3, SIZE, SIZE], dtype)
}

/// The largest difference of two results, relative to the largest value.
pub fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let values = |x: &Tensor| -> Vec<f64> {
        x.to_dtype(DType::F64).and_then(|x| x.flatten_all()?.to_vec1()).unwrap()
    };
    let (a, b) = (values(a), values(b));
    assert!(a.iter().chain(&b).all(|x| x.is_finite()), "values that are no numbers");
    let largest = b.iter().fold(1f64, |so_far, b| so_far.max(b.abs()));
    let off = a.iter().zip(&b).map(|(a, b)| (a - b).abs());
    off.max_by(f64::total_cmp).unwrap_or(0.) / largest
}
