//! Batch norm as part of the convolution or linear layer before it, and back.

mod scaled;

use candle_core::{Tensor, TensorId};

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, NodeId, Origin, ValueId};
use crate::op::{Gemm, Op};

/// A batch norm that was merged, with what is needed to split it again.
#[derive(Debug, Clone)]
pub struct MergedNorm {
    /// The node that took it up, as it was.
    layer: Layer,
    /// The name of the batch norm.
    norm: String,
    epsilon: f64,
    /// γ, β, μ, σ².
    parameters: [Weight; 4],
    /// The name of the value between the two.
    between: String,
    /// The merged weight and bias.
    merged: [TensorId; 2],
}

/// A layer before it took up a batch norm.
#[derive(Debug, Clone)]
struct Layer {
    name: String,
    op: Op,
    weight: Weight,
    bias: Option<Weight>,
}

#[derive(Debug, Clone)]
struct Weight {
    name: String,
    tensor: Tensor,
}

impl MergedNorm {
    /// The name of the node that took up the batch norm.
    pub fn layer(&self) -> &str {
        &self.layer.name
    }

    /// The name of the batch norm.
    pub fn norm(&self) -> &str {
        &self.norm
    }
}

impl Graph {
    /// The same network with batch norms merged into the layers before them: with
    /// s = γ/√(σ² + ε), weights W become s·W and biases b become s·(b - μ) + β, for each channel.
    /// The second result splits them again ([`split_batch_norms`](Self::split_batch_norms)).
    ///
    /// Merged is a batch norm behind a convolution, transposed convolution, `Gemm`, or `MatMul` of
    /// matrices, if nothing else reads the layer's result, all their weights are part of the graph,
    /// and no other node reads the layer's weight or bias. Others stay. The layer's result then has
    /// the name that the batch norm's had; a layer without a bias gets one.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn merge_batch_norms(&self) -> Result<(Self, Vec<MergedNorm>)> {
        let (mut graph, mut merged) = (self.clone(), Vec::new());
        let ranks = self.ranks();
        let mut keeps = vec![true; self.nodes.len()];
        for norm in (0..self.nodes.len()).map(NodeId) {
            let Some(pair) = graph.pair(norm, &ranks) else { continue };
            let Some([weight, bias]) = pair.merge()? else { continue };
            merged.push(graph.merge(norm, pair, weight, bias));
            keeps[norm.0] = false;
        }
        Ok((graph.keep_nodes(&keeps), merged))
    }

    /// The batch norm of this node with the layer before it, if they can be merged.
    fn pair(&self, norm: NodeId, ranks: &[Option<usize>]) -> Option<Pair> {
        let node = self.node(norm);
        let Op::BatchNorm { epsilon } = node.op else { return None };
        let between = node.input(0)?;
        let layer = self.producer(between)?;
        let of = self.node(layer);
        let is_alone = |id| self.only_reader(id).is_some();
        let own = |id| self.named(id).filter(|_| is_alone(id));
        let is_linear = match of.op {
            Op::Conv(_) | Op::ConvTranspose(_) | Op::Gemm(_) => true,
            Op::MatMul => ranks[of.input(0)?.0] == Some(2),
            _ => false,
        };
        if !is_linear || !is_alone(between) {
            return None;
        }
        let parameter = |place| self.named(node.input(place)?);
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

    /// A weight with its name.
    fn named(&self, id: ValueId) -> Option<Weight> {
        let tensor = self.weight(id)?.clone();
        Some(Weight { name: self.value(id).name.clone(), tensor })
    }

    /// Puts the merged weight and bias in the layer's place.
    fn merge(&mut self, norm: NodeId, pair: Pair, weight: Tensor, bias: Tensor) -> MergedNorm {
        let merged = [weight.id(), bias.id()];
        let Pair { epsilon, parameters, at, layer } = pair;
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
        let between = std::mem::replace(&mut node.outputs[0], result);
        // The next norm behind this one finds its layer by it.
        self.values[result.0].origin = Origin::Node { node: at, output: 0 };
        MergedNorm {
            norm: self.nodes[norm.0].name.clone(),
            between: self.values[between.0].name.clone(),
            layer,
            epsilon,
            parameters,
            merged,
        }
    }

    /// Splits batch norms that [`merge_batch_norms`](Self::merge_batch_norms) merged: layers have
    /// the weights that they had, bit for bit.
    ///
    /// # Errors
    /// If a layer is no longer there, its weights were changed since, or a name of the batch norm
    /// is taken.
    pub fn split_batch_norms(&self, merged: &[MergedNorm]) -> Result<Self> {
        let mut graph = self.clone();
        merged.iter().rev().try_for_each(|merged| graph.split(merged))?;
        let every = vec![true; graph.nodes.len()];
        Ok(graph.keep_nodes(&every))
    }

    fn split(&mut self, merged: &MergedNorm) -> Result<()> {
        let layer = &merged.layer;
        let at = self.find_node(&layer.name)?;
        let node = &self.nodes[at.0];
        let current = [1, 2].map(|place| Some(self.weight(node.input(place)?)?.id()));
        if current != merged.merged.map(Some) || node.op != merged_op(&layer.op) {
            return Err(Error::MergedChanged {
                node: layer.name.clone(),
                norm: merged.norm.clone(),
            });
        }
        if self.nodes.iter().any(|node| node.name == merged.norm) {
            return Err(Error::NodeTwice { name: merged.norm.clone() });
        }
        let (result, [weight, bias]) = (node.outputs[0], [1, 2].map(|place| node.input(place)));
        let mut inputs = vec![node.input(0)];
        for (id, old) in [(weight, Some(&layer.weight)), (bias, layer.bias.as_ref())] {
            if let (Some(id), Some(old)) = (id, old) {
                self.values[id.0].origin = Origin::Weight(old.tensor.clone());
                inputs.push(Some(id));
            }
        }
        let mut read = vec![Some(self.new_value(&merged.between, at)?)];
        for Weight { name, tensor } in &merged.parameters {
            read.push(Some(self.same_weight(name, tensor)?));
        }
        let node = &mut self.nodes[at.0];
        (node.op, node.inputs) = (layer.op.clone(), inputs);
        node.outputs[0] = read[0].unwrap_or(result);
        let op = Op::BatchNorm { epsilon: merged.epsilon };
        let norm = Node { name: merged.norm.clone(), op, inputs: read, outputs: vec![result] };
        let mut nodes = std::mem::take(&mut self.nodes);
        nodes.insert(at.0 + 1, norm);
        self.set_nodes(nodes);
        Ok(())
    }

    /// A new value that a node computes.
    fn new_value(&mut self, name: &str, node: NodeId) -> Result<ValueId> {
        if self.find(name).is_ok() {
            return Err(Error::ValueTwice { name: name.into() });
        }
        Ok(self.push_value(name.into(), Origin::Node { node, output: 0 }))
    }

    /// The weight of this name, which is this tensor.
    fn same_weight(&mut self, name: &str, tensor: &Tensor) -> Result<ValueId> {
        let Ok(id) = self.find(name) else {
            return Ok(self.push_value(name.into(), Origin::Weight(tensor.clone())));
        };
        match self.weight(id) {
            Some(weight) if weight.id() == tensor.id() => Ok(id),
            _ => Err(Error::ValueTwice { name: name.into() }),
        }
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
    parameters: [Weight; 4],
    at: NodeId,
    layer: Layer,
}
