//! Forecast and outcome of every layer as a data file.

use foresee_predict::LayerOutcome;
use foresee_report::record;

record! {
    /// A share of a layer's channels: the forecast beside what came.
    #[derive(Debug, Clone, PartialEq)]
    pub(crate) struct OutcomeRow {
        /// The first node that computes the channels.
        pub layer: String,
        /// What its weights are called.
        pub title: String,
        /// The share of the channels that was asked for.
        pub share: f64,
        /// How many channels can go, one by one.
        pub channels: usize,
        /// How many were pruned.
        pub pruned: usize,
        /// The mean |change| of an answer, forecast to first order.
        pub change_forecast: f64,
        /// The same, observed.
        pub change: f64,
        /// The share of answers that were forecast to flip.
        pub flips_forecast: f64,
        /// The same, observed.
        pub flips: f64,
        /// The accuracy before; NaN without labels.
        pub accuracy_before: f64,
        /// The accuracy that was forecast; NaN if not all outputs are forecast.
        pub accuracy_forecast: f64,
        /// The accuracy that came.
        pub accuracy: f64,
    }
}

impl OutcomeRow {
    /// Of an outcome, with the layer's title and all shares that were asked for.
    pub fn new(outcome: &LayerOutcome, title: String, shares: &[f64]) -> Self {
        let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
        let own = outcome.pruned as f64 / outcome.units.max(1) as f64;
        let distance = |share: f64| (share - own).abs();
        let nearest = shares.iter().copied().min_by(|a, b| distance(*a).total_cmp(&distance(*b)));
        Self {
            layer: outcome.layer.clone(),
            title,
            share: nearest.unwrap_or(own),
            channels: outcome.units,
            pruned: outcome.pruned,
            change_forecast: outcome.change_forecast,
            change: outcome.change,
            flips_forecast: outcome.flips_forecast,
            flips: outcome.flips,
            accuracy_before: number(outcome.accuracy_before),
            accuracy_forecast: number(outcome.accuracy_forecast),
            accuracy: number(outcome.accuracy),
        }
    }
}
