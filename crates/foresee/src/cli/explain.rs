//! `explain`: attribution maps for a network of the user's own.

use std::path::PathBuf;

use clap::Args;
use foresee_attribution::Method;
use foresee_report::Record;
use foresee_report::frame::Rows;
use serde::Serialize;

use super::json::{JsonArgs, path_text, print_json};
use super::network::NetworkArgs;
use crate::device::device;
use crate::error::Result;
use crate::networks::explain::{self, ExplainOptions, ExplanationRow, PAGE};
use crate::networks::folder::read_rows;
use crate::networks::subject::Subject;
use crate::output::print;

/// Images that are explained unless more or fewer are asked for.
const IMAGES: usize = 8;

#[derive(Args)]
pub struct ExplainArgs {
    /// An ONNX file.
    #[arg(long, value_name = "FILE", requires = "images")]
    model: PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
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
    method: Vec<Method>,
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
}

/// The maps in numbers as `--json` prints them.
#[derive(Serialize)]
struct Document {
    model: String,
    folder: String,
    page: String,
    explanations: Rows,
}

pub(super) fn explain(args: &ExplainArgs) -> Result<()> {
    let device = device(&args.device)?;
    // Images that are named are all explained.
    let limit = if args.image.is_empty() { IMAGES } else { 0 };
    let subject = args.network.options(&args.model, &args.image, limit, device)?;
    let subject = Subject::open(&subject)?;
    let options = ExplainOptions {
        methods: args.method.clone(),
        outputs: args.classes_asked.clone(),
        top: args.top.into(),
        steps: args.steps.into(),
        grid: args.grid.into(),
        samples: args.samples as usize,
        seed: args.seed,
    };
    let (folder, files) = explain::explain(&subject, &args.out, &options)?;
    let page = folder.path(PAGE);
    if !args.json.is_asked() {
        return print(&format!("{}\n", page.display()));
    }
    let mut rows: Vec<ExplanationRow> = vec![];
    for file in files {
        rows.extend(read_rows::<ExplanationRow>(&folder.path(&file))?);
    }
    print_json(&Document {
        model: path_text(&args.model),
        folder: path_text(&args.out),
        page: path_text(&page),
        explanations: Rows(ExplanationRow::to_frame(&rows)?),
    })
}
