//! The masks that some cut needs, in groups of 32 of one attribute, with their weights in the order
//! in which blocks read them.

use std::cmp::Reverse;

use rayon::prelude::*;

use super::{ChannelCut, Values};
use crate::factor::Factor;
use crate::heads::dims::Dims;
use crate::product::{COLUMNS, pack, steps};
use crate::sigmoid::{Row, row};

/// Up to 32 masks of one attribute.
pub(super) struct Panel {
    /// The attribute.
    pub attribute: usize,
    /// The places of their channels, ascending.
    pub places: Vec<usize>,
    /// The first of 32 places, if they are neighbours.
    pub run: Option<usize>,
    /// Their biases.
    pub bias: Row,
    /// Their readout weights, [cuts, 32]; 0 where the cut does not keep the channel.
    readout: Vec<f32>,
}

impl Panel {
    fn new(values: &Values, attribute: usize, rows: &[(usize, usize)], readout: Vec<f32>) -> Self {
        let mut bias = [0f32; COLUMNS];
        bias.iter_mut().zip(rows).for_each(|(bias, &(_, row))| *bias = values.mask_bias[row]);
        let places: Vec<usize> = rows.iter().map(|&(place, _)| place).collect();
        let is_run = places.len() == COLUMNS && places[COLUMNS - 1] - places[0] == COLUMNS - 1;
        Self { attribute, run: is_run.then_some(places[0]), places, bias, readout }
    }

    /// The readout weights in a cut.
    #[inline(always)]
    pub fn readout_of(&self, cut: usize) -> &Row {
        row(&self.readout, cut * COLUMNS)
    }

    /// Whether a cut needs one of the masks.
    pub fn has_rows_of(&self, cut: usize) -> bool {
        self.readout_of(cut).iter().any(|&weight| weight != 0.)
    }
}

/// The panels of all attributes. A mask whose readout weight is 0 in every cut is left out. Those
/// that most cuts need come first, so that few panels are computed where few masks are needed.
pub(super) fn panels(
    dims: &Dims,
    values: &Values,
    cuts: &[ChannelCut],
    order: &[usize],
) -> Vec<Panel> {
    let readouts: Vec<Vec<f32>> = cuts.iter().map(|cut| readout(dims, values, cut)).collect();
    let of_attribute = |attribute: usize| {
        let row_of = |place: usize| attribute * dims.channels + order[place];
        let uses = |row: usize| readouts.iter().filter(|readout| readout[row] != 0.).count();
        let mut rows: Vec<(usize, usize, usize)> = (0..dims.channels)
            .map(|place| (uses(row_of(place)), place, row_of(place)))
            .filter(|&(uses, ..)| uses > 0)
            .collect();
        rows.sort_by_key(|&(uses, place, _)| (Reverse(uses), place));
        let panel = |rows: &[(usize, usize, usize)]| {
            let mut rows: Vec<_> = rows.iter().map(|&(_, place, row)| (place, row)).collect();
            rows.sort_unstable();
            Panel::new(values, attribute, &rows, readout_of_rows(&readouts, &rows))
        };
        rows.chunks(COLUMNS).map(panel).collect::<Vec<_>>()
    };
    (0..dims.attributes).into_par_iter().flat_map_iter(of_attribute).collect()
}

/// A cut's readout weights [K, C]; 0 for channels that it does not keep, and for rows without
/// masks.
fn readout(dims: &Dims, values: &Values, cut: &ChannelCut) -> Vec<f32> {
    let c = dims.channels;
    let whole = values.readout;
    let mut readout = vec![0f32; whole.len()];
    for (k, (out, whole)) in readout.chunks_exact_mut(c).zip(whole.chunks_exact(c)).enumerate() {
        match &cut.stand_in {
            None => cut.kept.iter().for_each(|&channel| out[channel] = whole[channel]),
            Some(stand_in) => {
                let weights = cut.kept.iter().zip(&stand_in.readout[k]);
                weights.for_each(|(&channel, &weight)| out[channel] = weight);
            }
        }
        let has_masks = values.rows.of(k);
        let without = (0..c).filter(|channel| has_masks.binary_search(channel).is_err());
        without.for_each(|channel| out[channel] = 0.);
    }
    readout
}

/// The readout weights of up to 32 masks, [cuts, 32].
fn readout_of_rows(readouts: &[Vec<f32>], rows: &[(usize, usize)]) -> Vec<f32> {
    let mut out = vec![0f32; readouts.len() * COLUMNS];
    for (out, readout) in out.chunks_exact_mut(COLUMNS).zip(readouts) {
        out.iter_mut().zip(rows).for_each(|(out, &(_, row))| *out = readout[row]);
    }
    out
}

/// The weights of all panels' masks, [panels, factors of C, 32], with the channels in their order.
pub(super) fn weights<F: Factor>(
    dims: &Dims,
    weight: &[f32],
    panels: &[Panel],
    order: &[usize],
) -> Vec<F> {
    let c = dims.channels;
    let each = steps::<F>(c) * COLUMNS;
    let mut out = vec![F::default(); panels.len() * each];
    out.par_chunks_exact_mut(each).zip(panels).for_each(|(out, panel)| {
        let row = |&place: &usize| &weight[(panel.attribute * c + order[place]) * c..][..c];
        let rows = panel.places.iter().map(row);
        let gathered: Vec<f32> = rows.flat_map(|row| order.iter().map(|&q| row[q])).collect();
        pack(&gathered, c, panel.places.len(), 1, c, out);
    });
    out
}
