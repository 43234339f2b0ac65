//! `explore`: a web page on which one plays with a trained network.

use anyhow::Context;
use clap::Args;

use super::arguments::{RunOrFile, RunOrFileArgs};
use crate::error::Result;
use crate::explore::serve;
use crate::operate::Opened;
use crate::web::ServeOptions;

#[derive(Args)]
pub struct ExploreArgs {
    #[command(flatten)]
    subject: RunOrFileArgs,
    #[command(flatten)]
    serve: ServeOptions,
}

pub(super) fn explore(args: &ExploreArgs) -> Result<()> {
    let subject = args.subject.find()?;
    let device = args.subject.device(&subject)?;
    match subject {
        RunOrFile::Run(run) => serve(Opened::open(*run, device)?, &args.serve),
        RunOrFile::File { model, faces } => {
            let scratch = tempfile::tempdir().context("a temporary folder")?;
            serve(Opened::open_model(&model, &faces, scratch.path(), device)?, &args.serve)
        }
    }
}
