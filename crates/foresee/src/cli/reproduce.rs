//! `reproduce`: all stages.

use std::path::{Path, PathBuf};

use clap::Args;

use super::arguments::FacesArgs;
use super::dry_run::{self, PlanDocument};
use super::json::{JsonArgs, RunDocument, print_json};
use crate::config::Config;
use crate::error::{OtherRun, Result};
use crate::output::print;
use crate::run::{REPORT, Run, Stage};
use crate::stages::plan::{Plan, plan};
use crate::stages::run_all;

#[derive(Args)]
pub struct ReproduceArgs {
    /// Settings to start from: quick (synthetic faces, some 20 minutes on two cores), small (some
    /// thousand real faces, 45 minutes to four hours), paper (a GPU), smoke (some seconds, for
    /// tests). --dry-run says how long.
    #[arg(long, default_value = "quick")]
    profile: String,
    /// A TOML file whose keys replace the profile's.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    faces: FacesArgs,
    /// The run's folder. Default: runs/PROFILE.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Decides everything that is random.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// cpu, cuda or metal.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Replaces one setting, such as train.epochs=3; can be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// If the folder holds a run of other settings or faces, start in a new one beside it
    /// (DIR-2, DIR-3, …). Nothing is ever written over.
    #[arg(long)]
    force: bool,
    /// Write nothing: say which stages would be done and why, and estimate time, memory and disk.
    /// Takes some seconds, in which training steps of the run's size are measured.
    #[arg(long, conflicts_with = "hub")]
    dry_run: bool,
    #[command(flatten)]
    json: JsonArgs,
}

pub(super) fn reproduce(args: &ReproduceArgs) -> Result<()> {
    let config = Config::resolve(&args.profile, args.config.as_deref(), &args.set)?;
    let faces = args.faces.folder()?;
    if args.dry_run {
        let planned = in_free_folder(args, |folder| {
            plan(config.clone(), faces.as_ref(), folder, args.seed, &args.device)
        })?;
        return report_plan(&planned, args.json);
    }
    let run = in_free_folder(args, |folder| {
        run_all(config.clone(), faces.as_ref(), folder, args.seed, &args.device)
    })?;
    report(&run, args.json)
}

/// Does it in the run's folder, or with `--force`, if that holds another run, in the first folder
/// beside it that does not.
fn in_free_folder<T>(args: &ReproduceArgs, work: impl Fn(&Path) -> Result<T>) -> Result<T> {
    let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join(&args.profile));
    let mut folder = out.clone();
    let mut number = 2;
    loop {
        match work(&folder) {
            Err(e) if args.force && e.is::<OtherRun>() => {
                folder = numbered_sibling(&out, number);
                number += 1;
                tracing::warn!("{}: trying {}", e.downcast::<OtherRun>()?.0, folder.display());
            }
            done => return done,
        }
    }
}

fn report_plan(plan: &Plan, json: JsonArgs) -> Result<()> {
    match json.is_asked() {
        true => print_json(&PlanDocument::new(plan)),
        false => print(&dry_run::text(plan)),
    }
}

fn report(run: &Run, json: JsonArgs) -> Result<()> {
    tracing::info!("open {}", run.path(REPORT).display());
    match json.is_asked() {
        true => print_json(&RunDocument::new(run, &Stage::ALL).with_results(run, Stage::Train)?),
        false => Ok(()),
    }
}

/// `runs/quick` → `runs/quick-2`.
fn numbered_sibling(folder: &Path, number: usize) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    folder.with_file_name(name)
}
