//! Forecast and outcome of every layer as a data file.

use foresee_predict::{LayerEffect, LayerOutcome, Pruned};
use foresee_report::record;

record! {
    /// A share of a layer's channels, or of all layers: the forecasts beside the outcome.
    #[derive(Debug, Clone, PartialEq)]
    pub(crate) struct OutcomeRow {
        /// The first node that computes the channels; empty if all layers are pruned.
        pub layer: String,
        /// What its weights are called.
        pub title: String,
        /// The share of the channels that was asked for; NaN if all layers are pruned.
        pub share: f64,
        /// The share of the operations that was asked for; NaN if one layer is pruned.
        pub budget: f64,
        /// How many channels can go, one by one.
        pub channels: usize,
        /// How many were pruned.
        pub pruned: usize,
        /// Images that all is measured on.
        pub images: usize,
        /// The mean |change| of a logit, forecast to first order.
        pub change_forecast: f64,
        /// The same to second order; NaN under a takeover.
        pub change_second_order: f64,
        /// The same, observed.
        pub change: f64,
        /// The share of answers that flip, forecast to first order; NaN if not all outputs are
        /// forecast.
        pub flips_forecast: f64,
        /// The same to second order.
        pub flips_second_order: f64,
        /// The same, observed, of all outputs.
        pub flips: f64,
        /// The accuracy before; NaN without labels.
        pub accuracy_before: f64,
        /// The accuracy forecast to first order; NaN if not all outputs are forecast.
        pub accuracy_forecast: f64,
        /// The same to second order.
        pub accuracy_second_order: f64,
        /// The accuracy observed.
        pub accuracy: f64,
    }
}

record! {
    /// What has no outcome.
    #[derive(Debug, Clone, PartialEq)]
    pub(crate) struct SkippedRow {
        /// What it is, and why it has none.
        pub why: String,
    }
}

impl SkippedRow {
    pub fn new(error: &foresee_predict::Error) -> Self {
        Self { why: error.to_string() }
    }
}

impl OutcomeRow {
    /// Of an outcome on so many images, with the layer's title.
    pub fn new(outcome: &LayerOutcome, title: impl Fn(&str) -> String, images: usize) -> Self {
        let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
        let (layer, title, share, budget) = match &outcome.what {
            Pruned::Layer(layer) => (layer.clone(), title(layer), outcome.share, f64::NAN),
            Pruned::Together { operations } => {
                (String::new(), outcome.what.to_string(), f64::NAN, *operations)
            }
        };
        let LayerOutcome { first_order, second_order, observed, .. } = outcome;
        let unknown = LayerEffect { change: f64::NAN, flips: None, accuracy: None };
        let second_order = second_order.unwrap_or(unknown);
        Self {
            layer,
            title,
            share,
            budget,
            channels: outcome.units,
            pruned: outcome.pruned,
            images,
            change_forecast: first_order.change,
            change_second_order: second_order.change,
            change: observed.change,
            flips_forecast: number(first_order.flips),
            flips_second_order: number(second_order.flips),
            flips: number(observed.flips),
            accuracy_before: number(outcome.accuracy_before),
            accuracy_forecast: number(first_order.accuracy),
            accuracy_second_order: number(second_order.accuracy),
            accuracy: number(observed.accuracy),
        }
    }
}
