//! Functions of elements, norms, pools and sums.

use super::super::layout::Atom;
use super::super::layout::{Axis, Layout, plain};
use super::super::read::RawRead;
use super::super::site::Site;
use super::{Relations, axes_at, axis_at};
use crate::dims;
use crate::graph::{Node, NodeId};
use crate::op::{Reduce, Reduction, Softmax};

impl Relations<'_> {
    /// All inputs are broadcast to each other.
    pub(super) fn elementwise(&mut self, id: NodeId) -> Layout {
        let reason = self.joined(id);
        let layouts = self.all_layouts(id);
        self.atoms.broadcast(&layouts, &reason)
    }

    /// A norm over an image's positions, which channels can be among behind a reshape: so PyTorch
    /// writes a group norm before opset 21.
    pub(super) fn norm_of_image(&mut self, id: NodeId) -> Layout {
        let mixed = self.mixed(id);
        let x = self.norm(id);
        self.atoms.fix_layout(x.get(2..).unwrap_or_default(), &mixed);
        x
    }

    /// A norm of each channel, with one parameter of each kind for each.
    pub(super) fn norm(&mut self, id: NodeId) -> Layout {
        let x = self.need(id, 0);
        if let Some(channels) = x.get(1) {
            (1..5).for_each(|place| self.unite_input(id, place, channels));
        }
        x
    }

    /// A norm of groups of channels: each group goes as a whole.
    pub(super) fn group_norm(&mut self, id: NodeId, groups: usize) -> Option<Layout> {
        let x = self.norm_of_image(id);
        let Some(atoms) = self.flat(id, x.get(1)?) else { return Some(x) };
        if groups == 1 {
            let reason = self.mixed(id);
            self.atoms.fix(&atoms, &reason);
            return Some(x);
        }
        let chunks = atoms.chunks(atoms.len() / groups);
        chunks.clone().for_each(|chunk| self.atoms.unite_each(chunk));
        self.sites.push((Site::Groups(id), chunks.map(|chunk| chunk[0]).collect()));
        Some(x)
    }

    /// A norm over all axes from one on.
    pub(super) fn layer_norm(&mut self, id: NodeId, axis: isize) -> Layout {
        let (x, joined, mixed) = (self.need(id, 0), self.joined(id), self.mixed(id));
        let from = axis_at(x.len(), axis).unwrap_or(0);
        self.atoms.fix_layout(&x[from..], &mixed);
        let mut layouts = vec![x.clone()];
        layouts.extend((1..3).filter_map(|place| self.layout(id, place)));
        self.atoms.broadcast(&layouts, &joined);
        x
    }

    pub(super) fn softmax(&mut self, id: NodeId, softmax: &Softmax) -> Layout {
        let (x, mixed) = (self.need(id, 0), self.mixed(id));
        let from = axis_at(x.len(), softmax.axis).unwrap_or(0);
        let until = if softmax.flattens { x.len() } else { (from + 1).min(x.len()) };
        self.atoms.fix_layout(&x[from.min(until)..until], &mixed);
        x
    }

    pub(super) fn pool(&mut self, id: NodeId) -> Option<Layout> {
        let x = self.need(id, 0);
        Some(self.image(id, &x, x.get(1)?.clone()))
    }

    /// The sizes of channels can be among those that are given.
    pub(super) fn resize(&mut self, id: NodeId, node: &Node) -> Option<Layout> {
        let out = self.pool(id)?;
        if node.input(3).is_some() {
            for (element, axis) in out.iter().enumerate().take(2) {
                self.count(id, 3, element, axis);
            }
        }
        Some(out)
    }

    /// An element of an integer input is the size of an axis.
    pub(super) fn count(&mut self, node: NodeId, input: usize, element: usize, axis: &Axis) {
        if let Some(atoms) = self.flat(node, axis) {
            let until = atoms.len();
            self.count_until(node, input, element, until, atoms);
        }
    }

    /// An element of an integer input is the number of the first of these channels.
    pub(super) fn count_until(
        &mut self,
        node: NodeId,
        input: usize,
        element: usize,
        until: usize,
        atoms: Vec<Atom>,
    ) {
        let Some(value) = self.graph.node(node).input(input) else { return };
        let of = self.trace.shape(value).iter().product();
        self.sites.push((Site::Count { node, input, element, of, until }, atoms));
    }

    /// A shape that is used as a number stays as it was.
    pub(super) fn sizes(&mut self, id: NodeId, node: &Node, start: isize) -> Layout {
        let x = self.need(id, 0);
        let from = dims::span(x.len(), start, None).start;
        let sizes = plain(self.shape_of(node));
        let of = sizes.first().map_or(0, Axis::size);
        for (element, axis) in x.iter().skip(from).take(of).enumerate() {
            if let Some(atoms) = self.flat(id, axis) {
                self.sites.push((Site::Shape { node: id, element, of }, atoms));
            }
        }
        sizes
    }

    /// Sums over channels read them; means and extremes compute over all at once.
    pub(super) fn reduce(&mut self, id: NodeId, reduce: &Reduce) -> Option<Layout> {
        let x = self.need(id, 0);
        let axes = self.reduced(id, reduce, x.len())?;
        let sums = matches!(
            reduce.kind,
            Reduction::Sum | Reduction::L1 | Reduction::L2 | Reduction::SumSquare
        );
        let value = self.graph.node(id).input(0)?;
        for &axis in &axes {
            if !sums || self.graph.weight(value).is_some() {
                let reason = self.mixed(id);
                self.atoms.fix_axis(&x[axis], &reason);
            } else if let Some(atoms) = self.flat(id, &x[axis]) {
                self.reads.push(RawRead {
                    node: id,
                    input: 0,
                    value,
                    rank: x.len(),
                    axis,
                    count: 1,
                    block_axis: None,
                    atoms,
                    weight: None,
                });
            }
        }
        let kept = x.into_iter().enumerate().filter_map(|(place, axis)| {
            match (axes.contains(&place), reduce.keep_dims) {
                (false, _) => Some(axis),
                (true, true) => Some(Axis::default()),
                (true, false) => None,
            }
        });
        Some(kept.collect())
    }

    /// The axes that a reduction is over.
    fn reduced(&self, id: NodeId, reduce: &Reduce, rank: usize) -> Option<Vec<usize>> {
        let axes = match (self.graph.node(id).input(1), &reduce.axes) {
            (Some(_), _) => axes_at(&self.integers(id, 1)?, rank)?,
            (None, Some(axes)) => {
                axes.iter().map(|&axis| axis_at(rank, axis)).collect::<Option<_>>()?
            }
            (None, None) => vec![],
        };
        let is_all = axes.is_empty() && !reduce.empty_is_nothing;
        Some(if is_all { (0..rank).collect() } else { axes })
    }
}
