//! What is removed of a graph.

use std::collections::{BTreeMap, BTreeSet};

use super::ChannelGroup;
use super::site::Site;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, ValueId};

/// Units of a group that are removed.
#[derive(Debug, Clone, Copy)]
pub struct Removal<'a> {
    /// The group.
    pub group: &'a ChannelGroup,
    /// Its units, in any order.
    pub units: &'a [usize],
}

/// Places that are removed of an axis, and its size.
#[derive(Debug, Clone, Default)]
pub(super) struct Gone {
    pub(super) size: usize,
    pub(super) places: BTreeSet<usize>,
}

impl Gone {
    fn add(&mut self, size: usize, units: &[Vec<usize>], goes: &[usize]) {
        self.size = size;
        self.places.extend(goes.iter().flat_map(|&unit| &units[unit]));
    }

    pub(super) fn kept(&self) -> Vec<usize> {
        (0..self.size).filter(|place| !self.places.contains(place)).collect()
    }

    /// How many places before this one are kept.
    pub(super) fn kept_before(&self, until: usize) -> usize {
        until - self.places.range(..until).count()
    }
}

/// An axis of a weight, or of one use of it.
pub(super) type AxisOf = (ValueId, Option<(NodeId, usize)>, usize);

/// All that is removed.
#[derive(Debug, Default)]
pub(super) struct Removed {
    pub(super) places: BTreeMap<AxisOf, Gone>,
    pub(super) sites: BTreeMap<Site, Gone>,
}

impl Removed {
    pub(super) fn new(graph: &Graph, removals: &[Removal]) -> Result<Self> {
        let mut removed = Self::default();
        for Removal { group, units } in removals {
            check(group, units)?;
            for place in &group.places {
                let gone = removed.places.entry((place.value, place.reader, place.axis));
                gone.or_default().add(place.size, &place.units, units);
            }
            for (site, size, of_units) in &group.sites {
                removed.sites.entry(site.clone()).or_default().add(*size, of_units, units);
            }
        }
        removed.places.retain(|_, gone| !gone.places.is_empty());
        removed.sites.retain(|_, gone| !gone.places.is_empty());
        removed.check(graph)?;
        Ok(removed)
    }

    /// What is removed of an axis of a node's weight.
    pub(super) fn of(
        &self,
        node: NodeId,
        input: usize,
        value: ValueId,
        axis: usize,
    ) -> Option<&Gone> {
        let own = self.places.get(&(value, Some((node, input)), axis));
        own.or_else(|| self.places.get(&(value, None, axis)))
    }

    /// Whether the graph has these weights, and something is left of each.
    fn check(&self, graph: &Graph) -> Result<()> {
        for (&(id, reader, axis), gone) in &self.places {
            let value = graph.values.get(id.0);
            let name = || value.map_or_else(String::new, |value| value.name.clone());
            let dims = value.and_then(|_| graph.weight(id)).map(|weight| weight.dims());
            let is_read = |(node, input): (NodeId, usize)| {
                graph.nodes.get(node.0).is_some_and(|node| node.input(input) == Some(id))
            };
            let size = dims.and_then(|dims| dims.get(axis));
            if size != Some(&gone.size) || !reader.is_none_or(is_read) {
                return Err(Error::OtherGraph { name: name() });
            }
            if gone.places.len() == gone.size {
                return Err(Error::NothingLeft { name: name() });
            }
        }
        match self.sites.keys().find(|site| !site.fits(graph)) {
            Some(site) => Err(Error::OtherGraph { name: format!("node {}", site.node().0) }),
            None => Ok(()),
        }
    }
}

/// Whether units of a group can be removed.
pub(super) fn check(group: &ChannelGroup, units: &[usize]) -> Result<()> {
    if let Some(reason) = &group.fixed {
        return Err(Error::Fixed { group: group.name.clone(), reason: reason.clone() });
    }
    if let Some(&unit) = units.iter().find(|&&unit| unit >= group.units) {
        return Err(Error::NoUnit { group: group.name.clone(), unit, units: group.units });
    }
    let distinct: BTreeSet<&usize> = units.iter().collect();
    if distinct.len() == group.units {
        return Err(Error::NothingLeft { name: group.name.clone() });
    }
    Ok(())
}
