//! DeepLIFT through a graph.

mod gate;
mod multipliers;
mod ratios;
mod reveal_cancel;
mod statistics;

use std::collections::{BTreeMap, BTreeSet};

use candle_core::Tensor;
use foresee_graph::{Binary, Node, NodeId, Op, PoolKind, Reduction, ValueId, Variadic};

use super::GraphModel;
use super::linear::LinearNode;
use super::one_node::back;
use super::trace::{Trace, one_hot};
use crate::baseline::baseline_like;
use crate::error::{Error, Result};
use crate::methods::{DeepLift, DeepLiftResult};
use crate::tensors::{batches, check_finite, check_input, sum_per_input};
use multipliers::Multipliers;
use ratios::mean;

const METHOD: &str = "DeepLIFT";

impl GraphModel {
    /// DeepLIFT of output `target` (Shrikumar et al., 2017): (x - x') ⊗ m for a baseline x', in
    /// which m are the multipliers of the nodes' differences, chained from the output back. The
    /// attribution adds up to f(x) - f(x'). `baseline` as in
    /// [`integrated_gradients`](crate::integrated_gradients()).
    ///
    /// * ReLUs have the rule of the options.
    /// * What is linear passes multipliers as it passes gradients: sums, convolutions, average
    ///   pools, whatever moves values.
    /// * Functions of one element have the multiplier Δy/Δx, also as x·sigmoid(x) or x·(1 + erf x).
    ///   Where Δx is
    ///   less than rounding allows, it is the derivative: of a ReLU and its like below 1e-10, as in
    ///   Captum; of a smooth function, the mean of those at x and the baseline, below the cube root
    ///   of the numbers' epsilon.
    /// * A maximum's Δx must be at least 1e-7, as in Captum, or in `f32` the root of epsilon.
    /// * A product of two values gives each the mean of the other's value at x and at the baseline:
    ///   the Shapley values of a product. So do matrix products and quotients.
    /// * Softmax and the norms that compute means of their own are products and quotients of sums.
    /// * The paper's masks M ⊗ z are such a product (shap's `DeepExplainer` has the same rule).
    ///
    /// In Captum a multiplier of a maximum's input without a difference is that of the first input
    /// of the batch; here it is its own.
    ///
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use foresee_attribution::{DeepLift, Layers};
    ///
    /// // f(x) = max(x₀ + x₁ - 1, 0).
    /// let weight = Tensor::new(&[[1f64, 1.]], &Device::Cpu)?;
    /// let bias = Tensor::new(&[-1f64], &Device::Cpu)?;
    /// let layers = Layers::new().linear("sum", &weight, Some(&bias))?.relu("relu")?;
    /// // From 0 to x the ReLU's input goes from -1 to 1, and f from 0 to 1: a multiplier of 1/2.
    /// let x = Tensor::new(&[[1f64, 1.]], &Device::Cpu)?;
    /// let found = layers.model()?.deep_lift(&x, 0, None, &DeepLift::default())?;
    /// assert_eq!(found.attribution.to_vec2::<f64>()?, [[0.5, 0.5]]);
    /// assert_eq!(found.convergence_delta, [0.]);
    /// # Ok::<(), foresee_attribution::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a rule is for a node that is no ReLU or not there, the baseline does not fit, a node has
    /// no rule (the error names it), there is no such output, or the attribution is not finite.
    pub fn deep_lift(
        &self,
        x: &Tensor,
        target: usize,
        baseline: Option<&Tensor>,
        options: &DeepLift,
    ) -> Result<DeepLiftResult> {
        self.check_rules(options)?;
        check_input(x)?;
        let x = &x.detach().contiguous()?;
        let baseline = baseline_like(x, baseline)?;
        let (model, column) = self.of_one_output(target)?;
        let (mut attributions, mut convergence_delta) = (vec![], vec![]);
        let pairs = batches(x, self.batch)?.into_iter().zip(batches(&baseline, self.batch)?);
        for (x, x0) in pairs {
            let (at_x, at_baseline) = (Trace::new(&model, &x)?, Trace::new(&model, &x0)?);
            let one = one_hot(at_x.get(self.output)?, column, target)?;
            let pass = Pass { at_x, at_baseline, options };
            let expected = sum_per_input(&(pass.change(self.output)? * &one)?)?;
            let attribution = (pass.run(one)? * (x - x0)?)?;
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
    options: &'a DeepLift,
}

impl Pass<'_> {
    /// The multiplier m of the output, back to the input.
    fn run(&self, m: Tensor) -> Result<Tensor> {
        let model = self.at_x.model;
        let products = model.self_gated();
        let gates: BTreeSet<NodeId> =
            products.values().flat_map(|of| of.gate.iter().copied()).collect();
        let mut sums = Sums::default();
        sums.add(model.output, Multipliers::One(m))?;
        for id in self.at_x.backwards() {
            let node = model.node(id);
            let m: Vec<_> = node.outputs.iter().map(|&id| sums.0.remove(&id)).collect();
            let places = self.at_x.active_places(node);
            if m.iter().all(Option::is_none) || places.is_empty() || gates.contains(&id) {
                continue;
            }
            let found = match (&m[..], products.get(&id)) {
                ([Some(m)], Some(of)) => {
                    vec![(of.place, m.map(|m| self.self_gated(node, of, m))?)]
                }
                ([Some(m)], None) => self.through_parts(node, &places, m)?,
                _ => self.through_merged(node, &places, &m)?,
            };
            for (place, multiplier) in found {
                if let Some(value) = node.input(place) {
                    sums.add(value, multiplier)?;
                }
            }
        }
        let m = sums.0.remove(&model.input).ok_or(Error::NoGradient("the input"))?;
        m.merged(|| self.change(model.input))
    }

    /// The multipliers of what a node reads, by place, where those of positive and of negative
    /// differences may stay apart.
    fn through_parts(
        &self,
        node: &Node,
        places: &[usize],
        m: &Multipliers,
    ) -> Result<Vec<(usize, Multipliers)>> {
        if self.reveals(node) {
            return Ok(vec![(0, self.reveal_cancel(node, m)?)]);
        }
        let &Multipliers::Two { .. } = m else {
            return self.through_merged(node, places, &[Some(m.clone())]);
        };
        if let Some(linear) = LinearNode::new(&self.at_x, node)? {
            let found = self.by_contribution(&linear, m)?;
            return Ok(found.map(|m| (linear.place(), m)).into_iter().collect());
        }
        let back = |m: &Tensor| -> Result<Tensor> {
            Ok(self.through(node, places, &[Some(m.clone())])?.swap_remove(0).1)
        };
        match places {
            [place] if reveal_cancel::is_relu(node) || self.keeps_signs(node) => {
                Ok(vec![(*place, m.map(back)?)])
            }
            _ => self.through_merged(node, places, &[Some(m.clone())]),
        }
    }

    fn through_merged(
        &self,
        node: &Node,
        places: &[usize],
        m: &[Option<Multipliers>],
    ) -> Result<Vec<(usize, Multipliers)>> {
        let merge = |(m, &id): (&Option<Multipliers>, &ValueId)| {
            m.as_ref().map(|m| m.merged(|| self.change(id))).transpose()
        };
        let m = m.iter().zip(&node.outputs).map(merge).collect::<Result<Vec<_>>>()?;
        let found = self.through(node, places, &m)?;
        Ok(found.into_iter().map(|(place, m)| (place, Multipliers::One(m))).collect())
    }

    /// By how much a value differs from the baseline's.
    fn change(&self, id: ValueId) -> Result<Tensor> {
        Ok((self.at_x.get(id)? - self.at_baseline.get(id)?)?)
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
            Op::AttentionMasks(rows) if at_zero => one(0, self.gate(node, rows, m)?),
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
        self.change(node.outputs[0])
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
}

/// The sum of the multipliers of each value.
#[derive(Default)]
struct Sums(BTreeMap<ValueId, Multipliers>);

impl Sums {
    fn add(&mut self, id: ValueId, m: Multipliers) -> Result<()> {
        let sum = match self.0.remove(&id) {
            Some(sum) => sum.add(&m)?,
            None => m,
        };
        self.0.insert(id, sum);
        Ok(())
    }
}

fn no_rule(node: &Node) -> Error {
    let reason = format!("no rule is known for the operation {} here", node.op.name());
    Error::Layer { method: METHOD, layer: node.name.clone(), reason }
}
