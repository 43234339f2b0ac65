//! Launches of `cuda/heads.cu`. Inputs are u [B, P, D] of P pixels with the features in the first C
//! of D, weights w [K·C, D], biases `[K·C]`.

use super::Argument::{Buffer, F32};
use super::{Argument, Plan, count};
use crate::factor::Precision;

/// Threads of a block.
const THREADS: u32 = 128;
/// Rows (channels or inputs) of a warp.
const ROWS: usize = 32;
/// Rows of a block.
const PANEL: usize = 128;
/// Pixels of a tile.
const TILE: usize = 64;
/// Pixels of a tile in the weights' gradient.
const SHORT_TILE: usize = 32;
/// Tiles of a block in the forward pass.
const PASSES: usize = 2;
/// Unused elements at the end of each row in shared memory.
const GAP: usize = 8;
/// How many blocks a launch should have: four for each of 132 multiprocessors (H100, H200),
/// whatever the device, so that the order of sums is the same on all.
const BLOCKS: usize = 528;
/// The most words of sums under curves that are kept.
const SUMS: usize = 1 << 28;

/// The counts of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// B.
    pub images: usize,
    /// P.
    pub pixels: usize,
    /// C.
    pub channels: usize,
    /// D.
    pub inputs: usize,
    /// K.
    pub attributes: usize,
}

impl Counts {
    fn chunks(&self) -> usize {
        self.inputs.div_ceil(PANEL)
    }

    fn panels(&self) -> usize {
        self.channels.div_ceil(PANEL)
    }

    fn arguments(&self) -> [Argument; 4] {
        [self.pixels, self.channels, self.inputs, self.attributes].map(count)
    }

    /// Whether the kernels can count a batch's inputs as factors, and the weights.
    #[cfg(feature = "cuda")]
    pub(crate) fn fit(&self) -> bool {
        let inputs = self.inputs.next_multiple_of(ROWS);
        self.images * self.pixels * inputs < super::MOST
            && self.attributes * self.channels.next_multiple_of(ROWS) * inputs < super::MOST
    }

    /// The most bytes of shared memory of a block that [`forward`], [`forward_with_curves`] and
    /// [`backward`] need: more for inputs of several chunks.
    pub fn shared(&self, precision: Precision) -> u32 {
        let plans = [
            forward(self, precision),
            forward_with_curves(self, precision, 1),
            backward(self, precision),
        ];
        plans.iter().map(Plan::shared).max().unwrap_or(0)
    }

    /// How many curves one [`forward_with_curves`] should take, so that its sums have room.
    pub fn curves_at_once(&self) -> usize {
        let each = self.images * self.pixels.div_ceil(TILE) * self.attributes * 2 * self.channels;
        (SUMS / each.max(1)).max(1)
    }
}

/// Names of the kernels, which are compiled for each type of factors.
struct Kernels {
    pack_inputs: &'static str,
    to_logits: &'static str,
    to_inputs: &'static str,
    forward: &'static str,
    curves: &'static str,
    inputs: &'static str,
    weights: &'static str,
    /// Bytes of a factor.
    bytes: usize,
}

const BF16: Kernels = Kernels {
    pack_inputs: "pack_inputs_bf16",
    to_logits: "pack_bf16_to_logits",
    to_inputs: "pack_bf16_to_inputs",
    forward: "forward_bf16",
    curves: "forward_bf16_curves",
    inputs: "backward_bf16_inputs",
    weights: "backward_bf16_weights",
    bytes: 2,
};

const SINGLE: Kernels = Kernels {
    pack_inputs: "pack_inputs_f32",
    to_logits: "pack_f32_to_logits",
    to_inputs: "pack_f32_to_inputs",
    forward: "forward_f32",
    curves: "forward_f32_curves",
    inputs: "backward_f32_inputs",
    weights: "backward_f32_weights",
    bytes: 4,
};

impl Kernels {
    fn of(precision: Precision) -> &'static Self {
        match precision {
            Precision::F32 => &SINGLE,
            Precision::Bf16 => &BF16,
        }
    }

    /// The inputs as factors. In `f32` they are so already where D is a multiple of 16.
    fn pack_inputs(&self, plan: &mut Plan, n: &Counts) -> Argument {
        let rows = n.images * n.pixels;
        let padded = n.inputs.next_multiple_of(16);
        if self.bytes == 4 && padded == n.inputs {
            return Buffer(0);
        }
        let packed = plan.buffer(rows * padded * self.bytes / 4);
        plan.launch(
            self.pack_inputs,
            (threads(rows * padded), 1, 1),
            (THREADS, 1, 1),
            0,
            &[Buffer(0), count(rows), count(n.inputs), packed],
        );
        packed
    }

    /// The weights as left factors of `down` × `across` fragments an attribute.
    fn pack_weights(
        &self,
        plan: &mut Plan,
        kernel: &'static str,
        n: &Counts,
        down: usize,
        across: usize,
    ) -> Argument {
        let fragments = n.attributes * down * across;
        let packed = plan.buffer(fragments * 256 * self.bytes / 4);
        let arguments =
            [Buffer(1), count(n.channels), count(n.inputs), count(down), count(across), packed];
        plan.launch(kernel, (fragments, 1, 1), (32, 1, 1), 0, &arguments);
        packed
    }

    fn to_logits(&self, plan: &mut Plan, n: &Counts) -> Argument {
        self.pack_weights(
            plan,
            self.to_logits,
            n,
            n.channels.next_multiple_of(ROWS) / 16,
            n.inputs.div_ceil(16),
        )
    }

    fn to_inputs(&self, plan: &mut Plan, n: &Counts) -> Argument {
        self.pack_weights(
            plan,
            self.to_inputs,
            n,
            n.inputs.next_multiple_of(ROWS) / 16,
            n.channels.next_multiple_of(ROWS) / 16,
        )
    }

    /// Launches what computes the gradient of u, and returns the inputs and the weights as factors.
    fn inputs_gradient(&self, plan: &mut Plan, n: &Counts, du: Argument) -> (Argument, Argument) {
        let u = self.pack_inputs(plan, n);
        let to_logits = self.to_logits(plan, n);
        let to_inputs = self.to_inputs(plan, n);
        let parts = n.pixels.div_ceil(TILE);
        let shared = self.tile(TILE * if n.chunks() == 1 { 1 } else { 2 })
            + PANEL * (TILE + GAP) * self.bytes;
        let given = [u, to_logits, to_inputs, Buffer(2), Buffer(3)];
        let arguments = [&given[..], &n.arguments(), &[count(parts), du]].concat();
        let grid = (n.images * parts, n.chunks(), 1);
        plan.launch(self.inputs, grid, (THREADS, 1, 1), shared, &arguments);
        (u, to_logits)
    }

    /// Bytes of some pixels' inputs of one chunk in shared memory.
    fn tile(&self, pixels: usize) -> usize {
        pixels * (PANEL + GAP) * self.bytes
    }
}

/// Blocks of one thread for each element, or fewer where a thread takes several.
fn threads(elements: usize) -> usize {
    elements.div_ceil(THREADS as usize).min(1 << 16)
}

/// Forward: u, w, bias → means [B, K, 2, C] (the first buffer made) of mask ⊗ feature and of the
/// mask.
pub fn forward(n: &Counts, precision: Precision) -> Plan {
    pooled(n, precision, None)
}

/// Forward under curves g(M; n, β): u, w, bias, (n, β) [curves, K, C, 2] → means [B, K, curves, 2,
/// C] (the first buffer made). A curve of n = 1 and β = 0 gives the same bits as [`forward`].
pub fn forward_with_curves(n: &Counts, precision: Precision, curves: usize) -> Plan {
    pooled(n, precision, Some(curves))
}

fn pooled(n: &Counts, precision: Precision, curves: Option<usize>) -> Plan {
    let kernels = Kernels::of(precision);
    let mut plan = Plan::new("heads", 3 + usize::from(curves.is_some()));
    let (passes, kernel, group) = match curves {
        Some(_) => (1, kernels.curves, PASSES),
        None => (PASSES, kernels.forward, 1),
    };
    let parts = n.pixels.div_ceil(TILE * passes);
    let row = n.attributes * curves.unwrap_or(1) * 2 * n.channels;
    let out = plan.buffer(n.images * row);
    let sums = plan.buffer(n.images * parts * row);
    let u = kernels.pack_inputs(&mut plan, n);
    let w = kernels.to_logits(&mut plan, n);
    let groups = BLOCKS.div_ceil((n.images * parts).max(1)).min(n.attributes.max(1));
    let each = n.attributes.div_ceil(groups).max(1);
    let tiles = if n.chunks() == 1 { passes.min(n.pixels.div_ceil(TILE)) } else { 2 };
    let curve_arguments = curves.map(|curves| [Buffer(3), count(curves)]);
    let arguments = [
        &[u, w, Buffer(2)][..],
        &n.arguments(),
        &[count(each), count(parts), sums],
        curve_arguments.as_ref().map_or(&[], |arguments| &arguments[..]),
    ]
    .concat();
    let grid = (n.images * parts, n.attributes.div_ceil(each), 1);
    plan.launch(kernel, grid, (THREADS, 1, 1), kernels.tile(tiles * TILE), &arguments);
    sum_parts(&mut plan, sums, (n.images, parts, row), group, 1. / n.pixels as f32, out);
    plan
}

/// Sums [outer, parts, n] over the parts.
fn sum_parts(
    plan: &mut Plan,
    sums: Argument,
    (outer, parts, n): (usize, usize, usize),
    group: usize,
    scale: f32,
    out: Argument,
) {
    let arguments = [sums, count(outer), count(parts), count(n), count(group), F32(scale), out];
    plan.launch("sum_parts", (threads(outer * n), 1, 1), (THREADS, 1, 1), 0, &arguments);
}

/// Backward: u, w, bias, gradient of the means [B, K, 2, C] → gradients of u, w and bias (the first
/// three buffers made).
pub fn backward(n: &Counts, precision: Precision) -> Plan {
    let kernels = Kernels::of(precision);
    let mut plan = Plan::new("heads", 4);
    let biases = n.attributes * n.channels;
    let weights = biases * n.inputs;
    let du = plan.buffer(n.images * n.pixels * n.inputs);
    let dw = plan.buffer(weights);
    let db = plan.buffer(biases);
    let (u, to_logits) = kernels.inputs_gradient(&mut plan, n, du);

    let tiles = n.images * n.pixels.div_ceil(SHORT_TILE);
    let panels = n.panels() * n.chunks();
    let each = tiles.div_ceil((BLOCKS / (n.attributes * panels).max(1)).max(1)).max(1);
    let parts = tiles.div_ceil(each).max(1);
    let dw_parts = plan.buffer(parts * weights);
    let db_parts = plan.buffer(parts * biases);
    let shared = kernels.tile(SHORT_TILE * if n.chunks() == 1 { 2 } else { 3 });
    let arguments = [
        &[u, to_logits, Buffer(2), Buffer(3)][..],
        &n.arguments(),
        &[count(tiles), count(each), dw_parts, db_parts],
    ]
    .concat();
    let grid = (n.attributes, parts, panels);
    plan.launch(kernels.weights, grid, (THREADS, 1, 1), shared, &arguments);
    sum_parts(&mut plan, dw_parts, (1, parts, weights), 1, 1., dw);
    sum_parts(&mut plan, db_parts, (1, parts, biases), 1, 1., db);
    plan
}

/// [`backward`] without the weights' gradients: the gradient of u only (the first buffer made).
pub fn input_gradient(n: &Counts, precision: Precision) -> Plan {
    let mut plan = Plan::new("heads", 4);
    let du = plan.buffer(n.images * n.pixels * n.inputs);
    Kernels::of(precision).inputs_gradient(&mut plan, n, du);
    plan
}
