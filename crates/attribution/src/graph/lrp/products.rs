//! Products of two values that change with the input.

use candle_core::Tensor;
use foresee_graph::{Binary, Node, Op, Unary, ValueId};

use super::Pass;
use super::layer::{add_to, stabilized_ratio};
use super::shares::{Shares, unbroadcast};
use crate::error::Result;
use crate::graph::one_node::back;

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
        match self.factors(node) {
            Factors::FunctionOf(place) | Factors::Gated(place) => whole(place),
            Factors::Alike => {
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

    /// Relevance r through a matrix product of two values: R = a·b/(2·y) for each factor.
    pub(super) fn through_matrix_product(&self, node: &Node, r: &Tensor) -> Result<Shares> {
        let inputs = self.trace.inputs(node)?;
        let y = self.trace.get(node.outputs[0])?;
        let (s, lost) = stabilized_ratio(&(r * 0.5)?, y, self.composite.stabilizer)?;
        let gradients = back(node, &inputs, &[0, 1], &[Some(s)])?;
        let mut shares = Shares { stabilizer: vec![0.; self.inputs], ..Shares::default() };
        let lost = self.by_input(lost);
        for (place, gradient) in gradients.into_iter().enumerate() {
            let Some(input) = &inputs[place] else { continue };
            shares.to.push((place, (input * gradient)?));
            add_to(&mut shares.stabilizer, &lost);
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
            // A hard sigmoid that is written out is one of these only.
            if self.trace.model.gates.contains_key(&at) {
                return true;
            }
            let carries = match &node.op {
                Op::Unary(Unary::Sigmoid | Unary::HardSigmoid { .. }) => return true,
                Op::Softmax(softmax) => return !softmax.logarithm,
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
}
