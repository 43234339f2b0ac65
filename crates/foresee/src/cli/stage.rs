//! `train` and `measure`: one stage of a run.

use std::path::PathBuf;

use clap::Args;

use super::arguments::{FacesArgs, RunArgs};
use super::json::{JsonArgs, RunDocument, print_json};
use crate::config::{Config, SystemName, assigned_keys};
use crate::device;
use crate::error::{Result, input};
use crate::run::{Run, Stage};
use crate::session::Session;
use crate::stages;

#[derive(Args)]
pub struct TrainArgs {
    /// The run's folder, as `reproduce --out` named it.
    #[arg(long, value_name = "DIR", conflicts_with = "system")]
    run: Option<PathBuf>,
    /// Begin a run that trains this system, in --out: one of those that `compare` compares.
    #[arg(long, value_name = "NAME", requires = "out")]
    system: Option<SystemName>,
    /// With --system: the faces, as `reproduce` takes them.
    #[command(flatten)]
    faces: FacesArgs,
    /// With --system: the run's folder.
    #[arg(long, value_name = "DIR", requires = "system", conflicts_with = "run")]
    out: Option<PathBuf>,
    /// With --system: settings to start from.
    #[arg(long, default_value = "quick", requires = "system", conflicts_with = "run")]
    profile: String,
    /// With --system: replaces one setting, such as train.epochs=3; can be given several times.
    #[arg(long, value_name = "KEY=VALUE", requires = "system", conflicts_with = "run")]
    set: Vec<String>,
    /// With --system: decides everything that is random.
    #[arg(long, default_value_t = 0, requires = "system", conflicts_with = "run")]
    seed: u64,
    /// With --system: cpu, cuda or metal.
    #[arg(long, default_value = "cpu", requires = "system", conflicts_with = "run")]
    device: String,
    #[command(flatten)]
    json: JsonArgs,
}

#[derive(Args)]
pub struct StageArgs {
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    json: JsonArgs,
}

/// Trains a run's network, or begins a run of another system.
pub(super) fn train(args: &TrainArgs) -> Result<()> {
    let (mut run, session) = match (args.system, &args.out, &args.run) {
        (Some(system), Some(out), _) => {
            args.set.iter().try_for_each(|text| check_taken(system, text))?;
            let mut set = args.set.clone();
            set.push(format!("system.name=\"{}\"", system.id()));
            let config = Config::resolve(&args.profile, None, &set)?;
            let faces = args.faces.folder()?;
            stages::begin(config, faces.as_ref(), out, args.seed, &args.device)?
        }
        (_, _, Some(_)) if args.faces.folder()?.is_some() => {
            return Err(input("--run knows its faces: --celeba and --hub are for --system"));
        }
        (_, _, Some(folder)) => {
            let run = Run::lock(folder)?;
            // On the run's own device, since another would be another run.
            let device = device::of_run(None, &run)?;
            (run, Session::new(device))
        }
        _ => return Err(input("name a run with --run, or a system with --system and --out")),
    };
    stages::train::stage(&mut run, &session)?;
    report(&run, Stage::Train, args.json)
}

/// Refuses an assignment that would decide nothing.
fn check_taken(system: SystemName, assignment: &str) -> Result<()> {
    let keys = assigned_keys(assignment);
    if keys.iter().any(|key| key == "system.name") {
        return Err(input(format!("--set {assignment}: --system says which system is trained")));
    }
    match keys.iter().all(|key| system.takes(key)) {
        true => Ok(()),
        false => Err(input(format!(
            "--set {assignment}: it decides nothing of {}: leave it out",
            system.title()
        ))),
    }
}

pub(super) fn measure(args: &StageArgs) -> Result<()> {
    of_run(&args.run, args.json, Stage::Measure, stages::measure::stage)
}

/// Does a stage of a run, and prints what it found if that is asked for.
pub(super) fn of_run(
    run: &RunArgs,
    json: JsonArgs,
    stage: Stage,
    work: fn(&mut Run, &Session) -> Result<()>,
) -> Result<()> {
    let (mut run, device) = run.open()?;
    work(&mut run, &Session::new(device))?;
    report(&run, stage, json)
}

fn report(run: &Run, stage: Stage, json: JsonArgs) -> Result<()> {
    match json.is_asked() {
        true => print_json(&RunDocument::of_stage(run, stage)?),
        false => Ok(()),
    }
}
