//! `fidelity`: a study over many runs.

use std::path::PathBuf;

use clap::Args;
use foresee_report::Record;
use foresee_report::frame::{Rows, read_csv};
use serde::Serialize;

use super::array::{ArrayArgs, ListedRun, list};
use super::json::{JsonArgs, path_text, print_json};
use crate::artifacts::{Accuracy, ClaimRow, Row};
use crate::error::{Result, input};
use crate::output::{OverwriteArgs, check_folder, print};
use crate::studies::fidelity::{Group, Request, Study, budget, done, make, page_title, write_page};
use crate::studies::runs::{Failed, Left, Outcome, StudyRun, has_begun};

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
    /// Which runs: fidelity, trained, architecture, accuracy, map, promise or forecasts, or a file
    /// in their form (data/studies).
    #[arg(long, value_name = "NAME|FILE", default_value = "fidelity")]
    study: String,
    /// cpu, cuda or metal.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Replaces one setting in every run, such as data.image_size=24; can be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    array: ArrayArgs,
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
    /// Runs that other processes are making.
    busy: Vec<String>,
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

/// The list as `--list --json` prints it.
#[derive(Serialize)]
struct ListDocument {
    folder: String,
    runs: Vec<ListedOfVariant>,
}

#[derive(Serialize)]
struct ListedOfVariant {
    variant: String,
    seed: u64,
    #[serde(flatten)]
    listed: ListedRun,
}

pub(super) fn fidelity(args: &FidelityArgs) -> Result<()> {
    let study = Study::read(&args.study)?;
    let configs = study.configs(&args.set)?;
    let only = args.array.only(configs.len() * args.seeds as usize)?;
    let request = Request {
        study: &study,
        configs: &configs,
        celeba: &args.celeba,
        out: &args.out,
        seeds: args.seeds,
        budget: args.budget.map(budget).transpose()?,
        device: &args.device,
        only,
    };
    if args.array.list {
        return print_list(args, &request);
    }
    let begun = has_begun(&request.runs(), only);
    check_folder("--out", &args.out, page_title(study.claims), begun, args.overwrite)?;
    let hashes = request.open_faces()?;
    let outcome = if args.array.analyse { Outcome::default() } else { make(&request)? };
    let groups = done(&request, &hashes, &outcome)?;
    if args.array.analyse && groups.is_empty() {
        return Err(input("no run is done yet, so there is nothing to analyse"));
    }
    if only.is_none() {
        write_page(&request, &groups, &outcome)?;
    }
    if args.json.is_asked() {
        print_json(&document(&request, &groups, &outcome)?)?;
    }
    outcome.check(&request.runs(), only)
}

fn print_list(args: &FidelityArgs, request: &Request) -> Result<()> {
    let runs = request.runs();
    if !args.json.is_asked() {
        return print(&list(request.out, &runs));
    }
    let listed = runs.iter().enumerate().map(|(number, run)| ListedOfVariant {
        variant: run.kind.name.clone(),
        seed: run.seed,
        listed: ListedRun::new(request.out, number, run, &Outcome::default()),
    });
    print_json(&ListDocument { folder: path_text(request.out), runs: listed.collect() })
}

fn document(request: &Request, groups: &[Group], outcome: &Outcome) -> Result<Document> {
    let planned = request.runs();
    let failed = outcome.failed.iter().map(|Failed { number, reason }| FailedRun {
        variant: planned[*number].kind.name.clone(),
        seed: planned[*number].seed,
        reason: reason.clone(),
    });
    let is_analysed = request.only.is_none() && !groups.is_empty();
    let claims = match request.study.claims && is_analysed {
        true => {
            let written = read_csv(&request.out.join(<ClaimRow as Row>::PATH))?;
            Some(Rows(ClaimRow::to_frame(&ClaimRow::from_frame(&written)?)?))
        }
        false => None,
    };
    Ok(Document {
        folder: path_text(request.out),
        planned: planned.len(),
        runs: done_runs(groups)?,
        failed: failed.collect(),
        busy: outcome.left.iter().map(|left: &Left| planned[left.number].title()).collect(),
        claims,
    })
}

fn done_runs(groups: &[Group]) -> Result<Vec<DoneRun>> {
    let mut runs = vec![];
    for group in groups {
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
    Ok(runs)
}
