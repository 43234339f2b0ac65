//! The faces of a run: a CelebA folder, or synthetic ones drawn into the run's own folder.

use std::path::{Path, PathBuf};

use anyhow::Result;
use foresee_celeba::{BatchOptions, Batches, CelebA, Normalisation, Split, SplitRule, synthetic};
use serde::{Deserialize, Serialize};

use crate::error::input;
use crate::progress::Progress;
use crate::run::sha256;

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
}

impl DataRecord {
    /// In words, for figures and tables.
    pub fn description(&self) -> String {
        let what = if self.synthetic { "synthetic faces, not CelebA" } else { "CelebA faces" };
        format!("{} {what} ({} train, {} val, {} test)", self.faces, self.train, self.val, self.test)
    }
}

/// Draws faces into a folder, with a progress bar.
pub fn synthesize(folder: &Path, count: usize, seed: u64) -> Result<()> {
    let progress = std::sync::Mutex::new(Progress::new("drawing faces", count, 0));
    synthetic::write(folder, count, seed, |n| {
        if let Ok(mut progress) = progress.lock() {
            progress.add(n, String::new);
        }
    })?;
    Ok(())
}

/// Opens a folder and describes it.
pub fn open(folder: &Path, rule: SplitRule) -> Result<(CelebA, DataRecord)> {
    let data = CelebA::open(folder, rule)?;
    let count = |split| data.split(split).map_or(0, |faces| faces.len());
    let record = DataRecord {
        path: std::path::absolute(folder).unwrap_or_else(|_| folder.into()),
        synthetic: data.is_synthetic(),
        sha256: fingerprint(&data),
        faces: data.len(),
        train: count(Split::Train),
        val: count(Split::Val),
        test: count(Split::Test),
    };
    Ok((data, record))
}

/// Opens the faces of a run again, and makes sure that they are the same.
pub fn reopen(record: &DataRecord, run: &Path, rule: SplitRule) -> Result<CelebA> {
    let own = run.join("faces");
    let folder = if record.synthetic && own.exists() { &own } else { &record.path };
    let (data, now) = open(folder, rule)?;
    match now.sha256 == record.sha256 {
        true => Ok(data),
        false => Err(input(format!("the faces in {} are not those that the run in {} was made with", folder.display(), run.display()))),
    }
}

fn fingerprint(data: &CelebA) -> String {
    let mut text = String::new();
    for face in 0..data.len() {
        let size = std::fs::metadata(data.image_path(face)).map_or(0, |m| m.len());
        let labels: String = data.labels(face).iter().map(|present| if present { '1' } else { '0' }).collect();
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
pub fn in_order(data: &CelebA, faces: &[usize], image_size: usize, batch_size: usize) -> Batches {
    data.batches(faces, &BatchOptions { image_size, batch_size, ..Default::default() })
}

/// Mean and deviation that batches are normalised with.
pub fn normalisation() -> Normalisation {
    Normalisation::default()
}
