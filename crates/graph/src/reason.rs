//! Why channels cannot be removed.

use std::fmt::{Display, Formatter};

/// Why channels cannot be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The graph gives them.
    Output {
        /// The output.
        value: String,
    },
    /// A node computes over all of them at once, so that removing some changes the others.
    Mixed {
        /// The node.
        node: String,
        /// Its operation.
        op: &'static str,
    },
    /// A node joins them to something that is no removable channel, such as the graph's input.
    Joined {
        /// The node.
        node: String,
        /// Its operation.
        op: &'static str,
    },
    /// A node's operation does not keep channels apart, or does so in a way that is not known here.
    Unsupported {
        /// The node.
        node: String,
        /// Its operation.
        op: &'static str,
    },
    /// All of them go together.
    Single,
}

impl Display for Reason {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Output { value } => write!(f, "they are the output `{value}`"),
            Self::Mixed { node, op } => {
                write!(f, "node `{node}` ({op}) computes over all channels at once")
            }
            Self::Joined { node, op } => {
                write!(f, "node `{node}` ({op}) joins them to something that has no channels")
            }
            Self::Unsupported { node, op } => {
                write!(f, "node `{node}` ({op}) does not keep channels apart")
            }
            Self::Single => write!(f, "they can only go all at once"),
        }
    }
}
