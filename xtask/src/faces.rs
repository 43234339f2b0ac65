//! The faces of a run: a CelebA folder, or synthetic ones drawn into the run's own folder.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use clap::Args;
use foresee_celeba::{
    BatchOptions, Batches, Cache, CelebA, Crop, Normalisation, Preprocessing, Split, SplitRule,
    bad_images, synthetic,
};
use foresee_model::ModelCard;
use foresee_report::frame::write_whole;
use serde::{Deserialize, Serialize};

use crate::error::input;
use crate::progress::Progress;
use crate::run::sha256;

/// Images that were left out, in a run's folder.
pub const BAD_IMAGES: &str = "bad_images.csv";

/// Unseen faces that each epoch is judged on along the way.
pub const VALIDATION_FACES: usize = 400;

/// Which faces, and how they are read.
#[derive(Args, Clone, Default)]
pub struct FacesArgs {
    /// CelebA: its folder as distributed (also with img_align_celeba.zip not unpacked),
    /// torchvision's root, Kaggle's folder, or a folder of parquet shards. Without it, synthetic
    /// faces are drawn.
    #[arg(long, value_name = "DIR")]
    pub celeba: Option<PathBuf>,
    /// A dataset of the Hugging Face hub, such as tpremoli/CelebA-attrs (in builds with the feature
    /// `hub`).
    #[arg(long, value_name = "OWNER/NAME", conflicts_with = "celeba")]
    pub hub: Option<String>,
    /// Splits of your own: a CSV with the header image,split and train, val or test for each image.
    #[arg(long, value_name = "FILE")]
    pub splits: Option<PathBuf>,
    /// Leave out images that cannot be read, if they are no more than this share of all [default: 1
    /// %]; they are listed in bad_images.csv.
    #[arg(long, value_name = "PERCENT", num_args = 0..=1, default_missing_value = "1", value_parser = percent)]
    pub skip_bad: Option<f64>,
    /// Keep resized images in a file in this folder, so that later epochs and runs need not decode
    /// them again (for runs with train.crop = 1).
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
}

fn percent(text: &str) -> std::result::Result<f64, String> {
    text.parse()
        .ok()
        .filter(|p| (0. ..=100.).contains(p))
        .ok_or_else(|| "a number from 0 to 100".into())
}

impl FacesArgs {
    /// Faces of a folder, read as usual.
    pub fn folder(path: &Path) -> Self {
        Self { celeba: Some(path.into()), ..Self::default() }
    }

    /// Where the faces are, with those of the hub downloaded; `None` if they are to be drawn.
    pub fn path(&self) -> Result<Option<PathBuf>> {
        match (&self.celeba, &self.hub) {
            (Some(folder), _) => Ok(Some(folder.clone())),
            (None, Some(name)) => Ok(Some(fetch(name)?)),
            (None, None)
                if self.splits.is_some() || self.skip_bad.is_some() || self.cache.is_some() =>
            {
                Err(input(
                    "--splits, --skip-bad and --cache are for the faces that --celeba or --hub names",
                ))
            }
            (None, None) => Ok(None),
        }
    }
}

/// Downloads a dataset of the hub, with a progress bar; its folder.
#[cfg(feature = "hub")]
pub fn fetch(name: &str) -> Result<PathBuf> {
    let bar = indicatif::ProgressBar::new(0);
    bar.set_style(indicatif::ProgressStyle::with_template(
        "fetching {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} ETA {eta}",
    )?);
    let shown = bar.clone();
    let folder = foresee_celeba::hub::fetch(name, move |done, all| {
        shown.set_length(all);
        shown.set_position(done);
    })?;
    bar.finish_and_clear();
    Ok(folder)
}

#[cfg(not(feature = "hub"))]
pub fn fetch(name: &str) -> Result<PathBuf> {
    Err(input(format!(
        "{name}: this build cannot download; build it with `cargo run --release --package xtask --features hub -- …`, or download the dataset's parquet files and give \
         their folder to --celeba"
    )))
}

/// The faces as the manifest tells them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DataRecord {
    pub path: PathBuf,
    pub synthetic: bool,
    /// Of the annotations and of the sizes of all images.
    pub sha256: String,
    pub faces: usize,
    pub train: usize,
    pub val: usize,
    pub test: usize,
    /// A list of splits of the user's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub splits: Option<PathBuf>,
    /// Images that could not be read and belong to no split.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// Where resized images are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<PathBuf>,
}

impl DataRecord {
    /// In one word, for data files.
    pub fn kind(&self) -> &'static str {
        if self.synthetic { "synthetic" } else { "celeba" }
    }

    /// In words, for figures and tables.
    pub fn description(&self) -> String {
        format!(
            "{} {} ({} train, {} val, {} test)",
            self.faces,
            self.kind_in_words(),
            self.train,
            self.val,
            self.test
        )
    }

    pub fn kind_in_words(&self) -> &'static str {
        if self.synthetic { "synthetic faces, not CelebA" } else { "CelebA faces" }
    }
}

/// Draws faces into a folder, with a progress bar.
pub fn synthesize(folder: &Path, count: usize, seed: u64) -> Result<()> {
    let progress = Mutex::new(Progress::new("drawing faces", count, 0));
    synthetic::write(folder, count, seed, |n| {
        if let Ok(mut progress) = progress.lock() {
            progress.add(n, String::new);
        }
    })?;
    Ok(())
}

/// Opens what lies at a path and describes it. Faces that are `left_out` belong to no split.
pub fn open(
    path: &Path,
    rule: SplitRule,
    splits: Option<&Path>,
    left_out: &[String],
) -> Result<(CelebA, DataRecord)> {
    let mut data = if left_out.is_empty() {
        CelebA::open(path, rule)?
    } else {
        CelebA::open_with_missing(path, rule)?
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
    let count = |split| data.split(split).map_or(0, |faces| faces.len());
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.into());
    let record = DataRecord {
        path: absolute(path),
        synthetic: data.is_synthetic(),
        sha256: fingerprint(&data),
        faces: data.len(),
        train: count(Split::Train),
        val: count(Split::Val),
        test: count(Split::Test),
        splits: splits.map(absolute),
        left_out: left_out.to_vec(),
        cache: None,
    };
    Ok((data, record))
}

/// Opens the faces of a run again, and makes sure that they are the same.
pub fn reopen(record: &DataRecord, run: &Path, rule: SplitRule) -> Result<CelebA> {
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
pub fn checked(
    path: &Path,
    args: &FacesArgs,
    rule: SplitRule,
    train_limit: usize,
    out: &Path,
) -> Result<DataRecord> {
    let splits = args.splits.as_deref();
    let data = match (args.skip_bad, splits) {
        (Some(_), None) => CelebA::open_with_missing(path, rule)?,
        (Some(_), Some(list)) => CelebA::open_with_missing(path, rule)?.with_splits(list)?,
        (None, _) => open(path, rule, splits, &[])?.0,
    };
    let wanted = wanted(&data, train_limit)?;
    let progress = Mutex::new(Progress::new("checking images", wanted.len(), 0));
    let bad = bad_images(&data, &wanted, |n| {
        if let Ok(mut progress) = progress.lock() {
            progress.add(n, String::new);
        }
    });
    drop(progress);
    let Some((_, first)) = bad.first() else {
        // Of an earlier attempt.
        let _ = std::fs::remove_file(out.join(BAD_IMAGES));
        return Ok(open(path, rule, splits, &[])?.1);
    };
    let (share, most) = (100. * bad.len() as f64 / wanted.len() as f64, args.skip_bad);
    let Some(most) = most else {
        return Err(input(format!(
            "{first} ({} of {} images cannot be read; --skip-bad leaves them out)",
            bad.len(),
            wanted.len()
        )));
    };
    if share > most {
        let n = bad.len();
        return Err(input(format!(
            "{n} of {} images cannot be read: {share:.2} %, more than the {most} % that --skip-bad allows; the first: {first}",
            wanted.len()
        )));
    }
    let rows: String = bad
        .iter()
        .map(|(face, reason)| format!("{},\"{}\"\n", data.name(*face), reason.replace('"', "'")))
        .collect();
    write_whole(&out.join(BAD_IMAGES), format!("image,reason\n{rows}").as_bytes())?;
    tracing::warn!(
        "{} of {} images are left out: see {}",
        bad.len(),
        wanted.len(),
        out.join(BAD_IMAGES).display()
    );
    let left_out: Vec<String> = bad.iter().map(|(face, _)| data.name(*face).to_owned()).collect();
    Ok(open(path, rule, splits, &left_out)?.1)
}

/// The images that a run reads.
fn wanted(data: &CelebA, train_limit: usize) -> Result<Vec<usize>> {
    let mut all = limited(data.split(Split::Train)?, train_limit);
    all.extend(data.split(Split::Test)?);
    // The paper's split has no validation faces.
    all.extend(data.split(Split::Val).unwrap_or_default());
    Ok(all)
}

/// Where a run's resized images are kept, if anywhere.
pub fn cache(
    record: &DataRecord,
    data: &CelebA,
    crop: Crop,
    image_size: usize,
) -> Result<Option<Arc<Cache>>> {
    Ok(record
        .cache
        .as_ref()
        .map(|folder| data.cache(folder, crop, image_size))
        .transpose()?
        .map(Arc::new))
}

fn fingerprint(data: &CelebA) -> String {
    let mut text = String::new();
    for face in 0..data.len() {
        let size = data.image_mark(face);
        let labels: String =
            data.labels(face).iter().map(|present| if present { '1' } else { '0' }).collect();
        text.push_str(&format!("{} {size} {labels} {}\n", data.name(face), data.part(face)));
    }
    sha256(text.as_bytes())
}

/// The first `limit` faces, or all for 0.
pub fn limited(mut faces: Vec<usize>, limit: usize) -> Vec<usize> {
    if limit > 0 {
        faces.truncate(limit);
    }
    faces
}

/// Faces in their own order, for measuring.
pub fn in_order(
    data: &CelebA,
    faces: &[usize],
    preprocessing: &Preprocessing,
    batch_size: usize,
) -> Batches {
    let Preprocessing { crop, image_size, normalisation } = *preprocessing;
    data.batches(
        faces,
        &BatchOptions { crop, image_size, normalisation, batch_size, ..Default::default() },
    )
}

/// What a model's images have gone through before it sees them.
pub fn preprocessing(card: &ModelCard) -> Preprocessing {
    let crop = if card.crop == "whole" { Crop::Whole } else { Crop::Square };
    Preprocessing {
        crop,
        image_size: card.image_size,
        normalisation: Normalisation { mean: card.mean, deviation: card.deviation },
    }
}

/// The share of a drawn face's region in each pixel of what the network sees: the centred square or
/// all of it, resized.
pub fn shrink(region: &[bool], crop: Crop, size: usize) -> Vec<f64> {
    let (top, height) = match crop {
        Crop::Square => ((synthetic::HEIGHT - synthetic::WIDTH) / 2, synthetic::WIDTH),
        Crop::Whole => (0, synthetic::HEIGHT),
    };
    let mut out = vec![(0., 0.); size * size];
    for y in 0..height {
        for x in 0..synthetic::WIDTH {
            let cell = &mut out[y * size / height * size + x * size / synthetic::WIDTH];
            cell.0 += f64::from(u8::from(region[(y + top) * synthetic::WIDTH + x]));
            cell.1 += 1.;
        }
    }
    out.into_iter().map(|(inside, all)| if all > 0. { inside / all } else { 0. }).collect()
}
