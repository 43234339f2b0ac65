//! What is in a network: its nodes and what they cost, its gates, and its groups of channels.

use std::path::Path;

use candle_core::Device;
use foresee_graph::{ChannelGroup, Cost, Graph, Node, Origin, Shapes, ValueId};
use foresee_report::record;

use super::image_input::ImageInput;
use super::image_input::Layout;
use super::layers::module;
use super::network::{read_graph, refused};
use crate::error::Result;

record! {
    /// A node.
    #[derive(Debug, Clone, PartialEq)]
    pub(crate) struct NodeRow {
        /// Its name.
        pub node: String,
        /// What the exporting program called its weights, such as `layer1.0.conv1`.
        pub module: String,
        /// What it computes.
        pub operation: String,
        /// The shape of its first output for one image.
        pub output: String,
        /// Its weights that are numbers with a fraction.
        pub parameters: usize,
        /// Multiplications with an addition, for one image.
        pub macs: u64,
    }
}

record! {
    /// A gate.
    #[derive(Debug, Clone, PartialEq)]
    pub(crate) struct GateRow {
        /// The node that computes it.
        pub node: String,
        /// The function that makes it.
        pub kind: String,
        /// Its shape for one image.
        pub shape: String,
        /// The node that multiplies by it.
        pub multiplies: String,
    }
}

record! {
    /// Channels that depend on each other.
    #[derive(Debug, Clone, PartialEq)]
    pub(crate) struct GroupRow {
        /// The first node that computes them, by which `prune --layer` knows them.
        pub layer: String,
        /// Its weights' name.
        pub module: String,
        /// How many can go, one by one.
        pub channels: usize,
        /// All nodes that compute them.
        pub computed_by: String,
        /// The nodes that read them.
        pub read_by: String,
        /// Why none can go; empty if they can.
        pub fixed: String,
    }
}

/// What is in a network.
pub(crate) struct Inspection {
    /// Names and shapes.
    pub inputs: Vec<(String, String)>,
    pub outputs: Vec<(String, String)>,
    pub nodes: Vec<NodeRow>,
    pub gates: Vec<GateRow>,
    pub groups: Vec<GroupRow>,
    /// Of all nodes.
    pub total: Cost,
}

impl Inspection {
    /// Looks at the network of a file.
    ///
    /// # Errors
    /// If it is no ONNX file, something in it is not supported, or a size must be known.
    pub fn new(file: &Path, layout: Option<Layout>, size: Option<(usize, usize)>) -> Result<Self> {
        let graph = sized(read_graph(file, &Device::Cpu)?, layout, size);
        let graph = graph.map_err(|reason| refused(file, reason))?;
        let failed = |e: foresee_graph::Error| refused(file, e);
        let shapes = graph.shapes(1, &[]).map_err(failed)?;
        let groups = graph.channel_groups(&[]).map_err(failed)?;
        let named =
            |ids: &[ValueId]| ids.iter().map(|&id| described(&graph, &shapes, id)).collect();
        Ok(Self {
            inputs: named(graph.inputs()),
            outputs: named(graph.outputs()),
            nodes: nodes(&graph, &shapes),
            gates: gates(&graph, &shapes),
            groups: groups.iter().map(|group| group_row(&graph, group)).collect(),
            total: graph.cost(&shapes),
        })
    }
}

/// The graph with images of a size that is asked for; of networks that take no images, as it is,
/// unless a size or layout is asked for.
fn sized(
    graph: Graph,
    layout: Option<Layout>,
    size: Option<(usize, usize)>,
) -> std::result::Result<Graph, String> {
    match ImageInput::of(&graph, layout, size) {
        Ok(images) => {
            let sized = graph.with_input_sizes(images.value, images.sizes());
            sized.map_err(|e| e.to_string())
        }
        Err(reason) => {
            let is_open = |id: &ValueId| match &graph.value(*id).origin {
                Origin::Input { sizes, .. } => sizes.iter().skip(1).any(Option::is_none),
                _ => false,
            };
            let is_asked = layout.is_some() || size.is_some();
            match is_asked || graph.inputs().iter().any(is_open) {
                true => Err(reason),
                false => Ok(graph),
            }
        }
    }
}

/// A value's name and shape; an open batch is `B`.
fn described(graph: &Graph, shapes: &Shapes, id: ValueId) -> (String, String) {
    let value = graph.value(id);
    let shape = match &value.origin {
        Origin::Input { sizes, .. } => {
            let size = |size: &Option<usize>| size.map_or("B".into(), |size| size.to_string());
            format!("[{}]", sizes.iter().map(size).collect::<Vec<_>>().join(", "))
        }
        _ => format!("{:?}", shapes.of(id)),
    };
    (value.name.clone(), shape)
}

fn nodes(graph: &Graph, shapes: &Shapes) -> Vec<NodeRow> {
    let row = |((_, node), cost): ((_, &Node), Cost)| NodeRow {
        node: node.name.clone(),
        module: module(graph, node),
        operation: node.op.name().into(),
        output: format!("{:?}", shapes.of(node.outputs[0])),
        parameters: cost.parameters,
        macs: cost.macs,
    };
    graph.nodes().zip(graph.costs(shapes)).map(row).collect()
}

fn gates(graph: &Graph, shapes: &Shapes) -> Vec<GateRow> {
    let row = |gate: foresee_graph::Gate| GateRow {
        node: graph.node(gate.node).name.clone(),
        kind: gate.kind.id().into(),
        shape: format!("{:?}", shapes.of(gate.value)),
        multiplies: graph.node(gate.product).name.clone(),
    };
    graph.gates().into_iter().map(row).collect()
}

fn group_row(graph: &Graph, group: &ChannelGroup) -> GroupRow {
    let names = |nodes: Vec<&Node>| {
        let mut names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        names.dedup();
        names.join(", ")
    };
    let producers: Vec<&Node> =
        group.producers.iter().map(|producer| graph.node(producer.node)).collect();
    let readers = group.reads.iter().flat_map(|read| &read.consumers);
    GroupRow {
        layer: group.name.clone(),
        module: producers.first().map_or(String::new(), |node| module(graph, node)),
        channels: group.units,
        computed_by: names(producers),
        read_by: names(readers.map(|consumer| graph.node(consumer.node)).collect()),
        fixed: group.fixed.as_ref().map_or(String::new(), ToString::to_string),
    }
}
