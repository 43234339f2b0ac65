//! A graph as a model that can be explained: any network, with its inside in sight.

mod attention;
mod cam;
mod deep_lift;
mod guided;
mod kept;
mod linear;
mod lrp;
mod masks;
mod one_node;
mod self_gated;
mod spatial;
mod split;
mod trace;

pub use attention::ATTENTION;
pub use split::SplitGraph;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use candle_core::Tensor;
use foresee_graph::{Graph, Node, NodeId, Origin, ValueId};

use self::kept::Kept;
use crate::error::{Error, Result, check};
use crate::gradient_check::ModelChecks;
use crate::target::Target;
use crate::tensors::to_f64;

/// Images at once, unless said otherwise.
const BATCH: usize = 8;

/// A [`Graph`] with one input and one output, [B, ...] → [B, K]: what the methods of this crate
/// explain.
///
/// Weights are constants. At most [`batch`](Self::batch) inputs go through at once. The rows of a
/// batch must not influence each other.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::{Composite, GraphModel, sensitivity};
/// use foresee_graph::{Builder, Gemm, Op, Unary};
///
/// // f(x) = max(x₀ + x₁, 0) - max(x₀ - x₁, 0) + x₀: the input goes past the ReLUs, too.
/// let mut builder = Builder::new();
/// let x = builder.input("x", vec![None, Some(2)])?;
/// let cpu = &Device::Cpu;
/// let hidden = builder.weight("hidden.weight", Tensor::new(&[[1., 1.], [1., -1.]], cpu)?)?;
/// let output = builder.weight("output.weight", Tensor::new(&[[1., -1.]], cpu)?)?;
/// let skip = builder.weight("skip.weight", Tensor::new(&[[1., 0.]], cpu)?)?;
/// let linear = || Op::Gemm(Gemm { transpose_b: true, ..Gemm::default() });
/// let hidden = builder.node("hidden", linear(), &[x, hidden])?;
/// let relu = builder.node("relu", Op::Unary(Unary::Relu), &[hidden])?;
/// let output = builder.node("output", linear(), &[relu, output])?;
/// let skip = builder.node("skip", linear(), &[x, skip])?;
/// let sum = builder.node("sum", Op::Binary(foresee_graph::Binary::Add), &[output, skip])?;
///
/// let model = GraphModel::new(builder.finish(vec![sum])?, sum)?;
/// let x = Tensor::new(&[[3f64, 1.]], cpu)?;
/// assert_eq!(sensitivity(&model.target(0), &x)?.to_vec2::<f64>()?, [[1., 2.]]);
/// // f = 5: 4 - 2 through the ReLUs, of which x₁ takes all, and 3 past them.
/// let found = model.lrp(&x, 0, &Composite::epsilon(0.))?;
/// let relevance = found.attribution.to_vec2::<f64>()?;
/// assert!((relevance[0][0] - 3.).abs() < 1e-5 && (relevance[0][1] - 2.).abs() < 1e-5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct GraphModel {
    graph: Arc<Graph>,
    input: ValueId,
    output: ValueId,
    /// The nodes that the output needs, in their order.
    needed: Arc<Vec<NodeId>>,
    /// The gates, with the nodes that make them.
    gates: Arc<BTreeMap<ValueId, NodeId>>,
    /// Whether the batch is the first dimension of every value; once it is known.
    leads_with_batch: Arc<OnceLock<bool>>,
    /// The last value that is images, of inputs of a shape; once it is known.
    last_spatial: Arc<OnceLock<(Vec<usize>, ValueId)>>,
    kept: Option<Kept>,
    batch: usize,
    checks: ModelChecks,
}

impl GraphModel {
    /// The graph with this output, [B, K]; at most 8 inputs at once, or one where the graph takes
    /// no other number.
    ///
    /// # Errors
    /// If the output does not depend on exactly one input, [B, ...], or the graph takes several
    /// inputs at once and no other number.
    pub fn new(graph: Graph, output: ValueId) -> Result<Self> {
        let needed = ancestors(&graph, output);
        let read: BTreeSet<ValueId> =
            needed.iter().flat_map(|id| graph.node(*id).inputs.iter().flatten()).copied().collect();
        let inputs: Vec<ValueId> =
            graph.inputs().iter().copied().filter(|id| read.contains(id)).collect();
        let names: Vec<&str> = inputs.iter().map(|id| graph.value(*id).name.as_str()).collect();
        let &[input] = &inputs[..] else {
            let value = format!("{names:?}");
            check(false, "inputs", value, "the output must depend on exactly one input")?;
            return Err(Error::Degenerate("a graph without an input"));
        };
        let sizes = match &graph.value(input).origin {
            Origin::Input { sizes, .. } => sizes.clone(),
            _ => vec![],
        };
        let expected = "a dynamic batch or one of 1: export the network with one of them";
        let fixed = sizes.first().copied().flatten();
        check(fixed.is_none_or(|rows| rows == 1), "inputs at once", fixed.unwrap_or(0), expected)?;
        let batch = fixed.unwrap_or(BATCH);
        let graph = frozen(graph)?;
        let gates = graph.gates().into_iter().map(|gate| (gate.value, gate.node)).collect();
        Ok(Self {
            graph: Arc::new(graph),
            input,
            output,
            needed: Arc::new(needed),
            gates: Arc::new(gates),
            leads_with_batch: Arc::default(),
            last_spatial: Arc::default(),
            kept: None,
            batch,
            checks: ModelChecks::of_rows(),
        })
    }

    /// With at most `batch` inputs at once; at least 1. It stays 1 where the graph takes no other
    /// number.
    #[must_use]
    pub fn batch(self, batch: usize) -> Self {
        let batch = match &self.graph.value(self.input).origin {
            Origin::Input { sizes, .. } if matches!(sizes.first(), Some(Some(_))) => 1,
            _ => batch.max(1),
        };
        Self { batch, ..self }
    }

    /// Without the check that the rows of a batch do not influence each other, as
    /// [`Target::unchecked`].
    #[must_use]
    pub fn unchecked(self) -> Self {
        Self { checks: ModelChecks::off(), ..self }
    }

    /// With its outputs kept, by the bits of their inputs, as long as there are copies of this
    /// model: methods by perturbation evaluate the same inputs for every output that they explain.
    /// All outputs are kept: use it for one image after the other.
    #[must_use]
    pub fn keeping_outputs(self) -> Self {
        Self { kept: Some(Kept::default()), ..self }
    }

    /// Inputs at once.
    pub fn batch_size(&self) -> usize {
        self.batch
    }

    /// The graph, whose weights are constants.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// What the model is given.
    pub fn input(&self) -> ValueId {
        self.input
    }

    /// What is explained, [B, K].
    pub fn output(&self) -> ValueId {
        self.output
    }

    /// The names of the nodes that the output needs, in an order in which they can be computed.
    pub fn names(&self) -> Vec<String> {
        self.needed.iter().map(|&id| self.node(id).name.clone()).collect()
    }

    /// [B, ...] → [B, K], without a bound on the batch.
    ///
    /// # Errors
    /// If the input does not fit, or a node fails: the error names it.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.outputs(&[(self.input, x.clone())])
    }

    /// Output `index` of this model, for the methods that take any function. Others are not
    /// computed where the graph ends in a linear layer or in the paper's heads.
    pub fn target(
        &self,
        index: usize,
    ) -> Target<impl Fn(&Tensor) -> candle_core::Result<Tensor> + Clone + use<>> {
        // What is kept are all outputs.
        let alone = if self.kept.is_none() { self.of_one_output(index).ok() } else { None };
        let (model, index) = alone.unwrap_or_else(|| (self.clone(), index));
        let forward = move |x: &Tensor| match &model.kept {
            // Of a variable there is a gradient to come.
            Some(kept) if !x.track_op() => kept.get(x, || model.forward(x)),
            _ => model.forward(x),
        };
        Target::new(move |x: &Tensor| forward(x).map_err(candle_core::Error::wrap), index)
            .batch(self.batch)
            .with_checks(self.checks.clone(), (0, 0))
    }

    /// The model with one of its outputs alone, as far as that is possible, and its column.
    fn of_one_output(&self, index: usize) -> Result<(Self, usize)> {
        Ok(match self.graph.with_one_output(self.output, index)? {
            Some((graph, _)) => (Self { graph: Arc::new(graph), ..self.clone() }, 0),
            None => (self.clone(), index),
        })
    }

    /// One value from others.
    fn evaluate(&self, given: &[(ValueId, Tensor)], wanted: ValueId) -> Result<Tensor> {
        let mut values = self.graph.evaluate(given, &[wanted])?;
        Ok(values.swap_remove(0))
    }

    fn node(&self, id: NodeId) -> &Node {
        self.graph.node(id)
    }

    /// The value of this name, or what the node of this name gives.
    pub(crate) fn find(&self, name: &str) -> Result<ValueId> {
        match self.graph.find(name) {
            Ok(id) => Ok(id),
            Err(_) => match self.graph.find_node(name) {
                Ok(node) => Ok(self.node(node).outputs[0]),
                Err(_) => Err(self.no_node(name)),
            },
        }
    }

    fn no_node(&self, name: &str) -> Error {
        Error::NoLayer { name: name.into(), layers: self.names() }
    }

    /// The number that a weight of one element is.
    fn number(&self, id: ValueId) -> Option<f64> {
        let weight = self.graph.weight(id).filter(|weight| weight.elem_count() == 1)?;
        to_f64(weight).ok()?.first().copied()
    }

    /// The node that computes a value.
    fn producer(&self, id: ValueId) -> Option<&Node> {
        self.graph.producer(id).map(|id| self.node(id))
    }

    /// The nodes that read a value on the way to the output.
    fn readers(&self, id: ValueId) -> impl Iterator<Item = &Node> + '_ {
        let nodes = self.needed.iter().map(|&node| self.node(node));
        nodes.filter(move |node| node.inputs.contains(&Some(id)))
    }
}

/// The nodes that a value needs, in their order.
fn ancestors(graph: &Graph, output: ValueId) -> Vec<NodeId> {
    let mut found = BTreeSet::new();
    let mut left = vec![output];
    while let Some(node) = left.pop().map(|id| graph.producer(id)) {
        if let Some(node) = node.filter(|node| found.insert(*node)) {
            left.extend(graph.node(node).inputs.iter().flatten());
        }
    }
    found.into_iter().collect()
}

/// The same graph with constants for weights that may be variables.
fn frozen(graph: Graph) -> Result<Graph> {
    let weights: Vec<(ValueId, Tensor)> = graph
        .values()
        .filter_map(|(id, _)| graph.weight(id).map(|weight| (id, weight.detach())))
        .collect();
    let freeze = |graph: Graph, (id, weight)| graph.with_weight(id, weight);
    Ok(weights.into_iter().try_fold(graph, freeze)?)
}
