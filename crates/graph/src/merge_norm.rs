//! Batch norm as part of the convolution or linear layer before it.

mod scaled;

use candle_core::Tensor;

use crate::error::Result;
use crate::graph::{Graph, NodeId, Origin, ValueId};
use crate::op::{Gemm, Op};

/// A layer before it took up a batch norm.
#[derive(Debug, Clone)]
struct Layer {
    name: String,
    op: Op,
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Graph {
    /// The same network with batch norms merged into the layers before them: with
    /// s = γ/√(σ² + ε), weights W become s·W and biases b become s·(b - μ) + β, for each channel.
    ///
    /// Merged is a batch norm behind a convolution, transposed convolution, `Gemm`, or `MatMul` of
    /// matrices, if nothing else reads the layer's result, all their weights are part of the graph,
    /// and no other node reads the layer's weight or bias. Others stay. The layer's result then has
    /// the name that the batch norm's had; a layer without a bias gets one.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn merge_batch_norms(&self) -> Result<Self> {
        let mut graph = self.clone();
        let ranks = self.ranks();
        let mut keeps = vec![true; self.nodes.len()];
        for norm in (0..self.nodes.len()).map(NodeId) {
            let Some(pair) = graph.pair(norm, &ranks) else { continue };
            let Some([weight, bias]) = pair.merge()? else { continue };
            graph.merge(norm, pair, weight, bias);
            keeps[norm.0] = false;
        }
        Ok(graph.keep_nodes(&keeps))
    }

    /// The batch norm of this node with the layer before it, if they can be merged.
    fn pair(&self, norm: NodeId, ranks: &[Option<usize>]) -> Option<Pair> {
        let node = self.node(norm);
        let Op::BatchNorm { epsilon } = node.op else { return None };
        let between = node.input(0)?;
        let layer = self.producer(between)?;
        let of = self.node(layer);
        let is_alone = |id| self.only_reader(id).is_some();
        let own = |id| self.weight(id).cloned().filter(|_| is_alone(id));
        let is_linear = match of.op {
            Op::Conv(_) | Op::ConvTranspose(_) | Op::Gemm(_) => true,
            Op::MatMul => ranks[of.input(0)?.0] == Some(2),
            _ => false,
        };
        if !is_linear || !is_alone(between) {
            return None;
        }
        let parameter = |place| self.weight(node.input(place)?).cloned();
        Some(Pair {
            epsilon,
            parameters: [parameter(1)?, parameter(2)?, parameter(3)?, parameter(4)?],
            at: layer,
            layer: Layer {
                name: of.name.clone(),
                op: of.op.clone(),
                weight: own(of.input(1)?)?,
                bias: match of.input(2) {
                    Some(bias) => Some(own(bias)?),
                    None => None,
                },
            },
        })
    }

    /// Puts the merged weight and bias in the layer's place.
    fn merge(&mut self, norm: NodeId, pair: Pair, weight: Tensor, bias: Tensor) {
        let Pair { at, layer, .. } = pair;
        let place = |id: Option<ValueId>| id.map(|id| id.0);
        let weight_at = place(self.nodes[at.0].input(1));
        let bias_at = place(self.nodes[at.0].input(2)).unwrap_or_else(|| {
            let name = self.value_names().unique(&format!("{}.bias", layer.name));
            self.push_value(name, Origin::Weight(bias.clone())).0
        });
        self.values[bias_at].origin = Origin::Weight(bias);
        if let Some(at) = weight_at {
            self.values[at].origin = Origin::Weight(weight);
        }
        let result = self.nodes[norm.0].outputs[0];
        let node = &mut self.nodes[at.0];
        node.op = merged_op(&layer.op);
        node.inputs.resize(3, None);
        node.inputs[2] = Some(ValueId(bias_at));
        node.outputs[0] = result;
        // The next norm behind this one finds its layer by it.
        self.values[result.0].origin = Origin::Node { node: at, output: 0 };
    }
}

/// What a layer is when it has taken up a batch norm.
fn merged_op(op: &Op) -> Op {
    match op {
        Op::MatMul => Op::Gemm(Gemm::default()),
        Op::Gemm(gemm) => Op::Gemm(Gemm { beta: 1., ..*gemm }),
        other => other.clone(),
    }
}

/// A layer and the batch norm behind it.
struct Pair {
    epsilon: f64,
    parameters: [Tensor; 4],
    at: NodeId,
    layer: Layer,
}
