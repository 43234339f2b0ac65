//! Where the channels of a value are.

/// One channel of one axis of one value.
pub(super) type Atom = usize;

/// A factor of an axis, which is larger than 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// Channels that can go each for itself.
    Channels(Vec<Atom>),
    /// So many channels that go together.
    Folded(usize),
    /// So many positions, images or tokens.
    Plain(usize),
}

impl Part {
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Channels(atoms) => atoms.len(),
            Self::Folded(size) | Self::Plain(size) => *size,
        }
    }

    pub(super) fn fold(&self) -> Option<usize> {
        match self {
            Self::Folded(size) => Some(*size),
            _ => None,
        }
    }

    pub(super) fn atoms(&self) -> Option<&[Atom]> {
        match self {
            Self::Channels(atoms) => Some(atoms),
            _ => None,
        }
    }

    /// The part as one of `first` and one of the rest, slowest first. Of channels the larger one
    /// stays channels; the channels that differ in the smaller one are given as pairs that go
    /// together.
    fn split(self, first: usize) -> (Self, Self, Vec<(Atom, Atom)>) {
        let second = self.size() / first;
        match self {
            Self::Folded(_) => (Self::Folded(first), Self::Folded(second), vec![]),
            Self::Plain(_) => (Self::Plain(first), Self::Plain(second), vec![]),
            Self::Channels(atoms) => split_channels(&atoms, first, second),
        }
    }
}

fn split_channels(atoms: &[Atom], first: usize, second: usize) -> (Part, Part, Vec<(Atom, Atom)>) {
    let rows: Vec<&[Atom]> = atoms.chunks(second).collect();
    let columns: Vec<Atom> = rows.iter().map(|row| row[0]).collect();
    if rows.iter().all(|row| row.iter().all(|atom| *atom == row[0])) {
        return (Part::Channels(columns), Part::Plain(second), vec![]);
    }
    if rows.iter().all(|row| *row == rows[0]) {
        return (Part::Plain(first), Part::Channels(rows[0].to_vec()), vec![]);
    }
    if second >= first {
        let pairs = rows.iter().flat_map(|row| rows[0].iter().copied().zip(row.iter().copied()));
        (Part::Folded(first), Part::Channels(rows[0].to_vec()), pairs.collect())
    } else {
        let pairs = rows.iter().flat_map(|row| row.iter().map(|&atom| (row[0], atom)));
        let pairs = pairs.collect();
        (Part::Channels(columns), Part::Folded(second), pairs)
    }
}

/// An axis: the product of its parts, the slowest first. An axis of size 1 has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Axis(pub(super) Vec<Part>);

/// The axes of a value.
pub(super) type Layout = Vec<Axis>;

impl Axis {
    /// An axis without channels.
    pub(super) fn plain(size: usize) -> Self {
        Self(if size == 1 { vec![] } else { vec![Part::Plain(size)] })
    }

    /// An axis of channels.
    pub(super) fn channels(atoms: Vec<Atom>) -> Self {
        Self(if atoms.len() == 1 { vec![] } else { vec![Part::Channels(atoms)] })
    }

    pub(super) fn size(&self) -> usize {
        self.0.iter().map(Part::size).product()
    }

    pub(super) fn has_channels(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Channels(_)))
    }

    /// Whether both have parts of the same sizes and kinds.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        let alike = |(a, b): (&Part, &Part)| {
            a.size() == b.size() && std::mem::discriminant(a) == std::mem::discriminant(b)
        };
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(alike)
    }
}

/// Axes without channels.
pub(super) fn plain(sizes: &[usize]) -> Layout {
    sizes.iter().map(|&size| Axis::plain(size)).collect()
}

/// The elements of a layout in the same order on axes of other sizes, and pairs of channels that
/// then go together; `None` if an axis would get a part of some positions of an axis that is no
/// factor of it.
pub(super) fn reshape(layout: &Layout, sizes: &[usize]) -> Option<(Layout, Vec<(Atom, Atom)>)> {
    let mut left: Vec<Part> = layout.iter().flat_map(|axis| axis.0.clone()).rev().collect();
    let (mut axes, mut pairs) = (vec![], vec![]);
    for &size in sizes {
        let (mut needed, mut parts) = (size, vec![]);
        while needed > 1 {
            let part = left.pop()?;
            let size = part.size();
            if size != 0 && needed % size == 0 {
                needed /= size;
                parts.push(part);
            } else if size % needed == 0 && size != 0 {
                let (first, second, together) = part.split(needed);
                left.push(second);
                parts.push(first);
                pairs.extend(together);
                needed = 1;
            } else {
                return None;
            }
        }
        axes.push(Axis(parts));
    }
    (left.is_empty() && !sizes.contains(&0)).then_some((axes, pairs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channels(atoms: std::ops::Range<Atom>) -> Part {
        Part::Channels(atoms.collect())
    }

    #[test]
    fn flattens_and_unflattens() {
        let image = vec![Axis::plain(2), Axis(vec![channels(0..6)]), Axis::plain(5)];
        let (flat, pairs) = reshape(&image, &[2, 30]).unwrap();
        assert_eq!(flat[1].0, [channels(0..6), Part::Plain(5)]);
        assert!(pairs.is_empty());
        assert_eq!(reshape(&flat, &[2, 6, 5]).unwrap().0, image);
    }

    #[test]
    fn the_larger_part_of_a_split_axis_stays_channels() {
        let x = vec![Axis(vec![channels(0..6)])];
        let (split, pairs) = reshape(&x, &[2, 3]).unwrap();
        assert_eq!(split, [Axis(vec![Part::Folded(2)]), Axis(vec![channels(0..3)])]);
        assert!([(0, 3), (1, 4), (2, 5)].iter().all(|pair| pairs.contains(pair)));
        let (split, _) = reshape(&x, &[3, 2]).unwrap();
        assert_eq!(split, [Axis(vec![Part::Channels(vec![0, 2, 4])]), Axis(vec![Part::Folded(2)])]);
    }

    #[test]
    fn positions_of_one_channel_are_no_channels() {
        let x = vec![Axis::channels(vec![7, 7, 8, 8])];
        let (split, pairs) = reshape(&x, &[2, 2]).unwrap();
        assert_eq!(split, [Axis::channels(vec![7, 8]), Axis::plain(2)]);
        assert!(pairs.is_empty());
    }

    #[test]
    fn axes_that_are_no_factors_do_not_fit() {
        assert!(reshape(&plain(&[4, 6]), &[6, 4]).is_none());
        assert!(reshape(&plain(&[4, 6]), &[5]).is_none());
    }
}
