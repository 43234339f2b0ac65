//! Which channels of a node's inputs, weights and outputs go together.

mod arrange;
mod index;
mod pointwise;
mod products;
mod reshape;

use std::collections::BTreeMap;

use super::Reason;
use super::atoms::Atoms;
use super::layout::{Atom, Axis, Layout, plain};
use super::read::{InWeight, RawRead};
use super::site::Site;
use super::trace::Trace;
use crate::dims;
use crate::error::Result;
use crate::graph::{Graph, Node, NodeId, ValueId};
use crate::op::Op;

/// A weight whose axis becomes channels of a value.
#[derive(Debug)]
pub(super) struct RawProducer {
    pub(super) node: NodeId,
    pub(super) weight: InWeight,
}

/// The channels of all values, and how they depend on each other.
#[derive(Debug)]
pub(super) struct Relations<'a> {
    pub(super) graph: &'a Graph,
    pub(super) trace: Trace,
    pub(super) atoms: Atoms,
    /// The axes of each value, except of weights with one axis.
    pub(super) layouts: Vec<Layout>,
    /// Those of weights with one axis, as an input of a node. Exporters share equal vectors, such
    /// as ones, so each use has channels of its own.
    pub(super) uses: BTreeMap<(NodeId, usize), Layout>,
    /// What names channels, with the channels of the axis in question.
    pub(super) sites: Vec<(Site, Vec<Atom>)>,
    pub(super) reads: Vec<RawRead>,
    pub(super) producers: Vec<RawProducer>,
}

impl<'a> Relations<'a> {
    pub(super) fn new(graph: &'a Graph, sizes: &[usize]) -> Result<Self> {
        let mut relations = Self {
            graph,
            trace: Trace::new(graph, sizes)?,
            atoms: Atoms::default(),
            layouts: vec![],
            uses: BTreeMap::new(),
            sites: vec![],
            reads: vec![],
            producers: vec![],
        };
        relations.begin();
        for node in graph.needed(graph.inputs(), graph.outputs())? {
            relations.node(node);
        }
        for &output in graph.outputs() {
            let value = graph.value(output).name.clone();
            let layout = relations.layouts[output.0].clone();
            relations.atoms.fix_layout(&layout, &Reason::Output { value });
        }
        Ok(relations)
    }

    /// The channels of inputs and weights: an axis of a weight is channels until something else is
    /// known, an axis of an input is none.
    fn begin(&mut self) {
        for (id, _) in self.graph.values() {
            let layout = match self.graph.weight(id) {
                Some(weight) if !is_vector(weight.dims()) => self.fresh(weight.dims()),
                _ => plain(self.trace.shape(id)),
            };
            self.layouts.push(layout);
        }
        for (id, node) in self.graph.nodes() {
            for (place, input) in node.inputs.iter().enumerate() {
                let weight = input.and_then(|input| self.graph.weight(input));
                if let Some(weight) = weight.filter(|weight| is_vector(weight.dims())) {
                    let layout = self.fresh(weight.dims());
                    self.uses.insert((id, place), layout);
                }
            }
        }
    }

    fn fresh(&mut self, sizes: &[usize]) -> Layout {
        let channels = |&size: &usize| match size {
            1 => Axis::default(),
            _ => Axis::channels(self.atoms.fresh(size)),
        };
        sizes.iter().map(channels).collect()
    }

    /// The axes of an input of a node; none if it is left out.
    pub(super) fn layout(&self, id: NodeId, place: usize) -> Option<Layout> {
        let value = self.graph.node(id).input(place)?;
        Some(self.uses.get(&(id, place)).unwrap_or(&self.layouts[value.0]).clone())
    }

    /// The axes of an input that must be there.
    fn need(&self, id: NodeId, place: usize) -> Layout {
        self.layout(id, place).unwrap_or_default()
    }

    fn all_layouts(&self, id: NodeId) -> Vec<Layout> {
        let places = 0..self.graph.node(id).inputs.len();
        places.filter_map(|place| self.layout(id, place)).collect()
    }

    /// The shape of a node's first output.
    fn shape_of(&self, node: &Node) -> &[usize] {
        node.outputs.first().map_or(&[], |&id| self.trace.shape(id))
    }

    fn joined(&self, id: NodeId) -> Reason {
        let node = self.graph.node(id);
        Reason::Joined { node: node.name.clone(), op: node.op.name() }
    }

    fn mixed(&self, id: NodeId) -> Reason {
        let node = self.graph.node(id);
        Reason::Mixed { node: node.name.clone(), op: node.op.name() }
    }

    fn unsupported(&self, id: NodeId) -> Reason {
        let node = self.graph.node(id);
        Reason::Unsupported { node: node.name.clone(), op: node.op.name() }
    }

    /// The channels of an axis; `None` if it has none.
    fn flat(&mut self, id: NodeId, axis: &Axis) -> Option<Vec<Atom>> {
        let reason = self.unsupported(id);
        self.atoms.flat(axis, &reason)
    }

    /// Joins two axes of one size.
    fn unite(&mut self, id: NodeId, a: &Axis, b: &Axis) {
        let reason = self.joined(id);
        self.atoms.unite_axes(a, b, &reason);
    }

    /// Joins an axis with the last axis of an optional input.
    fn unite_input(&mut self, id: NodeId, place: usize, axis: &Axis) {
        if let Some(last) = self.layout(id, place).as_ref().and_then(|layout| layout.last())
            && last.size() == axis.size()
        {
            self.unite(id, axis, last);
        }
    }

    /// The channels of these axes cannot be removed, since the node is not known to keep them
    /// apart.
    fn fix(&mut self, id: NodeId, axes: &[Axis]) {
        let reason = self.unsupported(id);
        self.atoms.fix_layout(axes, &reason);
    }

    /// An axis of these channels. Axes of size 1 have none, so a single channel must stay.
    fn channel_axis(&mut self, id: NodeId, atoms: Vec<Atom>) -> Axis {
        if atoms.len() == 1 {
            let reason = self.unsupported(id);
            self.atoms.fix(&atoms, &reason);
        }
        Axis::channels(atoms)
    }

    fn fix_inputs(&mut self, id: NodeId) {
        self.all_layouts(id).iter().for_each(|layout| self.fix(id, layout));
    }

    /// The integers of an input, where it is there and recorded.
    fn integers(&self, id: NodeId, place: usize) -> Option<Vec<i64>> {
        let value = self.graph.node(id).input(place)?;
        self.trace.integers[value.0].clone()
    }

    /// The axes that an input names, or all of them if it is left out.
    fn axes(&self, id: NodeId, place: usize, all: usize, rank: usize) -> Option<Vec<usize>> {
        match self.graph.node(id).input(place) {
            Some(_) => axes_at(&self.integers(id, place)?, rank),
            None => Some((0..all).collect()),
        }
    }

    /// The axes of an image-like output: the batch and these channels, and new positions.
    fn image(&mut self, id: NodeId, x: &Layout, channels: Axis) -> Layout {
        let mut out = plain(self.shape_of(self.graph.node(id)));
        self.fix(id, x.get(2..).unwrap_or_default());
        if let ([batch, of_channels, ..], Some(of_x)) = (&mut out[..], x.first()) {
            (*batch, *of_channels) = (of_x.clone(), channels);
        }
        out
    }

    /// Finds the axes of a node's outputs.
    fn node(&mut self, id: NodeId) {
        let node = self.graph.node(id);
        let has_channels = self.all_layouts(id).iter().flatten().any(Axis::has_channels);
        let layouts = if has_channels { self.relate(id, node) } else { None };
        let fits = |(layout, output): (&Layout, &ValueId)| {
            let sizes = layout.iter().map(Axis::size);
            sizes.eq(self.trace.shape(*output).iter().copied())
        };
        let pairs = |layouts: &[Layout]| {
            layouts.len() == node.outputs.len() && layouts.iter().zip(&node.outputs).all(fits)
        };
        match layouts.filter(|layouts| pairs(layouts)) {
            Some(layouts) => {
                for (layout, output) in layouts.into_iter().zip(&node.outputs) {
                    self.layouts[output.0] = layout;
                }
            }
            // Nothing is known of the outputs, whose axes are plain from the beginning.
            None => self.fix_inputs(id),
        }
    }

    /// The axes of the outputs of a node that reads channels; `None` if nothing is known of them.
    fn relate(&mut self, id: NodeId, node: &Node) -> Option<Vec<Layout>> {
        let one = match &node.op {
            Op::Conv(window) => self.conv(id, window),
            Op::ConvTranspose(settings) => self.conv_transpose(id, &settings.window),
            Op::MatMul => self.matmul(id),
            Op::Gemm(settings) => self.gemm(id, settings),
            Op::AttentionMasks(_) => self.masks(id),
            Op::Readout => self.readout(id),
            Op::BatchNorm { .. } => Some(self.norm(id)),
            Op::InstanceNorm { .. } => Some(self.norm_of_image(id)),
            Op::GroupNorm { groups, .. } => self.group_norm(id, *groups),
            Op::LayerNorm { axis, .. } => Some(self.layer_norm(id, *axis)),
            Op::Softmax(softmax) => Some(self.softmax(id, softmax)),
            Op::Unary(_) | Op::Cast(_) | Op::Identity => self.layout(id, 0),
            Op::Binary(_) | Op::Clip | Op::Where | Op::Variadic(_) => Some(self.elementwise(id)),
            Op::Pool(_) | Op::GlobalPool(_) => self.pool(id),
            Op::Resize(_) => self.resize(id, node),
            Op::Reduce(reduce) => self.reduce(id, reduce),
            Op::Concat { axis } => self.concat(id, *axis),
            Op::Split(split) => return self.split(id, node, split),
            Op::Slice => self.slice(id),
            Op::Pad(mode) => self.pad(id, *mode),
            Op::Gather { axis } => self.gather(id, *axis),
            Op::Tile => self.tile(id),
            Op::Reshape { .. } => self.reshape(id, node),
            Op::Flatten { .. } => self.regroup(id, node),
            Op::Expand => self.expand(id, node),
            Op::Transpose { order } => self.transpose(id, order.as_deref()),
            // Without axes, a single kept channel would be squeezed away.
            Op::Squeeze => node.input(1).and_then(|_| self.regroup(id, node)),
            Op::Unsqueeze => self.regroup(id, node),
            Op::DepthToSpace { block, channel_first } => {
                self.depth_to_space(id, node, *block, *channel_first)
            }
            Op::Shape { start, .. } => Some(self.sizes(id, node, *start)),
            _ => None,
        };
        one.map(|layout| vec![layout])
    }
}

/// Whether at most one axis is larger than 1.
fn is_vector(sizes: &[usize]) -> bool {
    sizes.iter().filter(|size| **size != 1).count() <= 1
}

/// The axis that a setting names, which counts from the back if it is negative.
fn axis_at(rank: usize, axis: isize) -> Option<usize> {
    dims::axis(axis as i64, rank)
}

/// The axes that these integers name.
fn axes_at(axes: &[i64], rank: usize) -> Option<Vec<usize>> {
    axes.iter().map(|&axis| dims::axis(axis, rank)).collect()
}
