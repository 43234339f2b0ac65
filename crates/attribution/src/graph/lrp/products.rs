//! Products of two values that change with the input.

use candle_core::Tensor;
use foresee_graph::{Binary, Node, Op, Unary, ValueId};

use super::Pass;
use super::shares::{Shares, unbroadcast};
use crate::error::Result;
use crate::graph::one_node::back;
use crate::methods::{ProductRule, stabilized_ratio};

/// Which of two factors is the signal.
enum Factors {
    /// The product is a function of each element of the factor at this place, such as x·sigmoid(x).
    FunctionOf(usize),
    /// The factor at this place is the signal, and the other one a gate.
    Gated(usize),
    /// Neither is a gate.
    Alike,
}

impl Pass<'_> {
    /// Relevance r through a·b of each element.
    pub(super) fn through_product(&self, node: &Node, r: &Tensor) -> Result<Shares> {
        let whole = |place: usize| -> Result<Shares> {
            let Some(id) = node.input(place) else { return Ok(Shares::default()) };
            Ok(Shares::one(place, unbroadcast(r, self.trace.get(id)?)?))
        };
        match (self.factors(node), self.composite.gate) {
            (Factors::FunctionOf(place), _) | (Factors::Gated(place), ProductRule::Signal) => {
                whole(place)
            }
            _ => {
                let half = (r * 0.5)?;
                let mut shares = Shares::default();
                for place in [0, 1] {
                    let Some(id) = node.input(place) else { continue };
                    shares.to.push((place, unbroadcast(&half, self.trace.get(id)?)?));
                }
                Ok(shares)
            }
        }
    }

    /// Relevance r through a matrix product of two values: R = a·b/(2·y) for each factor, or all
    /// for the signal.
    pub(super) fn through_matrix_product(&self, node: &Node, r: &Tensor) -> Result<Shares> {
        let inputs = self.trace.inputs(node)?;
        let y = self.trace.get(node.outputs[0])?;
        let places = match (self.factors(node), self.composite.attention) {
            (Factors::Gated(place), ProductRule::Signal) => vec![place],
            _ => vec![0, 1],
        };
        let part = (r / places.len() as f64)?;
        let (s, lost) = stabilized_ratio(&part, y, self.composite.stabilizer)?;
        let gradients = back(node, &inputs, &places, &[Some(s)])?;
        let mut shares = Shares::default();
        for (&place, gradient) in places.iter().zip(gradients) {
            let Some(input) = &inputs[place] else { continue };
            shares.to.push((place, (input * gradient)?));
            shares.stabilizer += lost.iter().sum::<f64>();
        }
        Ok(shares)
    }

    fn factors(&self, node: &Node) -> Factors {
        let (Some(a), Some(b)) = (node.input(0), node.input(1)) else { return Factors::Alike };
        let ((from_a, steps_a), (from_b, steps_b)) = (self.argument(a), self.argument(b));
        if from_a == from_b && steps_a != steps_b {
            return Factors::FunctionOf(usize::from(steps_a > steps_b));
        }
        match (self.is_gate(a), self.is_gate(b)) {
            (false, true) => Factors::Gated(0),
            (true, false) => Factors::Gated(1),
            _ => Factors::Alike,
        }
    }

    /// The value of whose elements a value is a function, and in how many steps.
    fn argument(&self, value: ValueId) -> (ValueId, usize) {
        let (mut at, mut steps) = (value, 0);
        while let Some(node) = self.trace.model.producer(at) {
            let is_elementwise = matches!(node.op, Op::Unary(_) | Op::Binary(_) | Op::Clip);
            let (true, &[place]) = (is_elementwise, &self.trace.active_places(node)[..]) else {
                break;
            };
            let Some(before) = node.input(place) else { break };
            (at, steps) = (before, steps + 1);
        }
        (at, steps)
    }

    /// Whether a value is a sigmoid, a hard sigmoid or a softmax, perhaps moved, or times or plus a
    /// constant.
    fn is_gate(&self, value: ValueId) -> bool {
        let mut at = value;
        while let Some(node) = self.trace.model.producer(at) {
            let carries = match &node.op {
                Op::Unary(Unary::Sigmoid | Unary::HardSigmoid { .. }) => return true,
                Op::Softmax(softmax) => return !softmax.logarithm,
                Op::Clip => return self.clips_to_one(node),
                Op::Binary(Binary::Mul | Binary::Div | Binary::Add) => true,
                op => super::rules::only_moves(op),
            };
            let (true, &[place]) = (carries, &self.trace.active_places(node)[..]) else {
                return false;
            };
            let Some(before) = node.input(place) else { return false };
            at = before;
        }
        false
    }

    /// Whether a clip is from 0 to a positive number, as in max(0, min(6, x + 3))/6.
    fn clips_to_one(&self, node: &Node) -> bool {
        let bound = |place| node.input(place).and_then(|id| self.trace.model.number(id));
        bound(1) == Some(0.) && bound(2).is_some_and(|high| high > 0.)
    }
}
