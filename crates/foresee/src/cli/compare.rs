//! `compare`: the systems of the paper's Table 3, trained and compared.

use std::path::PathBuf;

use clap::Args;
use foresee_report::Record;
use foresee_report::frame::Rows;
use serde::Serialize;

use super::arguments::{FacesArgs, at_least_one};
use super::array::{ArrayArgs, ListedRun, list};
use super::json::{JsonArgs, path_text, print_json};
use super::time::duration;
use crate::artifacts::{ConditionRow, SystemRow};
use crate::config::{Config, SystemName, assigned_keys};
use crate::distinct::distinct;
use crate::error::{Result, input};
use crate::output::{OverwriteArgs, check_folder, print};
use crate::studies::compare::{
    Entry, Planned, Request, Results, TITLE, done, plan, run, write_page,
};
use crate::studies::runs::{Failed, Left, Outcome, StudyRun, has_begun};

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
    #[command(flatten)]
    array: ArrayArgs,
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
    system: &'static str,
    seed: u64,
    #[serde(flatten)]
    listed: ListedRun,
}

#[derive(Serialize)]
struct FailedRun {
    system: &'static str,
    seed: u64,
    reason: String,
}

/// What is said where no run is done.
const NOTHING: &str = "no run is done yet of these systems and settings, so there is nothing to \
                       compare; --list says what the folder holds";

pub(super) fn compare(args: &CompareArgs) -> Result<()> {
    let systems = settings(args)?;
    let faces = args.faces.folder()?;
    let only = args.array.only(systems.len() * args.seeds as usize)?;
    let request = Request {
        systems: &systems,
        seeds: args.seeds,
        faces: faces.as_ref(),
        out: &args.out,
        device: &args.device,
        only,
    };
    if args.array.list {
        return match args.json.is_asked() {
            true => print_json(&document(&request, &Outcome::default(), None)?),
            false => print(&list(&args.out, &request.entries())),
        };
    }
    if args.dry_run {
        return dry_run(args, &request);
    }
    if args.array.analyse && done(&request)?.is_empty() {
        return Err(input(NOTHING));
    }
    let begun = has_begun(&request.entries(), only);
    check_folder("--out", &args.out, TITLE, begun, args.overwrite)?;
    let outcome = if args.array.analyse { Outcome::default() } else { run(&request)? };
    let runs = done(&request)?;
    let results = match only {
        None if !runs.is_empty() => Some(write_page(&request, &runs, &outcome)?),
        _ => None,
    };
    if args.json.is_asked() {
        let results = match results {
            None if !runs.is_empty() => Some(Results::new(&runs)?),
            results => results,
        };
        print_json(&document(&request, &outcome, results)?)?;
    }
    outcome.check(&request.entries(), only)
}

/// Settings of single systems in the profile `small`, which `--set` replaces. ResNet-101 takes most
/// of the time; MOON learns nothing at the others' learning rate.
const OF_SMALL: [(SystemName, &str); 2] =
    [(SystemName::Resnet101, "train.epochs=6"), (SystemName::Moon, "train.learning_rate=1e-3")];

/// The systems, each with its settings.
fn settings(args: &CompareArgs) -> Result<Vec<(SystemName, Config)>> {
    for (system, _) in &args.passes {
        if *system == SystemName::Facetracer || !args.systems.contains(system) {
            let system = system.id();
            return Err(input(format!("--passes {system}: it is no network among --systems")));
        }
    }
    for text in &args.set {
        check_assignment(text, &args.systems)?;
    }
    let of = |system: SystemName| {
        let of_profile =
            OF_SMALL.iter().filter(|(name, _)| args.profile == "small" && *name == system);
        let as_in_the_paper = AS_IN_THE_PAPER.iter().filter(|_| system == SystemName::Paper);
        let given = as_in_the_paper.copied().chain(of_profile.map(|(_, text)| *text));
        let mut set: Vec<String> = given.map(str::to_owned).collect();
        set.extend(args.set.iter().filter_map(|text| assignment(text, system)));
        set.push(format!("system.name=\"{}\"", system.id()));
        let own = args.passes.iter().filter(|(name, _)| *name == system);
        set.extend(own.map(|(_, passes)| format!("train.epochs={passes}")));
        Ok((system, Config::resolve(&args.profile, None, &set)?))
    };
    distinct(args.systems.iter().copied()).into_iter().map(of).collect()
}

/// The paper prunes no channels in training, and its masks have no decay of their own.
const AS_IN_THE_PAPER: [&str; 2] = ["train.drop_correlated=0", "train.mask_decay=0"];

/// Settings that are the same for all systems: they would no longer be compared on the same images.
const OF_ALL: [&str; 4] = ["data.", "transform.", "predict.", "train.limit"];

/// Refuses what would set nothing, or would make rows that cannot be compared.
fn check_assignment(text: &str, systems: &[SystemName]) -> Result<()> {
    let named = named_system(text);
    assigned_keys(named.map_or(text, |(_, rest)| rest))
        .iter()
        .try_for_each(|key| check_key(text, named.map(|(system, _)| system), key, systems))
}

fn check_key(
    text: &str,
    named: Option<SystemName>,
    key: &str,
    systems: &[SystemName],
) -> Result<()> {
    if key == "system.name" {
        return Err(input(format!("--set {text}: --systems says which systems are trained")));
    }
    match named {
        Some(system) if !systems.contains(&system) => {
            Err(input(format!("--set {text}: {} is not among --systems", system.id())))
        }
        Some(_) if OF_ALL.iter().any(|shared| key.starts_with(shared)) => Err(input(format!(
            "--set {text}: all systems are compared on the same images; set it for all, without \
             the system's name"
        ))),
        Some(system) if !system.takes(key) => {
            Err(input(format!("--set {text}: it decides nothing of {}", system.title())))
        }
        _ => Ok(()),
    }
}

/// A system's name before a colon, and what is behind it.
fn named_system(text: &str) -> Option<(SystemName, &str)> {
    let (name, rest) = text.split_once(':')?;
    Some((SystemName::from_id(name.trim())?, rest))
}

/// What an assignment sets of a system: those of other systems set nothing.
fn assignment(text: &str, of: SystemName) -> Option<String> {
    match named_system(text) {
        Some((system, rest)) => (system == of).then(|| rest.to_owned()),
        None => Some(text.to_owned()),
    }
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
    state: &'static str,
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
            system: entry.kind.id(),
            seed: entry.seed,
            state: planned.state.id(),
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
        "time       about {} of training at this machine's present load; judging takes some \
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
    let work = if work.is_empty() { state } else { format!("{state}: {work}{time}") };
    format!("{number:>4}  {:<32} {work}\n", entry.title())
}

fn document(request: &Request, outcome: &Outcome, results: Option<Results>) -> Result<Document> {
    let entries = request.entries();
    let of = |(number, entry): (usize, &Entry)| OfRun {
        system: entry.kind.id(),
        seed: entry.seed,
        listed: ListedRun::new(request.out, number, entry, outcome),
    };
    let of_failed = |Failed { number, reason }: &Failed| FailedRun {
        system: entries[*number].kind.id(),
        seed: entries[*number].seed,
        reason: reason.clone(),
    };
    let of_left = |left: &Left| entries[left.number].title();
    let (systems, conditions) = match &results {
        None => (None, None),
        Some(results) => (
            Some(Rows(SystemRow::to_frame(&results.systems)?)),
            Some(Rows(ConditionRow::to_frame(&results.conditions)?)),
        ),
    };
    Ok(Document {
        folder: path_text(request.out),
        runs: entries.iter().enumerate().map(of).collect(),
        failed: outcome.failed.iter().map(of_failed).collect(),
        busy: outcome.left.iter().map(of_left).collect(),
        systems,
        conditions,
    })
}
