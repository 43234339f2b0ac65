//! The data files of pruning, two for each layer.

use foresee_perturb::{GroupRule, Takeover};
use foresee_report::record;

record! {
    /// The accuracy of a network without some channels of a layer.
    #[derive(Debug, Clone, PartialEq)]
    pub(crate) struct PrunePoint {
        /// The first node that computes the channels.
        pub layer: String,
        /// What its weights are called; the node's name if that is not known.
        pub title: String,
        /// What orders them.
        #[id]
        pub rule: GroupRule,
        /// Of a random order.
        pub seed: Option<u64>,
        /// What takes over.
        #[id]
        pub takeover: Takeover,
        /// How many can go, one by one.
        pub channels: usize,
        /// How many are gone.
        pub pruned: usize,
        /// Images that the accuracy is of.
        pub images: usize,
        /// A share.
        pub accuracy: f64,
        /// Of it, over images.
        pub standard_error: f64,
        /// The share of images whose class is among the five greatest outputs; NaN of networks
        /// with five outputs or fewer, or with a yes or a no for each.
        pub top5_accuracy: f64,
        /// The accuracy of always answering what most of the images have.
        pub majority_accuracy: f64,
    }
}

record! {
    /// The accuracy of the unpruned network for an output.
    #[derive(Debug, Clone, PartialEq)]
    pub(crate) struct OutputAccuracy {
        /// The output's name.
        pub output: String,
        /// Images that it is of: those of the class, or all where outputs are a yes or a no.
        pub images: usize,
        /// A share; NaN of no images.
        pub accuracy: f64,
        /// The accuracy of always answering what most images have; NaN of classes.
        pub majority_accuracy: f64,
    }
}

record! {
    /// What a network costs without some channels of a layer.
    #[derive(Debug, Clone, PartialEq)]
    pub(crate) struct CostPoint {
        /// The first node that computes the channels.
        pub layer: String,
        /// How many can go, one by one.
        pub channels: usize,
        /// How many are gone.
        pub pruned: usize,
        /// Multiplications with an addition, for one image.
        pub macs: u64,
        /// Of all layers.
        pub parameters: usize,
        /// The time for one image, measured: the median of some batches.
        pub milliseconds: f64,
        /// Images of the batches that the time is of.
        pub batch: usize,
        /// Threads.
        pub threads: usize,
    }
}
