//! The layers of a network whose channels can be pruned.

use foresee_graph::{ChannelGroup, Graph, Node};
use foresee_perturb::{Takeover, has_takeover};

use super::network::Network;
use crate::distinct::distinct;
use crate::error::Result;

/// The groups of channels that can be pruned, or of them those of these layers: named by a node
/// that computes them, or by its weights.
///
/// # Errors
/// If there is no such layer, it cannot be pruned, or none can.
pub(crate) fn layers(network: &Network, names: &[String]) -> Result<Vec<ChannelGroup>> {
    let refuse = |reason: String| network.refused(reason);
    let all = network.graph.channel_groups(&[]).map_err(|e| network.refused(e))?;
    if names.is_empty() {
        let free: Vec<ChannelGroup> =
            all.into_iter().filter(|group| group.fixed.is_none()).collect();
        return match free.is_empty() {
            true => Err(refuse("has no channels that can be pruned (`foresee inspect`)".into())),
            false => Ok(free),
        };
    }
    let find = |name: &String| {
        let is_it = |group: &&ChannelGroup| names_of(&network.graph, group).contains(name);
        let mut found = all.iter().filter(is_it);
        // Where some channels of a layer are fixed, others can go.
        let group = found.clone().find(|group| group.fixed.is_none()).or_else(|| found.next());
        match group {
            Some(ChannelGroup { fixed: Some(reason), .. }) => {
                Err(refuse(format!("--layer {name}: cannot be pruned: {reason}")))
            }
            Some(group) => Ok(group.clone()),
            None => Err(refuse(format!(
                "--layer {name}: no layer of this name computes channels; `foresee inspect` lists \
                 them"
            ))),
        }
    };
    Ok(distinct(names.iter().map(find).collect::<Result<Vec<_>>>()?))
}

/// The nodes that compute a group's channels, and what their weights are called.
fn names_of(graph: &Graph, group: &ChannelGroup) -> Vec<String> {
    let nodes = group.producers.iter().map(|producer| graph.node(producer.node));
    nodes.flat_map(|node| [node.name.clone(), module(graph, node)]).collect()
}

/// What a layer is called in tables: its weights' name, or its node's.
pub(crate) fn title(graph: &Graph, group: &ChannelGroup) -> String {
    let node = group.producers.first().map(|producer| graph.node(producer.node));
    let module = node.map_or(String::new(), |node| module(graph, node));
    if module.is_empty() { group.name.clone() } else { module }
}

/// Warns of layers whose channels no kept ones can take over. Whether there are others.
pub(crate) fn can_take_over(graph: &Graph, groups: &[&ChannelGroup], takeover: Takeover) -> bool {
    let without: Vec<String> = groups
        .iter()
        .filter(|group| !has_takeover(group))
        .map(|group| title(graph, group))
        .collect();
    if takeover != Takeover::Nothing && !without.is_empty() {
        tracing::warn!(
            "nothing takes over the channels of {}: no node reads them with a weight, so that they \
             are pruned as without a takeover",
            without.join(", ")
        );
    }
    without.len() < groups.len()
}

/// What the exporting program called a node's weights: `fc` of `fc.weight`; empty if it is not
/// known.
pub(crate) fn module(graph: &Graph, node: &Node) -> String {
    let weights = node.inputs.iter().flatten().filter(|id| graph.weight(**id).is_some());
    let mut names = weights.map(|id| graph.value(*id).name.strip_suffix(".weight"));
    names.find_map(|name| name).unwrap_or_default().to_owned()
}
