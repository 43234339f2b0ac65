//! What a study measures over the runs of its variants. The last fixed column says what kind of
//! faces a row's numbers come from.

use foresee_perturb::{PruneRule, Takeover};
use foresee_predict::{NetworkOperation, ScoreRule, Subject};
use foresee_report::{WideTable, record};

use super::Row;

record! {
    /// What decides the runs of a variant.
    #[derive(Debug, Clone, PartialEq)]
    pub struct VariantRow {
        /// Its name.
        pub variant: String,
        /// Its settings in words.
        pub settings: String,
        /// How many runs.
        pub seeds: usize,
        /// The kind of faces.
        pub data: String,
    }
}

/// The variants compared: mean, lowest and highest of each statistic over seeds.
pub type Variants = WideTable<VariantRow>;

record! {
    /// A point of Figure 7 over seeds and orders.
    #[derive(Debug, Clone, PartialEq)]
    pub struct PruningOverSeeds {
        /// The variant of the study.
        pub variant: String,
        /// What orders the channels.
        #[id]
        pub rule: PruneRule,
        /// What takes over.
        #[id]
        pub takeover: Takeover,
        /// Channels pruned.
        pub pruned: usize,
        /// Mean over seeds and orders.
        pub accuracy_percent: f64,
        /// The lowest of them.
        pub lowest: f64,
        /// The highest of them.
        pub highest: f64,
    }
}

impl Row for PruningOverSeeds {
    const PATH: &'static str = "data/pruning_over_seeds.csv";
}

record! {
    /// Where the masks of an attribute lie, on drawn faces.
    #[derive(Debug, Clone, PartialEq)]
    pub struct MaskRegion {
        /// The variant of the study.
        pub variant: String,
        /// The run's seed.
        pub seed: u64,
        /// The attribute.
        pub attribute: String,
        /// Test faces with it that were looked at.
        pub faces: usize,
        /// Its region's share of the area, mean over faces.
        pub area: f64,
        /// Share of its masks' mass in the region, over the area.
        pub mask_mass_over_area: f64,
        /// The same of other attributes' masks.
        pub others_mass_over_area: f64,
        /// The kind of faces.
        pub data: String,
    }
}

impl Row for MaskRegion {
    const PATH: &'static str = "data/mask_regions.csv";
}

record! {
    /// A score of a forecast over the runs of a variant.
    #[derive(Debug, Clone, PartialEq)]
    pub struct PredictabilityOverSeeds {
        /// The variant of the study.
        pub variant: String,
        /// What was done to the network.
        #[id]
        pub operation: NetworkOperation,
        /// What was forecast.
        #[id]
        pub forecast: Subject,
        /// How it is scored.
        #[id]
        pub score: ScoreRule,
        /// How many runs.
        pub seeds: usize,
        /// Over runs.
        pub mean: f64,
        /// The lowest of them.
        pub lowest: f64,
        /// The highest of them.
        pub highest: f64,
        /// The kind of faces.
        pub data: String,
    }
}

impl Row for PredictabilityOverSeeds {
    const PATH: &'static str = "data/predictability_over_seeds.csv";
}
