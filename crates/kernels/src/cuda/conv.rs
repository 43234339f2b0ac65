//! Launches of `cuda/conv.cu`. Images are x [B, H, W, I], outputs [B, H, W, O], weights [O, I, n,
//! n].

use super::Argument::{self, Buffer, U32};
use super::{Plan, count};
use crate::factor::Precision;

/// Rows of a block's tile.
const ROWS: usize = 128;
/// Columns of a block's tile.
const COLUMNS: usize = 64;
/// Terms of a step.
const DEPTH: usize = 32;
/// Threads of a block.
const BLOCK: (u32, u32, u32) = (256, 1, 1);
/// The most blocks of a kernel whose threads take one element after another.
const ELEMENTWISE: usize = 1024;
/// About how many blocks compute the weights' gradient: its pixels are cut into as many parts as
/// give this number, whatever the device, since the order of sums depends on it.
const BLOCKS: usize = 512;
/// The fewest pixels of a part.
const PART: usize = 512;

/// A convolution's sizes.
#[derive(Debug, Clone, Copy)]
pub struct Conv {
    /// B.
    pub images: usize,
    /// H.
    pub h: usize,
    /// W.
    pub w: usize,
    /// I.
    pub inputs: usize,
    /// O.
    pub outputs: usize,
    /// n, odd.
    pub n: usize,
    /// Distance of two taps.
    pub dilation: usize,
    /// How the factors of products are held.
    pub precision: Precision,
}

impl Conv {
    fn pixels(&self) -> usize {
        self.images * self.h * self.w
    }

    fn taps(&self) -> usize {
        self.n * self.n
    }

    fn terms(&self) -> usize {
        self.taps() * self.inputs
    }

    fn sizes(&self) -> [Argument; 6] {
        [self.images, self.h, self.w, self.inputs, self.n, self.dilation].map(count)
    }

    /// Forward: x, weight, bias → out (the first buffer made).
    pub fn forward(&self) -> Plan {
        let mut plan = Plan::new("conv", 3);
        let out = plan.buffer(self.pixels() * self.outputs);
        let weights = self.pack(&mut plan, Buffer(1), false);
        self.products(&mut plan, Buffer(0), weights, Some(Buffer(2)), out);
        plan
    }

    /// Gradient of x: dL/dout, weight → dx (the first buffer made). It is the same convolution with
    /// the weights transposed and turned by 180°.
    pub fn input_gradient(&self) -> Plan {
        let swapped = Self { inputs: self.outputs, outputs: self.inputs, ..*self };
        let mut plan = Plan::new("conv", 2);
        let dx = plan.buffer(self.pixels() * self.inputs);
        let weights = swapped.pack(&mut plan, Buffer(1), true);
        swapped.products(&mut plan, Buffer(0), weights, None, dx);
        plan
    }

    /// The weights as right operand, filled up to whole steps and tiles.
    fn pack(&self, plan: &mut Plan, weight: Argument, turned: bool) -> Argument {
        let rows = self.terms().next_multiple_of(DEPTH);
        let columns = self.padded();
        let out = plan.buffer(rows * columns);
        // The weight's own sizes, whichever way it is used.
        let (outputs, inputs) = match turned {
            true => (self.inputs, self.outputs),
            false => (self.outputs, self.inputs),
        };
        let arguments = [
            weight,
            count(outputs),
            count(inputs),
            count(self.taps()),
            U32(turned.into()),
            count(rows),
            count(columns),
            out,
        ];
        plan.launch("pack_weights", elementwise(rows * columns), BLOCK, 0, &arguments);
        out
    }

    /// O in whole tiles.
    fn padded(&self) -> usize {
        self.outputs.next_multiple_of(COLUMNS)
    }

    fn products(
        &self,
        plan: &mut Plan,
        x: Argument,
        weights: Argument,
        bias: Option<Argument>,
        out: Argument,
    ) {
        let kernel = match self.precision {
            Precision::F32 => "conv_f32",
            Precision::Bf16 => "conv_bf16",
        };
        // Without a bias the kernel reads none, so that any buffer can stand there.
        let first = [x, weights, bias.unwrap_or(weights)];
        let last = [U32(bias.is_some().into()), count(self.outputs), count(self.padded()), out];
        let grid = (self.pixels().div_ceil(ROWS), self.outputs.div_ceil(COLUMNS), 1);
        plan.launch(kernel, grid, BLOCK, 0, &[&first[..], &self.sizes(), &last].concat());
    }

    /// Gradients of the weights and the bias: x, dL/dout → dweight, dbias (the first two buffers
    /// made).
    pub fn weight_gradient(&self) -> Plan {
        let mut plan = Plan::new("conv", 2);
        let dweight = plan.buffer(self.outputs * self.terms());
        let dbias = plan.buffer(self.outputs);
        let (parts, each) = self.parts();
        let all = (self.terms() + 1) * self.outputs;
        let sums = plan.buffer(parts * all);
        let kernel = match self.precision {
            Precision::F32 => "weights_f32",
            Precision::Bf16 => "weights_bf16",
        };
        let (rows, columns) = self.tiles();
        let arguments =
            [&[Buffer(0), Buffer(1)][..], &self.sizes(), &[count(self.outputs), count(each), sums]]
                .concat();
        plan.launch(kernel, (rows, columns, parts), BLOCK, 0, &arguments);
        let arguments = [
            sums,
            count(parts),
            count(self.outputs),
            count(self.inputs),
            count(self.taps()),
            dweight,
            dbias,
        ];
        plan.launch("add_parts", elementwise(all), BLOCK, 0, &arguments);
        plan
    }

    /// Tiles of the weights' gradient, by terms and by outputs.
    fn tiles(&self) -> (usize, usize) {
        (self.terms().div_ceil(ROWS), self.outputs.div_ceil(COLUMNS))
    }

    /// Into how many parts the pixels are cut, and how many pixels a part has.
    fn parts(&self) -> (usize, usize) {
        let (rows, columns) = self.tiles();
        let parts = (BLOCKS / (rows * columns)).clamp(1, self.pixels().div_ceil(PART).max(1));
        let each = self.pixels().div_ceil(parts).next_multiple_of(DEPTH).max(DEPTH);
        (self.pixels().div_ceil(each), each)
    }
}

/// The grid of a kernel whose threads take one of n elements after another.
fn elementwise(n: usize) -> (usize, usize, usize) {
    (n.div_ceil(BLOCK.0 as usize).min(ELEMENTWISE), 1, 1)
}
