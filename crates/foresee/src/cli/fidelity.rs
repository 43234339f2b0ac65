//! `fidelity`: a study over many runs.

use std::path::PathBuf;

use clap::Args;
use foresee_report::Record;
use foresee_report::frame::{Rows, read_csv};
use serde::Serialize;

use super::json::{JsonArgs, path_text, print_json};
use crate::artifacts::{Accuracy, ClaimRow, Row};
use crate::error::Result;
use crate::output::{OverwriteArgs, check_folder};
use crate::studies::fidelity::{
    Finished, Request, Study, budget, page_title, run_study, write_page,
};

#[derive(Args)]
pub struct FidelityArgs {
    /// CelebA in any form that `reproduce --celeba` takes.
    #[arg(long, value_name = "DIR")]
    celeba: PathBuf,
    /// The study's folder: each run is a folder in it, the analysis is in data/, tables/, figures/
    /// and report.html.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Runs of each variant, with seeds 0, 1, ….
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// Begin no run that would end later than this after the start; the analysis is then over those
    /// that are done. Give the command again to go on.
    #[arg(long, value_name = "MINUTES")]
    budget: Option<f64>,
    /// Which runs: fidelity, trained, architecture or accuracy, or a file in their form
    /// (data/studies).
    #[arg(long, value_name = "NAME|FILE", default_value = "fidelity")]
    study: String,
    /// cpu, cuda or metal.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Replaces one setting in every run, such as data.image_size=24; can be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    overwrite: OverwriteArgs,
    #[command(flatten)]
    json: JsonArgs,
}

/// The study as `--json` prints it.
#[derive(Serialize)]
struct Document {
    folder: String,
    /// Runs that were asked for.
    planned: usize,
    runs: Vec<DoneRun>,
    failed: Vec<FailedRun>,
    /// Rows of data/claims.csv, if the study tests claims and a run is done.
    claims: Option<Rows>,
}

/// A run that is done.
#[derive(Serialize)]
struct DoneRun {
    variant: String,
    seed: u64,
    folder: String,
    synthetic: bool,
    wall_seconds: f64,
    accuracy: f64,
    balanced_accuracy: f64,
    auc: f64,
    majority_accuracy: f64,
}

#[derive(Serialize)]
struct FailedRun {
    variant: String,
    seed: u64,
    reason: String,
}

pub(super) fn fidelity(args: &FidelityArgs) -> Result<()> {
    let study = Study::read(&args.study)?;
    check_folder("--out", &args.out, page_title(study.claims), args.overwrite)?;
    let finished = run_study(&Request {
        study: &study,
        celeba: &args.celeba,
        out: &args.out,
        seeds: args.seeds,
        budget: args.budget.map(budget).transpose()?,
        device: &args.device,
        set: &args.set,
    })?;
    write_page(&args.out, &finished, study.claims)?;
    if args.json.is_asked() {
        print_json(&document(args, &finished, study.claims)?)?;
    }
    finished.check()
}

fn document(args: &FidelityArgs, finished: &Finished, with_claims: bool) -> Result<Document> {
    let mut runs = vec![];
    for group in &finished.groups {
        for run in &group.runs {
            let found: Accuracy = run.read_one()?;
            runs.push(DoneRun {
                variant: group.variant.clone(),
                seed: run.manifest.seed,
                folder: path_text(run.folder()),
                synthetic: run.manifest.data.synthetic,
                wall_seconds: run.manifest.stages.values().map(|s| s.wall_seconds).sum(),
                accuracy: found.accuracy,
                balanced_accuracy: found.balanced_accuracy,
                auc: found.auc,
                majority_accuracy: found.majority_accuracy,
            });
        }
    }
    let failed = finished.failed.iter().map(|run| FailedRun {
        variant: run.variant.clone(),
        seed: run.seed,
        reason: run.reason.clone(),
    });
    let claims = match with_claims && !runs.is_empty() {
        true => {
            let written = read_csv(&args.out.join(<ClaimRow as Row>::PATH))?;
            Some(Rows(ClaimRow::to_frame(&ClaimRow::from_frame(&written)?)?))
        }
        false => None,
    };
    Ok(Document {
        folder: path_text(&args.out),
        planned: finished.planned,
        runs,
        failed: failed.collect(),
        claims,
    })
}
