//! Several layers at once, within a budget of operations.

use foresee_graph::{Graph, Removal};

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
    let macs = |graph: &Graph| -> Result<u64> { Ok(graph.cost(&graph.shapes(1, &[])?).macs) };
    let limit = macs(graph)? as f64 * operations;
    let steps = possible(graph, layers)?;
    let is_kept = |length: &usize| -> Result<bool> {
        Ok(macs(&graph.remove_channels(&removals(layers, &steps[..*length]))?)? as f64 <= limit)
    };
    match first(steps.len(), is_kept)? {
        Some(length) => Ok(counts(layers, &steps[..length])),
        None => Err(refused("more than what is left when every layer has lost all that can go")),
    }
}

/// The layers that lose a unit, one after the other: the one next whose share is then the smallest.
/// A layer stops before nothing would be left of a part of it.
fn possible(graph: &Graph, layers: &[Removal]) -> Result<Vec<usize>> {
    let mut steps: Vec<(f64, usize)> = vec![];
    for (number, Removal { group, units }) in layers.iter().enumerate() {
        let most = ((group.units as f64 * LARGEST_SHARE) as usize).min(units.len());
        steps.extend((1..=most).map(|count| (count as f64 / group.units as f64, number)));
    }
    steps.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut steps: Vec<usize> = steps.into_iter().map(|(_, layer)| layer).collect();
    loop {
        let is_too_far =
            |length: &usize| match graph.remove_channels(&removals(layers, &steps[..*length])) {
                Err(foresee_graph::Error::NothingLeft { .. }) => Ok(true),
                other => Ok(other.map(|_| false)?),
            };
        let Some(length) = first(steps.len(), is_too_far)? else { return Ok(steps) };
        let layer = steps[length - 1];
        let rest = steps.split_off(length - 1);
        steps.extend(rest.into_iter().filter(|other| *other != layer));
    }
}

/// The first length up to `most` of which something is true that stays true; by bisection.
fn first(most: usize, is_true: impl Fn(&usize) -> Result<bool>) -> Result<Option<usize>> {
    let (mut below, mut at) = (0, most);
    if !is_true(&most)? {
        return Ok(None);
    }
    while below < at {
        let middle = (below + at) / 2;
        match is_true(&middle)? {
            true => at = middle,
            false => below = middle + 1,
        }
    }
    Ok(Some(at))
}

/// How many units each layer loses.
fn counts(layers: &[Removal], steps: &[usize]) -> Vec<usize> {
    let mut counts = vec![0; layers.len()];
    steps.iter().for_each(|&layer| counts[layer] += 1);
    counts
}

fn removals<'a>(layers: &[Removal<'a>], steps: &[usize]) -> Vec<Removal<'a>> {
    let all = layers.iter().zip(counts(layers, steps));
    all.map(|(layer, count)| Removal { group: layer.group, units: &layer.units[..count] }).collect()
}
