//! Dimensions: axes and places that may count from the back, shapes that are broadcast to each
//! other, orders.

use std::ops::Range;

/// A dimension of a tensor of this rank, from the back if negative; `None` if there is none.
pub(crate) fn axis(axis: i64, rank: usize) -> Option<usize> {
    let from_front = if axis < 0 { axis.checked_add_unsigned(rank as u64)? } else { axis };
    usize::try_from(from_front).ok().filter(|axis| *axis < rank)
}

/// The dimensions from `start` to `end`, exclusive, of a tensor of this rank: from the back if
/// negative, and moved to the nearest one where there is none.
pub(crate) fn span(rank: usize, start: isize, end: Option<isize>) -> Range<usize> {
    let place = |place: isize| match place < 0 {
        true => rank.saturating_sub(place.unsigned_abs()),
        false => rank.min(place as usize),
    };
    let (start, end) = (place(start), end.map_or(rank, place));
    start..end.max(start)
}

/// Where the slice of a dimension from `start` to `end`, exclusive, begins, and how many entries it
/// has. Places count from the back if negative, and are moved to the dimension's ends where there
/// is none. `None` if the step is 0.
pub(crate) fn slice(size: usize, [start, end, step]: [i64; 3]) -> Option<(usize, usize)> {
    if step == 0 {
        return None;
    }
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let from_front = |place: i64| if place < 0 { place.saturating_add(size) } else { place };
    let (first, last) = if step > 0 { (0, size) } else { (-1, size - 1) };
    let (start, end) = (from_front(start), from_front(end).clamp(first, last));
    let start = start.clamp(0, last.max(0));
    let distance = if step > 0 { end - start } else { start - end };
    let count = distance.max(0).unsigned_abs().div_ceil(step.unsigned_abs());
    // An empty dimension has nothing to start at.
    Some(if size == 0 { (0, 0) } else { (start as usize, count as usize) })
}

/// The sizes to which both shapes can be broadcast: from the back, they are equal, or one of them
/// is 1.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let size = |sizes: &[usize], i: usize| (i + sizes.len()).checked_sub(rank).map(|i| sizes[i]);
    (0..rank)
        .map(|i| match (size(a, i).unwrap_or(1), size(b, i).unwrap_or(1)) {
            (a, b) if a == b => Some(a),
            (1, other) | (other, 1) => Some(other),
            _ => None,
        })
        .collect()
}

/// The number of elements; `None` if it cannot be counted.
pub(crate) fn elements(sizes: &[usize]) -> Option<usize> {
    sizes.iter().try_fold(1usize, |all, &size| all.checked_mul(size))
}

/// For each dimension, where it went in an order.
pub(crate) fn inverse(order: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; order.len()];
    order.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_count_from_both_ends() {
        assert_eq!([-3, -1, 0, 2].map(|at| axis(at, 3)), [Some(0), Some(2), Some(0), Some(2)]);
        assert_eq!([3, -4, i64::MIN, i64::MAX].map(|at| axis(at, 3)), [None; 4]);
        assert_eq!(axis(0, 0), None);
        assert_eq!((span(4, -2, Some(-1)), span(4, -9, Some(9))), (2..3, 0..4));
        assert_eq!((span(4, 2, Some(1)), span(4, 1, None)), (2..2, 1..4));
    }

    #[test]
    fn slices_are_numpys() {
        assert_eq!(slice(5, [1, -1, 2]), Some((1, 2)));
        assert_eq!(slice(5, [-1, i64::MIN, -2]), Some((4, 3)));
        assert_eq!(slice(5, [9, 0, 1]).map(|(_, count)| count), Some(0));
        assert_eq!(slice(0, [0, 5, -1]), Some((0, 0)));
        assert_eq!(slice(5, [0, 5, 0]), None);
    }

    #[test]
    fn shapes_are_broadcast_from_the_back() {
        assert_eq!(broadcast(&[2, 1, 3], &[4, 1]), Some(vec![2, 4, 3]));
        assert_eq!(broadcast(&[], &[0]), Some(vec![0]));
        assert_eq!(broadcast(&[1], &[0]), Some(vec![0]));
        assert_eq!(broadcast(&[2], &[3]), None);
    }
}
