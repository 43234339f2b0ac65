//! One fixed binary tree over the micro-batches 0, 1, ..: a node of size 2s is the sum of two of
//! size s; where there is no second, it is the first alone.

use std::ops::Range;

/// A node: the sum of the micro-batches from `first` on, `size` of them (a power of two), as far as
/// they exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node {
    pub first: usize,
    pub size: usize,
}

impl Node {
    /// The two nodes that it is the sum of; of a single micro-batch none.
    pub fn children(self) -> Vec<Self> {
        let (first, size) = (self.first, self.size / 2);
        match size {
            0 => vec![],
            _ => vec![Self { first, size }, Self { first: first + size, size }],
        }
    }
}

/// The largest nodes that lie in a range of micro-batches, in their order. The tree has `count`
/// micro-batches: a node may reach beyond the last one.
pub(crate) fn nodes(range: Range<usize>, count: usize) -> Vec<Node> {
    let end = if range.end == count { count.next_power_of_two() } else { range.end };
    let mut nodes = vec![];
    let mut first = range.start;
    while first < range.end {
        let mut size = 1;
        while first.is_multiple_of(2 * size) && first + 2 * size <= end {
            size *= 2;
        }
        nodes.push(Node { first, size });
        first += size;
    }
    nodes
}

/// What a node comes to, where `leaf` gives the values of the nodes that are known, and `None` for
/// others, and `join` joins two values. `None` if no micro-batch of the node exists.
/// Leaves are asked for in the order of the micro-batches.
pub(crate) fn fold<T, E>(
    node: Node,
    count: usize,
    leaf: &mut impl FnMut(Node) -> Result<Option<T>, E>,
    join: &mut impl FnMut(T, T) -> Result<T, E>,
) -> Result<Option<T>, E> {
    if node.first >= count {
        return Ok(None);
    }
    if let Some(value) = leaf(node)? {
        return Ok(Some(value));
    }
    if node.size == 1 {
        return Ok(None);
    }
    let size = node.size / 2;
    let left = fold(Node { size, ..node }, count, leaf, join)?;
    let right = fold(Node { first: node.first + size, size }, count, leaf, join)?;
    match (left, right) {
        (Some(left), Some(right)) => join(left, right).map(Some),
        (left, right) => Ok(left.or(right)),
    }
}

/// The node of all micro-batches.
pub(crate) fn root(count: usize) -> Node {
    Node { first: 0, size: count.next_power_of_two() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_cover_their_range_with_as_few_as_possible() {
        let of = |range: Range<usize>, count: usize| -> Vec<(usize, usize)> {
            nodes(range, count).into_iter().map(|node| (node.first, node.size)).collect()
        };
        assert_eq!(of(0..8, 8), [(0, 8)]);
        assert_eq!(of(4..8, 8), [(4, 4)]);
        assert_eq!(of(1..6, 8), [(1, 1), (2, 2), (4, 2)]);
        // The last of five is a node of four that lacks three.
        assert_eq!(of(4..5, 5), [(4, 4)]);
        assert_eq!(of(0..5, 5), [(0, 8)]);
        assert_eq!(of(3..3, 5), []);
        assert_eq!(of(0..1, 1), [(0, 1)]);
    }

    #[test]
    fn the_order_of_additions_is_that_of_the_tree() {
        // ((a + b) + (c + d)) + e, in numbers whose sum depends on the order.
        let parts = [1e8f32, 1., -1e8, 1., 3.];
        let mut leaf = |node: Node| Ok::<_, ()>((node.size == 1).then(|| parts[node.first]));
        let mut add = |a, b| Ok(a + b);
        let expected = ((parts[0] + parts[1]) + (parts[2] + parts[3])) + parts[4];
        assert_eq!(fold(root(5), 5, &mut leaf, &mut add), Ok(Some(expected)));
        assert_ne!(expected, parts.iter().sum::<f32>());
    }
}
