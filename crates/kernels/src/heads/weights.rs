//! The masks' weights in the order in which tiles read them, and their gradients in the order in
//! which tiles add to them.

use std::ops::Range;

use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

use super::dims::Dims;
use super::panels::{GROUP, Panels};
use crate::factor::Factor;
use crate::product::{COLUMNS, pack, steps};
use crate::sigmoid::{Row, row_mut};

/// Weights and biases of the kept rows in the order in which tiles read them.
pub(crate) struct Weights<F> {
    /// [panels, steps of D, 32]: from inputs to logits.
    pub to_logits: Vec<F>,
    /// [groups, D/32, steps of a group's rows, 32]: from the logits' gradients to the inputs';
    /// empty in the forward pass.
    pub to_inputs: Vec<F>,
    /// [panels, 32].
    pub bias: Vec<f32>,
}

impl<F: Factor> Weights<F> {
    /// What the forward pass reads, of weights [K·C, D] and biases `[K·C]`.
    pub fn forward(dims: &Dims, panels: &Panels, w: &[f32], bias: &[f32]) -> Self {
        let d = dims.inputs;
        let each = steps::<F>(d) * COLUMNS;
        let mut to_logits = vec![F::default(); panels.count() * each];
        let mut padded_bias = vec![0f32; panels.count() * COLUMNS];
        let out = to_logits.par_chunks_exact_mut(each).zip(padded_bias.par_chunks_mut(COLUMNS));
        out.enumerate().for_each(|(i, (out, out_bias))| {
            let rows = panels.rows_of_panel(i);
            pack(&gathered(dims, rows, w), d, rows.len(), 1, d, out);
            let biases = rows.iter().map(|&(k, c)| bias[k * dims.channels + c]);
            out_bias.iter_mut().zip(biases).for_each(|(out, bias)| *out = bias);
        });
        Self { to_logits, to_inputs: vec![], bias: padded_bias }
    }

    /// What the backward pass reads.
    pub fn backward(dims: &Dims, panels: &Panels, w: &[f32], bias: &[f32]) -> Self {
        let d = dims.inputs;
        let each = Self::group_size(dims);
        let mut to_inputs = vec![F::default(); panels.groups() * each];
        to_inputs.par_chunks_exact_mut(each).enumerate().for_each(|(group, out)| {
            let rows = panels.rows_of_group(group);
            let used = dims.padded_inputs() * steps::<F>(rows.len());
            pack(&gathered(dims, rows, w), rows.len(), d, d, 1, &mut out[..used]);
        });
        Self { to_inputs, ..Self::forward(dims, panels, w, bias) }
    }

    /// Factors of a whole group in `to_inputs`.
    pub fn group_size(dims: &Dims) -> usize {
        dims.padded_inputs() * steps::<F>(GROUP * COLUMNS)
    }
}

/// The weights of these rows, [rows, D].
fn gathered(dims: &Dims, rows: &[(usize, usize)], w: &[f32]) -> Vec<f32> {
    let d = dims.inputs;
    let row = |&(k, c): &(usize, usize)| &w[(k * dims.channels + c) * d..][..d];
    rows.iter().flat_map(row).copied().collect()
}

/// Sums over pixels of the weights' and biases' gradients of some panels' rows.
pub(crate) struct WeightSums {
    panels: Range<usize>,
    /// [panels, D in whole panels, 32].
    pub dw: Vec<f32>,
    /// [panels, 32].
    db: Vec<f32>,
}

/// The gradients of the weights [K·C, D] and of the biases `[K·C]`.
pub(crate) struct WeightGradients {
    pub dw: Vec<f32>,
    pub db: Vec<f32>,
}

/// The gradients of the inputs u [B, P, D] and, if they are needed, of the weights and biases.
pub(crate) struct Gradients {
    pub du: Vec<f32>,
    pub weights: Option<WeightGradients>,
}

impl Gradients {
    /// The gradients times `scale`, in the shapes of u, w and the biases.
    pub fn into_tensors(
        self,
        [u, w, b]: [&Tensor; 3],
        scale: f32,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let tensor = |values: Vec<f32>, like: &Tensor| -> Result<Tensor> {
            let gradient = Tensor::from_vec(values, like.shape(), &Device::Cpu)?;
            if scale == 1. { Ok(gradient) } else { gradient * f64::from(scale) }
        };
        let du = Some(tensor(self.du, u)?);
        let Some(WeightGradients { dw, db }) = self.weights else { return Ok((du, None, None)) };
        Ok((du, Some(tensor(dw, w)?), Some(tensor(db, b)?)))
    }
}

impl WeightSums {
    /// Nothing added yet, for the panels of these numbers.
    pub fn zeros(dims: &Dims, panels: Range<usize>) -> Self {
        let rows = panels.len() * COLUMNS;
        Self { panels, dw: vec![0f32; rows * dims.padded_inputs()], db: vec![0f32; rows] }
    }

    /// The sums of the biases' gradients of a panel.
    #[inline(always)]
    pub fn of_biases(&mut self, panel: usize) -> &mut Row {
        row_mut(&mut self.db, (panel - self.panels.start) * COLUMNS)
    }

    /// Where a panel's sums begin in `dw`.
    #[inline(always)]
    pub fn start_of_weights(&self, dims: &Dims, panel: usize) -> usize {
        (panel - self.panels.start) * dims.padded_inputs() * COLUMNS
    }

    /// The gradients: sums over all parts of a batch, and 0 for rows that are left out.
    pub fn total(dims: &Dims, panels: &Panels, parts: &[Self]) -> WeightGradients {
        let d = dims.inputs;
        let rows = dims.attributes * dims.channels;
        let mut dw = vec![0f32; rows * d];
        let mut db = vec![0f32; rows];
        let mut places = vec![None; rows];
        panels.iter().for_each(|panel| {
            panel.rows.iter().enumerate().for_each(|(lane, &(k, c))| {
                places[k * dims.channels + c] = Some((panel.index, lane));
            });
        });
        let by_row = dw.par_chunks_exact_mut(d).zip(&mut db).zip(places);
        by_row.for_each(|((dw, db), place)| {
            let Some((panel, lane)) = place else { return };
            for part in parts.iter().filter(|part| part.panels.contains(&panel)) {
                let first = part.start_of_weights(dims, panel) + lane;
                let from = part.dw[first..].iter().step_by(COLUMNS);
                dw.iter_mut().zip(from).for_each(|(v, from)| *v += from);
                *db += part.db[(panel - part.panels.start) * COLUMNS + lane];
            }
        });
        WeightGradients { dw, db }
    }
}
