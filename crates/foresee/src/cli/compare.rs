//! `compare`: the systems of the paper's Table 3, trained and compared.

use std::path::PathBuf;

use clap::Args;
use foresee_report::Record;
use foresee_report::frame::Rows;
use serde::Serialize;

use super::arguments::{FacesArgs, at_least_one};
use super::json::{JsonArgs, path_text, print_json};
use crate::artifacts::{ConditionRow, SystemRow};
use crate::config::{Config, SystemName};
use crate::distinct::distinct;
use crate::error::{Result, input};
use crate::output::{OverwriteArgs, check_folder, print};
use crate::studies::compare::{Entry, Failed, Request, Results, TITLE, done, run, write_page};

#[derive(Args)]
pub struct CompareArgs {
    #[command(flatten)]
    faces: FacesArgs,
    /// The comparison's folder: each training is a run in it.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Systems, with commas between.
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "facetracer,panda,lnets-anet,moon,resnet101,abn,paper"
    )]
    systems: Vec<SystemName>,
    /// Trainings of each system, with seeds 0, 1, ….
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// Passes over the faces of one network, such as resnet101=5, in place of train.epochs; rows
    /// with fewer passes than others are marked. Can be given several times.
    #[arg(long, value_name = "SYSTEM=N", value_parser = passes)]
    passes: Vec<(SystemName, usize)>,
    /// Settings to start from, as in `reproduce`.
    #[arg(long, default_value = "small")]
    profile: String,
    /// Replaces one setting of all systems, such as train.epochs=10, or of one, such as
    /// moon:train.learning_rate=6e-4; can be given several times.
    #[arg(long, value_name = "[SYSTEM:]KEY=VALUE")]
    set: Vec<String>,
    /// cpu, cuda or metal.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Print the runs by their numbers, and write nothing.
    #[arg(long)]
    list: bool,
    /// Make only the run of this number of the list, and no tables: for array jobs.
    #[arg(long, value_name = "I", conflicts_with = "list")]
    only: Option<usize>,
    /// Train nothing: make tables, figures and report.html of the runs that are done.
    #[arg(long, conflicts_with_all = ["list", "only"])]
    analyse: bool,
    #[command(flatten)]
    overwrite: OverwriteArgs,
    #[command(flatten)]
    json: JsonArgs,
}

fn passes(text: &str) -> std::result::Result<(SystemName, usize), String> {
    let expected = "a system and a number of passes, such as resnet101=5";
    let (name, count) = text.split_once('=').ok_or(expected)?;
    Ok((SystemName::from_id(name).ok_or(expected)?, at_least_one(count)?))
}

/// The comparison as `--json` prints it.
#[derive(Serialize)]
struct Document {
    folder: String,
    runs: Vec<OfRun>,
    failed: Vec<FailedRun>,
    /// Rows of data/table3_run.csv; none while nothing is done.
    systems: Option<Rows>,
    /// Rows of data/conditions.csv.
    conditions: Option<Rows>,
}

#[derive(Serialize)]
struct OfRun {
    number: usize,
    system: &'static str,
    seed: u64,
    folder: String,
    done: bool,
}

#[derive(Serialize)]
struct FailedRun {
    system: &'static str,
    seed: u64,
    reason: String,
}

/// What is said where no run is done.
const NOTHING: &str = "no run is done yet, so there is nothing to compare";

pub(super) fn compare(args: &CompareArgs) -> Result<()> {
    let systems = settings(args)?;
    let faces = args.faces.folder()?;
    let request = Request {
        systems: &systems,
        seeds: args.seeds,
        faces: faces.as_ref(),
        out: &args.out,
        device: &args.device,
        only: args.only,
    };
    let count = request.entries().len();
    if args.only.is_some_and(|only| only >= count) {
        return Err(input(format!("--only: a number from 0 to {}; see --list", count - 1)));
    }
    if args.list {
        return list(args, &request);
    }
    if args.analyse && done(&request)?.is_empty() {
        return Err(input(NOTHING));
    }
    check_folder("--out", &args.out, TITLE, args.overwrite)?;
    let failed = if args.analyse { vec![] } else { run(&request)? };
    let runs = done(&request)?;
    if args.only.is_none() && !runs.is_empty() {
        let missing: Vec<Entry> =
            request.entries().into_iter().filter(|entry| !entry.is_done()).collect();
        write_page(&args.out, &runs, &missing, &failed)?;
    }
    if args.json.is_asked() {
        let results = if runs.is_empty() { None } else { Some(Results::new(&runs)?) };
        print_json(&document(args, &request, &failed, results)?)?;
    }
    match failed.first() {
        None => Ok(()),
        Some(Failed { system, seed, reason }) => Err(anyhow::anyhow!(
            "{} of {count} runs failed; the first: {}, seed {seed}: {reason}",
            failed.len(),
            system.title()
        )),
    }
}

/// The systems, each with its settings.
fn settings(args: &CompareArgs) -> Result<Vec<(SystemName, Config)>> {
    for (system, _) in &args.passes {
        if *system == SystemName::Facetracer || !args.systems.contains(system) {
            let system = system.id();
            return Err(input(format!("--passes {system}: it is no network among --systems")));
        }
    }
    let of = |system: SystemName| {
        let mut set: Vec<String> =
            args.set.iter().filter_map(|text| assignment(text, system)).collect();
        set.push(format!("system.name=\"{}\"", system.id()));
        let own = args.passes.iter().filter(|(name, _)| *name == system);
        set.extend(own.map(|(_, passes)| format!("train.epochs={passes}")));
        Ok((system, Config::resolve(&args.profile, None, &set)?))
    };
    distinct(args.systems.iter().copied()).into_iter().map(of).collect()
}

/// What an assignment sets of a system: those of other systems set nothing.
fn assignment(text: &str, of: SystemName) -> Option<String> {
    let named =
        text.split_once(':').and_then(|(name, rest)| Some((SystemName::from_id(name)?, rest)));
    match named {
        Some((system, rest)) => (system == of).then(|| rest.to_owned()),
        None => Some(text.to_owned()),
    }
}

fn list(args: &CompareArgs, request: &Request) -> Result<()> {
    if args.json.is_asked() {
        return print_json(&document(args, request, &[], None)?);
    }
    let line = |(number, entry): (usize, Entry)| {
        let state = if entry.is_done() { "done" } else { "to be done" };
        format!("{number:>4}  {:<32} {state}\n", entry.title())
    };
    print(&request.entries().into_iter().enumerate().map(line).collect::<String>())
}

fn document(
    args: &CompareArgs,
    request: &Request,
    failed: &[Failed],
    results: Option<Results>,
) -> Result<Document> {
    let of = |(number, entry): (usize, Entry)| OfRun {
        number,
        system: entry.system.id(),
        seed: entry.seed,
        folder: path_text(&entry.folder),
        done: entry.is_done(),
    };
    let of_failed = |failed: &Failed| FailedRun {
        system: failed.system.id(),
        seed: failed.seed,
        reason: failed.reason.clone(),
    };
    let (systems, conditions) = match &results {
        None => (None, None),
        Some(results) => (
            Some(Rows(SystemRow::to_frame(&results.systems)?)),
            Some(Rows(ConditionRow::to_frame(&results.conditions)?)),
        ),
    };
    Ok(Document {
        folder: path_text(&args.out),
        runs: request.entries().into_iter().enumerate().map(of).collect(),
        failed: failed.iter().map(of_failed).collect(),
        systems,
        conditions,
    })
}
