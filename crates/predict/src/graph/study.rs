//! Which layers can be pruned, and how far: forecast before, and compared with what came.

use candle_core::Tensor;
use foresee_graph::{ChannelGroup, Graph};
use foresee_perturb::{GroupStatistics, Takeover, share_counts};

use super::outcome::{Answers, Judge, LayerOutcome};
use crate::error::Error;
use crate::network::Progress;
use crate::scored::ScoredForecast;

/// Settings of a [`LayerStudy`].
#[derive(Debug, Clone, PartialEq)]
pub struct LayerStudySettings {
    /// The shares of each layer's channels that are pruned, above 0 and below 1.
    pub shares: Vec<f64>,
    /// The shares of the network's operations to which all layers are pruned together, from 0 to
    /// below 1; can be empty. They are beside the layers' outcomes, and are not scored.
    pub budgets: Vec<f64>,
    /// What the kept channels do.
    pub takeover: Takeover,
    /// The outputs that are forecast; the observed accuracy is of all.
    pub outputs: Vec<usize>,
    /// What its answers are.
    pub answers: Answers,
    /// Samples of the bootstrap.
    pub resamples: usize,
    /// Its seed.
    pub seed: u64,
}

/// A layer: channels that are pruned together, in an order.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    /// The channels.
    pub group: &'a ChannelGroup,
    /// Their units, first to go first.
    pub order: &'a [usize],
    /// A norm of each unit's filters.
    pub norms: &'a [f64],
}

/// What pruning a share of each layer, or of all layers together, does to a network, forecast
/// before it is done:
///
/// - to first order, from one gradient of each output for all layers together: what the channels
///   that go contribute, Σ a·∂f/∂a over their activations a wherever they are read, or under a
///   takeover by how much that differs from what takes over;
/// - to second order ([`second_order_change`](crate::second_order_change)), and linear from the
///   same probe: the network with masks of 1 - [`PROBE`](Self::PROBE) on the channels that go. It
///   takes a forward pass for each share of each layer, as the outcome does. Without a takeover
///   only;
/// - by the size of contributions, correlations and norms.
pub struct LayerStudy<'a> {
    /// The network: one input, and a first output [B, K].
    pub graph: &'a Graph,
    /// The layers.
    pub layers: &'a [Layer<'a>],
    /// What takeovers and correlations are computed from.
    pub statistics: &'a GroupStatistics<'a>,
    /// Batches of images.
    pub batches: &'a [Tensor],
    /// The accuracy of logits, where there are labels.
    pub judge: Option<Judge<'a>>,
    /// The settings.
    pub settings: LayerStudySettings,
    /// Is told how many more images have been run.
    pub progress: Progress<'a>,
}

/// What a [`LayerStudy`] found.
#[derive(Debug)]
pub struct LayerForecasts {
    /// The forecasts beside the outcomes, layer by layer.
    pub outcomes: Vec<LayerOutcome>,
    /// The scores of the forecasts over all layers.
    pub scores: Vec<ScoredForecast>,
    /// Why some layers, or some shares of them, have no outcome: their contributions could not be
    /// measured, nothing would be left of a part of them, or the smaller network failed.
    pub skipped: Vec<Error>,
}

impl<'a> LayerStudy<'a> {
    /// How far the probe of the second order goes: half of the way, with masks of ½. A rectified
    /// network has kinks and hardly any curvature between them, so that a small step says little
    /// of what comes after them.
    pub const PROBE: f64 = 0.5;

    /// How often all images are run through the network, passes back included.
    pub fn passes(&self) -> usize {
        let of = |layer: &Layer| share_counts(layer.group.units, &self.settings.shares).len();
        let parts: usize = self.layers.iter().map(of).sum();
        let of_part = if self.has_probes() { 2 } else { 1 };
        2 + self.settings.outputs.len() + of_part * (parts + self.settings.budgets.len())
    }

    pub(super) fn has_probes(&self) -> bool {
        self.settings.takeover == Takeover::Nothing
    }
}
