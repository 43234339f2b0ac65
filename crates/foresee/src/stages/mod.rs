//! The stages of a run, and all of them in order.

pub(crate) mod adopt;
pub(crate) mod attribute;
pub(crate) mod evaluate;
pub(crate) mod figures;
pub(crate) mod follow;
pub(crate) mod jobs;
pub(crate) mod judge;
pub(crate) mod measure;
pub(crate) mod plan;
pub(crate) mod predict;
pub(crate) mod prune;
pub(crate) mod shared;
pub(crate) mod train;
pub(crate) mod transform;

use std::path::Path;

use anyhow::Context;
use foresee_celeba::{CelebA, synthetic};

use crate::config::Config;
use crate::device::device;
use crate::error::{Result, input};
use crate::faces::{self, FacesFolder};
use crate::run::{DataRecord, Lock, Manifest, Run};
use crate::session::Session;

/// Runs all stages, on the faces of a folder or on drawn ones. A run that is there already is
/// resumed.
pub(crate) fn run_all(
    config: Config,
    folder: Option<&FacesFolder>,
    out: &Path,
    seed: u64,
    device_name: &str,
) -> Result<Run> {
    config.check_is_of_paper()?;
    let (mut run, session) = begin(config, folder, out, seed, device_name)?;
    all(&mut run, &session)?;
    Ok(run)
}

/// Begins a run, or opens the one that the folder holds if that is the same.
pub(crate) fn begin(
    config: Config,
    folder: Option<&FacesFolder>,
    out: &Path,
    seed: u64,
    device_name: &str,
) -> Result<(Run, Session)> {
    let device = device(device_name)?;
    check_names(folder, out)?;
    if !Manifest::exists(out) {
        Run::check_is_free(out)?;
    }
    let lock = Lock::take(out)?;
    let (data, record) = match folder {
        Some(folder) => open_faces(folder, &config, out)?,
        None => draw_faces(&config, out, seed)?,
    };
    tracing::info!("{}", record.description());
    check_faces_of_figures(&config, &data)?;
    let run = Run::begin(lock, out, config, seed, device_name, record)?;
    Ok((run, Session::with_data(device, data)))
}

/// What the last stage would refuse is refused before the first.
fn check_faces_of_figures(config: &Config, data: &CelebA) -> Result<()> {
    faces::named(data, &config.figures.faces)
        .map(drop)
        .map_err(|e| input(format!("figures.faces: {e}")))
}

/// All stages in order.
fn all(run: &mut Run, session: &Session) -> Result<()> {
    train::stage(run, session)?;
    measure::stage(run, session)?;
    prune::stage(run, session)?;
    transform::stage(run, session)?;
    predict::stage(run, session)?;
    attribute::stage(run, session)?;
    figures::stage(run, session)
}

/// A manifest is JSON, which has no name that is not UTF-8.
fn check_names(folder: Option<&FacesFolder>, out: &Path) -> Result<()> {
    let faces = folder.map(|f| ("--celeba", Some(f.path.as_path())));
    let splits = folder.map(|f| ("--splits", f.splits.as_deref()));
    let cache = folder.map(|f| ("--cache", f.cache.as_deref()));
    for (option, path) in [faces, splits, cache, Some(("--out", Some(out)))].into_iter().flatten() {
        let absolute = path.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.into()));
        if let Some(path) = absolute.filter(|path| path.to_str().is_none()) {
            return Err(input(format!(
                "{option} {}: its name is not UTF-8, as the run's manifest is; rename it, or give \
                 a link to it",
                path.display()
            )));
        }
    }
    Ok(())
}

fn open_faces(folder: &FacesFolder, config: &Config, out: &Path) -> Result<(CelebA, DataRecord)> {
    let rule = config.data.split;
    let (data, record) = match left_out(out)? {
        // What could not be read when the run began is left out for good.
        Some(names) => faces::open(&folder.path, rule, folder.splits.as_deref(), &names)?,
        None => faces::open_checked(folder, config, out)?,
    };
    Ok((data, DataRecord { cache: folder.cache.clone(), ..record }))
}

/// The images that a run in this folder leaves out, if it has finished a stage; its faces are
/// compared later.
fn left_out(out: &Path) -> Result<Option<Vec<String>>> {
    if !Manifest::exists(out) {
        return Ok(None);
    }
    let manifest = Manifest::read(out)?;
    Ok((!manifest.stages.is_empty()).then_some(manifest.data.left_out))
}

/// Draws the run's own faces, unless they are there already.
fn draw_faces(config: &Config, out: &Path, seed: u64) -> Result<(CelebA, DataRecord)> {
    let folder = out.join("faces");
    if !has_faces(out, &folder, config.data.synthetic_faces, seed) {
        Run::check_for_drawing(out)?;
        remove_unfinished(out)?;
        if synthetic::is_synthetic(&folder) {
            check_drawn_by_a_run(out, &folder)?;
            tracing::warn!(
                "{} holds synthetic faces of another count or seed: they are drawn again",
                folder.display()
            );
            std::fs::remove_dir_all(&folder)
                .with_context(|| format!("removing {}", folder.display()))?;
        }
        faces::synthesize(&folder, config.data.synthetic_faces, seed)?;
    }
    faces::open(&folder, config.data.split, None, &[])
}

/// Refuses synthetic faces of other settings that no run drew: they may be the user's own.
fn check_drawn_by_a_run(out: &Path, folder: &Path) -> Result<()> {
    match synthetic::is_synthetic(folder) && !Manifest::exists(out) {
        false => Ok(()),
        true => Err(input(format!(
            "{} holds synthetic faces of another count, seed or version that no run drew; name \
             another folder with --out, or give them with --celeba; if an interrupted run left \
             them, remove them",
            folder.display()
        ))),
    }
}

/// Whether the faces need not be drawn. The faces of a run that has finished a stage are compared
/// with the manifest's later.
fn has_faces(out: &Path, folder: &Path, count: usize, seed: u64) -> bool {
    let resumed = || Manifest::read(out).is_ok_and(|manifest| !manifest.stages.is_empty());
    synthetic::is_up_to_date(folder, count, seed) || (folder.exists() && resumed())
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
