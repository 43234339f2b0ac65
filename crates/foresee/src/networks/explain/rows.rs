//! The data files of explanations, one of each for every image.

use foresee_attribution::Method;
use foresee_report::{Fixed, Scientific, record};

record! {
    /// What a map is of, and the map's scale.
    #[derive(Debug, Clone, PartialEq)]
    pub(crate) struct MapLabel {
        /// The image.
        pub image: String,
        /// The output that is explained.
        pub output: String,
        /// Its probability.
        pub probability: Fixed<4>,
        /// The image's class, or whether it has what the output stands for; empty if it is not
        /// known.
        pub label: String,
        /// The method.
        #[id]
        pub method: Method,
        /// The largest |value| of the map, in shares of which its values are written.
        pub max_abs: Scientific,
    }
}

record! {
    /// A map in numbers.
    #[derive(Debug, Clone, PartialEq)]
    pub(crate) struct ExplanationRow {
        /// The image.
        pub image: String,
        /// The output that is explained.
        pub output: String,
        /// Its logit.
        pub logit: f64,
        /// Its probability: of a softmax, or of a sigmoid.
        pub probability: f64,
        /// The image's class, or whether it has what the output stands for; empty if it is not
        /// known.
        pub label: String,
        /// The method.
        #[id]
        pub method: Method,
        /// The sum of the map.
        pub sum: f64,
        /// Its largest |value|.
        pub max_abs: f64,
        /// R² of LIME's linear model around the image.
        pub local_r2: f64,
        /// By how much integrated gradients miss f(x) - f(0), relative to it.
        pub completeness_gap: f64,
    }
}
