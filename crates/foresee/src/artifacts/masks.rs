//! The masks: means over images (Figure 5), top channels, and masks on faces (Figure 4).

use candle_core::Tensor;
use foresee_celeba::Normalisation;
use foresee_report::{DataFrame, PlaneTable, record};
use foresee_stats::Matrix;

use super::faces::FacePixels;
use super::{Artifact, Row, attribute_rows, channel_names, matrix_file};
use crate::error::Result;

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

/// The faces of Figure 4.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure4Faces(pub FacePixels);

impl Figure4Faces {
    /// Of normalised images [B, 3, H, W] of faces with these names.
    ///
    /// # Errors
    /// If candle fails.
    pub fn new(names: &[&str], images: &Tensor, normalisation: &Normalisation) -> Result<Self> {
        Ok(Self(FacePixels::new(names, images, normalisation)?))
    }
}

impl Artifact for Figure4Faces {
    const PATH: &'static str = "data/figure4_faces.csv";

    fn to_frame(&self) -> Result<DataFrame> {
        self.0.to_frame()
    }

    fn from_frame(frame: &DataFrame) -> Result<Self> {
        Ok(Self(FacePixels::from_frame(frame)?))
    }
}

record! {
    /// What a mask of Figure 4 is of.
    #[derive(Debug, Clone, PartialEq)]
    pub struct MaskLabel {
        /// The face's image.
        pub face: String,
        /// The attribute.
        pub attribute: String,
        /// The channel's rank among the attribute's, from 1.
        pub rank: usize,
        /// The channel.
        pub channel: usize,
    }
}

/// The masks of Figure 4.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure4Masks(pub PlaneTable<MaskLabel>);

impl Figure4Masks {
    /// None yet, for square images of this size.
    pub fn new(size: usize) -> Self {
        Self(PlaneTable::new(size))
    }

    /// Adds a mask, row by row.
    pub fn push(&mut self, label: MaskLabel, mask: &[f32]) {
        self.0.push(label, mask);
    }
}

impl Artifact for Figure4Masks {
    const PATH: &'static str = "data/figure4_masks.csv";

    fn to_frame(&self) -> Result<DataFrame> {
        Ok(self.0.to_frame()?)
    }

    fn from_frame(frame: &DataFrame) -> Result<Self> {
        Ok(Self(PlaneTable::from_frame(frame)?))
    }
}
