//! `reproduce`: all stages.

use std::path::{Path, PathBuf};

use clap::Args;

use super::arguments::FacesArgs;
use crate::config::Config;
use crate::error::{OtherRun, Result};
use crate::run::REPORT;
use crate::stages::run_all;

#[derive(Args)]
pub struct ReproduceArgs {
    /// Settings to start from: quick (synthetic faces, within 10 minutes), small (some thousand
    /// real faces, within 60 minutes), paper (a GPU), smoke (some seconds, for tests).
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
    /// (PROFILE-2, PROFILE-3, …). Nothing is ever written over.
    #[arg(long)]
    force: bool,
}

pub(super) fn reproduce(args: &ReproduceArgs) -> Result<()> {
    let config = Config::resolve(&args.profile, args.config.as_deref(), &args.set)?;
    let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join(&args.profile));
    let faces = args.faces.folder()?;
    let mut folder = out.clone();
    for number in 2.. {
        match run_all(config.clone(), faces.as_ref(), &folder, args.seed, &args.device) {
            Ok(run) => {
                tracing::info!("open {}", run.path(REPORT).display());
                break;
            }
            Err(e) if args.force && e.is::<OtherRun>() => {
                folder = numbered_sibling(&out, number);
                tracing::warn!("{}: trying {}", e.downcast::<OtherRun>()?.0, folder.display());
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// `runs/quick` → `runs/quick-2`.
fn numbered_sibling(folder: &Path, number: usize) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    folder.with_file_name(name)
}
