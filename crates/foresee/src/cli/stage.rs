//! `train` and `measure`: one stage of a run.

use clap::Args;

use super::arguments::{FolderArgs, RunArgs};
use super::json::{JsonArgs, RunDocument, print_json};
use crate::device;
use crate::error::Result;
use crate::run::{Run, Stage};
use crate::session::Session;
use crate::stages;

#[derive(Args)]
pub struct TrainArgs {
    #[command(flatten)]
    run: FolderArgs,
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

/// Trains on the run's own device, since another would be another run.
pub(super) fn train(args: &TrainArgs) -> Result<()> {
    let mut run = Run::lock(&args.run.run)?;
    let device = device::of_run(None, &run)?;
    stages::train::stage(&mut run, &Session::new(device))?;
    report(&run, Stage::Train, args.json)
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
