//! The same elements on other axes.

use super::super::layout::{self, Axis, Layout, plain};
use super::{Relations, axis_at};
use crate::graph::{Node, NodeId};

impl Relations<'_> {
    /// The elements in the same order, on axes of other sizes.
    pub(super) fn regroup(&mut self, id: NodeId, node: &Node) -> Option<Layout> {
        let (axes, pairs) = layout::reshape(&self.need(id, 0), self.shape_of(node))?;
        pairs.into_iter().for_each(|(a, b)| self.atoms.unite(a, b));
        Some(axes)
    }

    pub(super) fn reshape(&mut self, id: NodeId, node: &Node) -> Option<Layout> {
        let (x, target) = (self.need(id, 0), self.integers(id, 1)?);
        let out = self.regroup(id, node)?;
        for (element, (axis, &entry)) in out.iter().zip(&target).enumerate() {
            let copies = entry == 0 && x.get(element) == Some(axis);
            if entry != -1 && !copies {
                self.count(id, 1, element, axis);
            }
        }
        let lost = |(element, axis): (usize, &Axis)| {
            let copied = target.get(element) == Some(&0) && out.get(element) != Some(axis);
            copied && axis.has_channels() && !out.get(element).is_some_and(Axis::has_channels)
        };
        // A 0 would copy a size that becomes smaller to an axis that does not.
        if x.iter().enumerate().any(lost) { None } else { Some(out) }
    }

    /// Axes of size 1 are repeated; channels stay.
    pub(super) fn expand(&mut self, id: NodeId, node: &Node) -> Option<Layout> {
        let (x, target) = (self.need(id, 0), self.integers(id, 1)?);
        let mut out = plain(self.shape_of(node));
        let (before, missing) = (out.len().checked_sub(x.len())?, out.len() - target.len());
        for (place, axis) in x.into_iter().enumerate().filter(|(_, axis)| axis.size() != 1) {
            let place = place + before;
            if let Some(element) = place.checked_sub(missing).filter(|&at| target[at] != 1) {
                self.count(id, 1, element, &axis);
            }
            out[place] = axis;
        }
        Some(out)
    }

    pub(super) fn transpose(&mut self, id: NodeId, order: Option<&[usize]>) -> Option<Layout> {
        let x = self.need(id, 0);
        match order {
            Some(order) => order.iter().map(|&axis| x.get(axis).cloned()).collect(),
            None => Some(x.into_iter().rev().collect()),
        }
    }

    /// A channel of the output is made of n² channels of the input, which go together.
    pub(super) fn depth_to_space(
        &mut self,
        id: NodeId,
        node: &Node,
        block: usize,
        channel_first: bool,
    ) -> Option<Layout> {
        let x = self.need(id, 0);
        let channel = axis_at(x.len(), 1)?;
        let mut out = plain(self.shape_of(node));
        if let Some(atoms) = self.flat(id, &x[channel]) {
            let (count, blocks) = (out[channel].size(), block * block);
            let place = |channel: usize, of: usize| {
                if channel_first { channel * blocks + of } else { of * count + channel }
            };
            let mut firsts = vec![];
            for channel in 0..count {
                let all: Vec<_> = (0..blocks).map(|of| atoms[place(channel, of)]).collect();
                self.atoms.unite_each(&all);
                firsts.push(all[0]);
            }
            out[channel] = Axis::channels(firsts);
        }
        self.fix(id, x.get(2..)?);
        out[0] = x[0].clone();
        Some(out)
    }
}
