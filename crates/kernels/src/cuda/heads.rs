//! Launches of `cuda/heads.cu`. Inputs are u [B, P, D] of P pixels with the features in the first C
//! of D, weights w [K·C, D], biases `[K·C]`.
//!
//! Where rows (attribute, channel) are left out, the kept ones are gathered into panels of 128,
//! which other kernels take for the channels of one attribute. So tiles are full, however many rows
//! an attribute keeps. The order of sums over rows then depends on which are kept.

mod table;

use self::table::Table;
use super::Argument::{Buffer, F32};
use super::{Argument, Plan, count};
use crate::factor::Precision;
use crate::rows::Rows;

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

    fn table(&self, rows: &Rows) -> Option<Table> {
        let [own, given] = [[self.attributes, self.channels], [rows.attributes(), rows.channels()]];
        assert_eq!(own, given, "attributes and channels of the rows");
        Table::new(rows)
    }

    /// Whether the kernels can count a batch's inputs as factors, and the weights.
    #[cfg(feature = "cuda")]
    pub(crate) fn fit(&self) -> bool {
        let inputs = self.inputs.next_multiple_of(ROWS);
        // Of each 128 channels, the last panel of kept rows may be nearly empty.
        let rows = self.attributes * self.channels.next_multiple_of(ROWS) + self.panels() * PANEL;
        self.images * self.pixels * inputs < super::MOST && rows * inputs < super::MOST
    }

    /// The most bytes of shared memory of a block that [`forward`], [`forward_with_curves`] and
    /// [`backward`] need, whichever rows are kept: more for inputs of several chunks.
    pub fn shared(&self, precision: Precision) -> u32 {
        let plans = [
            pooled(self, None, precision, None),
            pooled(self, None, precision, Some(1)),
            gradients(self, None, precision),
        ];
        plans.iter().map(Plan::shared).max().unwrap_or(0)
    }

    /// How many curves one [`forward_with_curves`] should take, so that its sums have room.
    pub fn curves_at_once(&self) -> usize {
        let each = self.images * self.pixels.div_ceil(TILE) * self.attributes * 2 * self.channels;
        (SUMS / each.max(1)).max(1)
    }
}

/// Names of the kernels, which are compiled for each type of factors, and for all rows or some.
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

const BF16_ROWS: Kernels = Kernels {
    forward: "forward_bf16_rows",
    curves: "forward_bf16_curves_rows",
    inputs: "backward_bf16_inputs_rows",
    weights: "backward_bf16_weights_rows",
    ..BF16
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

const SINGLE_ROWS: Kernels = Kernels {
    forward: "forward_f32_rows",
    curves: "forward_f32_curves_rows",
    inputs: "backward_f32_inputs_rows",
    weights: "backward_f32_weights_rows",
    ..SINGLE
};

/// What the kernels of a plan work on: all rows, or those that are kept.
struct Work {
    batch: Counts,
    /// As the kernels are told: kept rows are the channels of one attribute.
    counts: Counts,
    /// The table of the kept rows and the number of its panels, if some are left out.
    table: Option<[Argument; 2]>,
    kernels: &'static Kernels,
}

impl Work {
    fn new(plan: &mut Plan, n: &Counts, table: Option<Table>, precision: Precision) -> Self {
        let kernels = match (precision, table.is_some()) {
            (Precision::F32, false) => &SINGLE,
            (Precision::F32, true) => &SINGLE_ROWS,
            (Precision::Bf16, false) => &BF16,
            (Precision::Bf16, true) => &BF16_ROWS,
        };
        let Some(Table { panels, words }) = table else {
            return Self { batch: *n, counts: *n, table: None, kernels };
        };
        let counts = Counts { attributes: 1, channels: panels * PANEL, ..*n };
        let table = Some([plan.table(words), count(panels)]);
        Self { batch: *n, counts, table, kernels }
    }

    /// What blocks of the forward pass share: the attributes, or the panels of the kept rows.
    fn units(&self) -> usize {
        match self.table {
            Some(_) => self.counts.panels(),
            None => self.counts.attributes,
        }
    }

    /// A launch of a kernel that works on all rows, or on those in the table.
    fn launch(
        &self,
        plan: &mut Plan,
        kernel: &'static str,
        grid: (usize, usize, usize),
        shared: usize,
        mut arguments: Vec<Argument>,
    ) {
        arguments.extend(self.table.iter().flatten());
        plan.launch(kernel, grid, (THREADS, 1, 1), shared, &arguments);
    }

    /// The kept rows of values [outer, K, inner, C, each]: [outer, inner, slots, each].
    fn rows(
        &self,
        plan: &mut Plan,
        values: Argument,
        [outer, inner, each]: [usize; 3],
    ) -> Argument {
        let Some(table) = self.table else { return values };
        let length = outer * inner * self.counts.channels * each;
        let kept = plan.buffer(length);
        let Counts { attributes, channels, .. } = self.batch;
        let sizes = [outer, attributes, inner, channels, each].map(count);
        let arguments = [&[values][..], &table, &sizes, &[kept]].concat();
        plan.launch("gather_rows", (threads(length), 1, 1), (THREADS, 1, 1), 0, &arguments);
        kept
    }

    /// Values [outer, K, inner, C, each] from those of the kept rows [outer, inner, slots, each], 0
    /// for rows that are left out. `write` launches what writes the values that it is given: all of
    /// them, or those of the kept rows.
    fn spread(
        &self,
        plan: &mut Plan,
        [outer, inner, each]: [usize; 3],
        out: Argument,
        write: impl FnOnce(&mut Plan, Argument),
    ) {
        let Some(table) = self.table else { return write(plan, out) };
        let kept = plan.buffer(outer * inner * self.counts.channels * each);
        write(plan, kept);
        let Counts { attributes, channels, .. } = self.batch;
        let sizes = [outer, attributes, inner, channels, each].map(count);
        let arguments = [&[kept][..], &table, &sizes, &[out]].concat();
        let length = outer * attributes * inner * channels * each;
        plan.launch("spread_rows", (threads(length), 1, 1), (THREADS, 1, 1), 0, &arguments);
    }

    /// The inputs as factors. In `f32` they are so already where D is a multiple of 16.
    fn pack_inputs(&self, plan: &mut Plan) -> Argument {
        let Counts { images, pixels, inputs, .. } = self.counts;
        let (rows, bytes) = (images * pixels, self.kernels.bytes);
        let padded = inputs.next_multiple_of(16);
        if bytes == 4 && padded == inputs {
            return Buffer(0);
        }
        let packed = plan.buffer(rows * padded * bytes / 4);
        plan.launch(
            self.kernels.pack_inputs,
            (threads(rows * padded), 1, 1),
            (THREADS, 1, 1),
            0,
            &[Buffer(0), count(rows), count(inputs), packed],
        );
        packed
    }

    /// Weights as left factors of `down` × `across` fragments an attribute.
    fn pack_weights(
        &self,
        plan: &mut Plan,
        kernel: &'static str,
        weights: Argument,
        (down, across): (usize, usize),
    ) -> Argument {
        let Counts { attributes, channels, inputs, .. } = self.counts;
        let fragments = attributes * down * across;
        let packed = plan.buffer(fragments * 256 * self.kernels.bytes / 4);
        let sizes = [channels, inputs, down, across].map(count);
        let arguments = [&[weights][..], &sizes, &[packed]].concat();
        plan.launch(kernel, (fragments, 1, 1), (32, 1, 1), 0, &arguments);
        packed
    }

    /// What the logits are made from.
    fn logits(&self, plan: &mut Plan) -> Logits {
        let Counts { channels, inputs, .. } = self.counts;
        let weights = self.rows(plan, Buffer(1), [1, 1, inputs]);
        let size = (channels.next_multiple_of(ROWS) / 16, inputs.div_ceil(16));
        Logits {
            inputs: self.pack_inputs(plan),
            factors: self.pack_weights(plan, self.kernels.to_logits, weights, size),
            weights,
            bias: self.rows(plan, Buffer(2), [1, 1, 1]),
        }
    }

    /// Launches what computes the gradient of u, and returns what the logits are made from and the
    /// means' gradient.
    fn inputs_gradient(&self, plan: &mut Plan, du: Argument) -> (Logits, Argument) {
        let Counts { images, pixels, channels, inputs, .. } = self.counts;
        let logits = self.logits(plan);
        let size = (inputs.next_multiple_of(ROWS) / 16, channels.next_multiple_of(ROWS) / 16);
        let to_inputs = self.pack_weights(plan, self.kernels.to_inputs, logits.weights, size);
        let g = self.rows(plan, Buffer(3), [images, 2, 1]);
        let parts = pixels.div_ceil(TILE);
        let chunks = self.counts.chunks();
        let shared = self.tile(TILE * if chunks == 1 { 1 } else { 2 })
            + PANEL * (TILE + GAP) * self.kernels.bytes;
        let given = [logits.inputs, logits.factors, to_inputs, logits.bias, g];
        let arguments = [&given[..], &self.counts.arguments(), &[count(parts), du]].concat();
        self.launch(plan, self.kernels.inputs, (images * parts, chunks, 1), shared, arguments);
        (logits, g)
    }

    /// Bytes of some pixels' inputs of one chunk in shared memory.
    fn tile(&self, pixels: usize) -> usize {
        pixels * (PANEL + GAP) * self.kernels.bytes
    }
}

/// What the logits are made from.
struct Logits {
    inputs: Argument,
    /// The weights as left factors.
    factors: Argument,
    weights: Argument,
    bias: Argument,
}

/// Blocks of one thread for each element, or fewer where a thread takes several.
fn threads(elements: usize) -> usize {
    elements.div_ceil(THREADS as usize).min(1 << 16)
}

/// Forward: u, w, bias → means [B, K, 2, C] (the first buffer made) of mask ⊗ feature and of the
/// mask. They are 0 for rows that are left out; the others have the same bits whichever are.
///
/// # Panics
/// Here and below, if the rows are of other numbers of attributes or channels.
pub fn forward(n: &Counts, rows: &Rows, precision: Precision) -> Plan {
    pooled(n, n.table(rows), precision, None)
}

/// Forward under curves g(M; n, β): u, w, bias, (n, β, floor) [curves, K, C, 3] → means [B, K,
/// curves, 2, C] (the first buffer made). A curve of n = 1 and β = 0 without a floor (-∞) gives the
/// same bits as [`forward`]. The masks of rows that are left out are g(0) = -β, or the floor.
pub fn forward_with_curves(n: &Counts, rows: &Rows, precision: Precision, curves: usize) -> Plan {
    pooled(n, n.table(rows), precision, Some(curves))
}

fn pooled(n: &Counts, table: Option<Table>, precision: Precision, curves: Option<usize>) -> Plan {
    let mut plan = Plan::new("heads", 3 + usize::from(curves.is_some()));
    let inner = 2 * curves.unwrap_or(1);
    let out = plan.buffer(n.images * n.attributes * inner * n.channels);
    let work = Work::new(&mut plan, n, table, precision);
    let (passes, kernel, group) = match curves {
        Some(_) => (1, work.kernels.curves, PASSES),
        None => (PASSES, work.kernels.forward, 1),
    };
    let parts = n.pixels.div_ceil(TILE * passes);
    let rows = work.counts.attributes * work.counts.channels;
    let sums = plan.buffer(n.images * parts * inner * rows);
    let logits = work.logits(&mut plan);
    let curve_arguments =
        curves.map(|curves| [work.rows(&mut plan, Buffer(3), [curves, 1, 3]), count(curves)]);
    let groups = BLOCKS.div_ceil((n.images * parts).max(1)).min(work.units().max(1));
    let each = work.units().div_ceil(groups).max(1);
    let tiles = if n.chunks() == 1 { passes.min(n.pixels.div_ceil(TILE)) } else { 2 };
    let arguments = [
        &[logits.inputs, logits.factors, logits.bias][..],
        &work.counts.arguments(),
        &[count(each), count(parts), sums],
        curve_arguments.as_ref().map_or(&[], |arguments| &arguments[..]),
    ]
    .concat();
    let grid = (n.images * parts, work.units().div_ceil(each), 1);
    work.launch(&mut plan, kernel, grid, work.tile(tiles * TILE), arguments);
    let scale = 1. / n.pixels as f32;
    work.spread(&mut plan, [n.images, inner, 1], out, |plan, means| {
        sum_parts(plan, sums, (n.images, parts, inner * rows), group, scale, means);
    });
    if let (Some(table), Some(curves)) = (work.table, curves) {
        close_rows(&mut plan, n, table, curves, out);
    }
    plan
}

/// Replaces the means under curves of rows that are left out.
fn close_rows(plan: &mut Plan, n: &Counts, table: [Argument; 2], curves: usize, out: Argument) {
    let parts = n.pixels.div_ceil(TILE);
    let sums = plan.buffer(n.images * parts * n.channels);
    let features = plan.buffer(n.images * n.channels);
    let sizes = [n.pixels, n.channels, n.inputs, parts].map(count);
    let grid = (n.images * parts, n.channels.div_ceil(THREADS as usize), 1);
    let arguments = [&[Buffer(0)][..], &sizes, &[sums]].concat();
    plan.launch("sum_features", grid, (THREADS, 1, 1), 0, &arguments);
    sum_parts(plan, sums, (n.images, parts, n.channels), 1, 1. / n.pixels as f32, features);
    let sizes = [n.images, n.attributes, curves, n.channels].map(count);
    let arguments = [&[features, Buffer(3)][..], &table, &sizes, &[out]].concat();
    let elements = n.images * n.attributes * curves * n.channels;
    plan.launch("close_rows", (threads(elements), 1, 1), (THREADS, 1, 1), 0, &arguments);
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
/// three buffers made). Those of w and bias are 0 in rows that are left out.
pub fn backward(n: &Counts, rows: &Rows, precision: Precision) -> Plan {
    gradients(n, n.table(rows), precision)
}

fn gradients(n: &Counts, table: Option<Table>, precision: Precision) -> Plan {
    let mut plan = Plan::new("heads", 4);
    let biases = n.attributes * n.channels;
    let du = plan.buffer(n.images * n.pixels * n.inputs);
    let dw = plan.buffer(biases * n.inputs);
    let db = plan.buffer(biases);
    let work = Work::new(&mut plan, n, table, precision);
    let (logits, g) = work.inputs_gradient(&mut plan, du);

    let rows = work.counts.attributes * work.counts.channels;
    let tiles = n.images * n.pixels.div_ceil(SHORT_TILE);
    let (panels, chunks) = (work.counts.attributes * work.counts.panels(), n.chunks());
    let each = tiles.div_ceil((BLOCKS / (panels * chunks).max(1)).max(1)).max(1);
    let parts = tiles.div_ceil(each).max(1);
    let dw_parts = plan.buffer(parts * rows * n.inputs);
    let db_parts = plan.buffer(parts * rows);
    let shared = work.tile(SHORT_TILE * if chunks == 1 { 2 } else { 3 });
    let arguments = [
        &[logits.inputs, logits.factors, logits.bias, g][..],
        &work.counts.arguments(),
        &[count(tiles), count(each), dw_parts, db_parts],
    ]
    .concat();
    let grid = (panels, parts, chunks);
    work.launch(&mut plan, work.kernels.weights, grid, shared, arguments);
    for (sums, each, gradient) in [(dw_parts, n.inputs, dw), (db_parts, 1, db)] {
        work.spread(&mut plan, [1, 1, each], gradient, |plan, gradient| {
            sum_parts(plan, sums, (1, parts, rows * each), 1, 1., gradient);
        });
    }
    plan
}

/// [`backward`] without the weights' gradients: the gradient of u only (the first buffer made).
pub fn input_gradient(n: &Counts, rows: &Rows, precision: Precision) -> Plan {
    let mut plan = Plan::new("heads", 4);
    let du = plan.buffer(n.images * n.pixels * n.inputs);
    Work::new(&mut plan, n, n.table(rows), precision).inputs_gradient(&mut plan, du);
    plan
}
