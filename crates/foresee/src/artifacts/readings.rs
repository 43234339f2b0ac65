//! What `readings` measures of one run: accuracy under every reading of the paper's pruning.

use foresee_perturb::{Reading, Takeover};
use foresee_report::{WideTable, record};
use foresee_stats::AgainstChance;

use super::Row;

record! {
    /// A reading at one number of pruned channels.
    #[derive(Debug, Clone, PartialEq)]
    pub struct ReadingPoint {
        /// Which channels go first.
        #[id]
        pub reading: Reading,
        /// Of a random order.
        pub seed: Option<u64>,
        /// What takes over.
        #[id]
        pub takeover: Takeover,
        /// Channels pruned.
        pub pruned: usize,
        /// Attributes predicted correctly, over all images.
        pub correct: usize,
        /// Test images.
        pub images: usize,
    }
}

impl Row for ReadingPoint {
    const PATH: &'static str = "points.csv";
}

record! {
    /// A test image.
    #[derive(Debug, Clone, PartialEq)]
    pub struct ReadImage {
        /// Its file's name.
        pub image: String,
    }
}

/// For each test image and curve, the attributes predicted correctly, summed over the numbers of
/// pruned channels above 0. [`curve_name`] is a curve's column.
pub type ReadImages = WideTable<ReadImage, i64>;

/// Where [`ReadImages`] lie in the folder of a run.
pub const READ_IMAGES: &str = "by_image.csv";

/// The column of a curve in [`ReadImages`].
pub fn curve_name(reading: Reading, seed: Option<u64>, takeover: Takeover) -> String {
    let order = seed.map_or(String::new(), |seed| format!(" {seed}"));
    format!("{}{order} {}", reading.id(), takeover.id())
}

record! {
    /// A network without the rows of its heads that vary least.
    #[derive(Debug, Clone, PartialEq)]
    pub struct ShutRows {
        /// The share of the rows that goes.
        pub share: f64,
        /// Rows that go.
        pub gone: usize,
        /// Rows that the network has.
        pub rows: usize,
        /// Attributes predicted correctly, over all images.
        pub correct: usize,
        /// Test images.
        pub images: usize,
        /// Mean over attributes of the forecast: a bound on the standard deviation of the change of
        /// a logit, from training images.
        pub foretold_change: f64,
        /// Mean |Δ| of the logits, over images and attributes.
        pub mean_change: f64,
        /// The greatest |Δ|.
        pub greatest_change: f64,
        /// Answers that are others.
        pub flipped: usize,
    }
}

impl Row for ShutRows {
    const PATH: &'static str = "shut_rows.csv";
}

record! {
    /// A reading of one training, compared with chance. Gains are mean differences of accuracy over
    /// all numbers of pruned channels above 0, in percentage points.
    #[derive(Debug, Clone, PartialEq)]
    pub struct ReadingRow {
        /// The variant of the study.
        pub variant: String,
        /// Which channels go first.
        #[id]
        pub reading: Reading,
        /// What takes over.
        #[id]
        pub takeover: Takeover,
        /// Over chance with the same takeover.
        pub gain: f64,
        /// Lower end of its interval.
        pub low: f64,
        /// Upper end of its interval.
        pub high: f64,
        /// The gain of each seed, with spaces between.
        pub seeds: String,
        /// Two-sided p-value of the gain.
        pub p: f64,
        /// With Holm's correction over all readings and variants.
        pub corrected_p: f64,
        /// Whether the reading is better than chance.
        #[id]
        pub verdict: AgainstChance,
        /// The gain over chance without a takeover.
        pub gain_without: f64,
        /// Lower end of its interval.
        pub low_without: f64,
        /// Upper end of its interval.
        pub high_without: f64,
        /// The gain with half of the channels pruned.
        pub gain_at_half: f64,
        /// With three quarters pruned.
        pub gain_at_three_quarters: f64,
        /// Accuracy that half of the channels cost, in percentage points.
        pub lost_at_half: f64,
        /// Accuracy with nothing pruned, in percent.
        pub accuracy: f64,
        /// The kind of faces.
        pub data: String,
    }
}

impl Row for ReadingRow {
    const PATH: &'static str = "data/readings.csv";
}
