//! `predict`: the stage, or a study that needs no run.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use foresee_predict::RegressionStudy;
use foresee_report::frame::Rows;
use serde::Serialize;

use super::json::{JsonArgs, RunDocument, path_text, print_json, rows};
use crate::device::of_run;
use crate::error::{Result, input};
use crate::output::{OverwriteArgs, check_folder, print};
use crate::run::{Run, Stage};
use crate::session::Session;
use crate::stages::{figures, predict};
use crate::{pages, tables};

#[derive(Args)]
pub struct PredictArgs {
    /// The run's folder, as `reproduce --out` named it.
    #[arg(long, value_name = "DIR", required_unless_present = "study", conflicts_with = "study")]
    run: Option<PathBuf>,
    /// cpu, cuda or metal. Default: the run's.
    #[arg(long, requires = "run")]
    device: Option<String>,
    /// Another run's folder, to compare with: its scores are printed beside this run's.
    #[arg(long, value_name = "DIR", requires = "run")]
    against: Option<PathBuf>,
    /// A study that needs no run: the paper's regression models (Eq. 3 to 7).
    #[arg(long, value_enum, requires = "out")]
    study: Option<StudyName>,
    /// The study's folder.
    #[arg(long, value_name = "DIR", requires = "study")]
    out: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArgs,
    /// Data sets of the study.
    #[arg(
        long,
        default_value_t = 20,
        value_parser = clap::value_parser!(u64).range(1..=10_000),
        requires = "study"
    )]
    seeds: u64,
    #[command(flatten)]
    json: JsonArgs,
}

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
    match (args.study, &args.out, &args.run) {
        (Some(StudyName::Regression), Some(out), _) => {
            check_folder("--out", out, pages::regression::TITLE, args.overwrite)?;
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

fn of_run_at(folder: &Path, args: &PredictArgs) -> Result<()> {
    let mut run = Run::lock(folder)?;
    if run.manifest.config.predict.images == 0 {
        return Err(input(format!(
            "{}: its setting predict.images is 0, which leaves this stage out",
            folder.display()
        )));
    }
    let device = of_run(args.device.as_deref(), &run)?;
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
