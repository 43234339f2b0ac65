//! Layer-wise relevance propagation through a graph.

mod affine;
mod layer;
mod linear;
mod moved_box;
mod products;
mod rules;
mod shares;

use std::collections::BTreeMap;

use candle_core::Tensor;
use foresee_graph::{Node, NodeId, ValueId};

use super::GraphModel;
use super::linear::places;
use super::trace::{Sums, Trace, one_hot};
use crate::error::{Error, Result};
use crate::methods::{Composite, LayerSum, Relevance};
use crate::tensors::{batches, check_finite, check_input, sum_per_input};
use affine::Affine;
use layer::add_to;
pub(super) use rules::only_moves;
use shares::Shares;
pub(super) use shares::unbroadcast;

const METHOD: &str = "LRP";

impl GraphModel {
    /// Layer-wise relevance propagation (Bach et al., 2015) of output `target`, starting from f(x):
    /// through every node from the output back; what several nodes send to a value is added.
    ///
    /// * Convolutions, transposed convolutions, matrix products with a weight and readouts have the
    ///   rules of the composite. A batch norm or a sum with a constant that follows one of them
    ///   alone is taken up by it first, as by zennit's canonizers.
    /// * Sums distribute relevance by contribution, and so do average pools and means. Maxima give
    ///   it to the winner. Nodes that move values move it along.
    /// * Functions of one element pass it on unchanged, also as x·sigmoid(x) and the like.
    /// * Other norms pass it on unchanged: layer norm as in AttnLRP (Achtibat et al., 2024), batch
    ///   norm as in zennit. The divisor of a quotient counts as a constant.
    /// * In a product of two values the signal takes all, and what gates it (a sigmoid, a hard
    ///   sigmoid, a softmax) counts as a constant (Arras et al., 2017). Where neither is a gate,
    ///   both take half.
    /// * Both factors of a matrix product of two values, as in attention, take half (AttnLRP's
    ///   uniform rule). Softmax between them, and only if relevance comes there: xᵢ·(Rᵢ - sᵢ·Σ_j
    ///   R_j), AttnLRP's first-order Taylor expansion, whose constant term takes the rest.
    /// * Through the paper's masks the signal z takes all, and the masks none.
    ///
    /// Each node is a layer of [`Relevance::layers`]. `bias` there is what constants take: biases,
    /// summands that are weights, the constant term of softmax. Inputs go through one by one in a
    /// graph that does not have its batch in the first dimension of every value.
    ///
    /// # Errors
    /// If an option is outside its range, a name is of no node, the input does not fit, relevance
    /// comes to a node that has no rule (the error names it), or the relevance is not finite.
    pub fn lrp(&self, x: &Tensor, target: usize, composite: &Composite) -> Result<Relevance> {
        composite.check()?;
        check_input(x)?;
        for (name, _) in &composite.named {
            self.graph.find_node(name).map_err(|_| self.no_node(name))?;
        }
        let (mut attributions, mut output) = (vec![], vec![]);
        let mut layers: Vec<LayerSum> = vec![];
        let (model, column) = self.of_one_output(target)?;
        let batch = if model.leads_with_batch(x)? { self.batch } else { 1 };
        for x in batches(x, batch)? {
            let trace = Trace::new(&model, &x)?;
            let y = trace.get(self.output)?;
            let r = (y * one_hot(y, column, target)?)?;
            output.extend(sum_per_input(&r)?);
            let mut pass = Pass::new(&trace, composite, x.dim(0)?);
            attributions.push(pass.run(r)?);
            append(&mut layers, pass.sums);
        }
        let attribution = check_finite(Tensor::cat(&attributions, 0)?, || "the relevance".into())?;
        Ok(Relevance { attribution, output, layers })
    }
}

/// Appends the inputs of another batch to the sums of the same nodes.
fn append(layers: &mut Vec<LayerSum>, of_batch: Vec<LayerSum>) {
    if layers.is_empty() {
        *layers = of_batch;
        return;
    }
    for (layer, more) in layers.iter_mut().zip(of_batch) {
        layer.outputs.extend(more.outputs);
        layer.relevance.extend(more.relevance);
        layer.bias.extend(more.bias);
        layer.stabilizer.extend(more.stabilizer);
    }
}

/// A pass of some inputs from the output back.
struct Pass<'a> {
    trace: &'a Trace<'a>,
    composite: &'a Composite,
    /// How many inputs.
    inputs: usize,
    /// The first linear layer.
    first: Option<NodeId>,
    relevance: Sums,
    /// What comes behind a linear layer and is taken up by it.
    behind: BTreeMap<ValueId, Affine>,
    sums: Vec<LayerSum>,
}

impl<'a> Pass<'a> {
    fn new(trace: &'a Trace<'a>, composite: &'a Composite, inputs: usize) -> Self {
        let mut pass = Self {
            trace,
            composite,
            inputs,
            first: None,
            relevance: Sums::default(),
            behind: BTreeMap::new(),
            sums: vec![],
        };
        let is_linear = |id: &NodeId| places(trace, pass.node(*id)).is_some();
        pass.first = trace.model.needed.iter().copied().find(is_linear);
        pass
    }

    fn node(&self, id: NodeId) -> &'a Node {
        self.trace.model.graph.node(id)
    }

    /// Relevance r of the output, down to the input.
    fn run(&mut self, r: Tensor) -> Result<Tensor> {
        let model = self.trace.model;
        self.relevance.add(model.output, r)?;
        for id in self.trace.backwards() {
            let node = self.node(id);
            let r = self.relevance.take_outputs(node);
            let mut sum = LayerSum::zero(&node.name, self.inputs);
            for r in r.iter().flatten() {
                add_to(&mut sum.outputs, &self.totals(r)?);
            }
            // Every node has its sum, so that those of all inputs are of the same nodes.
            let shares = match r.iter().all(Option::is_none) {
                true => Shares::default(),
                false => self.through(id, node, &r)?,
            };
            add_to(&mut sum.bias, &shares.bias);
            add_to(&mut sum.stabilizer, &shares.stabilizer);
            for (place, share) in shares.to {
                add_to(&mut sum.relevance, &self.totals(&share)?);
                if let Some(value) = node.input(place) {
                    self.relevance.add(value, share)?;
                }
            }
            self.sums.push(sum);
        }
        let input = self.trace.get(model.input)?;
        self.relevance.take(model.input).map_or_else(|| Ok(input.zeros_like()?), Ok)
    }

    /// The sum of each input's entries.
    fn totals(&self, t: &Tensor) -> Result<Vec<f64>> {
        Ok(self.by_input(sum_per_input(t)?))
    }

    /// Numbers of each row, of each input: of one input alone, rows need not be inputs.
    fn by_input(&self, of_rows: Vec<f64>) -> Vec<f64> {
        match self.inputs {
            1 => vec![of_rows.iter().sum()],
            _ => of_rows,
        }
    }

    fn refuse(&self, node: &Node, reason: impl Into<String>) -> Error {
        Error::Layer { method: METHOD, layer: node.name.clone(), reason: reason.into() }
    }
}
