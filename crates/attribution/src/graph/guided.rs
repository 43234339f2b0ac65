//! Guided backpropagation through a graph.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::Tensor;
use foresee_graph::{Binary, NodeId, Op, Unary};

use super::GraphModel;
use super::one_node::back;
use super::self_gated::SelfGated;
use super::trace::{Sums, Trace, one_hot};
use crate::error::{Error, Result, check};
use crate::tensors::{check_finite, check_input, in_batches};

impl GraphModel {
    /// Guided backpropagation (Springenberg et al., 2015): the gradient, of which each ReLU lets
    /// only the positive part through on the way back. Of x's shape.
    ///
    /// So do the other functions that shut negative numbers out: leaky and parametric ReLU, a clip
    /// from 0 that is no part of a gate, ELU and its kin, GELU, SiLU, hard swish and Mish (also
    /// written as products), softplus. The gradient goes through the function first.
    /// (Captum guides `torch.nn.ReLU` alone.)
    ///
    /// # Errors
    /// If the graph has none of them, the input does not fit, there is no such output, or the
    /// gradient is not finite.
    pub fn guided_backprop(&self, x: &Tensor, target: usize) -> Result<Tensor> {
        check_input(x)?;
        let rectifiers = Rectifiers::new(self);
        check(
            !rectifiers.is_empty(),
            "nodes",
            format!("{:?}", self.operations()),
            "with at least one ReLU or a function like it",
        )?;
        let (model, column) = self.of_one_output(target)?;
        in_batches(x, self.batch, |x| {
            let gradient = model.guided(&Trace::new(&model, x)?, column, target, &rectifiers)?;
            check_finite(gradient, || "the gradient in the input".into())
        })
    }

    fn guided(
        &self,
        trace: &Trace,
        column: usize,
        target: usize,
        rectifiers: &Rectifiers,
    ) -> Result<Tensor> {
        let mut sums = Sums::default();
        sums.add(self.output, one_hot(trace.get(self.output)?, column, target)?)?;
        // What a product x·s(x) sends to x, until the gate's part has come.
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
                // The gate's own result gets the plain gradient.
                if let Some(of) = rectifiers.products.get(&id).filter(|of| of.place == place) {
                    held.insert(of.gate[0], gradient);
                    continue;
                }
                let gradient = match held.remove(&id) {
                    Some(of_product) => (gradient + of_product)?.relu()?,
                    None if rectifiers.nodes.contains(&id) && place == 0 => gradient.relu()?,
                    None => gradient,
                };
                sums.add(value, gradient)?;
            }
        }
        sums.take(self.input).ok_or(Error::NoGradient("the input"))
    }

    /// The operations of the nodes that the output needs, each once.
    fn operations(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.needed.iter().map(|&id| self.node(id).op.name()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// What shuts negative numbers out.
struct Rectifiers {
    nodes: BTreeSet<NodeId>,
    /// Products x·s(x).
    products: BTreeMap<NodeId, SelfGated>,
}

impl Rectifiers {
    fn new(model: &GraphModel) -> Self {
        let products = model.self_gated();
        // A clip that makes a gate is no activation.
        let mut in_gates: BTreeSet<NodeId> =
            products.values().flat_map(|of| of.gate.iter().copied()).collect();
        for &node in model.gates.values() {
            let inputs = model.node(node).inputs.iter().flatten();
            in_gates.extend(inputs.filter_map(|&id| model.graph.producer(id)));
        }
        let is_rectifier = |id: &NodeId| match &model.node(*id).op {
            Op::Clip => !in_gates.contains(id) && model.clips_at_zero(model.node(*id)),
            op => rectifies(op),
        };
        let nodes = model.needed.iter().copied().filter(is_rectifier).collect();
        Self { nodes, products }
    }

    fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.products.is_empty()
    }
}

fn rectifies(op: &Op) -> bool {
    matches!(
        op,
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
                | Unary::Softplus
        ) | Op::Binary(Binary::PRelu)
    )
}
