//! The faces of a run: a CelebA folder, or synthetic ones drawn into the run's own folder.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use foresee_celeba::{
    BatchOptions, Batches, Cache, CelebA, Preprocessing, Split, SplitRule, bad_images, synthetic,
};
use foresee_report::frame;
use foresee_report::record::Record;

use crate::artifacts::BadImage;
use crate::config::Data;
use crate::error::{Result, input};
use crate::hash::sha256;
use crate::progress::Progress;
use crate::run::{BAD_IMAGES, DataRecord};

/// CelebA at a path, and how it is read.
#[derive(Default, Clone)]
pub(crate) struct FacesFolder {
    pub path: PathBuf,
    /// A list of splits of the user's own.
    pub splits: Option<PathBuf>,
    /// Leave out images that cannot be read, up to this share of all in percent.
    pub skip_bad: Option<f64>,
    /// Cache resized images in this folder.
    pub cache: Option<PathBuf>,
}

/// Draws faces into a folder, with a progress bar.
pub(crate) fn synthesize(folder: &Path, count: usize, seed: u64) -> Result<()> {
    let progress = Mutex::new(Progress::new("drawing faces", count, 0));
    synthetic::write(folder, count, seed, |n| {
        if let Ok(mut progress) = progress.lock() {
            progress.add(n, String::new);
        }
    })?;
    Ok(())
}

/// Opens what lies at a path and describes it. Faces that are `left_out` belong to no split.
pub(crate) fn open(
    path: &Path,
    rule: SplitRule,
    splits: Option<&Path>,
    left_out: &[String],
) -> Result<(CelebA, DataRecord)> {
    let mut data = match left_out {
        [] => CelebA::open(path, rule)?,
        _ => CelebA::open_with_missing(path, rule)?,
    };
    if let Some(list) = splits {
        data = data.with_splits(list)?;
    }
    if !left_out.is_empty() {
        let names: HashSet<&str> = left_out.iter().map(String::as_str).collect();
        let bad: Vec<usize> =
            (0..data.len()).filter(|&face| names.contains(data.name(face))).collect();
        data = data.without(&bad);
    }
    let record = describe(&data, path, splits, left_out);
    Ok((data, record))
}

fn describe(data: &CelebA, path: &Path, splits: Option<&Path>, left_out: &[String]) -> DataRecord {
    let count = |split| data.split(split).map_or(0, |faces| faces.len());
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.into());
    DataRecord {
        path: absolute(path),
        synthetic: data.is_synthetic(),
        sha256: sha256(data.fingerprint_text().as_bytes()),
        faces: data.len(),
        train: count(Split::Train),
        val: count(Split::Val),
        test: count(Split::Test),
        splits: splits.map(absolute),
        left_out: left_out.to_vec(),
        cache: None,
    }
}

/// Opens the faces of a run again, and makes sure that they are the same.
pub(crate) fn reopen(record: &DataRecord, run: &Path, rule: SplitRule) -> Result<CelebA> {
    let own = run.join("faces");
    let path = if record.synthetic && own.exists() { &own } else { &record.path };
    let (data, now) = open(path, rule, record.splits.as_deref(), &record.left_out)?;
    match now.sha256 == record.sha256 {
        true => Ok(data),
        false => Err(input(format!(
            "the faces in {} are not those that the run in {} was made with",
            path.display(),
            run.display()
        ))),
    }
}

/// The faces for a new run, checked: those that cannot be read are an error, or left out and listed
/// in the run's folder.
pub(crate) fn open_checked(
    folder: &FacesFolder,
    rule: SplitRule,
    train_limit: usize,
    run: &Path,
) -> Result<(CelebA, DataRecord)> {
    let FacesFolder { path, splits, skip_bad, .. } = folder;
    let splits = splits.as_deref();
    let data = match (skip_bad, splits) {
        (Some(_), None) => CelebA::open_with_missing(path, rule)?,
        (Some(_), Some(list)) => CelebA::open_with_missing(path, rule)?.with_splits(list)?,
        (None, _) => open(path, rule, splits, &[])?.0,
    };
    let read = faces_of_a_run(&data, train_limit)?;
    let bad = unreadable(&data, &read);
    let list = run.join(BAD_IMAGES);
    if bad.is_empty() {
        // Of an earlier attempt.
        let _ = std::fs::remove_file(list);
        return open(path, rule, splits, &[]);
    }
    check_share(&bad, read.len(), *skip_bad)?;
    frame::write_csv(&list, &BadImage::to_frame(&bad)?)?;
    let (n, all) = (bad.len(), read.len());
    tracing::warn!("{n} of {all} images are left out: see {}", list.display());
    let left_out: Vec<String> = bad.into_iter().map(|bad| bad.image).collect();
    open(path, rule, splits, &left_out)
}

/// Makes sure that no more images are unreadable than the user allows, in percent.
fn check_share(bad: &[BadImage], all: usize, allowed: Option<f64>) -> Result<()> {
    let counted = format!("{} of {all} images cannot be read", bad.len());
    let share = 100. * bad.len() as f64 / all as f64;
    let first = &bad[0].reason;
    match allowed {
        None => Err(input(format!("{first} ({counted}; --skip-bad leaves them out)"))),
        Some(most) if share > most => Err(input(format!(
            "{counted}: {share:.2} %, more than the {most} % that --skip-bad allows; the first: \
             {first}"
        ))),
        Some(_) => Ok(()),
    }
}

/// Those of the faces whose images cannot be read, with a progress bar.
fn unreadable(data: &CelebA, faces: &[usize]) -> Vec<BadImage> {
    let progress = Mutex::new(Progress::new("checking images", faces.len(), 0));
    let bad = bad_images(data, faces, |n| {
        if let Ok(mut progress) = progress.lock() {
            progress.add(n, String::new);
        }
    });
    let row = |(face, reason)| BadImage { image: data.name(face).to_owned(), reason };
    bad.into_iter().map(row).collect()
}

/// The faces that a run reads.
fn faces_of_a_run(data: &CelebA, train_limit: usize) -> Result<Vec<usize>> {
    let mut all = first(data.split(Split::Train)?, train_limit);
    all.extend(data.split(Split::Test)?);
    // The paper's split has no validation faces.
    all.extend(data.split(Split::Val).unwrap_or_default());
    Ok(all)
}

/// Where a run's resized images are cached, if anywhere.
pub(crate) fn cache(
    record: &DataRecord,
    data: &CelebA,
    settings: &Data,
) -> Result<Option<Arc<Cache>>> {
    let Some(folder) = &record.cache else { return Ok(None) };
    Ok(Some(Arc::new(data.cache(folder, settings.crop, settings.image_size)?)))
}

/// The first `limit` faces, or all for 0.
pub(crate) fn first(mut faces: Vec<usize>, limit: usize) -> Vec<usize> {
    if limit > 0 {
        faces.truncate(limit);
    }
    faces
}

/// Batches of faces in their own order, for measuring.
pub(crate) fn in_order(
    data: &CelebA,
    faces: &[usize],
    preprocessing: &Preprocessing,
    batch_size: usize,
) -> Batches {
    let Preprocessing { crop, image_size, normalisation } = *preprocessing;
    let options =
        BatchOptions { crop, image_size, normalisation, batch_size, ..Default::default() };
    data.batches(faces, &options)
}
