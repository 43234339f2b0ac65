//! How right the network is on test faces.

use foresee_report::record;

use super::Row;

record! {
    /// Means over all attributes (Table 3).
    #[derive(Debug, Clone, PartialEq)]
    pub struct Accuracy {
        /// The split that was judged on.
        pub split: String,
        /// How many images.
        pub images: usize,
        /// Mean accuracy, a share.
        pub accuracy: f64,
        /// Mean of the accuracies with and without the attribute.
        pub balanced_accuracy: f64,
        /// Area under the ROC curve.
        pub auc: f64,
        /// Accuracy of the majority class of the training faces.
        pub majority_accuracy: f64,
    }
}

impl Row for Accuracy {
    const PATH: &'static str = "data/accuracy.csv";
}

record! {
    /// The same of one attribute.
    #[derive(Debug, Clone, PartialEq)]
    pub struct AttributeAccuracy {
        /// Its name.
        pub attribute: String,
        /// Share of the images that have it.
        pub frequency: f64,
        /// A share.
        pub accuracy: f64,
        /// Mean of the accuracies with and without the attribute; NaN if no image has it, or all.
        pub balanced_accuracy: f64,
        /// Area under the ROC curve; NaN if no image has the attribute, or all.
        pub auc: f64,
        /// Accuracy of the majority class of the training faces.
        pub majority_accuracy: f64,
    }
}

impl Row for AttributeAccuracy {
    const PATH: &'static str = "data/accuracy_per_attribute.csv";
}
