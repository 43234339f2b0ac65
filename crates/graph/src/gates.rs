//! Gates: values from 0 to 1 that another value is multiplied by. Squeeze-and-excitation and
//! attention branches have them.

use crate::graph::{Graph, Node, NodeId, ValueId};
use crate::op::{Binary, Op, Unary};

/// A value from 0 to 1 that decides how much of another value goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// The node that computes it.
    pub node: NodeId,
    /// What the node computes: the gate.
    pub value: ValueId,
    /// The function that makes it.
    pub kind: GateKind,
    /// The node that multiplies by it.
    pub product: NodeId,
}

/// What makes a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GateKind {
    /// 1/(1 + e⁻ˣ).
    Sigmoid,
    /// max(0, min(1, α·x + β)).
    HardSigmoid,
    /// eˣ over the sum of them: gates that share 1.
    Softmax,
}

impl GateKind {
    /// The name in tables and files.
    pub fn id(self) -> &'static str {
        match self {
            Self::Sigmoid => "sigmoid",
            Self::HardSigmoid => "hard_sigmoid",
            Self::Softmax => "softmax",
        }
    }
}

impl Graph {
    /// The gates of a network, in the order of their nodes.
    ///
    /// A gate is the result of a sigmoid, a hard sigmoid or a softmax that multiplies another
    /// value, perhaps after it was reshaped, or, for a softmax, in a matrix product.
    /// x·sigmoid(x) is an activation (SiLU) and no gate, also where x is scaled, moved or clipped
    /// on its way into the sigmoid; a probability that the network gives is none either. The
    /// paper's masks are multiplied within the node that computes them ([`Op::AttentionMasks`]):
    /// they are no value of the graph, and so not among its gates. In the file that
    /// [`to_onnx`](Self::to_onnx) writes of all of them they are, and are found.
    ///
    /// ```
    /// use foresee_graph::{Binary, Builder, GateKind, Op, Unary};
    ///
    /// let mut builder = Builder::new();
    /// let x = builder.input("x", vec![None, Some(2)])?;
    /// let s = builder.input("s", vec![None, Some(2)])?;
    /// let gate = builder.node("gate", Op::Unary(Unary::Sigmoid), &[s])?;
    /// let gated = builder.node("gated", Op::Binary(Binary::Mul), &[x, gate])?;
    /// // SiLU is no gate.
    /// let sigmoid = builder.node("sigmoid", Op::Unary(Unary::Sigmoid), &[gated])?;
    /// let silu = builder.node("silu", Op::Binary(Binary::Mul), &[gated, sigmoid])?;
    /// let graph = builder.finish(vec![silu])?;
    /// let gates = graph.gates();
    /// assert_eq!((gates.len(), gates[0].value, gates[0].kind), (1, gate, GateKind::Sigmoid));
    /// # Ok::<(), foresee_graph::Error>(())
    /// ```
    pub fn gates(&self) -> Vec<Gate> {
        self.nodes().filter_map(|(id, _)| self.gate(id)).collect()
    }

    fn gate(&self, id: NodeId) -> Option<Gate> {
        let node = self.node(id);
        let kind = self.gate_kind(id)?;
        let (value, arguments) = (*node.outputs.first()?, self.arguments(node));
        let mut carriers = vec![value];
        while let Some(carrier) = carriers.pop() {
            for (reader, _) in self.readers(carrier) {
                let of = self.node(reader);
                match &of.op {
                    op if only_moves(op) => carriers.extend(&of.outputs),
                    // 1 + M, as attention branches add it, or 2·M.
                    Op::Binary(Binary::Add | Binary::Mul) if self.has_scalar(of) => {
                        carriers.extend(&of.outputs);
                    }
                    Op::Binary(Binary::Mul) if self.multiplies_another(of, carrier, &arguments) => {
                        return Some(Gate { node: id, value, kind, product: reader });
                    }
                    Op::MatMul if kind == GateKind::Softmax => {
                        return Some(Gate { node: id, value, kind, product: reader });
                    }
                    _ => {}
                }
            }
        }
        None
    }

    /// What kind of gate the node's result could be.
    fn gate_kind(&self, id: NodeId) -> Option<GateKind> {
        match &self.node(id).op {
            Op::Unary(Unary::Sigmoid) => Some(GateKind::Sigmoid),
            Op::Unary(Unary::HardSigmoid { .. }) => Some(GateKind::HardSigmoid),
            Op::Softmax(softmax) if !softmax.logarithm => Some(GateKind::Softmax),
            Op::Binary(Binary::Div | Binary::Mul) if self.is_hard_sigmoid(id) => {
                Some(GateKind::HardSigmoid)
            }
            _ => None,
        }
    }

    /// Whether a node is the last of clip(x + 3, 0, 6)/6, as exporters write the hard sigmoid.
    fn is_hard_sigmoid(&self, id: NodeId) -> bool {
        let node = self.node(id);
        let [Some(x), Some(by)] = node.inputs[..] else { return false };
        let (clipped, scale) = if self.weight(by).is_some() { (x, by) } else { (by, x) };
        let clip = self.producer(clipped).map(|clip| self.node(clip));
        let Some(clip) = clip.filter(|clip| matches!(clip.op, Op::Clip)) else { return false };
        let number = |id| self.scalar(id);
        let bound = |place| clip.input(place).and_then(number);
        let factor = match node.op {
            Op::Binary(Binary::Div) => number(scale).map(|divisor| 1. / divisor),
            _ => number(scale),
        };
        let (Some(low), Some(high), Some(factor)) = (bound(1), bound(2), factor) else {
            return false;
        };
        low == 0. && (high * factor - 1.).abs() < 1e-6
    }

    /// Whether an input of a node is a weight of one element.
    fn has_scalar(&self, node: &Node) -> bool {
        node.inputs.iter().flatten().any(|&id| self.scalar(id).is_some())
    }

    /// The gate's argument, and the values of which it is a function, element by element and the
    /// same for all of them.
    fn arguments(&self, gate: &Node) -> Vec<ValueId> {
        if let Op::Softmax(_) = gate.op {
            return gate.input(0).into_iter().collect();
        }
        let computed = |node: &Node| {
            let mut inputs = node.inputs.iter().flatten().filter(|id| self.scalar(**id).is_none());
            inputs.next().copied().filter(|_| inputs.next().is_none())
        };
        let is_by_element = |node: &&Node| {
            matches!(
                node.op,
                Op::Binary(Binary::Add | Binary::Sub | Binary::Mul | Binary::Div)
                    | Op::Clip
                    | Op::Identity
                    | Op::Cast(_)
            )
        };
        let before = |id: &ValueId| {
            let producer = self.node(self.producer(*id)?);
            computed(Some(producer).filter(is_by_element)?)
        };
        std::iter::successors(computed(gate), before).collect()
    }

    /// Whether a product multiplies the carrier by something that is computed and is none of the
    /// gate's own arguments.
    fn multiplies_another(&self, product: &Node, carrier: ValueId, own: &[ValueId]) -> bool {
        let mut others = product.inputs.iter().flatten().filter(|id| **id != carrier).peekable();
        let counts = |other: &ValueId| !own.contains(other) && self.weight(*other).is_none();
        others.peek().is_some() && others.all(counts)
    }

    /// The number that a weight of one element is.
    fn scalar(&self, id: ValueId) -> Option<f64> {
        self.weight(id).and_then(crate::numbers::scalar)
    }
}

/// Whether an operation moves, interpolates or converts its input's values.
fn only_moves(op: &Op) -> bool {
    matches!(
        op,
        Op::Reshape { .. }
            | Op::Flatten { .. }
            | Op::Transpose { .. }
            | Op::Squeeze
            | Op::Unsqueeze
            | Op::Expand
            | Op::Identity
            | Op::Resize(_)
            | Op::Cast(_)
    )
}
