//! `explore`: a web page on which one plays with a run's trained network.

use clap::Args;

use super::arguments::{RunArgs, trained_run};
use crate::device;
use crate::error::Result;
use crate::explore::{Explorer, serve};
use crate::web::ServeOptions;

#[derive(Args)]
pub struct ExploreArgs {
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    serve: ServeOptions,
}

pub(super) fn explore(args: &ExploreArgs) -> Result<()> {
    let run = trained_run(&args.run.run)?;
    let device = device::of_run(args.run.device.as_deref(), &run)?;
    serve(Explorer::open(run, device)?, &args.serve)
}
