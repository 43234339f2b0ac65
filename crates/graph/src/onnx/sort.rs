//! The order of nodes: each after those that compute what it reads.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use super::functions::FlatNode;
use super::protobuf_reader::Read;
use crate::onnx_error::OnnxError;

/// How many nodes of a cycle an error names.
const NAMED: usize = 20;

/// The nodes, in the file's order if that is a valid one. `given` are the values that no node
/// computes.
pub(super) fn sort<'a>(nodes: Vec<FlatNode<'a>>, given: &HashSet<&str>) -> Read<Vec<FlatNode<'a>>> {
    let order = order(&nodes, given)?;
    let mut nodes: Vec<Option<FlatNode>> = nodes.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|index| nodes[index].take()).collect())
}

fn order(nodes: &[FlatNode], given: &HashSet<&str>) -> Read<Vec<usize>> {
    let producers = producers(nodes, given)?;
    let mut waits = vec![0usize; nodes.len()];
    let mut readers = vec![vec![]; nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        for value in node.inputs.iter().filter(|value| !value.is_empty()) {
            match producers.get(value.as_str()) {
                Some(producer) => {
                    readers[*producer].push(index);
                    waits[index] += 1;
                }
                None if given.contains(value.as_str()) => {}
                None => {
                    let reader = format!("node `{}` ({})", node.label(), node.op());
                    return Err(OnnxError::Undefined { reader, value: value.clone() });
                }
            }
        }
    }
    let ready = (0..nodes.len()).filter(|index| waits[*index] == 0).map(Reverse);
    let mut ready: BinaryHeap<Reverse<usize>> = ready.collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(Reverse(index)) = ready.pop() {
        order.push(index);
        for reader in &readers[index] {
            waits[*reader] -= 1;
            if waits[*reader] == 0 {
                ready.push(Reverse(*reader));
            }
        }
    }
    if order.len() == nodes.len() { Ok(order) } else { Err(cycle(nodes, &waits, &producers)) }
}

fn producers<'n>(nodes: &'n [FlatNode], given: &HashSet<&str>) -> Read<HashMap<&'n str, usize>> {
    let mut producers = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for value in node.outputs.iter().filter(|value| !value.is_empty()) {
            let is_new = producers.insert(value.as_str(), index).is_none();
            if !is_new || given.contains(value.as_str()) {
                return Err(OnnxError::Twice { node: node.label().into(), value: value.clone() });
            }
        }
    }
    Ok(producers)
}

/// Nodes that wait for each other: from any node that waits, back along one that it waits for.
fn cycle(nodes: &[FlatNode], waits: &[usize], producers: &HashMap<&str, usize>) -> OnnxError {
    let mut at = waits.iter().position(|waits| *waits > 0).unwrap_or(0);
    let (mut path, mut seen) = (vec![], HashMap::new());
    while !seen.contains_key(&at) {
        seen.insert(at, path.len());
        path.push(at);
        let inputs = nodes[at].inputs.iter().filter_map(|value| producers.get(value.as_str()));
        at = inputs.copied().find(|producer| waits[*producer] > 0).unwrap_or(at);
    }
    let cycle = path.drain(seen[&at]..).rev().take(NAMED);
    OnnxError::Cycle { nodes: cycle.map(|index| nodes[index].label().to_owned()).collect() }
}
