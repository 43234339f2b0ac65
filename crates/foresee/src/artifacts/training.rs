//! The history of a training.

use foresee_report::record;

use super::Row;

record! {
    /// A step.
    #[derive(Debug, Clone, PartialEq)]
    pub struct TrainingStep {
        /// Counted from 0.
        pub step: usize,
        /// Counted from 0.
        pub epoch: usize,
        /// L of Eq. 10.
        pub loss: f64,
        /// L_b of Eq. 8.
        pub classification_loss: f64,
        /// λ‖M‖₁.
        pub sparsity_loss: f64,
        /// Share of the batch's labels that are predicted correctly, before the step.
        pub batch_accuracy: f64,
        /// Mean of all masks.
        pub mask_mean: f64,
        /// The step's.
        pub learning_rate: f64,
    }
}

impl Row for TrainingStep {
    const PATH: &'static str = "data/training.csv";
}

record! {
    /// A look at all rows of the heads, after which some sleep until the next (`train.sleep`).
    #[derive(Debug, Clone, PartialEq)]
    pub struct AwakeRows {
        /// The step that looked, counted from 0.
        pub step: usize,
        /// Rows that are computed until the next look.
        pub awake: usize,
    }
}

impl Row for AwakeRows {
    const PATH: &'static str = "data/awake_rows.csv";
}

record! {
    /// A judgement on validation faces.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Validation {
        /// Epochs before it.
        pub epochs_done: usize,
        /// A share.
        pub accuracy: f64,
        /// Mean of the accuracies with and without the attribute.
        pub balanced_accuracy: f64,
    }
}

impl Row for Validation {
    const PATH: &'static str = "data/validation.csv";
}
