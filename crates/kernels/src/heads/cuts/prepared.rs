//! What all blocks of a call share.

use std::sync::OnceLock;

use super::panels::{Panel, panels, weights};
use super::plan::Plan;
use super::source::{Source, sources};
use super::walk::{each_alone, order_of_channels, short};
use super::{ChannelCut, Values};
use crate::factor::Factor;
use crate::heads::dims::Dims;
use crate::product;

/// Plans and packed weights.
pub(super) struct Prepared<F> {
    /// C.
    pub channels: usize,
    /// What each cut reads in place of each channel.
    sources: Vec<Vec<Source>>,
    /// The channel of each place.
    pub order: Vec<usize>,
    /// The masks.
    pub panels: Vec<Panel>,
    /// Their weights, [panels, factors of C, 32].
    pub weights: Vec<F>,
    /// From cut to cut, for finite features.
    pub walk: Plan,
    /// See [`alone`](Self::alone).
    alone: OnceLock<Plan>,
    /// Whether the weights are finite.
    pub is_finite: bool,
}

impl<F: Factor> Prepared<F> {
    /// For so many channels and attributes, weights, and cuts that fit them.
    pub fn new(dims: &Dims, values: &Values, cuts: &[ChannelCut]) -> Self {
        let sources: Vec<Vec<Source>> =
            cuts.iter().map(|cut| sources(cut, dims.channels)).collect();
        let walk = short(cuts, &sources);
        let order = order_of_channels(&walk, dims.channels);
        let panels = panels(dims, values, cuts, &order);
        let is_finite = values.mask_weight.iter().all(|weight| weight.is_finite())
            && sources.iter().flatten().all(Source::is_finite);
        Self {
            channels: dims.channels,
            weights: weights(dims, values.mask_weight, &panels, &order),
            walk: Plan::new::<F>(&walk, &sources, &order, &panels),
            alone: OnceLock::new(),
            is_finite,
            sources,
            order,
            panels,
        }
    }

    /// Each cut by itself. What is not finite could not be taken back from the logits, so that the
    /// walk would carry it to cuts that do not keep it.
    pub fn alone(&self) -> &Plan {
        self.alone.get_or_init(|| {
            let Self { sources, order, panels, .. } = self;
            Plan::new::<F>(&each_alone(sources), sources, order, panels)
        })
    }

    /// Distance of two pixels' features.
    pub fn pitch(&self) -> usize {
        product::pitch(self.channels)
    }
}
