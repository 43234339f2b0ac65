//! Several layers at once, within a budget of operations.

use std::collections::BTreeMap;

use foresee_graph::{ChannelGroup, Graph, NodeId, Place, Removal, ValueId};

use super::masks::check_units;
use crate::error::{Error, Result};

/// The largest share of a layer's units that can go.
const LARGEST_SHARE: f64 = 0.9;

/// How many units of each layer go, so that at most the share `operations` of the network's
/// multiply-accumulates is left: the same share of every layer, and as few units as that demands.
/// `layers` have the units in the order in which they go. At most 9 of 10 units of a layer go, and
/// fewer where nothing would be left of a part of it, such as one that a split gives to a node of
/// its own.
///
/// # Errors
/// If `operations` is not from 0 to below 1, a group is fixed or of another graph, there is no such
/// unit, or the network is still too large when every layer has lost all that can go.
pub fn budget_counts(graph: &Graph, layers: &[Removal], operations: f64) -> Result<Vec<usize>> {
    let refused = |expected| Error::Parameter {
        parameter: "operations",
        value: operations.to_string(),
        expected,
    };
    if !(0. ..1.).contains(&operations) {
        return Err(refused("a share from 0 to below 1"));
    }
    let steps = steps(layers)?;
    let macs = |graph: &Graph| -> Result<u64> { Ok(graph.cost(&graph.shapes(1, &[])?).macs) };
    let limit = macs(graph)? as f64 * operations;
    let counts = |length: usize| {
        let mut counts = vec![0; layers.len()];
        steps[..length].iter().for_each(|&layer| counts[layer] += 1);
        counts
    };
    let is_kept = |length: usize| -> Result<bool> {
        let removals = layers.iter().zip(counts(length));
        let removals: Vec<Removal> = removals
            .map(|(layer, count)| Removal { group: layer.group, units: &layer.units[..count] })
            .collect();
        Ok(macs(&graph.remove_channels(&removals)?)? as f64 <= limit)
    };
    // The fewest steps that suffice.
    let (mut too_few, mut enough) = (0, steps.len());
    while too_few < enough {
        let middle = (too_few + enough) / 2;
        match is_kept(middle)? {
            true => enough = middle,
            false => too_few = middle + 1,
        }
    }
    match is_kept(enough)? {
        true => Ok(counts(enough)),
        false => Err(refused("more than what is left when every layer has lost all that can go")),
    }
}

/// The layers that lose a unit, one after the other: the one next whose share is then the smallest.
fn steps(layers: &[Removal]) -> Result<Vec<usize>> {
    let mut steps: Vec<(f64, usize, usize)> = vec![];
    for (number, Removal { group, units }) in layers.iter().enumerate() {
        let most = (group.units as f64 * LARGEST_SHARE) as usize;
        let lost = |place: usize| (place + 1) as f64 / group.units as f64;
        let goes = units.iter().enumerate().take(most);
        steps.extend(goes.map(|(place, &unit)| (lost(place), number, unit)));
    }
    steps.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut gone = BTreeMap::new();
    let mut can_lose = vec![true; layers.len()];
    let mut possible = vec![];
    for (_, layer, unit) in steps {
        can_lose[layer] = can_lose[layer] && lose(&mut gone, layers[layer].group, unit)?;
        if can_lose[layer] {
            possible.push(layer);
        }
    }
    Ok(possible)
}

/// An axis of a weight, or of one use of it.
type Axis = (ValueId, Option<(NodeId, usize)>, usize);

/// Counts what one more unit takes of each weight's axis, unless nothing would be left of one;
/// whether it is counted.
fn lose(gone: &mut BTreeMap<Axis, usize>, group: &ChannelGroup, unit: usize) -> Result<bool> {
    check_units(group, &[unit])?;
    let axis = |place: &Place| (place.value, place.reader, place.axis);
    let is_left =
        |place: &Place| gone.get(&axis(place)).unwrap_or(&0) + place.units[unit].len() < place.size;
    let can = group.places.iter().all(is_left);
    if can {
        for place in &group.places {
            *gone.entry(axis(place)).or_insert(0) += place.units[unit].len();
        }
    }
    Ok(can)
}
