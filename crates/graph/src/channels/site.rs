//! Settings and integers that name numbers or places of channels.

use crate::graph::{Graph, NodeId};
use crate::op::Op;

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

impl Site {
    pub(super) fn node(&self) -> NodeId {
        match self {
            Self::Count { node, .. } | Self::Parts { node, .. } | Self::Shape { node, .. } => *node,
            Self::Groups(node) | Self::Indices(node) | Self::Rows(node) => *node,
        }
    }

    /// Whether a graph has it.
    pub(super) fn fits(&self, graph: &Graph) -> bool {
        let Some(node) = graph.nodes.get(self.node().0) else { return false };
        match self {
            Self::Count { input, of, .. } => node
                .input(*input)
                .is_some_and(|id| graph.weight(id).is_none_or(|weight| weight.elem_count() == *of)),
            Self::Groups(_) => {
                matches!(node.op, Op::Conv(_) | Op::ConvTranspose(_) | Op::GroupNorm { .. })
            }
            Self::Parts { ends, .. } => {
                matches!(&node.op, Op::Split(split) if split.parts == ends.len())
            }
            Self::Shape { .. } => matches!(node.op, Op::Shape { .. }),
            Self::Indices(_) => matches!(node.op, Op::Gather { .. }),
            Self::Rows(_) => matches!(node.op, Op::AttentionMasks(_)),
        }
    }
}
