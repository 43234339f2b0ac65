//! DeepLIFT through a graph.

mod ratios;
mod statistics;

use std::collections::BTreeSet;

use candle_core::Tensor;
use foresee_graph::{Binary, Node, NodeId, Op, PoolKind, Reduction, Variadic};

use super::GraphModel;
use super::one_node::back;
use super::trace::{Sums, Trace};
use crate::baseline::baseline_like;
use crate::error::{Error, Result};
use crate::layers::one_hot;
use crate::methods::{DeepLift, DeepLiftResult, DeepLiftRule, gate_multiplier};
use crate::tensors::{check_finite, check_input, sum_per_input};
use ratios::{mean, ratio};

const METHOD: &str = "DeepLIFT";

impl GraphModel {
    /// DeepLIFT of output `target` (Shrikumar et al., 2017) by the rescale rule: as
    /// [`deep_lift`](crate::deep_lift()), through every node of a graph.
    ///
    /// * What is linear passes multipliers as it passes gradients: sums, convolutions, average
    ///   pools, whatever moves values.
    /// * Functions of one element have the multiplier Δy/Δx, also as x·sigmoid(x).
    /// * A product of two values gives each the mean of the other's value at x and at the baseline:
    ///   the Shapley values of a product. So do matrix products and quotients.
    /// * Softmax and the norms that compute means of their own are products and quotients of sums.
    ///
    /// The attribution adds up to f(x) - f(x').
    ///
    /// # Errors
    /// If the options ask for reveal-cancel, the baseline does not fit, a node has no rule (the
    /// error names it), there is no such output, or the attribution is not finite.
    pub fn deep_lift(
        &self,
        x: &Tensor,
        target: usize,
        baseline: Option<&Tensor>,
        options: &DeepLift,
    ) -> Result<DeepLiftResult> {
        if options.rule != DeepLiftRule::Rescale || !options.named.is_empty() {
            return Err(Error::Degenerate("DeepLIFT of a graph has the rescale rule alone"));
        }
        check_input(x)?;
        let x = &x.detach().contiguous()?;
        let baseline = baseline_like(x, baseline)?;
        let (mut attributions, mut convergence_delta) = (vec![], vec![]);
        let n = x.dim(0)?;
        for start in (0..n).step_by(self.batch) {
            let rows = self.batch.min(n - start);
            let (x, x0) = (x.narrow(0, start, rows)?, baseline.narrow(0, start, rows)?);
            let (at_x, at_baseline) = (Trace::new(self, &x)?, Trace::new(self, &x0)?);
            let one = one_hot(at_x.get(self.output)?, target, target)?;
            let change = (at_x.get(self.output)? - at_baseline.get(self.output)?)?;
            let expected = sum_per_input(&(change * &one)?)?;
            let multiplier = Pass { at_x, at_baseline }.run(one)?;
            let attribution = (multiplier * (x - x0)?)?;
            let sums = sum_per_input(&attribution)?;
            convergence_delta.extend(sums.iter().zip(expected).map(|(sum, f)| sum - f));
            attributions.push(attribution);
        }
        let attribution =
            check_finite(Tensor::cat(&attributions, 0)?, || "the attribution".into())?;
        Ok(DeepLiftResult { attribution, convergence_delta })
    }
}

/// The values at x and at the baseline.
struct Pass<'a> {
    at_x: Trace<'a>,
    at_baseline: Trace<'a>,
}

impl Pass<'_> {
    /// The multiplier m of the output, back to the input.
    fn run(&self, m: Tensor) -> Result<Tensor> {
        let model = self.at_x.model;
        let silus = model.silus();
        let sigmoids: BTreeSet<NodeId> = silus.values().copied().collect();
        let mut sums = Sums::default();
        sums.add(model.output, m)?;
        for id in self.at_x.backwards() {
            let (node, is_silu) = (model.node(id), silus.contains_key(&id));
            let m = sums.take_outputs(node);
            let places = self.at_x.active_places(node);
            if m.iter().all(Option::is_none) || places.is_empty() || sigmoids.contains(&id) {
                continue;
            }
            let found = match &m[..] {
                [Some(m)] if is_silu => vec![self.through_silu(node, silus[&id], m)?],
                _ => self.through(node, &places, &m)?,
            };
            for (place, multiplier) in found {
                if let Some(value) = node.input(place) {
                    sums.add(value, multiplier)?;
                }
            }
        }
        sums.take(model.input).ok_or(Error::NoGradient("the input"))
    }

    /// The multipliers of what a node reads, by place.
    fn through(
        &self,
        node: &Node,
        places: &[usize],
        all: &[Option<Tensor>],
    ) -> Result<Vec<(usize, Tensor)>> {
        let one = |place: usize, m: Tensor| Ok(vec![(place, m)]);
        let [first, ..] = all else { return Ok(vec![]) };
        let (true, Some(m)) = (node.outputs.len() == 1, first) else {
            return self.linear(node, places, all);
        };
        let at_zero = places == [0];
        match &node.op {
            Op::Unary(_) | Op::Clip if at_zero => one(0, self.rescale(node, 0, m)?),
            Op::Binary(Binary::Mul) | Op::MatMul if places.len() == 2 => self.product(node, m),
            Op::Binary(Binary::Div) if places == [0, 1] => self.quotient(node, m),
            Op::Binary(Binary::Add | Binary::Sub | Binary::Mul) => self.linear(node, places, all),
            Op::Binary(Binary::Div) if at_zero => self.linear(node, places, all),
            Op::Binary(Binary::Div | Binary::Pow | Binary::PRelu) | Op::Variadic(_)
                if places.len() == 1 =>
            {
                one(places[0], self.rescale(node, places[0], m)?)
            }
            Op::Variadic(Variadic::Sum | Variadic::Mean) => self.linear(node, places, all),
            Op::Pool(pool) if pool.kind == PoolKind::Max => one(0, self.maximum(node, m)?),
            Op::GlobalPool(PoolKind::Max) => one(0, self.maximum(node, m)?),
            Op::Reduce(reduce) if reduce.kind == Reduction::Max => one(0, self.maximum(node, m)?),
            Op::Reduce(reduce) if !matches!(reduce.kind, Reduction::Mean | Reduction::Sum) => {
                Err(no_rule(node))
            }
            Op::Softmax(softmax) if !softmax.logarithm && !softmax.flattens => {
                one(0, self.softmax(node, softmax.axis, m)?)
            }
            Op::LayerNorm { .. } | Op::GroupNorm { .. } | Op::InstanceNorm { .. } if at_zero => {
                one(0, self.norm(node, m)?)
            }
            Op::AttentionMasks(rows) if at_zero => {
                let (z, z0) = self.both(node, 0)?;
                let inputs = self.at_x.inputs(node)?;
                let [_, Some(weight), Some(bias)] = &inputs[..] else { return Err(no_rule(node)) };
                one(0, gate_multiplier(&z, &z0, weight, bias, rows, m)?)
            }
            Op::Conv(_)
            | Op::ConvTranspose(_)
            | Op::Gemm(_)
            | Op::MatMul
            | Op::Readout
            | Op::BatchNorm { .. }
                if places.len() == 1 =>
            {
                self.linear(node, places, all)
            }
            Op::Pool(_) | Op::GlobalPool(_) | Op::Reduce(_) | Op::Resize(_) => {
                self.linear(node, places, all)
            }
            op if super::lrp::only_moves(op) => self.linear(node, places, all),
            _ => Err(no_rule(node)),
        }
    }

    /// What is linear: as the gradient.
    fn linear(
        &self,
        node: &Node,
        places: &[usize],
        m: &[Option<Tensor>],
    ) -> Result<Vec<(usize, Tensor)>> {
        let found = back(node, &self.at_x.inputs(node)?, places, m)?;
        Ok(places.iter().copied().zip(found).collect())
    }

    /// A node's input at x and at the baseline.
    fn both(&self, node: &Node, place: usize) -> Result<(Tensor, Tensor)> {
        match node.input(place) {
            Some(id) => Ok((self.at_x.get(id)?.clone(), self.at_baseline.get(id)?.clone())),
            None => Err(no_rule(node)),
        }
    }

    /// By how much a node's result differs from the baseline's.
    fn output_change(&self, node: &Node) -> Result<Tensor> {
        let id = node.outputs[0];
        Ok((self.at_x.get(id)? - self.at_baseline.get(id)?)?)
    }

    /// Each factor by the mean of the other one.
    fn product(&self, node: &Node, m: &Tensor) -> Result<Vec<(usize, Tensor)>> {
        let mut found = vec![];
        for place in [0, 1] {
            let mut inputs = self.at_x.inputs(node)?;
            let (other, other0) = self.both(node, 1 - place)?;
            inputs[1 - place] = Some(mean(&other, &other0)?);
            let gradient = back(node, &inputs, &[place], &[Some(m.clone())])?.swap_remove(0);
            found.push((place, gradient));
        }
        Ok(found)
    }

    /// Through x·sigmoid(x).
    fn through_silu(&self, node: &Node, sigmoid: NodeId, m: &Tensor) -> Result<(usize, Tensor)> {
        let x = self.at_x.model.node(sigmoid).input(0);
        let place = usize::from(node.input(0) != x);
        let (x, x0) = self.both(node, place)?;
        let open = self.at_x.get(self.at_x.model.node(sigmoid).outputs[0])?;
        // s + x·s·(1 - s)
        let derivative = (open * (1. + (&x * (1. - open)?)?)?)?;
        let ratio = ratio(&self.output_change(node)?, &(x - x0)?, &derivative)?;
        Ok((place, (m * ratio)?))
    }
}

fn no_rule(node: &Node) -> Error {
    let reason = format!("no rule is known for the operation {} here", node.op.name());
    Error::Layer { method: METHOD, layer: node.name.clone(), reason }
}
