//! Picking channels by their numbers.

use super::super::layout::Atom;
use super::super::layout::{Axis, Layout};
use super::super::site::Site;
use super::{Relations, axis_at};
use crate::dims;
use crate::graph::NodeId;

impl Relations<'_> {
    pub(super) fn slice(&mut self, id: NodeId) -> Option<Layout> {
        let mut x = self.need(id, 0);
        let (starts, ends) = (self.integers(id, 1)?, self.integers(id, 2)?);
        let node = self.graph.node(id);
        let axes = self.axes(id, 3, starts.len(), x.len())?;
        let steps = match node.input(4) {
            Some(_) => self.integers(id, 4)?,
            None => vec![1; starts.len()],
        };
        let output = *node.outputs.first()?;
        for (element, axis) in axes.into_iter().enumerate() {
            let Some(atoms) = self.flat(id, x.get(axis)?) else {
                x[axis] = Axis::plain(*self.trace.shape(output).get(axis)?);
                continue;
            };
            if *steps.get(element)? != 1 {
                return None;
            }
            let bounds = [*starts.get(element)?, *ends.get(element)?, 1];
            let (start, count) = dims::slice(atoms.len(), bounds)?;
            x[axis] = self.cut(id, element, start..start + count, atoms);
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
