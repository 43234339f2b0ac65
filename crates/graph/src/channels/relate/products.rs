//! Convolutions and matrix products: where channels are made and read.

use super::super::layout::Atom;
use super::super::layout::{Axis, Layout, plain};
use super::super::read::{InWeight, RawRead};
use super::super::site::Site;
use super::{RawProducer, Relations};
use crate::graph::NodeId;
use crate::op::{Gemm, Window};

impl Relations<'_> {
    /// A node reads the channels of one axis of an input.
    fn read(&mut self, id: NodeId, input: usize, axis: usize, weight: Option<InWeight>) {
        self.read_blocks(id, input, axis, Blocks::One, weight);
    }

    fn read_blocks(
        &mut self,
        id: NodeId,
        input: usize,
        axis: usize,
        blocks: Blocks,
        weight: Option<InWeight>,
    ) {
        let Some(value) = self.graph.node(id).input(input) else { return };
        let layout = self.need(id, input);
        if self.graph.weight(value).is_some() {
            // There are no activations that a mask could be put on.
            return self.fix(id, &layout);
        }
        let Some(atoms) = self.flat(id, &layout[axis]) else { return };
        let (count, block_axis) = match blocks {
            Blocks::One => (1, None),
            Blocks::Cut(count) => (count, None),
            Blocks::Along(other) => (layout[other].size(), Some(other)),
        };
        let rank = layout.len();
        let node = id;
        self.reads.push(RawRead {
            node,
            input,
            value,
            rank,
            axis,
            count,
            block_axis,
            atoms,
            weight,
        });
    }

    /// A matrix product reads both factors, or that which is no weight.
    fn read_product(&mut self, id: NodeId, axes: [usize; 2], weight: Option<InWeight>) {
        let is_weight = |input: usize| self.in_weight(id, input, 0).is_some();
        let (first, second) = (is_weight(0), is_weight(1));
        if !first || second {
            self.read(id, 0, axes[0], weight);
        }
        if !second || first {
            self.read(id, 1, axes[1], None);
        }
    }

    /// If an input is a weight, its axis becomes channels of the node's output.
    fn produce(&mut self, id: NodeId, input: usize, axis: usize) {
        if let Some(weight) = self.in_weight(id, input, axis) {
            self.producers.push(RawProducer { node: id, weight });
        }
    }

    fn in_weight(&self, id: NodeId, input: usize, axis: usize) -> Option<InWeight> {
        let value = self.graph.node(id).input(input)?;
        self.graph.weight(value)?;
        Some(InWeight { value, input, axis })
    }

    pub(super) fn conv(&mut self, id: NodeId, window: &Window) -> Option<Layout> {
        let (x, weight) = (self.need(id, 0), self.need(id, 1));
        let (from, to) = (x.get(1)?, weight.first()?);
        self.unite_input(id, 2, to);
        if let Some(groups) = self.whole_groups(window.groups, from.size(), to.size()) {
            self.unite_groups(id, groups, from, to);
        } else {
            let taken = weight.get(1)?;
            self.unite_blocks(id, window.groups, from, taken);
            self.unite_places(id, window.groups, to);
            let in_weight = self.in_weight(id, 1, 1);
            self.read_blocks(id, 0, 1, Blocks::of(window.groups), in_weight);
            self.produce(id, 1, 0);
        }
        Some(self.image(id, &x, to.clone()))
    }

    pub(super) fn conv_transpose(&mut self, id: NodeId, window: &Window) -> Option<Layout> {
        let (x, weight) = (self.need(id, 0), self.need(id, 1));
        let (from, taken, given) = (x.get(1)?, weight.first()?, weight.get(1)?);
        let outputs = given.size() * window.groups;
        let mut to = given.clone();
        if window.groups > 1 {
            to = Axis::channels(self.atoms.fresh(outputs));
            self.unite_blocks(id, window.groups, &to, given);
        }
        self.unite(id, from, taken);
        self.unite_input(id, 2, &to);
        if let Some(groups) = self.whole_groups(window.groups, from.size(), outputs) {
            self.unite_groups(id, groups, from, &to);
        } else {
            self.unite_places(id, window.groups, taken);
            let in_weight = self.in_weight(id, 1, 0);
            self.read_blocks(id, 0, 1, Blocks::of(window.groups), in_weight);
            self.produce(id, 1, 1);
        }
        Some(self.image(id, &x, to))
    }

    /// How many groups there are, if a unit is a whole group.
    fn whole_groups(&self, groups: usize, inputs: usize, outputs: usize) -> Option<usize> {
        let fewest = (inputs / groups.max(1)).min(outputs / groups.max(1));
        (groups > 1 && groups > fewest).then_some(groups)
    }

    /// The inputs and outputs of each group go together.
    fn unite_groups(&mut self, id: NodeId, groups: usize, from: &Axis, to: &Axis) {
        let (Some(from), Some(to)) = (self.flat(id, from), self.flat(id, to)) else {
            return self.fix_joined(id, [from, to]);
        };
        let mut firsts = vec![];
        for (from, to) in from.chunks(from.len() / groups).zip(to.chunks(to.len() / groups)) {
            let all: Vec<Atom> = from.iter().chain(to).copied().collect();
            self.atoms.unite_each(&all);
            firsts.push(all[0]);
        }
        self.sites.push((Site::Groups(id), firsts));
    }

    /// Each of so many equal blocks of `all` goes together with `one`.
    fn unite_blocks(&mut self, id: NodeId, blocks: usize, all: &Axis, one: &Axis) {
        if blocks == 1 {
            return self.unite(id, all, one);
        }
        if one.size() == 1 {
            return;
        }
        match (self.flat(id, all), self.flat(id, one)) {
            (Some(all), Some(one)) => {
                all.chunks(one.len()).for_each(|block| self.atoms.unite_all(block, &one));
            }
            _ => self.fix_joined(id, [all, one]),
        }
    }

    /// The channels of two axes cannot be removed: they are joined where one has none.
    fn fix_joined(&mut self, id: NodeId, axes: [&Axis; 2]) {
        let reason = self.joined(id);
        axes.iter().for_each(|axis| self.atoms.fix_axis(axis, &reason));
    }

    /// The same places of so many equal blocks go together.
    fn unite_places(&mut self, id: NodeId, blocks: usize, axis: &Axis) {
        let Some(atoms) = self.flat(id, axis).filter(|_| blocks > 1) else { return };
        let first = &atoms[..atoms.len() / blocks];
        atoms.chunks(first.len()).for_each(|block| self.atoms.unite_all(first, block));
    }

    pub(super) fn matmul(&mut self, id: NodeId) -> Option<Layout> {
        let (a, b) = (self.need(id, 0), self.need(id, 1));
        let (a_axis, b_axis) = (a.len().checked_sub(1)?, b.len().saturating_sub(2));
        self.unite(id, a.last()?, b.get(b_axis)?);
        let matrix = |weight: Option<InWeight>| weight.filter(|_| b.len() == 2);
        let weight = matrix(self.in_weight(id, 1, b_axis));
        self.read_product(id, [a_axis, b_axis], weight);
        let batch = |layout: &Layout| layout[..layout.len().saturating_sub(2)].to_vec();
        let reason = self.joined(id);
        let mut out = self.atoms.broadcast(&[batch(&a), batch(&b)], &reason);
        if a.len() > 1 {
            self.produce(id, 0, a.len() - 2);
            out.push(a[a.len() - 2].clone());
        }
        if b.len() > 1 {
            self.produce(id, 1, b.len() - 1);
            out.push(b[b.len() - 1].clone());
        }
        Some(out)
    }

    pub(super) fn gemm(&mut self, id: NodeId, settings: &Gemm) -> Option<Layout> {
        let (a, b) = (self.need(id, 0), self.need(id, 1));
        let (m, k) = if settings.transpose_a { (1, 0) } else { (0, 1) };
        let (k_b, n) = if settings.transpose_b { (1, 0) } else { (0, 1) };
        self.unite(id, a.get(k)?, b.get(k_b)?);
        let weight = self.in_weight(id, 1, k_b);
        self.read_product(id, [k, k_b], weight);
        self.produce(id, 0, m);
        self.produce(id, 1, n);
        let out = vec![a[m].clone(), b[n].clone()];
        let reason = self.joined(id);
        let bias = self.layout(id, 2).unwrap_or_default();
        Some(self.atoms.broadcast(&[out, bias], &reason))
    }

    /// The paper's masks: a convolution from C channels to K masks of each of them.
    pub(super) fn masks(&mut self, id: NodeId) -> Option<Layout> {
        let (z, weight) = (self.need(id, 0), self.need(id, 1));
        let (channels, rows) = (z.get(1)?, weight.first()?);
        self.unite(id, channels, weight.get(1)?);
        let attributes = rows.size() / channels.size();
        self.unite_blocks(id, attributes, rows, channels);
        self.unite_input(id, 2, rows);
        let in_weight = self.in_weight(id, 1, 1);
        self.read(id, 0, 1, in_weight);
        if let Some(atoms) = self.flat(id, channels) {
            self.sites.push((Site::Rows(id), atoms));
        }
        self.fix(id, z.get(2..)?);
        let mut out = plain(self.shape_of(self.graph.node(id)));
        if let [batch, _, of_channels, ..] = &mut out[..] {
            (*batch, *of_channels) = (z[0].clone(), channels.clone());
        }
        Some(out)
    }

    /// The paper's readout: a row of weights over C for each of K attributes.
    pub(super) fn readout(&mut self, id: NodeId) -> Option<Layout> {
        let (p, weight) = (self.need(id, 0), self.need(id, 1));
        let (attributes, channels) = (p.get(1)?, p.get(2)?);
        self.unite(id, channels, weight.get(1)?);
        self.unite(id, attributes, weight.first()?);
        self.unite_input(id, 2, attributes);
        let in_weight = self.in_weight(id, 1, 1);
        self.read_blocks(id, 0, 2, Blocks::Along(1), in_weight);
        Some(vec![p[0].clone(), attributes.clone()])
    }
}

/// Parts of the channels that are read apart.
#[derive(Debug, Clone, Copy)]
enum Blocks {
    /// All channels are read together.
    One,
    /// The axis is cut into so many.
    Cut(usize),
    /// The channels are read apart along another axis.
    Along(usize),
}

impl Blocks {
    fn of(groups: usize) -> Self {
        if groups == 1 { Self::One } else { Self::Cut(groups) }
    }
}
