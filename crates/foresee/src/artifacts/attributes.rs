//! Table 4: which attributes have similar masks.

use foresee_celeba::ATTRIBUTES;
use foresee_report::record;
use foresee_stats::Matrix;

use super::{Row, attribute_rows, matrix_file};

matrix_file! {
    /// Correlation [K, K] among the attributes' mean masks.
    AttributeCorrelation, "data/attribute_correlation.csv", "attribute"
}

impl AttributeCorrelation {
    /// Of a correlation matrix.
    pub fn new(correlation: &Matrix) -> Self {
        Self(attribute_rows(ATTRIBUTES.map(String::from).to_vec(), correlation))
    }
}

record! {
    /// An attribute and another one, ranked by the correlation of their mean masks.
    #[derive(Debug, Clone, PartialEq)]
    pub struct AttributeNeighbour {
        /// The attribute.
        pub attribute: String,
        /// From 1, the closest.
        pub rank: usize,
        /// The other one.
        pub neighbour: String,
        /// ρ of their mean masks.
        pub correlation: f64,
    }
}

impl Row for AttributeNeighbour {
    const PATH: &'static str = "data/attribute_neighbours.csv";
}

record! {
    /// A member of a group of attributes with similar masks.
    #[derive(Debug, Clone, PartialEq)]
    pub struct GroupMember {
        /// The group's number, from 1.
        pub group: usize,
        /// The attribute.
        pub attribute: String,
    }
}

impl Row for GroupMember {
    const PATH: &'static str = "data/attribute_groups.csv";
}

impl GroupMember {
    /// Attributes whose mean masks correlate by more than this on average make a group.
    pub const ABOVE: f64 = 0.8;
}
