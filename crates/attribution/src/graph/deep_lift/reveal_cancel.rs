//! Reveal-cancel (section 3.5.3 of the paper): positive and negative contributions apart.

use candle_core::Tensor;
use foresee_graph::{Binary, Node, Op, PoolKind, Reduction, ResizeMode, Unary, ValueId};

use super::Pass;
use super::multipliers::{Multipliers, by_sign, parts};
use super::ratios::{mean, none, ratio};
use crate::error::{Error, Result};
use crate::graph::GraphModel;
use crate::graph::linear::LinearNode;
use crate::graph::lrp::only_moves;
use crate::graph::one_node;
use crate::methods::{DeepLift, DeepLiftRule};

/// Multipliers of a ReLU's Δx⁺ and Δx⁻, and its Δy⁺ and Δy⁻.
struct Parts {
    of_increase: Tensor,
    of_decrease: Tensor,
    y_increase: Tensor,
    y_decrease: Tensor,
}

/// Whether a node is a ReLU, which has a choice of rules.
pub(super) fn is_relu(node: &Node) -> bool {
    matches!(node.op, Op::Unary(Unary::Relu | Unary::LeakyRelu(_)))
}

impl GraphModel {
    /// Refuses rules for what is no ReLU.
    pub(super) fn check_rules(&self, options: &DeepLift) -> Result<()> {
        for (name, _) in &options.named {
            let found = self.graph.find_node(name);
            let node = found.map_err(|_| self.no_node(name)).map(|id| self.node(id))?;
            if !is_relu(node) {
                let reason = "it is no ReLU: only these have a choice of rules".into();
                return Err(Error::Layer { method: super::METHOD, layer: name.clone(), reason });
            }
        }
        Ok(())
    }
}

impl Pass<'_> {
    /// Whether the rule is for a node.
    pub(super) fn reveals(&self, node: &Node) -> bool {
        is_relu(node) && self.options.rule(&node.name) == DeepLiftRule::RevealCancel
    }

    /// Multipliers through a ReLU.
    pub(super) fn reveal_cancel(&self, node: &Node, m: &Multipliers) -> Result<Multipliers> {
        let found = self.parts_of_relu(node)?;
        let (positive, negative) = m.pair();
        Ok(Multipliers::Two {
            positive: (positive * found.of_increase)?,
            negative: (negative * found.of_decrease)?,
        })
    }

    /// The linear rule (section 3.5.1): a contribution w·Δx above 0 takes the multiplier of the
    /// positive part of the output, one below 0 that of the negative part.
    pub(super) fn by_contribution(
        &self,
        linear: &LinearNode,
        m: &Multipliers,
    ) -> Result<Option<Multipliers>> {
        let (Multipliers::Two { positive, negative }, Some(weights), Some(x)) =
            (m, linear.weights(), linear.x())
        else {
            return Ok(None);
        };
        let (w_plus, w_minus) = parts(weights)?;
        let back = |m: &Tensor, weights: &Tensor| linear.transposed(m, weights);
        let of_increase = (back(positive, &w_plus)? + back(negative, &w_minus)?)?;
        let of_decrease = (back(negative, &w_plus)? + back(positive, &w_minus)?)?;
        let change = (x - linear.x_of(&self.at_baseline)?)?;
        Ok(Some(Multipliers::One(by_sign(&change, &of_increase, &of_decrease)?)))
    }

    fn parts_of_relu(&self, node: &Node) -> Result<Parts> {
        let (x, x0) = self.both(node, 0)?;
        let (increase, decrease) = match node.input(0) {
            Some(id) => self.signed_changes(id)?,
            None => parts(&(&x - &x0)?)?,
        };
        let relu =
            |x: &Tensor| -> Result<Tensor> { Ok(node.run(&[Some(x.clone())])?.swap_remove(0)) };
        let slope = |x: &Tensor| -> Result<Tensor> {
            let ones = [Some(x.ones_like()?)];
            Ok(one_node::back(node, &[Some(x.clone())], &[0], &ones)?.swap_remove(0))
        };
        let (up, down) = ((&x0 + &increase)?, (&x0 + &decrease)?);
        let (y, y0, y_up, y_down) = (relu(&x)?, relu(&x0)?, relu(&up)?, relu(&down)?);
        let y_increase = mean(&(&y_up - &y0)?, &(&y - &y_down)?)?;
        let y_decrease = mean(&(&y_down - &y0)?, &(&y - &y_up)?)?;
        let at_increase = mean(&slope(&x0)?, &slope(&down)?)?;
        let at_decrease = mean(&slope(&x0)?, &slope(&up)?)?;
        let least = none(&x)?;
        Ok(Parts {
            of_increase: ratio(&y_increase, &increase, &at_increase, &least)?,
            of_decrease: ratio(&y_decrease, &decrease, &at_decrease, &least)?,
            y_increase,
            y_decrease,
        })
    }

    /// The positive and the negative contributions to the difference of a value. Where what
    /// computes it has no rule that tells them apart, a difference is all positive or all negative.
    fn signed_changes(&self, value: ValueId) -> Result<(Tensor, Tensor)> {
        let all = || parts(&(self.at_x.get(value)? - self.at_baseline.get(value)?)?);
        let Some(node) = self.at_x.model.producer(value) else { return all() };
        if let Some(linear) = LinearNode::new(&self.at_x, node)? {
            let (Some(x), Some(weights)) = (linear.x(), linear.weights()) else { return all() };
            let (up, down) = parts(&(x - linear.x_of(&self.at_baseline)?)?)?;
            let (w_plus, w_minus) = parts(weights)?;
            let increase = (linear.apply(&up, &w_plus)? + linear.apply(&down, &w_minus)?)?;
            let decrease = (linear.apply(&up, &w_minus)? + linear.apply(&down, &w_plus)?)?;
            return Ok((increase, decrease));
        }
        let &[place] = &self.at_x.active_places(node)[..] else { return all() };
        let Some(input) = node.input(place) else { return all() };
        if is_relu(node) {
            return match self.reveals(node) {
                true => self.parts_of_relu(node).map(|of| (of.y_increase, of.y_decrease)),
                false => self.rescaled_parts(node, input),
            };
        }
        if !self.keeps_signs(node) {
            return all();
        }
        let at = |part: Tensor| -> Result<Tensor> {
            let mut inputs = self.at_x.inputs(node)?;
            inputs[place] = Some(part);
            Ok(node.run(&inputs)?.swap_remove(0))
        };
        let (up, down) = self.signed_changes(input)?;
        // What it gives of nothing is its constant, such as the border of a padding.
        let constant = at(up.zeros_like()?)?;
        Ok(((at(up)? - &constant)?, (at(down)? - constant)?))
    }

    /// Whether a node gives sums, with weights of at least 0, of only one of its inputs: its
    /// positive contributions are those of the input, moved, averaged, or beside a constant.
    pub(super) fn keeps_signs(&self, node: &Node) -> bool {
        let (&[place], 1) = (&self.at_x.active_places(node)[..], node.outputs.len()) else {
            return false;
        };
        match &node.op {
            Op::Pool(pool) => pool.kind == PoolKind::Average,
            Op::GlobalPool(kind) => *kind == PoolKind::Average,
            Op::Reduce(reduce) => matches!(reduce.kind, Reduction::Mean | Reduction::Sum),
            Op::Resize(resize) => {
                matches!(resize.mode, ResizeMode::Linear | ResizeMode::Nearest)
            }
            Op::Binary(Binary::Add) => true,
            Op::Binary(Binary::Sub) => place == 0,
            op => only_moves(op),
        }
    }

    /// Δy⁺ and Δy⁻ of a ReLU with the rescale rule.
    fn rescaled_parts(&self, node: &Node, input: ValueId) -> Result<(Tensor, Tensor)> {
        let ones = self.at_x.get(node.outputs[0])?.ones_like()?;
        let ratio = self.rescale(node, 0, &ones)?;
        let (increase, decrease) = self.signed_changes(input)?;
        Ok(((increase * &ratio)?, (decrease * ratio)?))
    }
}
