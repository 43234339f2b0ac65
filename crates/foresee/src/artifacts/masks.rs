//! The masks: means over images (Figure 5), top channels, and masks on faces (Figure 4).

use foresee_report::{PlaneTable, record};
use foresee_stats::Matrix;

use super::faces::FacePixels;
use super::{Row, attribute_rows, channel_names, matrix_file, table_file};

matrix_file! {
    /// Figure 5: mean masks [K, C].
    MeanMasks, "data/mean_masks.csv", "attribute"
}

matrix_file! {
    /// Mean contributions |w·p| [K, C].
    MeanContributions, "data/mean_contributions.csv", "attribute"
}

impl MeanMasks {
    /// Of a matrix [K, C].
    pub fn new(masks: &Matrix) -> Self {
        Self(attribute_rows(channel_names(masks.columns()), masks))
    }
}

impl MeanContributions {
    /// Of a matrix [K, C].
    pub fn new(contributions: &Matrix) -> Self {
        Self(attribute_rows(channel_names(contributions.columns()), contributions))
    }
}

record! {
    /// A channel with a high mean mask for an attribute.
    #[derive(Debug, Clone, PartialEq)]
    pub struct TopChannel {
        /// The attribute.
        pub attribute: String,
        /// By mean mask, from 1.
        pub rank: usize,
        /// The channel.
        pub channel: usize,
        /// Its mean mask.
        pub mean_mask: f64,
        /// Its mean contribution |w·p|.
        pub mean_contribution: f64,
        /// By mean contribution, from 1.
        pub rank_by_contribution: usize,
    }
}

impl Row for TopChannel {
    const PATH: &'static str = "data/top_channels.csv";
}

table_file! {
    /// The faces of Figure 4.
    Figure4Faces(FacePixels), "data/figure4_faces.csv"
}

record! {
    /// What a mask of Figure 4 is of.
    #[derive(Debug, Clone, PartialEq)]
    pub struct MaskLabel {
        /// The face's image.
        pub face: String,
        /// The attribute.
        pub attribute: String,
        /// 1 if the face has the attribute, else 0.
        pub label: usize,
        /// The channel's rank among the attribute's, from 1.
        pub rank: usize,
        /// The channel.
        pub channel: usize,
        /// Its readout weight for the attribute.
        pub weight: f64,
    }
}

table_file! {
    /// The masks of Figure 4.
    Figure4Masks(PlaneTable<MaskLabel>), "data/figure4_masks.csv"
}
