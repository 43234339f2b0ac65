//! `inspect`: what is in a network of the user's own.

use std::path::PathBuf;

use clap::Args;
use foresee_report::Record;
use foresee_report::frame::Rows;
use serde::Serialize;

use super::json::{JsonArgs, path_text, print_json};
use super::network::size;
use super::text::aligned;
use crate::error::Result;
use crate::networks::image_input::Layout;
use crate::networks::inspect::{GateRow, GroupRow, Inspection, NodeRow};
use crate::output::print;
use crate::provenance::thousands;

#[derive(Args)]
pub struct InspectArgs {
    /// An ONNX file.
    #[arg(value_name = "MODEL.onnx")]
    model: PathBuf,
    /// Height and width of the images, such as 224 or 480x640, if the network takes any.
    #[arg(long, value_name = "HxW", value_parser = size)]
    size: Option<(usize, usize)>,
    /// nchw ([B, C, H, W], PyTorch) or nhwc ([B, H, W, C], TensorFlow). Default: as the network's
    /// input says.
    #[arg(long, value_enum)]
    layout: Option<Layout>,
    #[command(flatten)]
    json: JsonArgs,
}

/// The network as `--json` prints it.
#[derive(Serialize)]
struct Document {
    model: String,
    inputs: Vec<Named>,
    outputs: Vec<Named>,
    parameters: usize,
    /// Multiplications with an addition, for one image.
    macs: u64,
    nodes: Rows,
    gates: Rows,
    channel_groups: Rows,
}

#[derive(Serialize)]
struct Named {
    name: String,
    shape: String,
}

pub(super) fn inspect(args: &InspectArgs) -> Result<()> {
    let found = Inspection::new(&args.model, args.layout, args.size)?;
    match args.json.is_asked() {
        true => print_json(&document(args, found)?),
        false => print(&text(&found)),
    }
}

fn document(args: &InspectArgs, found: Inspection) -> Result<Document> {
    let named = |values: Vec<(String, String)>| {
        values.into_iter().map(|(name, shape)| Named { name, shape }).collect()
    };
    Ok(Document {
        model: path_text(&args.model),
        inputs: named(found.inputs),
        outputs: named(found.outputs),
        parameters: found.total.parameters,
        macs: found.total.macs,
        nodes: Rows(NodeRow::to_frame(&found.nodes)?),
        gates: Rows(GateRow::to_frame(&found.gates)?),
        channel_groups: Rows(GroupRow::to_frame(&found.groups)?),
    })
}

fn text(found: &Inspection) -> String {
    let mut text = String::new();
    for (kind, values) in [("input", &found.inputs), ("output", &found.outputs)] {
        for (name, shape) in values {
            text += &format!("{kind} {name} {shape}\n");
        }
    }
    text + "\n" + &nodes(found) + "\n" + &gates(&found.gates) + "\n" + &groups(&found.groups)
}

fn nodes(found: &Inspection) -> String {
    let row = |row: &NodeRow| {
        vec![
            row.node.clone(),
            row.module.clone(),
            row.operation.clone(),
            row.output.clone(),
            thousands(row.parameters as u64),
            thousands(row.macs),
        ]
    };
    let mut rows: Vec<Vec<String>> = found.nodes.iter().map(row).collect();
    let empty = || String::new();
    let (parameters, macs) =
        (thousands(found.total.parameters as u64), thousands(found.total.macs));
    rows.push(vec!["all".into(), empty(), empty(), empty(), parameters, macs]);
    let header = ["node", "weights", "operation", "output", "parameters", "MACs"];
    aligned(&header, &rows, 4)
}

fn gates(gates: &[GateRow]) -> String {
    if gates.is_empty() {
        return "gates: none, so there is nothing for `transform`\n".into();
    }
    let row = |row: &GateRow| {
        vec![row.node.clone(), row.kind.clone(), row.shape.clone(), row.multiplies.clone()]
    };
    let rows: Vec<Vec<String>> = gates.iter().map(row).collect();
    aligned(&["gate", "function", "shape", "multiplies in"], &rows, 4)
}

fn groups(groups: &[GroupRow]) -> String {
    let row = |row: &GroupRow| {
        let fixed = if row.fixed.is_empty() { "yes".into() } else { format!("no: {}", row.fixed) };
        vec![
            row.layer.clone(),
            row.module.clone(),
            row.channels.to_string(),
            row.computed_by.clone(),
            row.read_by.clone(),
            fixed,
        ]
    };
    let rows: Vec<Vec<String>> = groups.iter().map(row).collect();
    let header = ["layer", "weights", "channels", "computed by", "read by", "can be pruned"];
    aligned(&header, &rows, 6)
}
