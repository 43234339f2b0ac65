//! The masks' weights in the order in which tiles read them, and their gradients in the order in
//! which tiles add to them.

use rayon::prelude::*;

use super::dims::Dims;
use crate::factor::Factor;
use crate::product::{pack, steps};

/// Weights and biases in the order in which tiles read them.
pub(crate) struct Weights<F> {
    /// [K, C/32, steps of D, 32]: from inputs to logits.
    pub to_logits: Vec<F>,
    /// [K, D/32, steps of C, 32]: from the logits' gradients to the inputs'; empty in the forward
    /// pass.
    pub to_inputs: Vec<F>,
    /// [K, C/32, 32].
    pub bias: Vec<f32>,
}

impl<F: Factor> Weights<F> {
    /// What the forward pass reads, of weights [K·C, D] and biases `[K·C]`.
    pub fn forward(dims: &Dims, w: &[f32], bias: &[f32]) -> Self {
        let c = dims.channels;
        let d = dims.inputs;
        let padded = dims.padded_channels();
        let each = padded * steps::<F>(d);
        let mut to_logits = vec![F::default(); dims.attributes * each];
        let by_attribute = w.par_chunks_exact(c * d).zip(to_logits.par_chunks_exact_mut(each));
        by_attribute.for_each(|(w, out)| pack(w, d, c, 1, d, out));
        let mut padded_bias = vec![0f32; dims.attributes * padded];
        for (bias, out) in bias.chunks_exact(c).zip(padded_bias.chunks_exact_mut(padded)) {
            out[..c].copy_from_slice(bias);
        }
        Self { to_logits, to_inputs: vec![], bias: padded_bias }
    }

    /// What the backward pass reads.
    pub fn backward(dims: &Dims, w: &[f32], bias: &[f32]) -> Self {
        let c = dims.channels;
        let d = dims.inputs;
        let each = steps::<F>(c) * dims.padded_inputs();
        let mut to_inputs = vec![F::default(); dims.attributes * each];
        let by_attribute = w.par_chunks_exact(c * d).zip(to_inputs.par_chunks_exact_mut(each));
        by_attribute.for_each(|(w, out)| pack(w, c, d, d, 1, out));
        Self { to_inputs, ..Self::forward(dims, w, bias) }
    }
}

/// Sums over pixels of the weights' and the biases' gradients.
pub(crate) struct WeightSums {
    /// [K, D, C] in whole panels of C.
    pub dw: Vec<f32>,
    /// [K, C] in whole panels of C.
    pub db: Vec<f32>,
}

/// The gradients of the weights [K·C, D] and of the biases `[K·C]`.
pub(crate) struct WeightGradients {
    pub dw: Vec<f32>,
    pub db: Vec<f32>,
}

impl WeightSums {
    /// Nothing added yet.
    pub fn zeros(dims: &Dims) -> Self {
        let padded = dims.padded_channels();
        Self {
            dw: vec![0f32; dims.attributes * dims.padded_inputs() * padded],
            db: vec![0f32; dims.attributes * padded],
        }
    }

    /// The gradients: sums over all parts of a batch.
    pub fn total(dims: &Dims, parts: &[Self]) -> WeightGradients {
        let c = dims.channels;
        let d = dims.inputs;
        let padded = dims.padded_channels();
        let mut dw = vec![0f32; dims.attributes * c * d];
        let mut db = vec![0f32; dims.attributes * c];
        let by_attribute = dw.par_chunks_exact_mut(c * d).zip(db.par_chunks_exact_mut(c));
        by_attribute.enumerate().for_each(|(k, (dw, db))| {
            for part in parts {
                let from = &part.dw[k * dims.padded_inputs() * padded..];
                for (channel, row) in dw.chunks_exact_mut(d).enumerate() {
                    row.iter_mut().enumerate().for_each(|(i, v)| *v += from[i * padded + channel]);
                }
                db.iter_mut().zip(&part.db[k * padded..]).for_each(|(v, p)| *v += p);
            }
        });
        WeightGradients { dw, db }
    }
}
