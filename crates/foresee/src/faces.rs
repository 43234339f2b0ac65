//! The faces of a run: a CelebA folder, or synthetic ones drawn into the run's own folder.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foresee_celeba::{ATTRIBUTES, Cache, CelebA, Split, SplitRule, bad_images, synthetic};
use foresee_report::frame;
use foresee_report::record::Record;
use foresee_stats::{Matrix, row_correlation};

use crate::artifacts::BadImage;
use crate::config::{Config, Data};
use crate::error::{Result, input};
use crate::hash::sha256;
use crate::progress::{Progress, Unit};
use crate::run::{BAD_IMAGES, DataRecord};

/// Validation faces that each epoch is judged on.
pub(crate) const VALIDATION_FACES: usize = 400;

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
    let progress = Progress::new("drawing faces", Unit::Images, count, 0);
    Ok(synthetic::write(folder, count, seed, |n| progress.add(n, String::new))?)
}

/// The faces of these images, by their names.
pub(crate) fn named(data: &CelebA, images: &[String]) -> Result<Vec<usize>> {
    let of = |image: &String| {
        let found = (0..data.len()).find(|&face| data.name(face) == image);
        found.ok_or_else(|| {
            input(format!(
                "{image}: the run's faces have no such image; their names are like {}",
                data.name(0)
            ))
        })
    };
    images.iter().map(of).collect()
}

/// Opens what lies at a path and describes it. Faces that are `left_out` belong to no split.
pub(crate) fn open(
    path: &Path,
    rule: SplitRule,
    splits: Option<&Path>,
    left_out: &[String],
) -> Result<(CelebA, DataRecord)> {
    let mut data = with_splits(path, rule, splits, !left_out.is_empty())?;
    if !left_out.is_empty() {
        let names: HashSet<&str> = left_out.iter().map(String::as_str).collect();
        let bad: Vec<usize> =
            (0..data.len()).filter(|&face| names.contains(data.name(face))).collect();
        data = data.without(&bad);
    }
    let record = describe(&data, path, splits, left_out);
    Ok((data, record))
}

/// CelebA with the user's splits, if there are any. Images may be missing, or not.
fn with_splits(
    path: &Path,
    rule: SplitRule,
    splits: Option<&Path>,
    may_lack_images: bool,
) -> Result<CelebA> {
    let data = match may_lack_images {
        true => CelebA::open_with_missing(path, rule)?,
        false => CelebA::open(path, rule)?,
    };
    Ok(match splits {
        Some(list) => data.with_splits(list)?,
        None => data,
    })
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

/// The faces of a run with those that are left out because they cannot be read.
pub(crate) fn with_bad(record: &DataRecord, rule: SplitRule) -> Result<CelebA> {
    with_splits(&record.path, rule, record.splits.as_deref(), true)
}

/// Opens the faces of a run again, and makes sure that they are the same.
pub(crate) fn reopen(record: &DataRecord, run: &Path, rule: SplitRule) -> Result<CelebA> {
    let own = run.join("faces");
    let path = if record.synthetic && own.exists() { &own } else { &record.path };
    let (data, now) = open(path, rule, record.splits.as_deref(), &record.left_out)?;
    match now.sha256 == record.sha256 {
        true => Ok(data),
        false => Err(input(format!(
            "the faces in {} are not those that the run in {} was made with; put those back, or \
             make another run of these",
            path.display(),
            run.display()
        ))),
    }
}

/// The faces for a new run, checked: those that cannot be read are an error, or left out and listed
/// in the run's folder.
pub(crate) fn open_checked(
    folder: &FacesFolder,
    config: &Config,
    run: &Path,
) -> Result<(CelebA, DataRecord)> {
    let FacesFolder { path, splits, skip_bad, .. } = folder;
    let splits = splits.as_deref();
    let data = with_splits(path, config.data.split, splits, skip_bad.is_some())?;
    let Checked { data, mut bad, checked } = leave_out(data, config, *skip_bad)?;
    bad.sort();
    let left_out: Vec<String> = bad.iter().map(|(face, _)| data.name(*face).into()).collect();
    list_bad(&data, bad, checked.len(), &run.join(BAD_IMAGES))?;
    let record = describe(&data, path, splits, &left_out);
    Ok((data, record))
}

/// The faces for a run that is only planned: no image is read.
pub(crate) fn open_unchecked(
    folder: &FacesFolder,
    config: &Config,
) -> Result<(CelebA, DataRecord)> {
    let FacesFolder { path, splits, skip_bad, .. } = folder;
    let splits = splits.as_deref();
    let data = with_splits(path, config.data.split, splits, skip_bad.is_some())?;
    let record = describe(&data, path, splits, &[]);
    Ok((data, record))
}

struct Checked {
    /// Without those whose images cannot be read.
    data: CelebA,
    /// The faces left out, and why.
    bad: Vec<(usize, String)>,
    /// The faces looked at.
    checked: HashSet<usize>,
}

/// Takes out the faces whose images cannot be read, if those that the run reads are no more than
/// the user allows.
fn leave_out(mut data: CelebA, config: &Config, skip_bad: Option<f64>) -> Result<Checked> {
    let mut bad: Vec<(usize, String)> = vec![];
    let mut checked = HashSet::new();
    loop {
        // Where the number of training faces is limited, others move up for those left out.
        let mut unchecked = faces_of_a_run(&data, config)?;
        unchecked.retain(|face| !checked.contains(face));
        if unchecked.is_empty() {
            break;
        }
        checked.extend(unchecked.iter().copied());
        let found = unreadable(&data, &unchecked);
        data = data.without(&found.iter().map(|(face, _)| *face).collect::<Vec<_>>());
        bad.extend(found);
        check_share(&bad, checked.len(), skip_bad)?;
    }
    // The run is opened again without what is left out, so that has to name every missing image.
    let mut missing = data.missing_images()?;
    missing.retain(|face| !checked.contains(face));
    checked.extend(missing.iter().copied());
    bad.extend(unreadable(&data, &missing));
    let data = data.without(&missing);
    Ok(Checked { data, bad, checked })
}

/// Lists the images that are left out, if there are any.
fn list_bad(data: &CelebA, bad: Vec<(usize, String)>, all: usize, list: &Path) -> Result<()> {
    if bad.is_empty() {
        // Of an earlier attempt.
        let _ = std::fs::remove_file(list);
        return Ok(());
    }
    tracing::warn!("{} of {all} images are left out: see {}", bad.len(), list.display());
    let row = |(face, reason)| BadImage { image: data.name(face).to_owned(), reason };
    let rows: Vec<BadImage> = bad.into_iter().map(row).collect();
    Ok(frame::write_csv(list, &BadImage::to_frame(&rows)?)?)
}

/// Makes sure that no more images are unreadable than the user allows, in percent.
fn check_share(bad: &[(usize, String)], all: usize, allowed: Option<f64>) -> Result<()> {
    let Some((_, first)) = bad.first() else { return Ok(()) };
    let counted = format!("{} of {all} images cannot be read", bad.len());
    let share = 100. * bad.len() as f64 / all as f64;
    match allowed {
        None => Err(input(format!("{first} ({counted}; --skip-bad leaves them out)"))),
        Some(most) if share > most => Err(input(format!(
            "{counted}: {share:.2} %, more than the {most} % that --skip-bad allows; the first: \
             {first}"
        ))),
        Some(_) => Ok(()),
    }
}

/// Makes sure that all images of these faces can be read: one that is damaged would be judged by
/// what the decoder makes of it.
pub(crate) fn check_images(data: &CelebA, faces: &[usize]) -> Result<()> {
    let bad = unreadable(data, faces);
    match bad.first() {
        None => Ok(()),
        Some((_, first)) => Err(input(format!(
            "{} of {} images cannot be used; the first: {first}",
            bad.len(),
            faces.len()
        ))),
    }
}

/// Those of the faces whose images cannot be read, and why, with a progress bar.
pub(crate) fn unreadable(data: &CelebA, faces: &[usize]) -> Vec<(usize, String)> {
    let progress = Progress::new("checking images", Unit::Images, faces.len(), 0);
    bad_images(data, faces, |n| progress.add(n, String::new))
}

/// The faces whose images a run reads.
fn faces_of_a_run(data: &CelebA, config: &Config) -> Result<Vec<usize>> {
    let limits = [config.train.limit, config.measure.images];
    let limit = if limits.contains(&0) { 0 } else { limits[0].max(limits[1]) };
    let mut all = first(data.split(Split::Train)?, limit);
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

/// The correlation [K, K] of the attributes' labels over some faces.
pub(crate) fn label_correlation(data: &CelebA, faces: &[usize]) -> Result<Matrix> {
    let labels = |k: usize| -> Vec<f64> {
        faces.iter().map(|&face| f64::from(u8::from(data.labels(face).has(k)))).collect()
    };
    let labels: Vec<Vec<f64>> = (0..ATTRIBUTES.len()).map(labels).collect();
    Ok(row_correlation(&Matrix::from_rows(&labels))?)
}
