//! `explain`: attribution maps for a network of the user's own.

use std::path::PathBuf;

use clap::Args;
use foresee_report::Record;

use super::json::{JsonArgs, ModelDocument, print_json};
use super::method::ModelMethod;
use super::network::NetworkArgs;
use crate::device::device;
use crate::distinct::distinct;
use crate::error::Result;
use crate::networks::explain::{self, ExplainOptions, ExplanationRow, LrpComposite, PAGE};
use crate::networks::task::Task;
use crate::output::print;

/// Images that are explained unless more or fewer are asked for.
const IMAGES: usize = 8;

#[derive(Args)]
pub struct ExplainArgs {
    /// An ONNX file.
    #[arg(long, value_name = "FILE", requires = "images")]
    model: PathBuf,
    /// Where figures, data and the page explain.html go. What is done there already is not done
    /// again.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Only this image, by its name below --images; can be given several times.
    #[arg(long, value_name = "NAME")]
    image: Vec<String>,
    /// Explain this output, by its name or number; can be given several times. Default: the
    /// network's answer.
    #[arg(long = "class", value_name = "NAME")]
    classes_asked: Vec<String>,
    /// Explain so many outputs, those of the greatest answers.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(1..=20),
        conflicts_with = "classes_asked"
    )]
    top: u16,
    /// Only this method; can be given several times. Default: seven that the network allows.
    #[arg(long, value_enum)]
    method: Vec<ModelMethod>,
    /// Where the CAM family looks: a node, or a value. Default: the last with height and width.
    #[arg(long, value_name = "NODE")]
    cam_node: Option<String>,
    /// What --method attention draws: a node, or a value. Default: attention, as in an ABN.
    #[arg(long, value_name = "NODE")]
    attention_node: Option<String>,
    /// The rules of LRP, as zennit calls them. Default: epsilon-plus, with biases that take no
    /// relevance.
    #[arg(long, value_enum)]
    lrp: Option<LrpComposite>,
    /// Points of integrated gradients, and noisy copies of SmoothGrad.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 16,
        value_parser = clap::value_parser!(u16).range(1..=1000)
    )]
    steps: u16,
    /// Rows and columns of the grid of methods that cover or leave out cells.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 8,
        value_parser = clap::value_parser!(u16).range(2..=64)
    )]
    grid: u16,
    /// Perturbed copies of LIME, RISE, Kernel SHAP and Shapley sampling.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 200,
        value_parser = clap::value_parser!(u32).range(2..=100_000)
    )]
    samples: u32,
    /// Decides everything that is random.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// cpu, cuda or metal.
    #[arg(long, default_value = "cpu")]
    device: String,
    #[command(flatten)]
    json: JsonArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

pub(super) fn explain(args: &ExplainArgs) -> Result<()> {
    let device = device(&args.device)?;
    // Images that are named are all explained.
    let limit = if args.image.is_empty() { IMAGES } else { 0 };
    let task = Task::open(&args.network.options(&args.model, &args.image, limit, device)?)?;
    let options = ExplainOptions {
        methods: distinct(args.method.iter().map(|method| method.0)),
        outputs: distinct(args.classes_asked.iter().cloned()),
        top: args.top.into(),
        cam_node: args.cam_node.clone(),
        attention_node: args.attention_node.clone(),
        lrp: args.lrp,
        steps: args.steps.into(),
        grid: args.grid.into(),
        samples: args.samples as usize,
        seed: args.seed,
    };
    let rows = explain::explain(&task, &args.out, &options)?;
    match args.json.is_asked() {
        true => print_json(&ModelDocument::new(
            (&args.model, &args.out, PAGE),
            [("explanations", ExplanationRow::to_frame(&rows)?)],
        )),
        false => print(&explain::table(&rows).markdown()),
    }
}
