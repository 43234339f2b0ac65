//! The channels of the features.

use foresee_report::{MatrixTable, record};
use foresee_stats::Matrix;

use super::{Row, channel_names, matrix_file};

record! {
    /// What a channel does over the measured training images.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Channel {
        /// Its index.
        pub channel: usize,
        /// Mean over all positions.
        pub mean: f64,
        /// Standard deviation over all positions.
        pub deviation: f64,
        /// L1 norm of its filter.
        pub filter_l1: f64,
        /// L1 norm of its readout weights.
        pub readout_l1: f64,
        /// Its place in the order in which similar channels stand side by side.
        pub cluster_position: usize,
    }
}

impl Row for Channel {
    const PATH: &'static str = "data/channels.csv";
}

matrix_file! {
    /// Figure 6: correlation among channels [C, C].
    ChannelCorrelation, "data/channel_correlation.csv", "channel"
}

impl ChannelCorrelation {
    /// Of a correlation matrix.
    pub fn new(correlation: &Matrix) -> Self {
        let names = channel_names(correlation.rows());
        Self(MatrixTable {
            corner: "channel".into(),
            row_names: names.clone(),
            column_names: names,
            rows: correlation.to_rows(),
        })
    }
}
