//! `compare`: the systems of the paper's Table 3, trained and compared.

use std::path::PathBuf;

use clap::Args;
use foresee_report::Record;
use foresee_report::frame::Rows;
use serde::Serialize;

use super::arguments::{FacesArgs, at_least_one};
use super::json::{JsonArgs, path_text, print_json};
use super::time::duration;
use crate::artifacts::{ConditionRow, SystemRow};
use crate::config::{Config, SystemName};
use crate::distinct::distinct;
use crate::error::{Result, input};
use crate::output::{OverwriteArgs, check_folder, print};
use crate::studies::compare::{
    Entry, Failed, Outcome, Planned, Request, Results, State, TITLE, done, plan, run, write_page,
};

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
    /// Write nothing: say what would be trained and what is done, and estimate the time. Takes some
    /// seconds for each system, of which training steps are measured.
    #[arg(long, conflicts_with_all = ["list", "only", "analyse"])]
    dry_run: bool,
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
    /// Runs that other processes are making.
    busy: Vec<String>,
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
    if args.dry_run {
        return dry_run(args, &request);
    }
    if args.analyse && done(&request)?.is_empty() {
        return Err(input(NOTHING));
    }
    check_folder("--out", &args.out, TITLE, args.overwrite)?;
    let outcome = if args.analyse { Outcome::default() } else { run(&request)? };
    let runs = done(&request)?;
    if args.only.is_none() && !runs.is_empty() {
        let missing: Vec<Entry> =
            request.entries().into_iter().filter(|entry| !entry.is_done()).collect();
        write_page(&args.out, &runs, &missing, &outcome)?;
    }
    if args.json.is_asked() {
        let results = if runs.is_empty() { None } else { Some(Results::new(&runs)?) };
        print_json(&document(args, &request, &outcome, results)?)?;
    }
    if !outcome.busy.is_empty() {
        let runs = outcome.busy.join("; ");
        tracing::warn!("made by other processes: {runs}; give the same command when they end");
    }
    match outcome.failed.first() {
        None => Ok(()),
        Some(Failed { system, seed, reason }) => Err(anyhow::anyhow!(
            "{} of {count} runs failed; the first: {}, seed {seed}: {reason}",
            outcome.failed.len(),
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
        return print_json(&document(args, request, &Outcome::default(), None)?);
    }
    let line = |(number, entry): (usize, Entry)| {
        let state = if entry.is_done() { "done" } else { "to be done" };
        format!("{number:>4}  {:<32} {state}\n", entry.title())
    };
    print(&request.entries().into_iter().enumerate().map(line).collect::<String>())
}

/// A comparison as `--dry-run --json` prints it.
#[derive(Serialize)]
struct PlanDocument {
    folder: String,
    runs: Vec<PlannedRun>,
    /// Of all trainings whose time is known, an estimate.
    seconds: f64,
}

#[derive(Serialize)]
struct PlannedRun {
    system: &'static str,
    seed: u64,
    state: State,
    passes: usize,
    faces: usize,
    /// Of its training, an estimate; none if it is trained or nothing is known.
    seconds: Option<f64>,
}

fn dry_run(args: &CompareArgs, request: &Request) -> Result<()> {
    let planned = plan(request)?;
    let entries = request.entries();
    // The sum of nothing is -0.
    let seconds = 0. + planned.iter().filter_map(|run| run.seconds).sum::<f64>();
    if args.json.is_asked() {
        let run = |(entry, planned): (&Entry, &Planned)| PlannedRun {
            system: entry.system.id(),
            seed: entry.seed,
            state: planned.state,
            passes: planned.passes,
            faces: planned.faces,
            seconds: planned.seconds,
        };
        let runs = entries.iter().zip(&planned).map(run).collect();
        return print_json(&PlanDocument { folder: path_text(&args.out), runs, seconds });
    }
    let mut text: String =
        entries.iter().zip(&planned).enumerate().map(|(at, (e, p))| plan_line(at, e, p)).collect();
    text.push_str(&format!(
        "time       about {} of training on this machine, as busy as it is now; judging takes some \
         minutes a run more. It may be off by a factor of two.\nNothing was written.\n",
        duration(seconds)
    ));
    print(&text)
}

fn plan_line(number: usize, entry: &Entry, planned: &Planned) -> String {
    let work = match planned.passes {
        0 => String::new(),
        passes => format!("{passes} passes over {} faces", planned.faces),
    };
    let time = match planned.seconds {
        Some(seconds) if planned.as_before => {
            format!(", about {}, as another seed took", duration(seconds))
        }
        Some(seconds) => format!(", about {}", duration(seconds)),
        None => String::new(),
    };
    let state = planned.state.title();
    let work = if work.is_empty() { state.into() } else { format!("{state}: {work}{time}") };
    format!("{number:>4}  {:<32} {work}\n", entry.title())
}

fn document(
    args: &CompareArgs,
    request: &Request,
    outcome: &Outcome,
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
        failed: outcome.failed.iter().map(of_failed).collect(),
        busy: outcome.busy.clone(),
        systems,
        conditions,
    })
}
