//! `predict`: the stage, or a study that needs no run.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use foresee_predict::RegressionStudy;

use crate::device::of_run;
use crate::error::{Result, input};
use crate::output::{OverwriteArgs, check_folder, print};
use crate::run::Run;
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
}

#[derive(Clone, Copy, ValueEnum)]
enum StudyName {
    Regression,
}

pub(super) fn predict(args: &PredictArgs) -> Result<()> {
    match (args.study, &args.out, &args.run) {
        (Some(StudyName::Regression), Some(out), _) => {
            check_folder("--out", out, pages::regression::TITLE, args.overwrite)?;
            regression(out, args.seeds)
        }
        (_, _, Some(folder)) => of_run_at(folder, args),
        _ => Err(input("name a run with --run")),
    }
}

fn regression(out: &Path, seeds: u64) -> Result<()> {
    let measured = predict::regression_study(seeds, RegressionStudy::default().resamples)?;
    print(&pages::regression::write(out, &measured, seeds)?.markdown())
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
    let mut shown = tables::predictability(&run)?.markdown();
    if let Some(other) = other {
        shown.push_str(&format!("\n{}\n", other.folder().display()));
        shown.push_str(&tables::predictability(&other)?.markdown());
    }
    print(&shown)
}
