//! A graph whose weights, settings and integers are being changed.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{DType, Tensor};

use super::removal::{Gone, Removed};
use super::site::Site;
use crate::error::{Error, Result};
use crate::graph::{Graph, Node, NodeId, Origin, ValueId};
use crate::names::Names;
use crate::op::{Binary, Op};

/// A graph that is being changed. Values keep their ids, and nodes theirs until it is finished.
pub(super) struct Editor<'a> {
    /// As it was.
    old: &'a Graph,
    pub(super) graph: Graph,
    value_names: Names,
    node_names: Names,
    /// Nodes to come before others.
    before: BTreeMap<NodeId, Vec<Node>>,
    /// Nodes to come after others.
    after: BTreeMap<NodeId, Vec<Node>>,
}

/// Where a new node goes.
pub(super) enum At {
    /// Before a node.
    Before(NodeId),
    /// After it.
    After(NodeId),
}

/// Elements of a list of integers that change.
#[derive(Debug, Default)]
struct Changes {
    /// How many integers there are.
    of: usize,
    /// The elements, and what they become.
    sizes: Vec<(usize, usize)>,
}

impl Changes {
    fn set(&mut self, of: usize, element: usize, size: usize) {
        self.of = of;
        self.sizes.push((element, size));
    }
}

impl<'a> Editor<'a> {
    pub(super) fn new(graph: &'a Graph) -> Self {
        Self {
            old: graph,
            graph: graph.clone(),
            value_names: graph.value_names(),
            node_names: graph.node_names(),
            before: BTreeMap::new(),
            after: BTreeMap::new(),
        }
    }

    /// A weight as it was before anything was removed.
    pub(super) fn original(&self, id: ValueId) -> Option<&'a Tensor> {
        self.old.weight(id)
    }

    /// A new weight.
    pub(super) fn weight(&mut self, name: &str, tensor: Tensor) -> ValueId {
        self.value(name, Origin::Weight(tensor))
    }

    fn value(&mut self, name: &str, origin: Origin) -> ValueId {
        let name = self.value_names.unique(name);
        self.graph.push_value(name, origin)
    }

    /// A new node of two inputs.
    pub(super) fn node(&mut self, at: At, name: &str, op: Binary, inputs: [ValueId; 2]) -> ValueId {
        // The node's place is known when the graph is finished.
        let output = self.value(name, Origin::Node { node: NodeId(0), output: 0 });
        let node = Node {
            name: self.node_names.unique(name),
            op: Op::Binary(op),
            inputs: inputs.map(Some).to_vec(),
            outputs: vec![output],
        };
        match at {
            At::Before(place) => self.before.entry(place).or_default().push(node),
            At::After(place) => self.after.entry(place).or_default().push(node),
        }
        output
    }

    /// Another weight for one input of a node; other nodes that read it keep the old one.
    pub(super) fn replace(&mut self, id: NodeId, input: usize, tensor: Tensor) {
        let Some(value) = self.graph.node(id).input(input) else { return };
        if self.graph.only_reader(value).is_some() {
            self.graph.values[value.0].origin = Origin::Weight(tensor);
        } else {
            let name = self.graph.value(value).name.clone();
            let new = self.weight(&name, tensor);
            self.graph.nodes[id.0].inputs[input] = Some(new);
        }
    }

    /// Removes places of weights.
    pub(super) fn weights(&mut self, removed: &Removed) -> Result<()> {
        let mut vectors: BTreeMap<ValueId, Vec<(NodeId, usize, usize, &Gone)>> = BTreeMap::new();
        for (&(id, reader, axis), gone) in &removed.places {
            match reader {
                Some((node, input)) => {
                    vectors.entry(id).or_default().push((node, input, axis, gone));
                }
                None => {
                    if let Origin::Weight(weight) = &mut self.graph.values[id.0].origin {
                        *weight = select(weight, axis, &gone.kept())?;
                    }
                }
            }
        }
        vectors.into_iter().try_for_each(|(id, uses)| self.vector(id, &uses))
    }

    /// Removes places of a vector for each of its uses. Uses that lose the same stay shared.
    fn vector(&mut self, id: ValueId, uses: &[(NodeId, usize, usize, &Gone)]) -> Result<()> {
        let Some(weight) = self.graph.weight(id).cloned() else { return Ok(()) };
        let mut by_places: BTreeMap<&BTreeSet<usize>, Vec<_>> = BTreeMap::new();
        uses.iter().for_each(|of| by_places.entry(&of.3.places).or_default().push(of));
        let mut is_free = self.graph.readers(id).count() == uses.len() && !self.graph.is_output(id);
        for uses in by_places.into_values() {
            let &(_, _, axis, gone) = uses[0];
            let smaller = select(&weight, axis, &gone.kept())?;
            if std::mem::take(&mut is_free) {
                self.graph.values[id.0].origin = Origin::Weight(smaller);
                continue;
            }
            let name = self.graph.value(id).name.clone();
            let new = self.weight(&name, smaller);
            for &&(node, input, _, _) in &uses {
                self.graph.nodes[node.0].inputs[input] = Some(new);
            }
        }
        Ok(())
    }

    /// Changes settings and integers that name numbers of channels.
    pub(super) fn sites(&mut self, removed: &Removed) -> Result<()> {
        let mut integers: BTreeMap<(NodeId, usize), Changes> = BTreeMap::new();
        let mut shapes: BTreeMap<NodeId, Changes> = BTreeMap::new();
        for (site, gone) in &removed.sites {
            match site {
                Site::Count { node, input, element, of, until } => {
                    let changes = integers.entry((*node, *input)).or_default();
                    changes.set(*of, *element, gone.kept_before(*until));
                }
                Site::Shape { node, element, of } => {
                    shapes.entry(*node).or_default().set(*of, *element, gone.size);
                }
                Site::Groups(node) => self.groups(*node, gone)?,
                Site::Parts { node, ends } => self.parts(*node, ends, gone)?,
                Site::Indices(node) => self.indices(*node, gone)?,
                Site::Rows(node) => {
                    if let Op::AttentionMasks(rows) = &mut self.graph.nodes[node.0].op {
                        *rows = rows.on_channels(&gone.kept());
                    }
                }
            }
        }
        shapes.iter().try_for_each(|(node, changes)| self.shape(*node, changes))?;
        integers.iter().try_for_each(|(&(node, input), all)| self.integers(node, input, all))
    }

    fn nothing_left(&self, node: NodeId) -> Error {
        Error::NothingLeft { name: self.graph.node(node).name.clone() }
    }

    fn groups(&mut self, node: NodeId, gone: &Gone) -> Result<()> {
        let left = gone.kept_before(gone.size);
        if left == 0 {
            return Err(self.nothing_left(node));
        }
        match &mut self.graph.nodes[node.0].op {
            Op::Conv(window) => window.groups = left,
            Op::ConvTranspose(settings) => settings.window.groups = left,
            Op::GroupNorm { groups, .. } => *groups = left,
            _ => {}
        }
        Ok(())
    }

    fn parts(&mut self, node: NodeId, ends: &[usize], gone: &Gone) -> Result<()> {
        let ends: Vec<usize> = ends.iter().map(|&end| gone.kept_before(end)).collect();
        let starts = [0].iter().chain(&ends);
        let sizes: Vec<usize> = ends.iter().zip(starts).map(|(end, start)| end - start).collect();
        if sizes.contains(&0) {
            return Err(self.nothing_left(node));
        }
        let node = &mut self.graph.nodes[node.0];
        if let Op::Split(split) = &mut node.op {
            split.sizes = Some(sizes);
            node.inputs.truncate(1);
        }
        Ok(())
    }

    fn indices(&mut self, id: NodeId, gone: &Gone) -> Result<()> {
        let indices = self.graph.node(id).input(1).and_then(|id| self.graph.weight(id));
        let Some(indices) = indices.cloned() else { return Ok(()) };
        let place = |index: i64| if index < 0 { index + gone.size as i64 } else { index } as usize;
        let old = indices.flatten_all()?.to_vec1::<i64>()?;
        let kept = old.into_iter().map(place).filter(|place| !gone.places.contains(place));
        let new: Vec<i64> = kept.map(|place| gone.kept_before(place) as i64).collect();
        if new.is_empty() {
            return Err(self.nothing_left(id));
        }
        let shape = if indices.rank() == 1 { vec![new.len()] } else { indices.dims().to_vec() };
        let new = Tensor::from_vec(new, shape, indices.device())?;
        self.replace(id, 1, new);
        Ok(())
    }

    /// Sets elements of an integer input, whether it is a weight or computed.
    fn integers(&mut self, id: NodeId, input: usize, changes: &Changes) -> Result<()> {
        let Some(value) = self.graph.node(id).input(input) else { return Ok(()) };
        if let Some(weight) = self.graph.weight(value).cloned() {
            let mut all = weight.flatten_all()?.to_vec1::<i64>()?;
            changes.sizes.iter().for_each(|&(element, new)| all[element] = new as i64);
            let new = Tensor::from_vec(all, weight.shape(), weight.device())?;
            self.replace(id, input, new);
            return Ok(());
        }
        let name = self.graph.node(id).name.clone();
        let new = self.set_elements(|| At::Before(id), &name, value, changes)?;
        self.graph.nodes[id.0].inputs[input] = Some(new);
        Ok(())
    }

    /// An element of a shape stays what it was.
    fn shape(&mut self, id: NodeId, changes: &Changes) -> Result<()> {
        let Some(&value) = self.graph.node(id).outputs.first() else { return Ok(()) };
        let name = self.graph.node(id).name.clone();
        let new = self.set_elements(|| At::After(id), &name, value, changes)?;
        self.graph.read_instead(value, new);
        Ok(())
    }

    /// integers·keep + new: the elements that change are 0 in `keep`.
    fn set_elements(
        &mut self,
        at: impl Fn() -> At,
        name: &str,
        value: ValueId,
        changes: &Changes,
    ) -> Result<ValueId> {
        let count = changes.of;
        let (mut keep, mut new) = (vec![1i64; count], vec![0i64; count]);
        for &(element, size) in &changes.sizes {
            (keep[element], new[element]) = (0, size as i64);
        }
        let device = self.graph.float_type().1;
        let keep = Tensor::from_vec(keep, count, &device)?;
        let new = Tensor::from_vec(new, count, &device)?;
        let keep = self.weight(&format!("{name}.keep"), keep);
        let new = self.weight(&format!("{name}.sizes"), new);
        let kept = self.node(at(), &format!("{name}.kept"), Binary::Mul, [value, keep]);
        Ok(self.node(at(), &format!("{name}.smaller"), Binary::Add, [kept, new]))
    }

    /// The graph with its new nodes.
    pub(super) fn finish(mut self) -> Graph {
        let mut nodes = vec![];
        for (index, node) in std::mem::take(&mut self.graph.nodes).into_iter().enumerate() {
            nodes.extend(self.before.remove(&NodeId(index)).unwrap_or_default());
            nodes.push(node);
            nodes.extend(self.after.remove(&NodeId(index)).unwrap_or_default());
        }
        self.graph.set_nodes(nodes);
        self.graph
    }
}

/// These places of an axis.
pub(super) fn select(tensor: &Tensor, axis: usize, kept: &[usize]) -> Result<Tensor> {
    let kept: Vec<u32> = kept.iter().map(|&place| place as u32).collect();
    let kept = Tensor::from_vec(kept.clone(), kept.len(), tensor.device())?;
    let selected = match tensor.dtype() {
        // Bytes have no kernel on every device.
        DType::U8 => tensor.to_dtype(DType::I64)?.index_select(&kept, axis)?.to_dtype(DType::U8)?,
        _ => tensor.contiguous()?.index_select(&kept, axis)?,
    };
    Ok(selected.contiguous()?)
}
