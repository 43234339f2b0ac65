//! Groups of channels that depend on each other.

use std::collections::BTreeMap;

use super::Reason;
use super::layout::Atom;
use super::layout::{Layout, Part};
use super::read::{Consumer, InWeight, RawRead, Read};
use super::relate::{RawProducer, Relations};
use super::site::Site;
use crate::graph::{NodeId, ValueId};

/// An axis of a weight from which units take places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The weight.
    pub value: ValueId,
    /// The node and the input as which it is meant. A weight with one axis can be shared by several
    /// (exporters share equal vectors), each of which has channels of its own; none for others.
    pub reader: Option<(NodeId, usize)>,
    /// The axis.
    pub axis: usize,
    /// Its size.
    pub size: usize,
    /// The places of each unit.
    pub units: Vec<Vec<usize>>,
}

/// A node that computes channels with a weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producer {
    /// The node.
    pub node: NodeId,
    /// Where the channels' filters are.
    pub place: Place,
}

/// Channels that depend on each other: the output channels of one convolution or linear layer, of
/// those whose outputs are joined with them, and all that is removed with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelGroup {
    /// The name of the first node that computes them.
    pub name: String,
    /// How many units there are. A unit is removed as a whole.
    pub units: usize,
    /// The nodes that compute the channels.
    pub producers: Vec<Producer>,
    /// The values whose channels are read, by the nodes that sum over them.
    pub reads: Vec<Read>,
    /// The weights that lose places with a unit: filters, biases, parameters of norms, weights of
    /// the next layers.
    pub places: Vec<Place>,
    /// Why no unit can be removed; `None` if they can.
    pub fixed: Option<Reason>,
    /// Settings and integers that name numbers of channels, the size of their axis, and the places
    /// of each unit on it.
    pub(super) sites: Vec<(Site, usize, Vec<Vec<usize>>)>,
}

/// The groups of a graph, in the order of their first producers.
pub(super) fn groups(relations: Relations) -> Vec<ChannelGroup> {
    let mut found = Finder { relations, groups: vec![], unit_of: BTreeMap::new() };
    let sets = found.sets();
    for (group, set) in sets.iter().enumerate() {
        for (unit, &class) in set.iter().enumerate() {
            found.unit_of.insert(class, (group, unit));
        }
        let fixed = found.relations.atoms.fixed(set[0]).cloned();
        found.groups.push(ChannelGroup {
            name: String::new(),
            units: set.len(),
            producers: vec![],
            reads: vec![],
            places: vec![],
            fixed: fixed.or((set.len() == 1).then_some(Reason::Single)),
            sites: vec![],
        });
    }
    found.producers();
    found.places();
    found.reads();
    found.sites();
    found.groups
}

struct Finder<'a> {
    relations: Relations<'a>,
    groups: Vec<ChannelGroup>,
    /// The group and the unit of each class.
    unit_of: BTreeMap<Atom, (usize, usize)>,
}

impl Finder<'_> {
    fn classes(&self, producer: &RawProducer) -> Vec<Atom> {
        let layout = self.relations.layout(producer.node, producer.weight.input);
        let axis = layout.unwrap_or_default().get(producer.weight.axis).cloned();
        let axis = axis.unwrap_or_default();
        let atoms = axis.0.iter().find_map(Part::atoms).unwrap_or_default();
        atoms.iter().map(|&atom| self.relations.atoms.class(atom)).collect()
    }

    /// Classes that one producer computes are in one set, except that classes that can be removed
    /// and those that cannot are in different ones.
    fn sets(&self) -> Vec<Vec<Atom>> {
        let mut sets: Vec<Vec<Atom>> = vec![];
        let mut set_of: BTreeMap<Atom, usize> = BTreeMap::new();
        for producer in &self.relations.producers {
            let classes = self.classes(producer);
            let is_fixed = |class: &&Atom| self.relations.atoms.fixed(**class).is_some();
            let (fixed, free): (Vec<&Atom>, Vec<&Atom>) = classes.iter().partition(is_fixed);
            for classes in [free, fixed] {
                let known = classes.iter().filter_map(|class| set_of.get(class)).min().copied();
                let set = known.unwrap_or(sets.len());
                sets.resize(sets.len().max(set + 1), vec![]);
                for class in classes {
                    match set_of.get(class) {
                        Some(&other) if other == set => {}
                        Some(&other) => {
                            let moved = std::mem::take(&mut sets[other]);
                            moved.iter().for_each(|class| _ = set_of.insert(*class, set));
                            sets[set].extend(moved);
                        }
                        None => {
                            set_of.insert(*class, set);
                            sets[set].push(*class);
                        }
                    }
                }
            }
        }
        sets.retain(|set| !set.is_empty());
        sets
    }

    /// For each group that has atoms here, the places of each of its units.
    fn locate(&self, atoms: &[Atom]) -> BTreeMap<usize, Vec<Vec<usize>>> {
        let mut located = BTreeMap::new();
        for (place, &atom) in atoms.iter().enumerate() {
            if let Some(&(group, unit)) = self.unit_of.get(&self.relations.atoms.class(atom)) {
                let units: &mut Vec<Vec<usize>> =
                    located.entry(group).or_insert_with(|| vec![vec![]; self.groups[group].units]);
                units[unit].push(place);
            }
        }
        located
    }

    /// The places of each group on one axis of a weight.
    fn places_on(
        &self,
        value: ValueId,
        reader: Option<(NodeId, usize)>,
        layout: &Layout,
    ) -> Vec<(usize, Place)> {
        let mut places = vec![];
        for (axis, of) in layout.iter().enumerate() {
            let Some(atoms) = of.0.iter().find_map(Part::atoms) else { continue };
            for (group, units) in self.locate(atoms) {
                let size = atoms.len();
                places.push((group, Place { value, reader, axis, size, units }));
            }
        }
        places
    }

    fn producers(&mut self) {
        for &RawProducer { node, weight } in &self.relations.producers {
            let InWeight { value, input, axis } = weight;
            let reader = self.relations.uses.contains_key(&(node, input)).then_some((node, input));
            let layout = self.relations.layout(node, input).unwrap_or_default();
            let places = self.places_on(value, reader, &layout);
            for (group, place) in places.into_iter().filter(|(_, place)| place.axis == axis) {
                let group = &mut self.groups[group];
                if group.producers.is_empty() {
                    group.name.clone_from(&self.relations.graph.node(node).name);
                }
                group.producers.push(Producer { node, place });
            }
        }
    }

    fn places(&mut self) {
        let mut places = vec![];
        for (value, _) in self.relations.graph.values() {
            if self.relations.graph.weight(value).is_some() {
                places.extend(self.places_on(value, None, &self.relations.layouts[value.0]));
            }
        }
        for (&(node, input), layout) in &self.relations.uses {
            if let Some(value) = self.relations.graph.node(node).input(input) {
                places.extend(self.places_on(value, Some((node, input)), layout));
            }
        }
        places.into_iter().for_each(|(group, place)| self.groups[group].places.push(place));
    }

    fn reads(&mut self) {
        for raw in &self.relations.reads {
            for (group, read) in self.reads_of(raw) {
                let reads = &mut self.groups[group].reads;
                let same = |other: &&mut Read| {
                    let key = |read: &Read| (read.value, read.axis, read.blocks, read.block_axis);
                    key(other) == key(&read)
                };
                match reads.iter_mut().find(same) {
                    Some(other) => other.consumers.extend(read.consumers),
                    None => reads.push(read),
                }
            }
        }
    }

    /// What a reading is of each group.
    fn reads_of(&self, raw: &RawRead) -> Vec<(usize, Read)> {
        let (places, channels) = raw.channels();
        let consumer = Consumer { node: raw.node, input: raw.input, weight: raw.weight };
        let of_group = |(group, units): (usize, Vec<Vec<usize>>)| {
            let channels_of = |unit: &Vec<usize>| {
                let mut of: Vec<usize> = unit.iter().map(|&p| places[p % places.len()]).collect();
                of.sort_unstable();
                of.dedup();
                of
            };
            let read = Read {
                value: raw.value,
                axis: raw.axis,
                blocks: raw.count,
                block_axis: raw.block_axis,
                channels,
                places: places.clone(),
                units: units.iter().map(channels_of).collect(),
                consumers: vec![consumer.clone()],
                rank: raw.rank,
            };
            (group, read)
        };
        self.locate(&raw.atoms).into_iter().map(of_group).collect()
    }

    fn sites(&mut self) {
        for (site, atoms) in &self.relations.sites {
            for (group, units) in self.locate(atoms) {
                self.groups[group].sites.push((site.clone(), atoms.len(), units));
            }
        }
    }
}
