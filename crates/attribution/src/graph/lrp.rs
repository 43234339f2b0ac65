//! Layer-wise relevance propagation through a graph.

mod affine;
mod linear;
mod norms;
mod products;
mod rules;
mod shares;

use std::collections::BTreeMap;

use candle_core::Tensor;
use foresee_graph::{Node, NodeId, ValueId};

use super::GraphModel;
use super::trace::{Sums, Trace};
use crate::error::{Error, Result};
use crate::layers::one_hot;
use crate::methods::{Composite, LayerSum, Relevance};
use crate::tensors::{check_finite, check_input, to_f64};
use affine::Affine;
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
    /// * Other norms: [`Composite::norm`]. Products of two values: [`Composite::gate`]. The
    ///   divisor of a quotient counts as a constant.
    /// * Matrix products of two values: [`Composite::attention`]. Softmax between them, and only if
    ///   relevance comes there: xᵢ·(Rᵢ - sᵢ·Σ_j R_j), the first-order Taylor expansion of AttnLRP
    ///   (Achtibat et al., 2024), whose constant term takes the rest.
    /// * Through the paper's masks the signal z takes all, and the masks none.
    ///
    /// Each node is a layer of [`Relevance::layers`]. `bias` there is what constants take: biases,
    /// summands that are weights, the constant term of softmax. Inputs go through one by one, since
    /// a graph need not have its batch in the first dimension everywhere.
    ///
    /// # Errors
    /// If an option is outside its range, a name is of no node, the input does not fit, relevance
    /// comes to a node that has no rule (the error names it), or the relevance is not finite.
    pub fn lrp(&self, x: &Tensor, target: usize, composite: &Composite) -> Result<Relevance> {
        composite.check()?;
        check_input(x)?;
        for (name, _) in &composite.named {
            self.graph
                .find_node(name)
                .map_err(|_| Error::NoLayer { name: name.clone(), layers: self.names() })?;
        }
        let (mut attributions, mut output) = (vec![], vec![]);
        let mut layers: Vec<LayerSum> = vec![];
        for row in 0..x.dim(0)? {
            let trace = Trace::new(self, &x.narrow(0, row, 1)?)?;
            let y = trace.get(self.output)?;
            let r = (y * one_hot(y, target, target)?)?;
            output.push(to_f64(&r)?.iter().sum());
            let mut pass = Pass::new(&trace, composite);
            attributions.push(pass.run(r)?);
            append(&mut layers, pass.sums);
        }
        let attribution = check_finite(Tensor::cat(&attributions, 0)?, || "the relevance".into())?;
        Ok(Relevance { attribution, output, layers })
    }
}

/// Appends another input to the sums of the same nodes.
fn append(layers: &mut Vec<LayerSum>, of_input: Vec<LayerSum>) {
    if layers.is_empty() {
        *layers = of_input;
        return;
    }
    for (layer, more) in layers.iter_mut().zip(of_input) {
        layer.relevance.extend(more.relevance);
        layer.bias.extend(more.bias);
        layer.stabilizer.extend(more.stabilizer);
    }
}

/// One input's pass from the output back.
struct Pass<'a> {
    trace: &'a Trace<'a>,
    composite: &'a Composite,
    /// The first linear layer.
    first: Option<NodeId>,
    relevance: Sums,
    /// What comes behind a linear layer and is taken up by it.
    behind: BTreeMap<ValueId, Affine>,
    sums: Vec<LayerSum>,
}

impl<'a> Pass<'a> {
    fn new(trace: &'a Trace<'a>, composite: &'a Composite) -> Self {
        let mut pass = Self {
            trace,
            composite,
            first: None,
            relevance: Sums::default(),
            behind: BTreeMap::new(),
            sums: vec![],
        };
        let is_linear = |id: &NodeId| pass.linear_places(pass.node(*id)).is_some();
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
            let shares = match r.iter().all(Option::is_none) {
                // Every node has its sum, so that those of all inputs are of the same nodes.
                true => Shares::default(),
                false => self.through(id, node, &r)?,
            };
            let mut relevance = 0.;
            for (place, share) in shares.to {
                relevance += to_f64(&share)?.iter().sum::<f64>();
                if let Some(value) = node.input(place) {
                    self.relevance.add(value, share)?;
                }
            }
            self.sums.push(LayerSum {
                layer: node.name.clone(),
                relevance: vec![relevance],
                bias: vec![shares.bias],
                stabilizer: vec![shares.stabilizer],
            });
        }
        let input = self.trace.get(model.input)?;
        self.relevance.take(model.input).map_or_else(|| Ok(input.zeros_like()?), Ok)
    }

    fn refuse(&self, node: &Node, reason: impl Into<String>) -> Error {
        Error::Layer { method: METHOD, layer: node.name.clone(), reason: reason.into() }
    }
}
