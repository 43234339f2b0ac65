//! What `readings` measures of one run: accuracy under every reading of the paper's pruning.

use foresee_perturb::{Reading, Takeover};
use foresee_report::{WideTable, record};

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
