//! `predict`: the stage, a study that needs no run, or forecasts for a network of the user's own.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use foresee_perturb::{GroupRule, PruneRule, Takeover};
use foresee_predict::RegressionStudy;
use foresee_report::Record;
use foresee_report::frame::Rows;
use serde::Serialize;

use super::arguments::one_of;
use super::json::{JsonArgs, ModelDocument, RunDocument, path_text, print_json, rows};
use super::network::{MODEL_HEADING, NetworkArgs, share};
use crate::artifacts::{Artifact, RegressionReport};
use crate::device;
use crate::distinct::distinct;
use crate::error::{Result, input};
use crate::networks::predict::{
    self as forecasts, Forecasts, OutcomeRow, PredictOptions, SkippedRow,
};
use crate::networks::task::Task;
use crate::output::{OverwriteArgs, check_folder, print};
use crate::run::{Lock, Run, Stage};
use crate::session::Session;
use crate::stages::{figures, predict};
use crate::{pages, tables};

#[derive(Args)]
pub struct PredictArgs {
    /// The run's folder, as `reproduce --out` named it.
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present_any = ["study", "model"],
        conflicts_with_all = ["study", "model"]
    )]
    run: Option<PathBuf>,
    /// cpu, cuda or metal. Default: the run's, or cpu.
    #[arg(long, conflicts_with = "study")]
    device: Option<String>,
    /// Another run's folder, to compare with: its scores are printed beside this run's.
    #[arg(long, value_name = "DIR", requires = "run", conflicts_with_all = ["study", "model"])]
    against: Option<PathBuf>,
    /// A study that needs no run: the paper's regression models (Eq. 3 to 7).
    #[arg(long, value_enum, requires = "out", conflicts_with_all = ["model", "NetworkArgs"])]
    study: Option<StudyName>,
    /// The folder for the results of --study or --model.
    #[arg(long, value_name = "DIR", conflicts_with = "run")]
    out: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArgs,
    /// Data sets of the study.
    #[arg(
        long,
        default_value_t = 20,
        value_parser = clap::value_parser!(u64).range(1..=10_000),
        requires = "study",
        conflicts_with_all = ["model", "run"]
    )]
    seeds: u64,
    #[command(flatten)]
    json: JsonArgs,
    /// An ONNX file in place of a run: which layers of a network of your own can be pruned, and how
    /// far, forecast before it is done.
    #[arg(
        long,
        value_name = "FILE",
        requires_all = ["images", "out"],
        help_heading = MODEL_HEADING
    )]
    model: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    forecasts: ForecastArgs,
}

/// What is forecast for a network of the user's own.
#[derive(Args)]
#[group(requires = "model", conflicts_with_all = ["run", "study"])]
#[command(next_help_heading = MODEL_HEADING)]
struct ForecastArgs {
    /// Only this layer, by a node that computes it or by its weights' name; can be given several
    /// times. Default: all that can be pruned. `foresee inspect` lists them.
    #[arg(long, value_name = "NAME")]
    layer: Vec<String>,
    /// The shares of a layer's channels that are pruned. Default: 0.1,0.25,0.5.
    #[arg(long, value_name = "SHARES", value_delimiter = ',', value_parser = share)]
    shares: Vec<f64>,
    /// Shares of the operations: the network is also forecast whose layers are all pruned, evenly,
    /// until so much is left, as `foresee prune --budget` makes it. The more goes, the more
    /// forecasts overstate the change. Default: 0.75,0.5.
    #[arg(long, value_name = "SHARES", value_delimiter = ',', value_parser = share)]
    budget: Vec<f64>,
    /// What the channels that are left do in place of those that go. If they take over, half of the
    /// images are for the channels' statistics. Default: nothing.
    #[arg(long, value_enum)]
    takeover: Option<Takeover>,
    /// Forecast so many outputs: if the network has more, those that it answers most often, and
    /// then neither flips nor the accuracy are forecast. Default: 10.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    outputs: Option<u16>,
    /// The order in which channels go; taylor needs --labels. Default: l1, the filter norm.
    #[arg(
        long,
        value_name = "ORDER",
        value_parser = one_of(GroupRule::all().into_iter().map(GroupRule::id), GroupRule::from_id)
    )]
    order: Option<GroupRule>,
    /// Decides random orders and the samples of the intervals. Default: 0.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// Images on which changes are observed, unless more or fewer are asked for.
const IMAGES: usize = 64;
/// The same under a takeover, with those for the channels' statistics.
const IMAGES_OF_TAKEOVER: usize = 256;
/// What is pruned of a layer.
const SHARES: [f64; 3] = [0.1, 0.25, 0.5];
/// To what all layers are pruned together.
const BUDGETS: [f64; 2] = [0.75, 0.5];
/// Outputs that are forecast.
const OUTPUTS: u16 = 10;
/// Samples of the bootstrap.
const RESAMPLES: usize = 200;

/// The study's results as `--json` prints them.
#[derive(Serialize)]
struct RegressionDocument {
    folder: String,
    data_sets: u64,
    /// Rows of data/predictability_regression.csv.
    predictability_regression: Rows,
}

#[derive(Clone, Copy, ValueEnum)]
enum StudyName {
    Regression,
}

pub(super) fn predict(args: &PredictArgs) -> Result<()> {
    if let (Some(model), Some(out)) = (&args.model, &args.out) {
        return match args.overwrite.overwrite {
            true => Err(input("--overwrite is for --study; with --model leave it out")),
            false => of_model(args, model, out),
        };
    }
    match (args.study, &args.out, &args.run) {
        (Some(StudyName::Regression), Some(out), _) => {
            let begun = out.join(RegressionReport::PATH).exists();
            check_folder("--out", out, pages::regression::TITLE, begun, args.overwrite)?;
            let _lock = Lock::take(out)?;
            regression(out, args.seeds, args.json)
        }
        (_, _, Some(folder)) => of_run_at(folder, args),
        _ => Err(input("name a run with --run")),
    }
}

fn regression(out: &Path, seeds: u64, json: JsonArgs) -> Result<()> {
    let measured = predict::regression_study(seeds, RegressionStudy::default().resamples)?;
    let table = pages::regression::write(out, &measured, seeds)?;
    match json.is_asked() {
        true => print_json(&RegressionDocument {
            folder: path_text(out),
            data_sets: seeds,
            predictability_regression: rows(&measured)?,
        }),
        false => print(&table.markdown()),
    }
}

fn of_model(args: &PredictArgs, model: &Path, out: &Path) -> Result<()> {
    let device = device::of_model(args.device.as_deref())?;
    let ForecastArgs { layer, shares, budget, takeover, outputs, order, seed } = &args.forecasts;
    let takeover = takeover.unwrap_or_default();
    let images = if takeover == Takeover::Nothing { IMAGES } else { IMAGES_OF_TAKEOVER };
    let task = Task::open(&args.network.options(model, &[], images, device)?)?;
    let options = PredictOptions {
        layers: distinct(layer.iter().cloned()),
        shares: if shares.is_empty() { SHARES.to_vec() } else { shares.clone() },
        budgets: if budget.is_empty() { BUDGETS.to_vec() } else { budget.clone() },
        takeover,
        outputs: outputs.unwrap_or(OUTPUTS).into(),
        rule: order.unwrap_or(GroupRule::Of(PruneRule::FilterNorm)),
        resamples: RESAMPLES,
        seed: seed.unwrap_or(0),
    };
    let Forecasts { outcomes, skipped, scores } = forecasts::predict(&task, out, &options)?;
    match args.json.is_asked() {
        true => print_json(&ModelDocument::new(
            (model, out, forecasts::PAGE),
            [
                ("forecasts", OutcomeRow::to_frame(&outcomes)?),
                ("skipped", SkippedRow::to_frame(&skipped)?),
                ("predictability", scores.to_frame()?),
            ],
        )),
        false => print(&forecasts::table(&outcomes).markdown()),
    }
}

fn of_run_at(folder: &Path, args: &PredictArgs) -> Result<()> {
    let mut run = Run::lock(folder)?;
    if run.manifest.config.predict.images == 0 {
        return Err(input(format!(
            "{}: its setting predict.images is 0, which leaves this stage out",
            folder.display()
        )));
    }
    let device = device::of_run(args.device.as_deref(), &run)?;
    let other = args.against.as_deref().map(Run::open).transpose()?;
    let session = Session::new(device);
    predict::stage(&mut run, &session)?;
    figures::renew(&mut run, &session)?;
    if args.json.is_asked() {
        let mut document = RunDocument::of_stage(&run, Stage::Predict)?;
        let of_other = |other: &Run| RunDocument::of_stage(other, Stage::Predict).map(Box::new);
        document.against = other.as_ref().map(of_other).transpose()?;
        return print_json(&document);
    }
    let mut shown = tables::predictability(&run)?.markdown();
    if let Some(other) = other {
        shown.push_str(&format!("\n{}\n", other.folder().display()));
        shown.push_str(&tables::predictability(&other)?.markdown());
    }
    print(&shown)
}
