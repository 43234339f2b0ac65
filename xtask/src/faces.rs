//! The faces of a run: a CelebA folder, or synthetic ones drawn into the run's own folder.

use std::path::{Path, PathBuf};

use anyhow::Result;
use foresee_celeba::{BatchOptions, Batches, CelebA, Normalisation, Preprocessing, Split, SplitRule, synthetic};
use foresee_model::ModelCard;
use serde::{Deserialize, Serialize};

use crate::error::input;
use crate::progress::Progress;
use crate::run::sha256;

/// Unseen faces that each epoch is judged on along the way.
pub const VALIDATION_FACES: usize = 400;

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
    /// In one word, for data files.
    pub fn kind(&self) -> &'static str {
        if self.synthetic { "synthetic" } else { "celeba" }
    }

    /// In words, for figures and tables.
    pub fn description(&self) -> String {
        format!("{} {} ({} train, {} val, {} test)", self.faces, self.kind_in_words(), self.train, self.val, self.test)
    }

    pub fn kind_in_words(&self) -> &'static str {
        if self.synthetic { "synthetic faces, not CelebA" } else { "CelebA faces" }
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
pub fn in_order(data: &CelebA, faces: &[usize], preprocessing: &Preprocessing, batch_size: usize) -> Batches {
    let Preprocessing { image_size, normalisation } = *preprocessing;
    data.batches(faces, &BatchOptions { image_size, normalisation, batch_size, ..Default::default() })
}

/// What a model's images have gone through before it sees them.
pub fn preprocessing(card: &ModelCard) -> Preprocessing {
    Preprocessing { image_size: card.image_size, normalisation: Normalisation { mean: card.mean, deviation: card.deviation } }
}

/// Reads every one of these images, so that a damaged one is found before hours are spent.
pub fn decode_all(data: &CelebA, faces: &[usize]) -> Result<()> {
    let mut progress = Progress::new("checking images", faces.len(), 0);
    let smallest = Preprocessing { image_size: 16, normalisation: Normalisation::default() };
    for batch in in_order(data, faces, &smallest, 256) {
        progress.add(batch?.faces.len(), String::new);
    }
    Ok(())
}

/// Makes sure before a run begins that all its faces are there and can be read.
pub fn check(data: &CelebA, train_limit: usize) -> Result<()> {
    let mut all = limited(data.split(Split::Train)?, train_limit);
    all.extend(data.split(Split::Test)?);
    // The paper's split has no validation faces.
    all.extend(limited(data.split(Split::Val).unwrap_or_default(), VALIDATION_FACES));
    decode_all(data, &all)
}
