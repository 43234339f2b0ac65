//! Picking channels by their numbers.

use super::super::edit::Site;
use super::super::layout::Atom;
use super::super::layout::{Axis, Layout};
use super::{Relations, axis_at};
use crate::graph::NodeId;

impl Relations<'_> {
    pub(super) fn slice(&mut self, id: NodeId) -> Option<Layout> {
        let mut x = self.need(id, 0);
        let (starts, ends) = (self.integers(id, 1)?, self.integers(id, 2)?);
        let node = self.graph.node(id);
        let axes: Vec<isize> = match node.input(3) {
            Some(_) => self.integers(id, 3)?.into_iter().map(|axis| axis as isize).collect(),
            None => (0..starts.len() as isize).collect(),
        };
        let steps = match node.input(4) {
            Some(_) => self.integers(id, 4)?,
            None => vec![1; starts.len()],
        };
        let output = *node.outputs.first()?;
        for (element, axis) in axes.into_iter().enumerate() {
            let axis = axis_at(x.len(), axis)?;
            let Some(atoms) = self.flat(id, &x[axis]) else {
                x[axis] = Axis::plain(*self.trace.shape(output).get(axis)?);
                continue;
            };
            let range = range(atoms.len(), *starts.get(element)?, *ends.get(element)?);
            if *steps.get(element)? != 1 {
                return None;
            }
            x[axis] = self.cut(id, element, range, atoms);
        }
        Some(x)
    }

    /// The channels of a range, whose ends move with those before them.
    fn cut(
        &mut self,
        node: NodeId,
        element: usize,
        range: std::ops::Range<usize>,
        atoms: Vec<Atom>,
    ) -> Axis {
        let axis = self.channel_axis(node, atoms[range.clone()].to_vec());
        for (input, until) in [(1, range.start), (2, range.end)] {
            self.count_until(node, input, element, until, atoms.clone());
        }
        axis
    }

    /// Channels are picked by constants.
    pub(super) fn gather(&mut self, id: NodeId, axis: isize) -> Option<Layout> {
        let (x, node) = (self.need(id, 0), self.graph.node(id));
        let axis = axis_at(x.len(), axis)?;
        let indices = node.input(1)?;
        let picked = self.need(id, 1);
        self.fix(id, &picked);
        let sizes = self.trace.shape(indices).to_vec();
        let mut between: Vec<Axis> = sizes.iter().map(|&size| Axis::plain(size)).collect();
        if let Some(atoms) = self.flat(id, &x[axis]) {
            self.graph.weight(indices)?;
            let place = |index: &i64| axis_at(atoms.len(), *index as isize);
            let places: Vec<usize> =
                self.integers(id, 1)?.iter().map(place).collect::<Option<_>>()?;
            let picked: Vec<Atom> = places.iter().map(|&place| atoms[place]).collect();
            match &mut between[..] {
                [one] => *one = self.channel_axis(id, picked),
                _ => self.fix(id, &[Axis::channels(picked)]),
            }
            self.sites.push((Site::Indices(id), atoms));
        }
        let after = x[axis + 1..].to_vec();
        Some([x[..axis].to_vec(), between, after].concat())
    }
}

/// The places that a slice takes, from bounds that count from the back if they are negative.
fn range(size: usize, start: i64, end: i64) -> std::ops::Range<usize> {
    let bound = |bound: i64| {
        let place = if bound < 0 { bound.saturating_add(size as i64) } else { bound };
        place.clamp(0, size as i64) as usize
    };
    let (start, end) = (bound(start), bound(end));
    start..end.max(start)
}
