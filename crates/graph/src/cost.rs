//! What a network costs: multiplications and parameters.

use std::collections::HashSet;
use std::ops::AddAssign;

use crate::graph::{Graph, Node, ValueId};
use crate::op::Op;
use crate::shapes::Shapes;

/// What a node or a network costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Multiply-accumulates (MACs), of the whole batch.
    pub macs: u64,
    /// Values of weights.
    pub parameters: usize,
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.macs = self.macs.saturating_add(other.macs);
        self.parameters += other.parameters;
    }
}

impl Graph {
    /// What each node costs, in the order of the nodes.
    ///
    /// The convention is that of torchvision's and fvcore's tables (where "FLOPs" are these too):
    /// one multiplication with its addition is one multiply-accumulate, and counted are
    /// convolutions, transposed convolutions, matrix products, and our heads. Biases, norms,
    /// activations, pools, and everything of one element at a time count 0. ResNet-18 has
    /// 1.814·10⁹ at 224 pixels.
    ///
    /// Parameters are the numbers with a fraction among a node's weights, but the moments of batch
    /// norms, which are not learned by gradient. A weight that several nodes read counts at the
    /// first.
    pub fn costs(&self, shapes: &Shapes) -> Vec<Cost> {
        let mut counted = HashSet::new();
        let cost = |node: &Node| Cost {
            macs: macs(node, shapes),
            parameters: self.parameters_of(node, &mut counted),
        };
        self.nodes.iter().map(cost).collect()
    }

    /// What the network costs: the sum over its nodes.
    pub fn cost(&self, shapes: &Shapes) -> Cost {
        let mut sum = Cost::default();
        self.costs(shapes).into_iter().for_each(|cost| sum += cost);
        sum
    }

    fn parameters_of(&self, node: &Node, counted: &mut HashSet<ValueId>) -> usize {
        let learned = match node.op {
            Op::BatchNorm { .. } => 3,
            _ => node.inputs.len(),
        };
        let mut new = |id: &ValueId| {
            let weight = self.weight(*id).filter(|weight| weight.dtype().is_float());
            weight.filter(|_| counted.insert(*id)).map_or(0, |weight| weight.elem_count())
        };
        node.inputs[..learned].iter().flatten().map(&mut new).sum()
    }
}

/// The multiply-accumulates of a node.
fn macs(node: &Node, shapes: &Shapes) -> u64 {
    let of = |id: Option<ValueId>| id.map_or(&[][..], |id| shapes.of(id));
    let (x, weight) = (of(node.input(0)), of(node.input(1)));
    let out = of(node.outputs.first().copied());
    let count = |dims: &[usize]| dims.iter().map(|&size| size as u64).product::<u64>();
    match &node.op {
        // For every output: the inputs under its window.
        Op::Conv(_) => count(out) * count(&weight[1..]),
        // For every input: the outputs under its window.
        Op::ConvTranspose(_) => count(x) * count(&weight[1..]),
        Op::MatMul => count(out) * x.last().map_or(1, |&size| size as u64),
        Op::Gemm(gemm) => count(out) * x[usize::from(!gemm.transpose_a)] as u64,
        Op::AttentionMasks(rows) => {
            let pixels = x[0] * x[2..].iter().product::<usize>();
            (pixels * rows.count()) as u64 * count(&weight[1..])
        }
        Op::Readout => count(x),
        _ => 0,
    }
}
