//! Results that others published: cited, never run here.

use foresee_data::published::{ABN_PER_ATTRIBUTE, TABLE3, TABLE4};
use foresee_report::{Record, frame, record};

use crate::error::Result;

record! {
    /// A row of the paper's Table 3.
    pub struct CitedAccuracy {
        /// The system.
        pub method: String,
        /// Its mean accuracy.
        pub accuracy_percent: f64,
        /// What it was measured on.
        pub note: String,
    }
}

record! {
    /// A row of the paper's Table 4.
    pub struct CitedNeighbour {
        /// The attribute.
        pub attribute: String,
        /// One that is highly correlated with it.
        pub neighbour: String,
    }
}

record! {
    /// An accuracy that the authors of ABN published with their code.
    pub struct CitedAttributeAccuracy {
        /// The attribute.
        pub attribute: String,
        /// On all of CelebA's test faces.
        pub abn_accuracy_percent: f64,
    }
}

fn read<R: Record>(text: &str) -> Result<Vec<R>> {
    Ok(R::from_frame(&frame::parse_csv(text)?)?)
}

/// The paper's Table 3.
pub(crate) fn table3() -> Result<Vec<CitedAccuracy>> {
    read(TABLE3)
}

/// The paper's Table 4.
pub(super) fn table4() -> Result<Vec<CitedNeighbour>> {
    read(TABLE4)
}

/// ABN's accuracies.
pub(super) fn abn() -> Result<Vec<CitedAttributeAccuracy>> {
    read(ABN_PER_ATTRIBUTE)
}
