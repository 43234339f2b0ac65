//! The claims of a study.

use foresee_report::record;
use foresee_stats::Verdict;

use super::Row;

record! {
    /// A claim tested for one variant.
    #[derive(Debug, Clone, PartialEq)]
    pub struct ClaimRow {
        /// Which claim.
        pub id: String,
        /// The claim in words.
        pub claim: String,
        /// The variant of the study.
        pub variant: String,
        /// What was measured, with its unit.
        pub statistic: String,
        /// Over all seeds.
        pub estimate: f64,
        /// Lower end of the interval.
        pub low: f64,
        /// Upper end of the interval.
        pub high: f64,
        /// The estimate of each seed, with spaces between.
        pub seeds: String,
        /// What the data say.
        #[id]
        pub verdict: Verdict,
        /// How it was measured.
        pub why: String,
        /// The kind of faces.
        pub data: String,
    }
}

impl Row for ClaimRow {
    const PATH: &'static str = "data/claims.csv";
}
