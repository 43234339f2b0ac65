//! Eq. 2: layer-wise relevance propagation (Bach et al., 2015): its rules, and what it finds.

mod composite;

pub use composite::{Bias, Composite, Rule};

use candle_core::Tensor;

/// Where relevance went at a layer, one number for each input of the batch: `outputs` is `relevance
/// + bias + stabilizer`.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerSum {
    /// The layer.
    pub layer: String,
    /// Σ_j R_j over the layer's outputs.
    pub outputs: Vec<f64>,
    /// Σ_i R_i over the layer's inputs.
    pub relevance: Vec<f64>,
    /// What its biases took.
    pub bias: Vec<f64>,
    /// What stabilisers took, and what had no contribution of its rule's sign to go to; with a
    /// stabiliser of 0 also that of units whose sum is exactly 0.
    pub stabilizer: Vec<f64>,
}

impl LayerSum {
    /// No relevance of so many inputs.
    pub(crate) fn zero(layer: &str, inputs: usize) -> Self {
        let zeros = || vec![0.; inputs];
        let (outputs, relevance, bias, stabilizer) = (zeros(), zeros(), zeros(), zeros());
        Self { layer: layer.into(), outputs, relevance, bias, stabilizer }
    }
}

/// Relevance of an input.
#[derive(Debug, Clone)]
pub struct Relevance {
    /// Of x's shape.
    pub attribution: Tensor,
    /// f(x), which is the relevance of the output.
    pub output: Vec<f64>,
    /// Each layer, from the last to the first (Eq. 2).
    pub layers: Vec<LayerSum>,
}
