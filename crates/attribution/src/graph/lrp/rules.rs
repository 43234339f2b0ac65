//! The rule of each operation.

use candle_core::Tensor;
use foresee_graph::{
    Binary, Node, NodeId, Op, PoolKind, Reduction, ResizeMode, Softmax, ValueId, Variadic,
};

use super::Pass;
use super::layer::{add_to, stabilized_ratio};
use super::shares::{Shares, unbroadcast};
use crate::error::Result;
use crate::graph::linear::LinearNode;
use crate::graph::one_node::back;
use crate::methods::Bias;

impl<'a> Pass<'a> {
    /// The relevance r of a node's outputs, distributed over what it reads.
    pub(super) fn through(
        &mut self,
        id: NodeId,
        node: &'a Node,
        all: &[Option<Tensor>],
    ) -> Result<Shares> {
        let Some(Some(r)) = all.first() else { return self.route(node, all) };
        if let Some(linear) = LinearNode::new(self.trace, node)? {
            return self.through_linear(id, node, &linear, r);
        }
        if let Some((place, affine)) = self.taken_up(node)? {
            self.take_up(node, place, affine)?;
            return Ok(Shares::one(place, r.clone()));
        }
        match &node.op {
            Op::Conv(_) | Op::ConvTranspose(_) | Op::Gemm(_) | Op::Readout => {
                Err(self.refuse(node, "its weights or its bias change with the input"))
            }
            Op::MatMul => self.through_matrix_product(node, r),
            Op::BatchNorm { .. }
            | Op::LayerNorm { .. }
            | Op::GroupNorm { .. }
            | Op::InstanceNorm { .. }
            | Op::LocalResponseNorm { .. }
            | Op::Unary(_)
            | Op::Clip => self.pass(node, r),
            Op::Binary(binary) => self.through_binary(node, *binary, r),
            Op::Variadic(Variadic::Sum) => self.through_sum(node, r, |_| 1.),
            Op::Variadic(Variadic::Mean) => {
                let each = 1. / node.inputs.len() as f64;
                self.through_sum(node, r, |_| each)
            }
            // max(x, 0) is a ReLU.
            Op::Variadic(_) if self.trace.active_places(node).len() == 1 => self.pass(node, r),
            Op::Variadic(_) | Op::Where => self.route(node, all),
            Op::Softmax(softmax) => self.through_softmax(node, softmax, r),
            Op::Pool(pool) if pool.kind == PoolKind::Max => self.route(node, all),
            Op::GlobalPool(PoolKind::Max) => self.route(node, all),
            Op::Pool(_) | Op::GlobalPool(_) => self.in_proportion(node, r),
            Op::Reduce(reduce) => match reduce.kind {
                Reduction::Mean | Reduction::Sum => self.in_proportion(node, r),
                Reduction::Max | Reduction::Min => self.route(node, all),
                _ => Err(self.refuse(node, no_rule(node))),
            },
            Op::Resize(resize) if resize.mode != ResizeMode::Nearest => self.in_proportion(node, r),
            // The signal takes all.
            Op::AttentionMasks(_) => Ok(Shares::one(0, r.sum(1)?)),
            op if only_moves(op) => self.route(node, all),
            _ => Err(self.refuse(node, no_rule(node))),
        }
    }

    /// All to the only input that changes with the graph's.
    fn pass(&self, node: &Node, r: &Tensor) -> Result<Shares> {
        match self.trace.active_places(node)[..] {
            [place] => {
                let Some(id) = node.input(place) else { return Ok(Shares::default()) };
                Ok(Shares::one(place, unbroadcast(r, self.trace.get(id)?)?))
            }
            _ => Err(self.refuse(node, "several of its inputs change with the graph's input")),
        }
    }

    fn through_binary(&self, node: &Node, binary: Binary, r: &Tensor) -> Result<Shares> {
        let both = self.trace.active_places(node).len() == 2;
        match binary {
            Binary::Add => self.through_sum(node, r, |_| 1.),
            Binary::Sub => self.through_sum(node, r, |place| [1., -1.][place]),
            Binary::Mul if both => self.through_product(node, r),
            Binary::Div if both => match (node.input(0), node.input(1)) {
                (Some(a), _) => Ok(Shares::one(0, unbroadcast(r, self.trace.get(a)?)?)),
                _ => Err(self.refuse(node, no_rule(node))),
            },
            Binary::Mul | Binary::Div | Binary::Pow | Binary::PRelu if !both => self.pass(node, r),
            _ => Err(self.refuse(node, no_rule(node))),
        }
    }

    /// By contribution: each summand times its factor.
    fn through_sum(
        &self,
        node: &Node,
        r: &Tensor,
        factor: impl Fn(usize) -> f64,
    ) -> Result<Shares> {
        let absorbs = self.composite.bias == Bias::Absorb;
        let mut summands = vec![];
        let mut z = r.zeros_like()?;
        for place in 0..node.inputs.len() {
            let Some(id) = node.input(place) else { continue };
            if absorbs || self.trace.is_active(id) {
                let summand = (self.trace.get(id)? * factor(place))?;
                z = z.broadcast_add(&summand)?;
                summands.push((place, id, summand));
            }
        }
        if let [(place, id, _)] = &summands[..] {
            return Ok(Shares::one(*place, unbroadcast(r, self.trace.get(*id)?)?));
        }
        let (s, lost) = stabilized_ratio(r, &z, self.composite.stabilizer)?;
        let mut shares = Shares {
            bias: vec![0.; self.inputs],
            stabilizer: self.by_input(lost),
            ..Shares::default()
        };
        for (place, id, summand) in summands {
            let share = s.broadcast_mul(&summand)?;
            match self.trace.is_active(id) {
                true => shares.to.push((place, unbroadcast(&share, self.trace.get(id)?)?)),
                false => add_to(&mut shares.bias, &self.totals(&share)?),
            }
        }
        Ok(shares)
    }

    /// By contribution to a weighted mean or a sum.
    fn in_proportion(&self, node: &Node, r: &Tensor) -> Result<Shares> {
        let inputs = self.trace.inputs(node)?;
        let y = self.trace.get(node.outputs[0])?;
        let (s, lost) = stabilized_ratio(r, y, self.composite.stabilizer)?;
        let back = back(node, &inputs, &[0], &[Some(s)])?.swap_remove(0);
        let Some(x) = &inputs[0] else { return Ok(Shares::default()) };
        let stabilizer = self.by_input(lost);
        Ok(Shares { to: vec![(0, (x * back)?)], stabilizer, ..Shares::default() })
    }

    /// To where each value comes from. What comes from a constant is the constant's.
    fn route(&self, node: &Node, all: &[Option<Tensor>]) -> Result<Shares> {
        let places = self.trace.active_places(node);
        let moved = back(node, &self.trace.inputs(node)?, &places, all)?;
        let mut bias = vec![0.; self.inputs];
        for arrived in all.iter().flatten() {
            add_to(&mut bias, &self.totals(arrived)?);
        }
        for sent in &moved {
            add_to(&mut bias, &self.totals(&sent.neg()?)?);
        }
        let to = places.into_iter().zip(moved).collect();
        Ok(Shares { to, bias, ..Shares::default() })
    }

    /// xᵢ·(Rᵢ - sᵢ·Σ_j R_j); the constant term of the expansion takes the rest.
    fn through_softmax(&self, node: &Node, softmax: &Softmax, r: &Tensor) -> Result<Shares> {
        let x = self.trace.inputs(node)?.into_iter().next().flatten();
        let (Some(x), false) = (x, softmax.logarithm || softmax.flattens) else {
            return Err(self.refuse(node, no_rule(node)));
        };
        if self.reaches_output(node.outputs[0]) {
            let reason = "the output is a softmax: explain what it is taken of, the logits";
            return Err(self.refuse(node, reason));
        }
        let s = self.trace.get(node.outputs[0])?;
        let rank = x.rank() as isize;
        let axis = if softmax.axis < 0 { rank + softmax.axis } else { softmax.axis } as usize;
        let of_sum = s.broadcast_mul(&r.sum_keepdim(axis)?)?;
        let share = (&x * (r - of_sum)?)?;
        // Where x is -∞, nothing goes.
        let is_open = s.gt(&s.zeros_like()?)?;
        let share = is_open.where_cond(&share, &share.zeros_like()?)?;
        let bias = self.totals(&(r - &share)?)?;
        Ok(Shares { to: vec![(0, share)], bias, ..Shares::default() })
    }

    /// Whether a value is the output, but for its shape.
    fn reaches_output(&self, value: ValueId) -> bool {
        let model = self.trace.model;
        let mut at = value;
        while at != model.output {
            let mut readers = model.readers(at);
            match (readers.next(), readers.next()) {
                (Some(node), None) if only_moves(&node.op) => at = node.outputs[0],
                _ => return false,
            }
        }
        true
    }
}

fn no_rule(node: &Node) -> String {
    format!("no rule is known for the operation {}", node.op.name())
}

/// Whether an operation gives its input's values in other places.
pub(in crate::graph) fn only_moves(op: &Op) -> bool {
    match op {
        Op::Resize(resize) => resize.mode == ResizeMode::Nearest,
        Op::Concat { .. }
        | Op::Split(_)
        | Op::Slice
        | Op::Pad(_)
        | Op::Reshape { .. }
        | Op::Flatten { .. }
        | Op::Transpose { .. }
        | Op::Squeeze
        | Op::Unsqueeze
        | Op::Expand
        | Op::Tile
        | Op::Gather { .. }
        | Op::GatherNd
        | Op::ScatterNd
        | Op::DepthToSpace { .. }
        | Op::SpaceToDepth { .. }
        | Op::Cast(_)
        | Op::Identity => true,
        _ => false,
    }
}
