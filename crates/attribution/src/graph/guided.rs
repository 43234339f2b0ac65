//! Guided backpropagation through a graph.

use std::collections::BTreeMap;

use candle_core::Tensor;
use foresee_graph::{Binary, Node, NodeId, Op, Unary};

use super::GraphModel;
use super::one_node::back;
use super::trace::{Sums, Trace};
use crate::error::{Error, Result, check};
use crate::layers::one_hot;
use crate::tensors::{check_finite, check_input, in_batches};

impl GraphModel {
    /// Guided backpropagation (Springenberg et al., 2015): the gradient, of which each ReLU lets
    /// only the positive part through on the way back. Of x's shape.
    ///
    /// So do the other functions that shut negative numbers out: leaky and parametric ReLU, a clip
    /// from 0, ELU and its kin, GELU, SiLU (also as x·sigmoid(x)), Mish, hard swish, softplus. The
    /// gradient goes through the function first. (Captum guides `torch.nn.ReLU` alone.)
    ///
    /// # Errors
    /// If the graph has none of them, the input does not fit, there is no such output, or the
    /// gradient is not finite.
    pub fn guided_backprop(&self, x: &Tensor, target: usize) -> Result<Tensor> {
        check_input(x)?;
        let silus = self.silus();
        check(
            !silus.is_empty() || self.needed.iter().any(|&id| self.is_rectifier(self.node(id))),
            "nodes",
            format!("{:?}", self.operations()),
            "with at least one ReLU or a function like it",
        )?;
        in_batches(x, self.batch, |x| {
            let gradient = self.guided(&Trace::new(self, x)?, target, &silus)?;
            check_finite(gradient, || "the gradient in the input".into())
        })
    }

    fn guided(
        &self,
        trace: &Trace,
        target: usize,
        silus: &BTreeMap<NodeId, NodeId>,
    ) -> Result<Tensor> {
        let mut sums = Sums::default();
        sums.add(self.output, one_hot(trace.get(self.output)?, target, target)?)?;
        // What a product x·sigmoid(x) sends to x, until the sigmoid's part has come.
        let mut held: BTreeMap<NodeId, Tensor> = BTreeMap::new();
        for id in trace.backwards() {
            let node = self.node(id);
            let (g, places) = (sums.take_outputs(node), trace.active_places(node));
            if g.iter().all(Option::is_none) || places.is_empty() {
                continue;
            }
            let gradients = back(node, &trace.inputs(node)?, &places, &g)?;
            for (&place, gradient) in places.iter().zip(gradients) {
                let Some(value) = node.input(place) else { continue };
                let sigmoid = silus.get(&id).filter(|sigmoid| {
                    // The sigmoid's own result gets the plain gradient.
                    self.node(**sigmoid).outputs[0] != value
                });
                if let Some(&sigmoid) = sigmoid {
                    held.insert(sigmoid, gradient);
                    continue;
                }
                let gradient = match held.remove(&id) {
                    Some(of_product) => (gradient + of_product)?.relu()?,
                    None if self.is_rectifier(node) && place == 0 => gradient.relu()?,
                    None => gradient,
                };
                sums.add(value, gradient)?;
            }
        }
        sums.take(self.input).ok_or(Error::NoGradient("the input"))
    }

    /// Products x·sigmoid(x), each with its sigmoid.
    pub(super) fn silus(&self) -> BTreeMap<NodeId, NodeId> {
        let sigmoid_of = |product: &Node| {
            let &[Some(a), Some(b)] = &product.inputs[..] else { return None };
            [(a, b), (b, a)].into_iter().find_map(|(x, gate)| {
                let node = self.graph.producer(gate)?;
                let sigmoid = self.node(node);
                let is_sigmoid = matches!(sigmoid.op, Op::Unary(Unary::Sigmoid));
                let is_silu = is_sigmoid && sigmoid.input(0) == Some(x);
                (is_silu && self.readers(gate).count() == 1).then_some(node)
            })
        };
        let products = self
            .needed
            .iter()
            .copied()
            .filter(|&id| matches!(self.node(id).op, Op::Binary(Binary::Mul)));
        products.filter_map(|id| Some((id, sigmoid_of(self.node(id))?))).collect()
    }

    /// The operations of the nodes that the output needs, each once.
    fn operations(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.needed.iter().map(|&id| self.node(id).op.name()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether a node shuts negative numbers out.
    fn is_rectifier(&self, node: &Node) -> bool {
        match &node.op {
            Op::Unary(
                Unary::Relu
                | Unary::LeakyRelu(_)
                | Unary::Elu(_)
                | Unary::Celu(_)
                | Unary::Selu { .. }
                | Unary::ThresholdedRelu(_)
                | Unary::Gelu
                | Unary::GeluTanh
                | Unary::Silu
                | Unary::Mish
                | Unary::HardSwish
                | Unary::Softplus,
            )
            | Op::Binary(Binary::PRelu) => true,
            Op::Clip => node.input(1).and_then(|low| self.number(low)) == Some(0.),
            _ => false,
        }
    }
}
