//! Functions x·s(x) that are written as a product of x and a gate of x itself: SiLU, hard swish,
//! GELU, Mish.

use std::collections::BTreeMap;

use foresee_graph::{Binary, Node, NodeId, Op, Unary, ValueId};

use super::GraphModel;

/// A product x·s(x), with s a sigmoid, a hard sigmoid, 1 + erf, 1 + tanh or tanh(softplus), perhaps
/// of x times or plus a constant.
pub(super) struct SelfGated {
    /// The place at which the product reads x.
    pub place: usize,
    /// The nodes that compute s(x), from x on.
    pub gate: Vec<NodeId>,
}

impl GraphModel {
    /// The products x·s(x).
    pub(super) fn self_gated(&self) -> BTreeMap<NodeId, SelfGated> {
        let products = self.needed.iter().copied();
        products.filter_map(|id| Some((id, self.as_self_gated(self.node(id))?))).collect()
    }

    fn as_self_gated(&self, product: &Node) -> Option<SelfGated> {
        let (Op::Binary(Binary::Mul), &[Some(a), Some(b)]) = (&product.op, &product.inputs[..])
        else {
            return None;
        };
        [(0, a, b), (1, b, a)].into_iter().find_map(|(place, x, gate)| {
            Some(SelfGated { place, gate: self.gate_between(x, gate)? })
        })
    }

    /// The nodes from x to a gate of x that nothing else reads.
    fn gate_between(&self, x: ValueId, gate: ValueId) -> Option<Vec<NodeId>> {
        let (mut nodes, mut at, mut opens_and_shuts) = (vec![], gate, false);
        // Seen on the way from the gate to x.
        let (mut moved, mut odd) = (false, false);
        while at != x {
            let id = self.graph.producer(at).filter(|_| self.readers(at).count() == 1)?;
            let node = self.node(id);
            opens_and_shuts |= match &node.op {
                Op::Unary(Unary::Sigmoid | Unary::HardSigmoid { .. }) => true,
                Op::Clip => self.clips_at_zero(node),
                Op::Unary(Unary::Erf | Unary::Tanh) => {
                    odd = true;
                    moved
                }
                Op::Unary(Unary::Softplus) => odd,
                Op::Binary(Binary::Add | Binary::Sub) => {
                    moved = true;
                    false
                }
                Op::Binary(Binary::Mul | Binary::Div) => false,
                _ => return None,
            };
            let is_constant = |id: &ValueId| self.graph.weight(*id).is_some();
            let mut computed = node.inputs.iter().flatten().filter(|id| !is_constant(id));
            let (Some(&before), None) = (computed.next(), computed.next()) else { return None };
            nodes.push(id);
            at = before;
        }
        nodes.reverse();
        opens_and_shuts.then_some(nodes)
    }

    /// Whether a clip's lower bound is 0.
    pub(super) fn clips_at_zero(&self, clip: &Node) -> bool {
        clip.input(1).and_then(|low| self.number(low)) == Some(0.)
    }
}
