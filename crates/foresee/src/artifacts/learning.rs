//! The rounds of active learning.

use foresee_report::record;

use super::Row;

record! {
    /// A network trained on what a strategy chose so far.
    #[derive(Debug, Clone, PartialEq)]
    pub struct LearningPoint {
        /// What chooses.
        pub strategy: String,
        /// Decides the first labels, the weights and all draws.
        pub seed: u64,
        /// Counted from 0: the first labels.
        pub round: usize,
        /// Labelled faces.
        pub labels: usize,
        /// Accuracy on test faces, mean over the attributes.
        pub accuracy: f64,
        /// Mean of the accuracies with and without an attribute, mean over the attributes.
        pub balanced_accuracy: f64,
        /// What the round took.
        pub seconds: f64,
        /// The kind of faces.
        pub data: String,
    }
}

impl Row for LearningPoint {
    const PATH: &'static str = "data/learning_curves.csv";
}

record! {
    /// A strategy over all seeds, beside random choice.
    #[derive(Debug, Clone, PartialEq)]
    pub struct LearningSummary {
        /// What chooses.
        pub strategy: String,
        /// How many seeds have all rounds.
        pub seeds: usize,
        /// With all labels, mean over seeds.
        pub last_accuracy: f64,
        /// The mean over the labels: the area under the curve over its width.
        pub mean_accuracy: f64,
        /// That less random's, paired by seed.
        pub difference: f64,
        /// Lower end of its interval; NaN with fewer than two seeds.
        pub difference_low: f64,
        /// Upper end.
        pub difference_high: f64,
        /// The accuracy that labels are counted for.
        pub target: f64,
        /// Labels needed for it, mean over the seeds that reach it.
        pub labels_needed: f64,
        /// How many seeds reach it.
        pub reached: usize,
        /// The kind of faces.
        pub data: String,
    }
}

impl Row for LearningSummary {
    const PATH: &'static str = "data/learning_summary.csv";
}
