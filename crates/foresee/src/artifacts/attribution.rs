//! What the stage `attribute` finds about attribution methods.

use foresee_attribution::{Method, PartKind, SurrogateInputs, SurrogateKind};
use foresee_report::{DataFrame, Fixed, PlaneTable, Scientific, WideTable, record};

use super::faces::FacePixels;
use super::{Artifact, Row, table_file};
use crate::error::Result;

record! {
    /// Scores of one method on one face that has the attribute.
    #[derive(Debug, Clone, PartialEq)]
    pub struct AttributionScore {
        /// The method.
        #[id]
        pub method: Method,
        /// The attribute.
        pub attribute: String,
        /// The face's image.
        pub image: String,
        /// Area under the logit while the greatest pixels are deleted; lower is better.
        pub deletion: f64,
        /// Area under the logit while the greatest pixels are inserted; higher is better.
        pub insertion: f64,
        /// Whether the greatest pixel lies in the attribute's region: 1 or 0, or a share of ties.
        pub pointing_hit: f64,
        /// Share of the positive values that lies in the region.
        pub pointing_energy: f64,
        /// The region's share of the area.
        pub region_area: f64,
        /// How well LIME's linear model fits around the face.
        pub local_r2: f64,
        /// By how much integrated gradients miss f(x) - f(grey), relative to the greatest of it,
        /// their sum, and a tenth of the sum of their sizes.
        pub completeness_gap: f64,
    }
}

impl Row for AttributionScore {
    const PATH: &'static str = "data/attribution_scores.csv";
}

record! {
    /// Checks of one method on one face that has the attribute.
    #[derive(Debug, Clone, PartialEq)]
    pub struct AttributionCheck {
        /// The method.
        #[id]
        pub method: Method,
        /// The attribute.
        pub attribute: String,
        /// The face's image.
        pub image: String,
        /// Infidelity of the map, scaled as fits best.
        pub infidelity: f64,
        /// Infidelity of a map of zeros.
        pub infidelity_of_zeros: f64,
        /// Greatest relative change of the map when the face hardly changes.
        pub max_sensitivity: f64,
    }
}

impl Row for AttributionCheck {
    const PATH: &'static str = "data/attribution_checks.csv";
}

record! {
    /// A method's map after a step of the cascade that draws weights anew.
    #[derive(Debug, Clone, PartialEq)]
    pub struct RandomisedStep {
        /// The method.
        #[id]
        pub method: Method,
        /// The attribute.
        pub attribute: String,
        /// The face's image.
        pub image: String,
        /// From 1.
        pub step: usize,
        /// The layer that is random from this step on.
        pub also_random: String,
        /// Spearman's ρ with the trained network's map.
        pub rank_correlation: f64,
    }
}

impl Row for RandomisedStep {
    const PATH: &'static str = "data/attribution_randomisation.csv";
}

record! {
    /// How much the log loss grows when a part of the inputs is permuted among faces.
    #[derive(Debug, Clone, PartialEq)]
    pub struct PermutedPart {
        /// What kind of part.
        #[id]
        pub kind: PartKind,
        /// The attribute whose log loss is measured.
        pub attribute: String,
        /// The part.
        pub part: String,
        /// With nothing permuted.
        pub log_loss: f64,
        /// The mean increase.
        pub increase: f64,
        /// Its standard deviation over permutations.
        pub deviation: f64,
    }
}

/// Permutation importance: all parts, each with the log loss under every permutation.
#[derive(Debug, Clone, PartialEq)]
pub struct PermutedParts(pub Vec<(PermutedPart, Vec<f64>)>);

impl Artifact for PermutedParts {
    const PATH: &'static str = "data/attribution_permutation.csv";

    fn to_frame(&self) -> Result<DataFrame> {
        let repeats = self.0.first().map_or(0, |(_, permuted)| permuted.len());
        let mut table = WideTable::new((0..repeats).map(|repeat| format!("permuted_{repeat}")));
        table.rows.clone_from(&self.0);
        Ok(table.to_frame()?)
    }

    fn from_frame(frame: &DataFrame) -> Result<Self> {
        Ok(Self(WideTable::from_frame(frame)?.rows))
    }
}

record! {
    /// The logit of one face with a channel set to a value everywhere.
    #[derive(Debug, Clone, PartialEq)]
    pub struct DependencePoint {
        /// The attribute.
        pub attribute: String,
        /// Its most important channel.
        pub channel: String,
        /// The face's number among those that were looked at.
        pub face: usize,
        /// The channel's value.
        pub value: f64,
        /// The face's logit.
        pub logit: f64,
        /// The mean over faces.
        pub mean_logit: f64,
        /// Standard deviation over faces of the change from the least value.
        pub deviation_of_change: f64,
    }
}

impl Row for DependencePoint {
    const PATH: &'static str = "data/attribution_dependence.csv";
}

record! {
    /// A model that a person can read, fitted to an attribute's logit.
    #[derive(Debug, Clone, PartialEq)]
    pub struct SurrogateRow {
        /// The attribute.
        pub attribute: String,
        /// What the surrogate is given.
        #[id]
        pub inputs: SurrogateInputs,
        /// Its kind.
        #[id]
        pub surrogate: SurrogateKind,
        /// R² on the faces that it was fitted to.
        pub r2_fitted: f64,
        /// R² on faces that it has not seen.
        pub r2_held_out: f64,
        /// How often it decides as the network does, on faces that it has not seen.
        pub agreement_held_out: f64,
        /// Faces that it was fitted to.
        pub faces_fitted: f64,
        /// Faces that it has not seen.
        pub faces_held_out: f64,
        /// The model in words; c12 is channel 12.
        pub model: String,
    }
}

impl Row for SurrogateRow {
    const PATH: &'static str = "data/attribution_surrogate.csv";
}

/// What a map of the comparison shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapKind {
    /// A method's attribution.
    Method(Method),
    /// Where a drawn face has the attribute.
    Region,
}

impl MapKind {
    /// Its name in the file.
    pub fn id(self) -> &'static str {
        match self {
            Self::Method(method) => method.id(),
            Self::Region => "region",
        }
    }

    /// What a name in the file means.
    pub fn from_id(id: &str) -> Option<Self> {
        match id {
            "region" => Some(Self::Region),
            _ => Method::from_id(id).map(Self::Method),
        }
    }
}

record! {
    /// What a map of the comparison is of.
    #[derive(Debug, Clone, PartialEq)]
    pub struct MapLabel {
        /// The attribute.
        pub attribute: String,
        /// The face's image.
        pub face: String,
        /// The split that the face is in.
        pub split: String,
        /// Whether it has the attribute: yes or no.
        pub has: String,
        /// The network's probability.
        pub probability: Fixed<4>,
        /// The method, or the region.
        #[id]
        pub method: MapKind,
        /// The method's greatest |value| over all maps, in shares of which the map is.
        pub greatest: Scientific,
    }
}

/// Maps of attribution methods, as shares of each method's greatest |value|.
pub type Maps = PlaneTable<MapLabel>;

table_file! {
    /// The maps of the comparison that every run makes.
    AttributionMaps(Maps), "data/attribution_maps.csv"
}

table_file! {
    /// The maps that `attribute --method`, `--attribute` or `--image` asked for.
    ChosenMaps(Maps), "data/attribution_chosen_maps.csv"
}

table_file! {
    /// The faces of [`AttributionMaps`].
    AttributionFaces(FacePixels), "data/attribution_faces.csv"
}

table_file! {
    /// The faces of [`ChosenMaps`].
    ChosenFaces(FacePixels), "data/attribution_chosen_faces.csv"
}
