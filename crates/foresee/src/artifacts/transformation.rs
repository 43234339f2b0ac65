//! Mask transformation under noise (Figure 8).

use foresee_perturb::{Curve, Tally};
use foresee_report::record;

use super::{PerAttribute, Row};

record! {
    /// A point of Figure 8.
    #[derive(Debug, Clone, PartialEq)]
    pub struct TransformationPoint {
        /// σ of the noise on pixels in [0, 1].
        pub sigma: f64,
        /// The tone curve on all masks.
        #[id]
        pub curve: Curve,
        /// Test images.
        pub images: usize,
        /// Mean accuracy, a share.
        pub accuracy: f64,
        /// Of it, over images.
        pub standard_error: f64,
        /// Accuracy above that of untransformed masks on the same noisy images.
        pub gain: f64,
        /// Of it, over images.
        pub gain_standard_error: f64,
        /// Accuracy of the majority-class baseline on the same images.
        pub majority_accuracy: f64,
    }
}

impl TransformationPoint {
    /// Of a curve under noise, beside the untransformed masks on the same noisy images, and the
    /// accuracy of the majority-class baseline on them.
    pub(crate) fn new(
        sigma: f64,
        curve: &Curve,
        [tally, baseline]: [&Tally; 2],
        majority_accuracy: f64,
    ) -> Self {
        let gain = tally.paired_gain(baseline);
        Self {
            sigma,
            curve: curve.clone(),
            images: tally.images(),
            accuracy: tally.accuracy(),
            standard_error: tally.standard_error(),
            gain: gain.mean,
            gain_standard_error: gain.standard_error,
            majority_accuracy,
        }
    }
}

impl Row for TransformationPoint {
    const PATH: &'static str = "data/mask_transformation.csv";
}

/// Figure 8: all points, with the accuracy of each attribute.
pub type TransformationCurves = PerAttribute<TransformationPoint>;

record! {
    /// How many attributes of a test image are predicted correctly at a point of Figure 8.
    #[derive(Debug, Clone, PartialEq)]
    pub struct TransformedImage {
        /// The image.
        pub image: String,
        /// σ of the noise.
        pub sigma: f64,
        /// The tone curve.
        #[id]
        pub curve: Curve,
        /// Attributes predicted correctly.
        pub correct: usize,
    }
}

impl Row for TransformedImage {
    const PATH: &'static str = "data/mask_transformation_by_image.csv";
}

record! {
    /// For a σ the curve that is best on validation faces, judged on test faces.
    #[derive(Debug, Clone, PartialEq)]
    pub struct TransformationChoice {
        /// σ of the noise.
        pub sigma: f64,
        /// The chosen curve.
        #[id]
        pub curve: Curve,
        /// Validation images that it was chosen on.
        pub validation_images: usize,
        /// Its gain there over untransformed masks.
        pub validation_gain: f64,
        /// Test images.
        pub test_images: usize,
        /// Its gain there over untransformed masks.
        pub test_gain: f64,
        /// Of it, over images.
        pub test_gain_standard_error: f64,
        /// Its accuracy there.
        pub test_accuracy: f64,
    }
}

impl Row for TransformationChoice {
    const PATH: &'static str = "data/mask_transformation_choice.csv";
}
