//! Settings and integers that name numbers or places of channels.

use crate::graph::NodeId;

/// What changes, apart from weights, when places of an axis are removed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Site {
    /// An element of an integer input becomes the number of kept places before `until`.
    Count {
        /// The node.
        node: NodeId,
        /// Its input.
        input: usize,
        /// The element.
        element: usize,
        /// How many elements there are.
        of: usize,
        /// The first place that does not count.
        until: usize,
    },
    /// The node has as many groups as are kept.
    Groups(NodeId),
    /// The node's parts end before these places.
    Parts {
        /// The node.
        node: NodeId,
        /// The first place after each part.
        ends: Vec<usize>,
    },
    /// An element of a shape that the node computes stays as it was: it may be used as a number.
    Shape {
        /// The node.
        node: NodeId,
        /// The element.
        element: usize,
        /// How many elements there are.
        of: usize,
    },
    /// The node picks places by their numbers, which move up.
    Indices(NodeId),
    /// The attention masks of the kept channels.
    Rows(NodeId),
}
