//! What `compare` measures of a network, and the table of all systems.

use foresee_perturb::Takeover;
use foresee_predict::{ScoreRule, Subject};
use foresee_report::record;

use super::Row;

record! {
    /// The accuracy on one test image under one condition.
    #[derive(Debug, Clone, PartialEq)]
    pub struct JudgedImage {
        /// Its name.
        pub image: String,
        /// σ of the noise on it; 0 for none.
        pub sigma: f64,
        /// Channels of the last stage that were pruned; 0 for none.
        pub pruned: usize,
        /// What the kept channels did then.
        #[id]
        pub takeover: Takeover,
        /// The share of the attributes that were answered right.
        pub accuracy: f64,
    }
}

impl Row for JudgedImage {
    const PATH: &'static str = "data/judged_images.csv";
}

record! {
    /// What a system costs.
    #[derive(Debug, Clone, PartialEq)]
    pub struct SystemCost {
        /// Values of weights; of FaceTracer those of its support vectors.
        pub parameters: usize,
        /// Multiply-accumulates of one image; NaN if that is not counted.
        pub macs: f64,
        /// Milliseconds that an image takes in batches, the median of some.
        pub milliseconds: f64,
        /// Channels of the last stage; 0 if there are none.
        pub channels: usize,
    }
}

impl Row for SystemCost {
    const PATH: &'static str = "data/system_cost.csv";
}

record! {
    /// A feature that FaceTracer chose for an attribute.
    #[derive(Debug, Clone, PartialEq)]
    pub struct ChosenFeature {
        /// The attribute.
        pub attribute: String,
        /// 1 for the feature that was chosen first.
        pub rank: usize,
        /// Where it is.
        pub region: String,
        /// The values of the pixels that it is made of.
        pub pixels: String,
        /// How they are normalised.
        pub normalisation: String,
        /// How they become a vector.
        pub aggregation: String,
        /// Of all features of the attribute together, on the faces that they were chosen by.
        pub balanced_accuracy: f64,
    }
}

impl Row for ChosenFeature {
    const PATH: &'static str = "data/features.csv";
}

record! {
    /// Where a part of PANDA-l's lies in the images that the network sees.
    #[derive(Debug, Clone, PartialEq)]
    pub struct PartPlace {
        /// Its name.
        pub part: String,
        /// Its first column.
        pub left: usize,
        /// The column behind its last one.
        pub right: usize,
        /// Its first row.
        pub top: usize,
        /// The row behind its last one.
        pub bottom: usize,
        /// What says where it lies: `landmarks` of the training faces, or the `alignment` of all.
        pub placed_by: String,
    }
}

impl Row for PartPlace {
    const PATH: &'static str = "data/parts.csv";
}

record! {
    /// How well ANet tells people before it learns attributes.
    #[derive(Debug, Clone, PartialEq)]
    pub struct LearnedPeople {
        /// People that it learned to tell.
        pub people: usize,
        /// Training images of them.
        pub images: usize,
        /// Those of them that it was asked about, as they are.
        pub asked: usize,
        /// The share of these that it answers right.
        pub accuracy: f64,
        /// The share of these that are of one person, at most.
        pub most_frequent: f64,
    }
}

impl Row for LearnedPeople {
    const PATH: &'static str = "data/learned_people.csv";
}

record! {
    /// A system over all its seeds.
    #[derive(Debug, Clone, PartialEq)]
    pub struct SystemRow {
        /// Its name in files.
        pub system: String,
        /// Trainings.
        pub seeds: usize,
        /// Passes over the training faces; 0 of what learns without passes.
        pub passes: usize,
        /// Test images.
        pub images: usize,
        /// Mean accuracy over attributes, images and seeds.
        pub accuracy: f64,
        /// Lower end of its interval over seeds and images; NaN with one seed.
        pub accuracy_low: f64,
        /// Upper end.
        pub accuracy_high: f64,
        /// That less the paper's network's on the same images; NaN if that is not among the
        /// systems.
        pub difference: f64,
        /// Lower end of its interval over seeds and images; NaN with one seed.
        pub difference_low: f64,
        /// Upper end.
        pub difference_high: f64,
        /// Mean of the accuracies with and without an attribute.
        pub balanced_accuracy: f64,
        /// Area under the ROC curve, mean over attributes.
        pub auc: f64,
        /// Of the majority class of the training faces.
        pub majority_accuracy: f64,
        /// Values of weights.
        pub parameters: usize,
        /// Multiply-accumulates of one image.
        pub macs: f64,
        /// Milliseconds of one image.
        pub milliseconds: f64,
        /// Seconds of a training, mean over seeds.
        pub training_seconds: f64,
        /// Joules that the processors took while a training ran, mean over seeds; NaN where the
        /// system does not tell it, or a training was interrupted.
        pub training_joules: f64,
        /// Largest peak memory of a training; NaN where the system does not tell it.
        pub peak_memory_bytes: f64,
        /// The kind of faces.
        pub data: String,
    }
}

impl Row for SystemRow {
    const PATH: &'static str = "data/table3_run.csv";
}

record! {
    /// A system under one condition.
    #[derive(Debug, Clone, PartialEq)]
    pub struct ConditionRow {
        /// Its name in files.
        pub system: String,
        /// σ of the noise; 0 for none.
        pub sigma: f64,
        /// Channels that were pruned; 0 for none.
        pub pruned: usize,
        /// What the kept channels did then.
        #[id]
        pub takeover: Takeover,
        /// Seeds.
        pub seeds: usize,
        /// Test images.
        pub images: usize,
        /// Mean accuracy.
        pub accuracy: f64,
        /// Lower end of its interval over seeds and images; NaN with one seed.
        pub accuracy_low: f64,
        /// Upper end.
        pub accuracy_high: f64,
        /// That less the accuracy on the same images without the condition.
        pub change: f64,
        /// Lower end of its interval.
        pub change_low: f64,
        /// Upper end.
        pub change_high: f64,
        /// The kind of faces.
        pub data: String,
    }
}

impl Row for ConditionRow {
    const PATH: &'static str = "data/conditions.csv";
}

record! {
    /// How well a forecast says what pruning does to a system, over all its seeds.
    #[derive(Debug, Clone, PartialEq)]
    pub struct SystemForecast {
        /// Its name in files.
        pub system: String,
        /// The forecast.
        #[id]
        pub forecast: Subject,
        /// The score.
        #[id]
        pub score: ScoreRule,
        /// Trainings.
        pub seeds: usize,
        /// The score, mean over seeds.
        pub value: f64,
        /// Lower end of its interval over seeds; NaN with one seed.
        pub value_low: f64,
        /// Upper end.
        pub value_high: f64,
        /// The control: the score where operations and outputs are exchanged, mean over seeds.
        pub shuffled: f64,
        /// The score less that in the paper's network with the same seed, mean over seeds; NaN if
        /// that is not among the systems, or for that itself.
        pub difference: f64,
        /// Lower end of its interval over seeds; NaN with one seed.
        pub difference_low: f64,
        /// Upper end.
        pub difference_high: f64,
        /// The kind of faces.
        pub data: String,
    }
}

impl Row for SystemForecast {
    const PATH: &'static str = "data/forecasts_by_system.csv";
}

record! {
    /// A system on one attribute, mean over seeds.
    #[derive(Debug, Clone, PartialEq)]
    pub struct SystemAttribute {
        /// Its name in files.
        pub system: String,
        /// The attribute.
        pub attribute: String,
        /// Mean accuracy over seeds.
        pub accuracy: f64,
        /// That less the paper's network's with the same seed, mean over seeds; NaN if that is not
        /// among the systems.
        pub difference: f64,
        /// The least of these differences.
        pub difference_low: f64,
        /// The greatest.
        pub difference_high: f64,
        /// The kind of faces.
        pub data: String,
    }
}

impl Row for SystemAttribute {
    const PATH: &'static str = "data/table3_run_per_attribute.csv";
}

record! {
    /// A system on validation faces after some passes of its training.
    #[derive(Debug, Clone, PartialEq)]
    pub struct SystemPass {
        /// Its name in files.
        pub system: String,
        /// Passes over the training faces.
        pub passes: usize,
        /// Trainings.
        pub seeds: usize,
        /// Mean accuracy over seeds.
        pub accuracy: f64,
        /// The least over seeds.
        pub accuracy_low: f64,
        /// The greatest.
        pub accuracy_high: f64,
        /// The kind of faces.
        pub data: String,
    }
}

impl Row for SystemPass {
    const PATH: &'static str = "data/learning_by_system.csv";
}
