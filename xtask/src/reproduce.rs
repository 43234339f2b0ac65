//! `reproduce`: the list of the stages.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use foresee_celeba::synthetic;

use crate::config::Config;
use crate::device::device;
use crate::error::OtherRun;
use crate::faces::{DataRecord, FacesArgs};
use crate::lock::Lock;
use crate::run::Run;
use crate::{attribute, faces, figures, measure, predict, prune, train, transform};

#[derive(Args)]
pub struct ReproduceArgs {
    /// Settings to start from: quick (synthetic faces, within 10 minutes), small (some thousand
    /// real faces, within 60 minutes), paper (a GPU).
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

pub fn reproduce(args: &ReproduceArgs) -> Result<()> {
    let config = Config::resolve(&args.profile, args.config.as_deref(), &args.set)?;
    let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join(&args.profile));
    let mut folder = out.clone();
    for number in 2.. {
        match whole(config.clone(), &args.faces, &folder, args.seed, &args.device) {
            Ok(run) => {
                tracing::info!("open {}", run.path("report.html").display());
                break;
            }
            Err(e) if args.force && e.is::<OtherRun>() => {
                folder = beside(&out, number);
                tracing::warn!("{}: trying {}", e.downcast::<OtherRun>()?.0, folder.display());
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// `runs/quick` → `runs/quick-2`.
fn beside(folder: &Path, number: usize) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    folder.with_file_name(name)
}

/// All stages, on the faces of a folder or on drawn ones.
pub fn whole(
    config: Config,
    args: &FacesArgs,
    out: &Path,
    seed: u64,
    device_name: &str,
) -> Result<Run> {
    let device = device(device_name)?;
    if !out.join("manifest.json").exists() {
        Run::check_is_free(out)?;
    }
    let lock = Lock::take(out)?;
    let rule = config.data.split.into();
    let record = match args.path()? {
        Some(folder) => {
            let record = match begun(out)? {
                // What could not be read when the run began was left out for good.
                Some(left_out) => faces::open(&folder, rule, args.splits.as_deref(), &left_out)?.1,
                None => faces::checked(&folder, args, rule, config.train.limit, out)?,
            };
            DataRecord { cache: args.cache.clone(), ..record }
        }
        None => {
            draw(out, config.data.synthetic_faces, seed)?;
            faces::open(&out.join("faces"), rule, None, &[])?.1
        }
    };
    tracing::info!("{}", record.description());
    let mut run = Run::begin(lock, out, config, seed, device_name, record)?;
    train::stage(&mut run, &device)?;
    measure::stage(&mut run, &device)?;
    prune::stage(&mut run, &device)?;
    transform::stage(&mut run, &device)?;
    predict::stage(&mut run, &device)?;
    attribute::stage(&mut run, &device)?;
    figures::stage(&mut run)?;
    Ok(run)
}

/// The images that a run in this folder leaves out, if it has finished a stage; its faces are
/// compared later.
fn begun(out: &Path) -> Result<Option<Vec<String>>> {
    if !out.join("manifest.json").exists() {
        return Ok(None);
    }
    let manifest = Run::open(out)?.manifest;
    Ok((!manifest.stages.is_empty()).then_some(manifest.data.left_out))
}

/// Makes sure that the run's own faces are those of this count and seed.
fn draw(out: &Path, count: usize, seed: u64) -> Result<()> {
    let folder = out.join("faces");
    // Of a run that has finished a stage the faces are compared with the manifest's, later.
    let finished_some = Run::open(out).is_ok_and(|run| !run.manifest.stages.is_empty());
    if synthetic::holds(&folder, count, seed) || (finished_some && folder.exists()) {
        return Ok(());
    }
    Run::check_for_drawing(out)?;
    remove_unfinished(out)?;
    if synthetic::drawn(&folder) {
        tracing::warn!(
            "{} holds drawn faces of another count or seed: they are drawn again",
            folder.display()
        );
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("removing {}", folder.display()))?;
    }
    faces::synthesize(&folder, count, seed)
}

/// Removes what interrupted drawings left.
fn remove_unfinished(out: &Path) -> Result<()> {
    for entry in std::fs::read_dir(out).into_iter().flatten() {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(synthetic::UNFINISHED) {
            std::fs::remove_dir_all(entry.path())
                .with_context(|| format!("removing {}", entry.path().display()))?;
        }
    }
    Ok(())
}
