//! Concatenations and their parts.

use super::super::layout::{Axis, Layout};
use super::super::site::Site;
use super::{Relations, axis_at};
use crate::graph::{Node, NodeId};
use crate::op::{PadMode, Split};

impl Relations<'_> {
    /// Side by side. What has no channels becomes channels that cannot be removed.
    pub(super) fn concat(&mut self, id: NodeId, axis: isize) -> Option<Layout> {
        let layouts = self.all_layouts(id);
        let axis = axis_at(layouts.first()?.len(), axis)?;
        let mut out = layouts[0].clone();
        let reason = self.joined(id);
        for layout in &layouts[1..] {
            for (place, (first, other)) in out.iter_mut().zip(layout).enumerate() {
                if place != axis {
                    self.atoms.unite_axes(first, other, &reason);
                    if !first.has_channels() {
                        *first = other.clone();
                    }
                }
            }
        }
        let axes: Vec<&Axis> = layouts.iter().filter_map(|layout| layout.get(axis)).collect();
        let has_channels = axes.iter().any(|axis| axis.has_channels());
        let size = axes.iter().map(|axis| axis.size()).sum();
        let mut atoms = vec![];
        for axis in axes {
            atoms.extend(self.flat(id, axis).unwrap_or_else(|| {
                let fixed = self.atoms.fresh(axis.size());
                self.atoms.fix(&fixed, &reason);
                fixed
            }));
        }
        out[axis] = if has_channels { Axis::channels(atoms) } else { Axis::plain(size) };
        Some(out)
    }

    pub(super) fn split(&mut self, id: NodeId, node: &Node, split: &Split) -> Option<Vec<Layout>> {
        let x = self.need(id, 0);
        let axis = axis_at(x.len(), split.axis)?;
        let sizes: Vec<usize> =
            node.outputs.iter().map(|&output| self.trace.shape(output)[axis]).collect();
        let ends: Vec<usize> = sizes
            .iter()
            .scan(0, |end, size| {
                *end += size;
                Some(*end)
            })
            .collect();
        let atoms = self.flat(id, &x[axis]);
        let mut parts = vec![];
        for (&size, &end) in sizes.iter().zip(&ends) {
            let mut out = x.clone();
            out[axis] = match atoms.as_ref().and_then(|atoms| atoms.get(end - size..end)) {
                Some(atoms) => self.channel_axis(id, atoms.to_vec()),
                None => Axis::plain(size),
            };
            parts.push(out);
        }
        if let Some(atoms) = atoms {
            self.sites.push((Site::Parts { node: id, ends }, atoms));
        }
        Some(parts)
    }

    /// Channels of zeros (or another value) around channels, which can go with those that they are
    /// added to.
    pub(super) fn pad(&mut self, id: NodeId, mode: PadMode) -> Option<Layout> {
        let (mut x, pads) = (self.need(id, 0), self.integers(id, 1)?);
        let axes = self.axes(id, 3, x.len(), x.len())?;
        for (element, &axis) in axes.iter().enumerate() {
            let [before, after] =
                [element, element + axes.len()].map(|element| pads.get(element).copied());
            let (before, after) = (before?, after?);
            if (before, after) == (0, 0) {
                continue;
            }
            let (before, after) = (usize::try_from(before).ok(), usize::try_from(after).ok());
            let padded = x[axis].size() + before.unwrap_or(0) + after.unwrap_or(0);
            if !x[axis].has_channels() {
                x[axis] = Axis::plain(padded);
                continue;
            }
            if mode != PadMode::Constant {
                return None;
            }
            let mut around = vec![];
            for (element, size) in [(element, before?), (element + axes.len(), after?)] {
                let atoms = self.atoms.fresh(size);
                self.count_until(id, 1, element, size, atoms.clone());
                around.push(atoms);
            }
            around.insert(1, self.flat(id, &x[axis])?);
            x[axis] = Axis::channels(around.concat());
        }
        Some(x)
    }

    /// The same several times over, each axis as often as is said.
    pub(super) fn tile(&mut self, id: NodeId) -> Option<Layout> {
        let (x, repeats) = (self.need(id, 0), self.integers(id, 1)?);
        let mut out = vec![];
        for (axis, repeats) in x.iter().zip(repeats) {
            let repeats = usize::try_from(repeats).ok()?;
            let atoms = if repeats == 1 { None } else { self.flat(id, axis) };
            out.push(match (repeats, atoms) {
                (1, _) => axis.clone(),
                (_, Some(atoms)) => Axis::channels(vec![atoms; repeats].concat()),
                (_, None) => Axis::plain(axis.size() * repeats),
            });
        }
        Some(out)
    }
}
